//! What is said while a search goes on: a line for each port that works, and on a terminal one more
//! that changes.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::seen::Seen;
use super::words::{looks_like, passed};
use crate::chart::count;

/// How often the line changes.
const INTERVAL: Duration = Duration::from_millis(200);

/// How many ports that work are told of at once; the table has them all.
const MOST: usize = 12;

/// How far a search is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Progress {
    /// Candidates that were asked.
    pub asked: u64,
    /// All there are.
    pub of: u64,
    /// Ports that work.
    pub works: usize,
    pub time: Duration,
}

/// On standard error, where it does not mix with what was asked for.
pub(super) struct Live {
    is_terminal: bool,
    is_quiet: bool,
    last: Option<Instant>,
    told: usize,
}

impl Live {
    /// Says nothing at all to programs.
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_terminal: io::stderr().is_terminal(), is_quiet: is_json, last: None, told: 0 }
    }

    /// A port that works; a new one, or more of one that is known.
    pub(super) fn found(&mut self, seen: &Seen, is_new: bool) {
        if is_new && self.told < MOST {
            self.told += 1;
            self.say(&format!("{}\n", found(seen)));
        }
    }

    /// How far it is, if that was not said a moment ago.
    pub(super) fn progress(&mut self, progress: &Progress) {
        let is_due = self.last.is_none_or(|last| last.elapsed() >= INTERVAL);
        if self.is_terminal && is_due {
            self.last = Some(Instant::now());
            self.say(&line(progress));
        }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if self.last.is_some() {
            self.say("");
        }
    }

    /// Nobody reading is no reason to stop.
    fn say(&self, text: &str) {
        if self.is_quiet {
            return;
        }
        let clear = if self.is_terminal { "\r\x1b[K" } else { "" };
        let mut to = io::stderr();
        let _ = write!(to, "{clear}{text}").and_then(|()| to.flush());
    }
}

fn found(seen: &Seen) -> String {
    let shape = looks_like(seen.shape, seen.transport);
    let passed = passed(seen.verdict);
    format!("  works: {}, relay {}, as {shape}: {passed}", seen.port(), seen.relay)
}

fn line(progress: &Progress) -> String {
    let Progress { asked, of, works, time } = progress;
    let seconds = time.as_secs();
    let time = match seconds {
        0..120 => format!("{seconds} s"),
        _ => format!("{} min", seconds / 60),
    };
    let works = match works {
        0 => "nothing yet".to_owned(),
        1 => "1 port works".to_owned(),
        many => format!("{} ports work", count(*many as u64)),
    };
    format!("  {time}: tried {} of {}, {works} (Ctrl-C ends it)", count(*asked), count(*of))
}

#[cfg(test)]
mod tests {
    use super::super::seen::tests::seen;
    use super::*;
    use reach::{Rung, Verdict};
    use wire::echo::Transport::Tcp;

    #[test]
    fn the_line_says_how_far_it_is_and_what_works() {
        let time = Duration::from_secs(12);
        let mut progress = Progress { asked: 38, of: 131_068, works: 0, time };
        assert_eq!(line(&progress), "  12 s: tried 38 of 131,068, nothing yet (Ctrl-C ends it)");
        progress = Progress { works: 2, time: Duration::from_secs(130), ..progress };
        assert!(line(&progress).starts_with("  2 min: tried 38 of 131,068, 2 ports work"));
    }

    #[test]
    fn a_port_that_works_is_told_at_once() {
        let said = found(&seen(Tcp, 179, 2, Verdict::Verified(Rung::Load)));
        assert_eq!(said, "  works: tcp 179, relay 2, as noise: 64 KiB each way");
    }
}
