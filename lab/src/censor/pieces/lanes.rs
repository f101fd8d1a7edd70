//! What is throttled together.

use crate::censor::{Flows, Packet};

/// Something of each way: of all flows together, or of each alone.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    all: [T; 2],
    each: Option<Flows<[T; 2]>>,
}

impl<T: Default> Lanes<T> {
    /// One lane each way.
    pub(super) fn shared() -> Self {
        Self { all: Default::default(), each: None }
    }

    /// Two of its own for every connection and every flow of datagrams.
    pub(super) fn each() -> Self {
        Self { all: Default::default(), each: Some(Flows::default()) }
    }

    /// The lane of a packet.
    pub(super) fn of(&mut self, packet: &Packet<'_>) -> &mut T {
        let way = packet.way() as usize;
        match (&mut self.each, packet.flow()) {
            (Some(each), Some(flow)) => &mut each.of(flow)[way],
            _ => &mut self.all[way],
        }
    }
}
