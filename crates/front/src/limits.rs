//! Bounds on what anyone can take up.

use std::time::Duration;

/// Bounds on what anyone can take up. The defaults are those of ordinary web servers where these have
/// one; memory for whoever has no key is at most about 64 KiB a connection, 32 KiB a stream that
/// reads nothing, and that only [`Limits::answers`] times. [`Limits::windows`] is for the others.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a request's head may take over HTTP/1.1, waiting for the next one included.
    pub head: Duration,
    /// After how long a connection is closed on which nothing moves, keys' tunnels and answers aside.
    pub idle: Duration,
    /// How long a connection may go on after it was asked to end.
    pub farewell: Duration,
    /// The most bytes of a request's head.
    pub head_bytes: usize,
    /// The most header fields of a request.
    pub headers: usize,
    /// Requests without a key on one connection: then it is asked to end, and at twice as many cut.
    pub requests: usize,
    /// Streams at the same time on one HTTP/2 connection.
    pub streams: u32,
    /// The most bytes that key holders may have sent over HTTP/2 and nobody has read yet, on all
    /// connections together, of which each has an equal share: 16 MiB at most. Those who came when
    /// there were fewer may still hold what they had then.
    pub windows: usize,
    /// Answers of the site under way at the same time, on all connections; the next one hears 503.
    pub answers: usize,
    /// The most bytes that a site behind this one is sent with a request.
    pub upstream_request: u64,
    /// The most bytes of its answer; what is longer is broken off.
    pub upstream_answer: u64,
    /// How long it may take to accept a connection, and again to begin an answer.
    pub upstream_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(60),
            idle: Duration::from_secs(75),
            farewell: Duration::from_secs(5),
            head_bytes: 32 << 10,
            headers: 100,
            requests: 1_000,
            streams: 200,
            windows: 256 << 20,
            answers: 512,
            upstream_request: 1 << 20,
            upstream_answer: 256 << 20,
            upstream_time: Duration::from_secs(20),
        }
    }
}
