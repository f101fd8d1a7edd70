//! What strangers who mean harm can do.

mod common;

use std::time::Duration;

use common::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, GET, HEADERS, RST_STREAM, by_hand, end, flood, frame,
};
use common::{NAME, Wearer, wear};
use front::{Body, NoRooms, Rooms, Site};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn still_serves(wearer: &Wearer) {
    let visit = wearer.curl(&["--http2"], "/").await;
    assert_eq!(visit.status(), "404", "{visit:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_reset_at_once_end_the_connection() {
    let wearer = wear(NoRooms, |_, _| {}).await;
    let (down, up) = by_hand(&wearer).await;
    let ending = tokio::spawn(end(down));
    let pieces = (0..1_000_000).map(|number| {
        let stream = number * 2 + 1;
        let mut both = frame(HEADERS, END_STREAM | END_HEADERS, stream, GET);
        both.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
        both
    });
    let sent = flood(up, pieces).await;
    ending.await.expect("it ends");
    assert!(sent < 50_000, "{sent} streams were opened and reset");
    still_serves(&wearer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_never_end_end_the_connection() {
    let wearer = wear(NoRooms, |_, _| {}).await;
    for piece in [
        frame(CONTINUATION, 0, 1, &[]),
        // A literal field, not indexed, of 16,000 bytes.
        frame(CONTINUATION, 0, 1, &{
            let mut field = vec![0x00, 0x01, b'a', 0x7f, 0x81, 0x7c];
            field.extend(vec![b'b'; 16_000]);
            field
        }),
        // A field of the static table, again and again.
        frame(CONTINUATION, 0, 1, &[0x82; 16_000]),
    ] {
        let (down, mut up) = by_hand(&wearer).await;
        let ending = tokio::spawn(end(down));
        up.write_all(&frame(HEADERS, END_STREAM, 1, GET)).await.expect("sent");
        let length = piece.len();
        let sent = flood(up, std::iter::repeat_n(piece, 64 << 20 >> length.ilog2())).await;
        ending.await.expect("it ends");
        assert!(sent * length < 16 << 20, "{sent} pieces of {length} bytes were taken");
    }
    still_serves(&wearer).await;
}

#[tokio::test]
async fn a_head_that_is_too_long_or_too_slow_is_refused() {
    let wearer = wear(NoRooms, |settings, _| {
        settings.limits.head = Duration::from_secs(1);
        settings.limits.handshake = Duration::from_secs(1);
    })
    .await;
    let long = format!("X-Long: {}", "x".repeat(40 << 10));
    let visit = wearer.curl(&["--http1.1", "-H", &long], "/").await;
    assert_eq!(visit.status(), "431");
    let visit = wearer.curl(&["--http2", "-H", &long], "/").await;
    assert_eq!(visit.status(), "431");
    let many: Vec<_> = (0..200).map(|number| format!("X-{number}: x")).collect();
    let many: Vec<_> =
        ["--http1.1"].into_iter().chain(many.iter().flat_map(|field| ["-H", field])).collect();
    assert_eq!(wearer.curl(&many, "/").await.status(), "431");

    // A head, and a hello, letter by letter.
    let mut slow = common::tls(&wearer, &["http/1.1"]).await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX: ").await.expect("sent");
    let mut silent = TcpStream::connect(wearer.address).await.expect("a connection");
    silent.write_all(&[0x16, 3, 1]).await.expect("sent");
    let mut rest = Vec::new();
    let ended = async {
        let _ = slow.read_to_end(&mut rest).await;
        let _ = silent.read_to_end(&mut rest).await;
    };
    timeout(Duration::from_secs(30), ended).await.expect("both end");
}

#[tokio::test]
async fn an_idle_connection_and_one_that_asks_too_much_are_ended() {
    let wearer = wear(NoRooms, |settings, _| {
        settings.limits.idle = Duration::from_secs(1);
        settings.limits.requests = 50;
    })
    .await;
    // Idle, in both versions.
    let (down, up) = by_hand(&wearer).await;
    assert_eq!(end(down).await, Some(0), "GOAWAY without an error");
    drop(up);
    let mut stream = common::tls(&wearer, &["http/1.1"]).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut heard = Vec::new();
    let _ =
        timeout(Duration::from_secs(30), stream.read_to_end(&mut heard)).await.expect("it ends");
    assert!(heard.starts_with(b"HTTP/1.1 404"));

    let mut stream = common::tls(&wearer, &["http/1.1"]).await;
    let many = format!("GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n").repeat(500);
    stream.write_all(many.as_bytes()).await.expect("sent");
    let mut heard = Vec::new();
    let _ =
        timeout(Duration::from_secs(30), stream.read_to_end(&mut heard)).await.expect("it ends");
    let answers = String::from_utf8_lossy(&heard).matches("404 Not Found").count();
    assert!((50..=100).contains(&answers), "{answers}");
}

/// Lets in who says the word.
struct Word;

impl Rooms for Word {
    async fn enter(&self, request: &mut Request<Body>) -> Option<Response<Body>> {
        request.headers().get("word").map(|_| Response::new(front::body::full("welcome")))
    }
}

#[tokio::test]
async fn when_too_many_answers_are_under_way_key_holders_are_served_all_the_same() {
    let wearer = wear(Word, |settings, home| {
        let root = home.join("site");
        std::fs::create_dir(&root).expect("made");
        std::fs::write(root.join("index.html"), vec![b'x'; 8 << 20]).expect("written");
        settings.site = Site::Directory(root);
        settings.limits.answers = 10;
    })
    .await;
    let (down, mut up) = by_hand(&wearer).await;
    for stream in 0..10 {
        let get = frame(HEADERS, END_STREAM | END_HEADERS, stream * 2 + 1, GET);
        up.write_all(&get).await.expect("sent");
    }
    up.flush().await.expect("sent");
    let status = async |arguments: &[&str]| {
        let visit = wearer.curl(&[&["-r", "0-9"], arguments].concat(), "/").await;
        visit.status().to_owned()
    };
    until(async || status(&[]).await == "503").await;
    assert_eq!(status(&["-H", "Word: sesame"]).await, "200");
    drop((down, up));
    until(async || status(&[]).await == "206").await;
}

/// Waits for what must come.
async fn until(condition: impl AsyncFn() -> bool) {
    let come = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), come).await.expect("it comes");
}
