//! Which carrier brings a session's frames, and how they travel in plain requests that may be lost
//! and asked again: one request up and one down at a time, numbered.
//!
//! A request up is the next one, or exactly the last one again, which was done already. A request
//! down says what has arrived: what has not is given again, byte for byte.

use std::sync::Arc;

use aws_lc_rs::{constant_time, digest};

/// The longest body of a request up, in bytes.
pub const MAX_UP: usize = 2 << 20;
/// The longest body of an answer down, in bytes, but for one frame.
pub const MAX_DOWN: usize = 1 << 20;
/// How long a request down waits for something to say.
pub const POLL: std::time::Duration = std::time::Duration::from_secs(25);
/// How long a session without any request is kept.
pub const GRACE: std::time::Duration = std::time::Duration::from_secs(120);

/// What carries a session: the first that brings a frame, for good.
///
/// So a page whose WebSocket did not open goes on with requests, and frames have one order. A
/// WebSocket that ends before it has brought anything has changed nothing; one that has carried ends
/// the session with it, as what was on its way is lost.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// Nothing yet.
    #[default]
    Open,
    /// A WebSocket.
    Socket,
    /// Plain requests.
    Requests,
}

impl Carrier {
    /// Something has come this way: whether it is the way of this session, from now on.
    #[must_use]
    pub fn settles_on(&mut self, way: Self) -> bool {
        if *self == Self::Open {
            *self = way;
        }
        *self == way
    }
}

/// The numbers do not fit; the session has ended.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("a request out of its order")]
pub struct OutOfOrder;

/// What to do with a request up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// It is new: its frames are for the session.
    New,
    /// It was done before: say so again.
    Again,
}

/// The requests up of one session.
#[derive(Clone, Copy, Debug)]
pub struct Uplink {
    next: u64,
    last: Option<[u8; 32]>,
}

impl Uplink {
    /// Before the first, which has this number.
    #[must_use]
    pub fn from(first: u64) -> Self {
        Self { next: first, last: None }
    }

    /// A request has come, whole. If [`Session::may_receive`](super::Session::may_receive) says no, answer "later" instead and
    /// ask here when it comes again.
    ///
    /// # Errors
    /// [`OutOfOrder`]: another number, or another body under the last one's number.
    pub fn offer(&mut self, sequence: u64, body: &[u8]) -> Result<Offer, OutOfOrder> {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
        if sequence == self.next {
            (self.next, self.last) = (sequence.checked_add(1).ok_or(OutOfOrder)?, Some(hash));
            return Ok(Offer::New);
        }
        let same = |last| constant_time::verify_slices_are_equal(last, &hash).is_ok();
        let again = sequence.checked_add(1) == Some(self.next)
            && self.last.as_ref().is_some_and(|last| same(last));
        if again { Ok(Offer::Again) } else { Err(OutOfOrder) }
    }
}

/// An answer down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Its number, from 1 on.
    pub number: u64,
    /// Whole frames. They are kept until they have arrived, and so not copied.
    pub frames: Arc<Vec<u8>>,
}

/// The answers down of one session.
#[derive(Clone, Default, Debug)]
pub struct Downlink {
    arrived: u64,
    batch: Arc<Vec<u8>>,
}

impl Downlink {
    /// A request has come that says up to which answer all has arrived; the next answer. What is new is written by `transmit`, up to [`MAX_DOWN`] bytes. `None` if there is
    /// nothing to say: wait until there is something and ask again with the same number, or, after
    /// [`POLL`], answer that there is nothing.
    ///
    /// # Errors
    /// [`OutOfOrder`]: the number of neither the last answer nor the one before.
    pub fn ask(
        &mut self,
        arrived: u64,
        transmit: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Option<Batch>, OutOfOrder> {
        if !self.batch.is_empty() && Some(arrived) == self.arrived.checked_add(1) {
            self.arrived = arrived;
            // What a batch took is not kept by a session that has little to say.
            self.batch = Arc::default();
        }
        if arrived != self.arrived {
            return Err(OutOfOrder);
        }
        if self.batch.is_empty() {
            let mut batch = Vec::new();
            transmit(&mut batch);
            batch.shrink_to_fit();
            self.batch = Arc::new(batch);
        }
        let number = self.arrived.checked_add(1).ok_or(OutOfOrder)?;
        let frames = Arc::clone(&self.batch);
        Ok((!frames.is_empty()).then_some(Batch { number, frames }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webproxy::Session;
    use crate::webproxy::frame::{Kind, StreamId, put};

    #[test]
    fn a_session_has_one_carrier_for_good() {
        let mut carrier = Carrier::default();
        assert!(carrier.settles_on(Carrier::Requests) && carrier.settles_on(Carrier::Requests));
        assert!(!carrier.settles_on(Carrier::Socket));
    }

    #[test]
    fn requests_up_are_taken_in_order_and_once() {
        let mut up = Uplink::from(1);
        assert_eq!(up.offer(0, b"a"), Err(OutOfOrder));
        assert_eq!(up.offer(1, b"a"), Ok(Offer::New));
        assert_eq!(up.offer(1, b"a"), Ok(Offer::Again));
        assert_eq!(up.offer(1, b"b"), Err(OutOfOrder), "other bytes under the same number");
        assert_eq!(up.offer(2, b"b"), Ok(Offer::New));
        assert_eq!(up.offer(1, b"a"), Err(OutOfOrder), "only the last is remembered");
        assert_eq!(up.offer(4, b"c"), Err(OutOfOrder));
    }

    #[test]
    fn an_answer_down_is_given_until_it_has_arrived() {
        let mut session = Session::default();
        let mut hello = Vec::new();
        put(&mut hello, Kind::Hello, StreamId::SESSION, &[1]);
        session.receive(&mut hello.as_slice()).expect("a greeting");
        let mut down = Downlink::default();
        let mut ask = |arrived, session: &mut Session| {
            let answer = down.ask(arrived, |batch| session.transmit(MAX_DOWN, batch));
            answer.map(|answer| answer.map(|Batch { number, frames }| (number, frames.to_vec())))
        };
        let welcome = (1, vec![0x11, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(ask(0, &mut session), Ok(Some(welcome.clone())));
        session.ping();
        assert_eq!(ask(0, &mut session), Ok(Some(welcome)), "the answer was lost");
        let ping = ask(1, &mut session).expect("in order");
        assert_eq!(ping.map(|(number, frames)| (number, frames.len())), Some((2, 16)));
        assert_eq!(ask(0, &mut session), Err(OutOfOrder));
        assert_eq!(ask(2, &mut session), Ok(None));
        assert_eq!(ask(3, &mut session), Err(OutOfOrder));
    }
}
