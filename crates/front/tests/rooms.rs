//! What people with a key find behind the site: here, a room that tunnels to a server that answers
//! what it hears.

mod common;

use std::future::{pending, poll_fn};
use std::pin::pin;

use bytes::Bytes;
use common::{NAME, Wearer, text, wear};
use front::{Body, Rooms, Tunnel, body};
use h2::SendStream;
use http::{Method, Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Takes whoever says the word to one place, and repeats what they post.
struct Toy {
    leads_to: u16,
}

impl Rooms for Toy {
    async fn enter(&self, request: &mut Request<Body>) -> Option<Response<Body>> {
        // "visitor:sesame".
        let said = request.headers().get("proxy-authorization")?;
        if said != "Basic dmlzaXRvcjpzZXNhbWU=" {
            return None;
        }
        if request.method() != Method::CONNECT {
            let body = std::mem::replace(request.body_mut(), body::empty());
            return Some(Response::new(body));
        }
        let leads_to = self.leads_to;
        let tunnel = Tunnel::begin(request);
        tokio::spawn(async move {
            let mut tunnel = tunnel.await?;
            let mut target = TcpStream::connect(("127.0.0.1", leads_to)).await?;
            copy_bidirectional(&mut tunnel, &mut target).await
        });
        Some(Response::new(body::empty()))
    }
}

/// Opens tunnels for whoever says the word, and reads nothing that anybody sends.
struct Deaf;

impl Rooms for Deaf {
    async fn enter(&self, request: &mut Request<Body>) -> Option<Response<Body>> {
        if request.method() != Method::CONNECT {
            return pending().await;
        }
        let tunnel = Tunnel::begin(request);
        tokio::spawn(async move {
            let _tunnel = tunnel.await;
            pending::<()>().await;
        });
        Some(Response::new(body::empty()))
    }
}

/// A server that answers what it hears.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = writer.shutdown().await;
            });
        }
    });
    port
}

#[tokio::test]
async fn curl_tunnels_through_http1_with_a_key_and_meets_the_site_without() {
    let web = wear(front::NoRooms, |_, _| {}).await;
    let wearer = wear(Toy { leads_to: web.address.port() }, |_, _| {}).await;
    let trusted = wearer.trusted();
    let proxy = |user: &str| format!("https://{user}@127.0.0.1:{}", wearer.address.port());
    let visit = async |user: &str| {
        let arguments = [
            "-sSik",
            "--http1.1",
            "-x",
            &proxy(user),
            "--proxy-cacert",
            trusted.to_str().expect("a path"),
            "https://wherever.example.org/",
        ];
        text("curl", &arguments).await
    };
    let with = visit("visitor:sesame").await;
    assert!(with.starts_with("HTTP/1.1 200 OK") && with.contains("HTTP/1.1 404"), "{with}");
    let without = visit("visitor:wrong").await;
    assert!(without.starts_with("HTTP/1.1 404"), "{without}");
}

/// An HTTP/2 connection of our own, through a line on which every piece takes `delay`.
async fn http2(wearer: &Wearer, delay: std::time::Duration) -> h2::client::SendRequest<Bytes> {
    let stream = common::tls(wearer, &["h2"]).await;
    let (ours, theirs) = tokio::io::duplex(64 << 20);
    let (reader, writer) = tokio::io::split(stream);
    let (back, forth) = tokio::io::split(theirs);
    tokio::spawn(delayed(reader, forth, delay));
    tokio::spawn(delayed(back, writer, delay));
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(16 << 20)
        .initial_connection_window_size(64 << 20)
        .max_send_buffer_size(64 << 20)
        .handshake(ours)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    client.ready().await.expect("ready")
}

async fn delayed(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin + Send + 'static,
    delay: std::time::Duration,
) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some((at, bytes)) = receiver.recv().await {
            tokio::time::sleep_until(at).await;
            let bytes: Vec<u8> = bytes;
            if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let at = tokio::time::Instant::now() + delay;
        if sender.send((at, bytes[..read].to_vec())).is_err() {
            return;
        }
    }
}

fn connect(word: &str) -> Request<()> {
    Request::builder()
        .method(Method::CONNECT)
        .uri("wherever.example.org:443")
        .header("proxy-authorization", word)
        .body(())
        .expect("a request")
}

#[tokio::test]
async fn streams_of_http2_are_tunnels_many_at_a_time() {
    let wearer = wear(Toy { leads_to: echo().await }, |_, _| {}).await;
    let client = http2(&wearer, std::time::Duration::ZERO).await;
    let mut tunnels = Vec::new();
    for _ in 0..100 {
        let mut client = client.clone().ready().await.expect("ready");
        let (answer, up) =
            client.send_request(connect("Basic dmlzaXRvcjpzZXNhbWU="), false).expect("sent");
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        tunnels.push((up, answer.into_body()));
    }
    for (number, (up, down)) in tunnels.iter_mut().enumerate() {
        let said = format!("tunnel {number}");
        up.send_data(said.clone().into(), true).expect("sent");
        let mut heard = Vec::new();
        while let Some(bytes) = down.data().await {
            let bytes = bytes.expect("bytes");
            down.flow_control().release_capacity(bytes.len()).expect("released");
            heard.extend(bytes);
        }
        assert_eq!(String::from_utf8(heard).expect("text"), said);
    }
    let mut client = client.ready().await.expect("ready");
    let (answer, _) = client.send_request(connect("Basic d3Jvbmc="), false).expect("sent");
    assert_eq!(answer.await.expect("an answer").status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_upload_from_far_away_fills_more_than_a_mebibyte_of_line() {
    let wearer = wear(Toy { leads_to: echo().await }, |_, _| {}).await;
    let client = http2(&wearer, std::time::Duration::from_millis(100)).await;
    let mut client = client.ready().await.expect("ready");
    let (answer, mut up) =
        client.send_request(connect("Basic dmlzaXRvcjpzZXNhbWU="), false).expect("sent");
    let mut down = answer.await.expect("an answer").into_body();
    const ALL: usize = 24 << 20;
    let (mut sent, mut back, mut most) = (0, 0, 0);
    while back < ALL {
        up.reserve_capacity((ALL - sent).min(1 << 20));
        tokio::select! {
            capacity = poll_fn(|cx| up.poll_capacity(cx)), if sent < ALL => {
                let capacity = capacity.expect("open").expect("a window").min(ALL - sent);
                up.send_data(vec![7; capacity].into(), false).expect("sent");
                sent += capacity;
            }
            bytes = down.data() => {
                let bytes = bytes.expect("open").expect("bytes");
                down.flow_control().release_capacity(bytes.len()).expect("released");
                back += bytes.len();
            }
        }
        most = most.max(sent - back);
    }
    assert!(most > 1 << 20, "{most} bytes were on the way at the same time");
}

/// Sends as much as it may; how much that was.
async fn fill(mut up: SendStream<Bytes>) -> usize {
    let mut sent = 0;
    loop {
        up.reserve_capacity(1 << 20);
        let room = poll_fn(|cx| up.poll_capacity(cx));
        match timeout(std::time::Duration::from_secs(1), room).await {
            Ok(room) => {
                let room = room.expect("open").expect("a window");
                up.send_data(vec![7; room].into(), false).expect("sent");
                sent += room;
            }
            Err(_) => return sent,
        }
    }
}

#[tokio::test]
async fn a_key_holder_may_send_more_that_nobody_reads_than_a_stranger_and_not_without_bounds() {
    const STREAM: usize = 4 << 20;
    let post = || Request::post("https://wherever.example.org/").body(()).expect("a request");
    // Who it is, the bound on all of them, and what ten streams of a connection come to.
    for (is_known, all, least, most) in [
        (false, 256 << 20, 1, 65_535),
        (true, 256 << 20, STREAM + 1, 4 * STREAM),
        (true, 1 << 20, 65_535 + 1, 1 << 20),
    ] {
        let wearer = wear(Deaf, |settings, _| settings.limits.windows = all).await;
        let client = http2(&wearer, std::time::Duration::ZERO).await;
        let mut filling = Vec::new();
        for _ in 0..10 {
            let mut client = client.clone().ready().await.expect("ready");
            let request = if is_known { connect("") } else { post() };
            let (answer, up) = client.send_request(request, false).expect("sent");
            if is_known {
                assert_eq!(answer.await.expect("an answer").status(), StatusCode::OK);
            } else {
                // Held, or it is reset.
                tokio::spawn(answer);
            }
            filling.push(tokio::spawn(fill(up)));
        }
        let mut sum = 0;
        for filled in filling {
            let filled = filled.await.expect("filled");
            assert!(filled <= STREAM, "{filled} bytes in one stream");
            sum += filled;
        }
        assert!((least..=most).contains(&sum), "{is_known}, {all}: {sum} bytes");
    }
}

#[tokio::test]
async fn a_room_may_answer_with_what_it_is_sent_while_it_is_sent() {
    let wearer = wear(Toy { leads_to: 1 }, |_, _| {}).await;
    let word = "Proxy-Authorization: Basic dmlzaXRvcjpzZXNhbWU=";
    let said = "жарық".repeat(100_000);
    let file = wearer.home.path().join("said");
    std::fs::write(&file, &said).expect("written");
    let data = format!("@{}", file.display());
    for version in ["--http1.1", "--http2"] {
        let arguments = &[version, "-H", word, "--data-binary", &data, "-H", "Expect:"];
        let visit = wearer.curl(arguments, "/").await;
        assert_eq!((visit.status(), visit.body.len()), ("200", said.len()), "{}", visit.head);
    }
}

#[tokio::test]
async fn a_tunnel_outlives_what_would_end_a_visit() {
    let wearer = wear(Toy { leads_to: echo().await }, |settings, _| {
        settings.limits.idle = std::time::Duration::from_millis(300);
        settings.limits.head = std::time::Duration::from_millis(300);
        settings.limits.farewell = std::time::Duration::from_millis(100);
    })
    .await;
    let client = http2(&wearer, std::time::Duration::ZERO).await;
    let mut client = client.ready().await.expect("ready");
    let (answer, mut up) =
        client.send_request(connect("Basic dmlzaXRvcjpzZXNhbWU="), false).expect("sent");
    let mut down = answer.await.expect("an answer").into_body();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    wearer.front.stop();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    up.send_data("still here".into(), true).expect("sent");
    assert_eq!(down.data().await.expect("open").expect("bytes"), "still here");

    // Over HTTP/1.1, too.
    let wearer = wear(Toy { leads_to: echo().await }, |settings, _| {
        settings.limits.idle = std::time::Duration::from_millis(300);
    })
    .await;
    let mut stream = pin!(common::tls(&wearer, &["http/1.1"]).await);
    let head = format!(
        "CONNECT {NAME}:443 HTTP/1.1\r\nHost: {NAME}:443\r\n\
         Proxy-Authorization: Basic dmlzaXRvcjpzZXNhbWU=\r\n\r\nfirst"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut heard = Vec::new();
    while !heard.ends_with(b"first") {
        assert!(stream.read_buf(&mut heard).await.expect("read") > 0);
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    stream.write_all(b"second").await.expect("sent");
    while !heard.ends_with(b"second") {
        assert!(stream.read_buf(&mut heard).await.expect("read") > 0);
    }
}

#[tokio::test]
async fn a_visitor_of_a_stopping_front_gets_what_is_under_way_and_nothing_more() {
    let wearer = wear(front::NoRooms, |_, _| {}).await;
    let mut client = http2(&wearer, std::time::Duration::ZERO).await;
    let get = || Request::get(wearer.url("/")).body(()).expect("a request");
    let (answer, _) = client.send_request(get(), true).expect("sent");
    assert_eq!(answer.await.expect("an answer").status(), StatusCode::NOT_FOUND);
    wearer.front.stop();
    for _ in 0..200 {
        match client.clone().ready().await {
            Err(_) => return,
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(25)).await,
        }
    }
    panic!("the connection is still there");
}

#[tokio::test]
async fn whoever_leaves_before_the_answer_leaves_nothing_behind() {
    let wearer = wear(Toy { leads_to: echo().await }, |_, _| {}).await;
    let answer = {
        let mut client = http2(&wearer, std::time::Duration::ZERO).await;
        let (answer, mut up) =
            client.send_request(connect("Basic dmlzaXRvcjpzZXNhbWU="), false).expect("sent");
        up.send_reset(h2::Reason::CANCEL);
        answer
    };
    assert!(answer.await.is_err());
    // It serves the next one.
    assert_eq!(wearer.curl(&["--http2"], "/").await.status(), "404");
}
