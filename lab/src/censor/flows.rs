//! What a border remembers of flows.

use std::collections::{HashMap, VecDeque};

use super::packet::Flow;

/// How many flows a border remembers: four sweeps of all ports.
const MAX: usize = 1 << 18;

/// Something remembered of each flow. When there are too many, the oldest is forgotten, as in any box of
/// this kind.
#[derive(Debug)]
pub struct Flows<T> {
    known: HashMap<Flow, T>,
    order: VecDeque<Flow>,
}

impl<T: Default> Flows<T> {
    /// What is remembered of a flow, to be changed; something new if nothing is.
    pub fn of(&mut self, flow: Flow) -> &mut T {
        if !self.known.contains_key(&flow) {
            if self.order.len() == MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.order.push_back(flow);
        }
        self.known.entry(flow).or_default()
    }

    /// What is remembered of a flow, if anything is.
    #[must_use]
    pub fn get(&self, flow: Flow) -> Option<&T> {
        self.known.get(&flow)
    }
}

impl<T> Default for Flows<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), order: VecDeque::new() }
    }
}
