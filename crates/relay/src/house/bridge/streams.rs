//! The streams of a session: what each has said, and whose turn it is to be heard.
//!
//! Nothing is queued towards the app. A stream whose datacentre has something stands in line, and its
//! socket is read when the carrier takes the bytes, straight into what the carrier sends: so whoever
//! does not read holds no memory, and a datacentre's socket is simply not read meanwhile.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use bytes::BufMut;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use wire::webproxy::StreamId;
use wire::webproxy::session::{CHUNK, Session as Engine};

use crate::tally::Meter;

/// What a stream's task waits for.
#[derive(Default)]
pub(super) struct Wakes {
    /// The app has said something, or has closed it.
    pub said: Notify,
    /// All that the datacentre has said so far was read, or the stream is over.
    pub read: Notify,
    /// The app has closed it.
    pub closed: Notify,
}

/// One of the app's connections.
pub(super) struct Stream {
    /// What the app has said and nobody has taken.
    pub said: Vec<u8>,
    /// How much of it was taken and not written out yet.
    pub taken: usize,
    /// Whether the app has closed it.
    pub is_closed: bool,
    /// Whether the datacentre has ended it.
    pub is_over: bool,
    /// The datacentre, once there is one, and where it is counted.
    pub upstream: Option<(Arc<TcpStream>, Arc<Meter>)>,
    is_in_line: bool,
    pub wakes: Arc<Wakes>,
    pub task: AbortHandle,
}

impl Stream {
    pub(super) fn new(wakes: Arc<Wakes>, task: AbortHandle) -> Self {
        Self {
            said: Vec::new(),
            taken: 0,
            is_closed: false,
            is_over: false,
            upstream: None,
            is_in_line: false,
            wakes,
            task,
        }
    }
}

/// All streams of a session.
pub(super) struct Streams {
    pub engine: Engine,
    pub table: HashMap<StreamId, Stream>,
    /// Those whose datacentres may have something.
    line: VecDeque<StreamId>,
}

impl Streams {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, table: HashMap::new(), line: VecDeque::new() }
    }

    /// A datacentre has something, or has ended. `false` if nobody is to hear of it any more.
    pub(super) fn stand_in_line(&mut self, id: StreamId) -> bool {
        let Some(stream) = self.table.get_mut(&id).filter(|stream| !stream.is_over) else {
            return false;
        };
        if !stream.is_in_line {
            stream.is_in_line = true;
            self.line.push_back(id);
        }
        true
    }

    /// So much of what was taken was written out.
    pub(super) fn drained(&mut self, id: StreamId, count: usize) {
        if let Some(stream) = self.table.get_mut(&id) {
            stream.taken = stream.taken.saturating_sub(count);
        }
        self.engine.drained(id, count);
    }

    /// Whether the app has closed it, while what it said before may still be on its way.
    pub(super) fn is_closed(&self, id: StreamId) -> bool {
        self.table.get(&id).is_some_and(|stream| stream.is_closed)
    }

    /// A stream's task is done.
    pub(super) fn remove(&mut self, id: StreamId) {
        if let Some(stream) = self.table.remove(&id) {
            self.engine.drained(id, stream.said.len() + stream.taken);
        }
        self.line.retain(|other| *other != id);
        self.engine.close(id);
    }

    /// Appends frames for the app, up to `most` bytes or a few more.
    pub(super) fn transmit(&mut self, most: usize, out: &mut Vec<u8>) {
        let until = out.len() + most;
        self.engine.transmit(most, out);
        let turns = self.line.len();
        let share = (most / turns.max(1)).max(CHUNK);
        for _ in 0..turns {
            if out.len() >= until {
                break;
            }
            let Some(id) = self.line.pop_front() else { break };
            if self.turn(id, share.min(until - out.len()), out) {
                self.line.push_back(id);
            } else if let Some(stream) = self.table.get_mut(&id) {
                stream.is_in_line = false;
                stream.wakes.read.notify_one();
            }
        }
        // What has ended just now.
        if self.engine.has_to_say() {
            self.engine.transmit(0, out);
        }
    }

    /// A stream in line is heard; whether it stays there.
    fn turn(&mut self, id: StreamId, most: usize, out: &mut Vec<u8>) -> bool {
        let Some(stream) = self.table.get_mut(&id) else { return false };
        let Some(credit) = self.engine.credit(id) else {
            stream.is_over = true;
            return false;
        };
        let Some((upstream, meter)) = &stream.upstream else { return false };
        if credit == 0 {
            return true;
        }
        let read = self.engine.pass(id, most, out, |out, most| {
            out.reserve(most);
            upstream.try_read_buf(&mut out.limit(most))
        });
        match read {
            Ok(count @ 1..) => {
                meter.flow().add_down(count);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Ok(0) | Err(_) => {
                stream.is_over = true;
                self.engine.close(id);
                false
            }
        }
    }
}
