//! What came of one simulation.

use std::time::Duration;

use super::world::STEPS_A_DAY;

/// What came of it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Outcome {
    /// The share of honest people who are online, of those who have come, by half hour; `None` before
    /// the first.
    pub(super) online: Vec<Option<f64>>,
    /// How often an honest person is cut off, by the censor or since the office has closed what they had
    /// and given them nothing else, a day.
    pub(super) cuts: f64,
    /// How often an honest person is moved who was not cut off, a day.
    pub(super) moves: f64,
    /// Endpoints that somebody was given.
    pub(super) used: usize,
    /// Endpoints that were blocked while they lived.
    pub(super) burned: usize,
    /// The share of honest people who are never given anything again.
    pub(super) banned: f64,
    /// How many times as often as others' travellers' connections are cut.
    pub(super) travellers: Option<f64>,
    /// The share of informers who at the end sit with nobody honest, of those who sit anywhere.
    pub(super) isolated: Option<f64>,
    /// The share of honest people whose address a relay of the censor's has seen.
    pub(super) seen: f64,
    /// What the office has taken, with the world's bookkeeping of arrivals and blocks.
    pub(super) cpu: Duration,
}

impl Outcome {
    /// The mean of a day, from 1 on.
    pub(super) fn day(&self, day: usize) -> f64 {
        let steps = &self.online[(day - 1) * STEPS_A_DAY..day * STEPS_A_DAY];
        let (sum, count) = steps
            .iter()
            .flatten()
            .fold((0.0, 0.0), |(sum, count), online| (sum + online, count + 1.0));
        sum / count
    }
}
