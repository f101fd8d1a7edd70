//! How much memory strangers can take. Each test has the process for itself.

mod common;

use std::time::Duration;

use common::frames::{
    END_HEADERS, END_STREAM, GET, HEADERS, PING, SETTINGS, by_hand, flood, frame, next,
};
use common::wear;
use front::{NoRooms, Site};
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;
use tokio::time::timeout;

static ALONE: Mutex<()> = Mutex::const_new(());

/// How much memory this process has, in bytes.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("a number") << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_and_settings_that_nobody_reads_the_answers_to_take_no_memory() {
    let _alone = ALONE.lock().await;
    let wearer = wear(NoRooms, |settings, _| settings.limits.idle = Duration::from_secs(3)).await;
    for (kind, payload) in [(PING, &[0; 8][..]), (SETTINGS, &[])] {
        let before = memory();
        let (down, up) = by_hand(&wearer).await;
        let many = frame(kind, 0, 0, payload).repeat(1000);
        let flooding = flood(up, std::iter::repeat_n(many, 10_000));
        // Sending stops when the answers are not read; then nothing moves, and it is over.
        let _ = timeout(Duration::from_secs(30), flooding).await;
        let grown = memory().saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes more");
        drop(down);
    }
    assert_eq!(wearer.curl(&["--http2"], "/").await.status(), "404");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_take_little_memory_and_not_for_long() {
    let _alone = ALONE.lock().await;
    let wearer = wear(NoRooms, |settings, home| {
        let root = home.join("site");
        std::fs::create_dir(&root).expect("made");
        std::fs::write(root.join("index.html"), vec![b'x'; 8 << 20]).expect("written");
        settings.site = Site::Directory(root);
        settings.limits.idle = Duration::from_secs(2);
        settings.limits.farewell = Duration::from_secs(1);
    })
    .await;
    let before = memory();
    let mut connections = Vec::new();
    for _ in 0..20 {
        let (down, mut up) = by_hand(&wearer).await;
        for stream in 0..100 {
            let get = frame(HEADERS, END_STREAM | END_HEADERS, stream * 2 + 1, GET);
            up.write_all(&get).await.expect("sent");
        }
        up.flush().await.expect("sent");
        connections.push((down, up));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = memory().saturating_sub(before);
    assert!(grown < 128 << 20, "{grown} bytes for 2,000 answers that nobody reads");
    // They are over soon, though the visitors are there: what they had goes to others.
    for (mut down, _up) in connections {
        let rest = async { while next(&mut down).await.is_some() {} };
        timeout(Duration::from_secs(60), rest).await.expect("it ends");
    }
    assert_eq!(wearer.curl(&["-I"], "/").await.status(), "200");
}
