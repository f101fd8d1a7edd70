//! By when an engine gives up what is out.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// In groups of one waiting time, each from first to last: what is waited for longer holds up nothing
/// that went out after it.
pub(crate) struct Deadlines<T>(HashMap<Duration, VecDeque<(Instant, T)>>);

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Deadlines<T> {
    /// This went out then, and is waited for so long.
    pub(crate) fn put(&mut self, sent: Instant, hold: Duration, what: T) {
        self.0.entry(hold).or_default().push_back((sent + hold, what));
    }

    /// Whatever is due by then; some of it may have been answered since.
    pub(crate) fn expire(&mut self, now: Instant, mut due: impl FnMut(T)) {
        for queue in self.0.values_mut() {
            while let Some((_, what)) = queue.pop_front_if(|(deadline, _)| *deadline <= now) {
                due(what);
            }
        }
        self.0.retain(|_, queue| !queue.is_empty());
    }

    /// Until the next is due: a minute if nothing is out.
    pub(crate) fn until_next(&self) -> Duration {
        let next = self.0.values().filter_map(|queue| Some(queue.front()?.0)).min();
        next.map_or(Duration::from_secs(60), |at| at.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_longer_holds_up_nothing_that_went_out_after_it() {
        let ms = Duration::from_millis;
        let mut deadlines = Deadlines::default();
        let began = Instant::now();
        deadlines.put(began, ms(500), 1);
        deadlines.put(began + ms(1), ms(250), 2);
        deadlines.put(began + ms(2), ms(250), 3);
        let mut due = |at| {
            let mut all = Vec::new();
            deadlines.expire(began + at, |what| all.push(what));
            all
        };
        assert_eq!(
            [due(ms(250)), due(ms(251)), due(ms(499)), due(ms(500))],
            [vec![], vec![2], vec![3], vec![1]]
        );
    }
}
