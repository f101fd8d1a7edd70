//! A website behind this one.

mod common;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::{Wearer, free_port, text, wear};
use front::{Body, NoRooms, Rooms, Site, body};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A website that tells what it was asked.
#[derive(Clone, Default)]
struct Behind {
    asked: Arc<Mutex<Vec<String>>>,
    /// What is sent to whoever asks for `/slow`, while it is sent.
    slow: Arc<Mutex<Option<mpsc::UnboundedReceiver<Bytes>>>>,
}

struct Receiving(mpsc::UnboundedReceiver<Bytes>);

impl http_body::Body for Receiving {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl Rooms for Behind {
    async fn enter(&self, request: &mut Request<Body>) -> Option<Response<Body>> {
        let head = format!("{} {} {:?}", request.method(), request.uri(), request.headers());
        self.asked.lock().expect("asked").push(head);
        if request.method() == http::Method::CONNECT {
            return Some(
                Response::builder().status(418).body(body::full("no")).expect("an answer"),
            );
        }
        Some(match request.uri().path() {
            "/below/slow" => {
                let pieces = self.slow.lock().expect("slow").take().expect("once");
                Response::new(Receiving(pieces).boxed_unsync())
            }
            "/below/elsewhere" => {
                let host = request.headers()["host"].to_str().expect("a host").to_owned();
                Response::builder()
                    .status(302)
                    .header("location", format!("https://{host}/below/there?x=y"))
                    .header("alt-svc", "h3=\":443\"")
                    .header("connection", "x-secret")
                    .header("x-secret", "1")
                    .body(body::empty())
                    .expect("an answer")
            }
            _ => {
                let body = std::mem::replace(request.body_mut(), body::empty());
                Response::builder().header("server", "theirs").body(body).expect("an answer")
            }
        })
    }
}

async fn before(behind: Behind) -> (Wearer, Wearer) {
    let behind = wear(behind, |_, _| {}).await;
    let url = format!("https://127.0.0.1:{}/below/", behind.address.port());
    let roots = Some(behind.trusted());
    let wearer = wear(NoRooms, |settings, _| {
        settings.site = Site::Upstream { url: url.parse().expect("a URL"), roots };
        settings.limits.upstream_time = Duration::from_secs(3);
    })
    .await;
    (wearer, behind)
}

#[tokio::test]
async fn visitors_see_the_website_behind_and_it_does_not_see_them() {
    let behind = Behind::default();
    let asked = Arc::clone(&behind.asked);
    let (wearer, theirs) = before(behind).await;
    for version in ["--http1.1", "--http2"] {
        let arguments = [
            version,
            "-d",
            "hello",
            "-H",
            "Cookie: a=b",
            "-H",
            "Connection: X-Mine",
            "-H",
            "X-Mine: 1",
            "-H",
            "TE: trailers",
        ];
        let visit = wearer.curl(&arguments, "/page?q=1").await;
        assert_eq!((visit.status(), &visit.body[..]), ("200", &b"hello"[..]), "{visit:?}");
        assert_eq!(visit.header("server"), Some("theirs"));
        let head = asked.lock().expect("asked").pop().expect("it was asked");
        assert!(head.starts_with("POST /below/page?q=1 "), "{head}");
        let host = format!("\"host\": \"127.0.0.1:{}\"", theirs.address.port());
        assert!(head.contains(&host) && head.contains("\"cookie\": \"a=b\""), "{head}");
        for gone in ["forwarded", "x-real-ip", "x-mine", "\"te\"", "relay.test"] {
            // Over HTTP/2, curl does not send that the field is for its neighbour alone.
            let is_kept = gone == "x-mine" && version == "--http2";
            assert!(is_kept || !head.contains(gone), "{gone}: {head}");
        }
    }
    let visit = wearer.curl(&[], "/elsewhere").await;
    assert_eq!(visit.header("location"), Some("/there?x=y"));
    assert_eq!((visit.header("alt-svc"), visit.header("x-secret")), (None, None));
}

#[tokio::test]
async fn what_comes_piece_by_piece_goes_on_piece_by_piece() {
    let behind = Behind::default();
    let (pieces, receiver) = mpsc::unbounded_channel();
    *behind.slow.lock().expect("slow") = Some(receiver);
    let (wearer, _theirs) = before(behind).await;
    let out = wearer.home.path().join("out");
    let file = out.to_str().expect("a path").to_owned();
    pieces.send("first ".into()).expect("sent");
    let watching = async {
        while std::fs::read(&out).unwrap_or_default() != b"first " {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        pieces.send("second".into()).expect("sent");
        drop(pieces);
    };
    // curl adds the head to its standard output with -i, and not to the file that it writes with -o.
    let arguments = ["-N", "--no-include", "-o", &file];
    let visiting = wearer.curl(&arguments, "/slow");
    let both = async { tokio::join!(watching, visiting) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("pieces arrive one by one");
    assert_eq!(std::fs::read(&out).expect("read"), b"first second");
}

#[tokio::test]
async fn a_stranger_s_proxy_request_is_answered_by_the_website_behind() {
    let (wearer, _theirs) = before(Behind::default()).await;
    let proxy = format!("https://127.0.0.1:{}", wearer.address.port());
    let printed =
        text("curl", &["-sSv", "-x", &proxy, "--proxy-insecure", "https://www.example.org/"]).await;
    assert!(printed.contains("HTTP/1.1 418"), "{printed}");
}

#[tokio::test]
async fn too_large_a_request_is_refused_and_a_dead_website_is_502() {
    let (wearer, _theirs) = before(Behind::default()).await;
    let file = wearer.home.path().join("large");
    std::fs::write(&file, vec![7; (1 << 20) + 1]).expect("written");
    let data = format!("@{}", file.display());
    let visit = wearer.curl(&["--http1.1", "--data-binary", &data], "/").await;
    assert_eq!(visit.status(), "413");

    let url = format!("http://127.0.0.1:{}", free_port());
    let mut dead = wear(NoRooms, |settings, _| {
        settings.site = Site::Upstream { url: url.parse().expect("a URL"), roots: None };
    })
    .await;
    for _ in 0..3 {
        assert_eq!(dead.curl(&[], "/").await.status(), "502");
    }
    let notice = dead.notices.try_recv().expect("something is said");
    assert_eq!(notice.kind(), "site-unreachable");
    assert!(dead.notices.try_recv().is_err(), "once a minute");
}

/// A way to a port, and how many went it.
async fn counted(to: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut there = TcpStream::connect(to).await?;
                copy_bidirectional(&mut stream, &mut there).await
            });
        }
    });
    (address, count)
}

#[tokio::test]
async fn connections_to_the_website_behind_are_used_again_until_it_closes_them() {
    let behind = wear(NoRooms, |settings, _| {
        settings.limits.idle = Duration::from_secs(2);
    })
    .await;
    let (way, count) = counted(behind.plain).await;
    let wearer = wear(NoRooms, |settings, _| {
        let url = format!("http://{way}").parse().expect("a URL");
        settings.site = Site::Upstream { url, roots: None };
    })
    .await;
    for _ in 0..5 {
        assert_eq!(wearer.curl(&[], "/").await.status(), "404");
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(wearer.curl(&[], "/").await.status(), "404");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn its_answers_keep_their_order_and_their_letters() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let head = "HTTP/1.1 200 OK\r\nServer: theirs\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
                Content-Length: 2\r\nX-MiXed: 1\r\nETag: \"x\"\r\n\r\n";
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut heard).await?;
        }
        stream.write_all(format!("{head}ok").as_bytes()).await
    });
    let wearer = wear(NoRooms, |settings, _| {
        settings.site = Site::Upstream { url: url.parse().expect("a URL"), roots: None };
    })
    .await;
    assert_eq!(wearer.curl(&["--http1.1"], "/").await.head, head);
}

#[tokio::test]
async fn what_is_no_website_is_said_at_the_start() {
    for url in ["ftp://example.org", "example.org", "https://user:word@example.org"] {
        let home = tempfile::tempdir().expect("a directory");
        let identity = front::Identity::SelfSigned(vec![common::NAME.parse().expect("a name")]);
        let mut settings = front::Settings::new(home.path().join("tls"), identity);
        settings.site = Site::Upstream { url: url.parse().expect("a URL"), roots: None };
        let error = front::Front::open(settings).map(|_| ()).expect_err("refused");
        assert!(error.to_string().contains("is no website"), "{error}");
    }
}
