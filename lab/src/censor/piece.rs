//! What all pieces of a censor have in common.

use std::fmt::Debug;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::chance::Chance;
use super::packet::{Packet, Way};
use super::pieces::{Hours, When};
use crate::clock::Clock;

/// What is to become of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes on to the next piece.
    Pass,
    /// It goes no further.
    Drop,
    /// It goes on to the next piece at this time.
    Hold(Instant),
}

/// One harm that a border does. It sees every packet that the pieces before it let through, both ways,
/// and remembers what it needs.
pub trait Piece: Debug + Send + 'static {
    /// Judges a packet. It may change it, and send packets of its own.
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict;

    /// The same piece, which only gets to see packets of which `it` is true.
    ///
    /// ```no_run
    /// # use lab::censor::{Block, Censor, Piece};
    /// # fn example(inside: &lab::Network) -> lab::Result {
    /// // One relay's address is blocked, and no other.
    /// let relay: std::net::IpAddr = "116.203.7.7".parse().expect("an address");
    /// let block = Block.when(move |packet| packet.outside() == relay);
    /// let censor = Censor::on(inside).piece(block).start()?;
    /// # Ok(()) }
    /// ```
    fn when<F>(self, it: F) -> When<Self, F>
    where
        Self: Sized,
        F: Fn(&Packet<'_>) -> bool + Send + 'static,
    {
        When::new(self, it)
    }

    /// The same piece, at work only while the clock is in one of these spans.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use lab::{Clock, censor::{Block, Censor, Piece}};
    /// # fn example(inside: &lab::Network) -> lab::Result {
    /// // A shutdown from the third to the fifth hour; an hour of the lab takes a minute of ours.
    /// let hours = |hours: u64| Duration::from_secs(3600 * hours);
    /// let clock = Clock::faster(60);
    /// let shutdown = Block.during(&clock, [hours(3)..hours(5)]);
    /// let censor = Censor::on(inside).piece(shutdown).start()?;
    /// # Ok(()) }
    /// ```
    fn during(
        self,
        clock: &Clock,
        spans: impl IntoIterator<Item = Range<Duration>>,
    ) -> When<Self, Hours>
    where
        Self: Sized,
    {
        When::new(self, Hours::within(clock, spans))
    }

    /// The same piece, at work except while the clock is in one of these spans: a shutdown with windows.
    fn except(
        self,
        clock: &Clock,
        spans: impl IntoIterator<Item = Range<Duration>>,
    ) -> When<Self, Hours>
    where
        Self: Sized,
    {
        When::new(self, Hours::without(clock, spans))
    }
}

impl Piece for Box<dyn Piece> {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        (**self).judge(packet, border)
    }
}

/// Where a piece stands while it judges.
#[derive(Debug)]
pub struct Border<'a> {
    pub(super) now: Instant,
    pub(super) chance: &'a mut Chance,
    pub(super) forged: &'a mut Vec<(Way, Vec<u8>)>,
}

impl Border<'_> {
    /// When the packet came.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A number from 0 to just below 1, by a throw of dice. The same seed gives the same numbers.
    pub fn share(&mut self) -> f64 {
        self.chance.share()
    }

    /// Sends a packet from here, see [`forge`](super::forge): before the one that is judged, through
    /// the pieces that stand further on in its way.
    pub fn send(&mut self, way: Way, packet: Vec<u8>) {
        self.forged.push((way, packet));
    }
}
