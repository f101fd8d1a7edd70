//! Who is online, second by second.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, sleep};
use std::time::{Duration, Instant};

use crate::people::Board;

/// A line of what is printed is so many seconds.
const LINE: usize = 5;

#[derive(Default)]
struct Seen {
    /// The share online, each second, and whether people were being seated elsewhere.
    seconds: Vec<(f64, bool)>,
    /// What happened, after so many seconds.
    events: Vec<(usize, String)>,
    /// Until then people are being seated elsewhere.
    until: Option<Instant>,
}

/// The share of people online over time.
pub struct Chart {
    board: Arc<Board>,
    seen: Mutex<Seen>,
    is_over: AtomicBool,
}

impl Chart {
    pub fn new(board: Arc<Board>) -> Self {
        Self { board, seen: Mutex::default(), is_over: AtomicBool::default() }
    }

    /// Looks each second until [`Self::end`].
    pub fn begin<'a>(&'a self, scope: &'a Scope<'a, '_>) {
        scope.spawn(|| {
            let mut next = Instant::now();
            while !self.is_over.load(Ordering::Relaxed) {
                let share = self.board.share();
                self.with(|seen| {
                    let is_moving = seen.until.is_some_and(|until| next < until);
                    seen.seconds.push((share, is_moving));
                });
                next += Duration::from_secs(1);
                sleep(next.saturating_duration_since(Instant::now()));
            }
        });
    }

    /// What ends it when it is dropped.
    pub fn over(&self) -> Over<'_> {
        Over(self)
    }

    /// Something happens, and for so long people are being seated elsewhere.
    pub fn event(&self, what: impl Into<String>, moving: Duration) {
        let until = Instant::now() + moving;
        self.with(|seen| {
            let second = seen.seconds.len();
            seen.events.push((second, what.into()));
            seen.until = seen.until.max(Some(until));
        });
    }

    /// For so long yet people are being seated elsewhere, and no longer.
    pub fn settles(&self, moving: Duration) {
        self.with(|seen| seen.until = Some(Instant::now() + moving));
    }

    /// Waits until so many are online; whether that was in time.
    pub fn wait(&self, share: f64, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while self.board.share() < share {
            if Instant::now() > end {
                return false;
            }
            sleep(Duration::from_millis(200));
        }
        true
    }

    /// What was seen; the least share in any second in which nobody was being seated elsewhere.
    pub fn summary(&self) -> (String, f64) {
        self.with(|seen| {
            let mut text = String::new();
            let mut events = seen.events.iter().peekable();
            for (place, line) in (0..).step_by(LINE).zip(seen.seconds.chunks(LINE)) {
                let mean = line.iter().map(|(share, _)| share).sum::<f64>() / line.len() as f64;
                let least = line.iter().map(|(share, _)| *share).fold(1.0, f64::min);
                let moving = if line.iter().any(|(_, is_moving)| *is_moving) { "*" } else { " " };
                let _ = write!(
                    text,
                    "{place:5} s {:6.1} % {:6.1} % {moving}",
                    mean * 100.0,
                    least * 100.0
                );
                while let Some((_, what)) = events.next_if(|(at, _)| *at < place + LINE) {
                    let _ = write!(text, " {what};");
                }
                text.push('\n');
            }
            let quiet = seen.seconds.iter().filter(|(_, is_moving)| !is_moving);
            (text, quiet.map(|(share, _)| *share).fold(1.0, f64::min))
        })
    }

    fn with<T>(&self, then: impl FnOnce(&mut Seen) -> T) -> T {
        then(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Ends a chart when it is dropped.
pub struct Over<'a>(&'a Chart);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}
