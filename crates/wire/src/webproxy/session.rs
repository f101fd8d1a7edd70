//! What the frames mean, on the relay's side: one app, many streams, and how much each may send.
//!
//! A [`Session`] has no socket and no clock. What a carrier received goes into
//! [`receive`](Session::receive) and comes out as [`Event`]s; what streams have to say goes into
//! [`send`](Session::send) and comes out of [`transmit`](Session::transmit) as whole frames, turn by
//! turn among the streams. Memory is bounded in each direction:
//!
//! - down: [`Session::room`] says how much a stream may send, which is never more than the app has
//!   given it credit for, nor than [`MAX_QUEUED`] for all streams together (beyond it every stream
//!   may still have [`CHUNK`] bytes, so that none is starved by another). Or nothing is queued, and
//!   what a socket has is read when the carrier takes it: [`Session::pass`];
//! - up: a stream's credit is given back when its bytes have been written out
//!   ([`Session::drained`]), and while [`MAX_HELD`] bytes wait for that, [`Session::may_receive`]
//!   says no and the carrier is not read.
//!
//! Whatever is [`Broken`] ends the session: the carrier is closed, and the app begins anew.

use std::collections::{BTreeMap, HashSet, VecDeque};

pub use super::frame::StreamId;
use super::frame::{self, BadFrame, Kind, Piece, Reader};

/// How many bytes each side may send on a stream before it is given more.
pub const WINDOW: u32 = 4 << 20;
/// How many streams a session may have at a time; one more is closed at once.
pub const MAX_STREAMS: usize = 64;
/// How many bytes all streams together may have queued towards the app.
pub const MAX_QUEUED: usize = 1 << 20;
/// How many bytes a stream says at most before it is another's turn.
pub const CHUNK: usize = 32 << 10;
/// How many of the app's bytes may wait to be written out.
pub const MAX_HELD: usize = 8 << 20;
/// How often the app should be asked whether it is there: [`Session::ping`]. The bridge page takes
/// a WebSocket that says nothing for 50 s for dead.
pub const PING_EVERY: std::time::Duration = std::time::Duration::from_secs(20);

/// How many closed streams are remembered, so that what was on its way to them is no error.
const REMEMBERED: usize = 4096;
/// From how many drained bytes on a stream is given credit: before it runs out, and not for each.
const GRANT: u32 = 256 << 10;
/// How many bytes of frames other than data may wait: beyond, the app does not listen.
const MAX_CONTROLS: usize = 64 << 10;
/// The version that [`Kind::Hello`] names.
const VERSION: [u8; 1] = [1];

/// The app's first frame, whole: the body that opens a session.
pub const HELLO: [u8; 9] = [Kind::Hello as u8, 0, 0, 0, 0, 0, 0, 1, VERSION[0]];
/// The relay's first frame, whole: the body of the answer.
pub const WELCOME: [u8; 8] = [Kind::Welcome as u8, 0, 0, 0, 0, 0, 0, 0];

/// What the app did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'b> {
    /// It greeted; the welcome is ready to be sent.
    Greeted,
    /// It opened a stream: a connection of the app's, which begins like one of
    /// [`obfuscated`](crate::mtproto::obfuscated).
    Opened(StreamId),
    /// It sent bytes. Report each of them to [`Session::drained`], written or thrown away.
    Data(StreamId, &'b [u8]),
    /// It ended a stream; nothing more can be sent on it.
    Closed(StreamId),
    /// It answered a ping.
    Alive,
}

/// The app broke a rule; the session has ended.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Broken {
    /// No frame, or half a frame.
    #[error(transparent)]
    Frame(#[from] BadFrame),
    /// A message of the carrier ended within a frame.
    #[error("half a frame")]
    Partial,
    /// A frame that only the relay sends, or at a time at which it says nothing.
    #[error("a frame out of place")]
    Unexpected,
    /// A payload that its kind does not have.
    #[error("a frame with a wrong payload")]
    Payload,
    /// More data than there was credit for.
    #[error("more data than was granted")]
    Credit,
    /// A stream that is not open and was not lately.
    #[error("no such stream")]
    Unknown,
    /// A stream that is open, or was lately.
    #[error("a stream was opened twice")]
    Reused,
    /// It asks, and does not listen.
    #[error("the app does not read")]
    Deaf,
}

struct Stream {
    /// How much the app lets us send.
    credit: u32,
    /// What waits to be sent.
    queue: VecDeque<u8>,
    /// How much the app may send.
    allowance: u32,
    /// What it has sent, and was written out, and was not given back yet.
    drained: u32,
    /// Whether it is in the line of those that have something to say.
    in_line: bool,
    /// Whether it ends when everything is said.
    closing: bool,
}

#[derive(PartialEq, Eq)]
enum State {
    Ungreeted,
    Open,
    Left,
}

/// One app's session.
pub struct Session {
    reader: Reader,
    state: State,
    streams: BTreeMap<StreamId, Stream>,
    line: VecDeque<StreamId>,
    controls: Vec<u8>,
    closed: Closed,
    queued: usize,
    held: usize,
    pings: u64,
    unanswered: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            reader: Reader::default(),
            state: State::Ungreeted,
            streams: BTreeMap::new(),
            line: VecDeque::new(),
            controls: Vec::new(),
            closed: Closed::default(),
            queued: 0,
            held: 0,
            pings: 0,
            unanswered: false,
        }
    }
}

impl Session {
    /// One whose greeting and welcome were the bodies of a request and its answer: [`HELLO`] and
    /// [`WELCOME`]. (Where they come with the other frames, it is [`Session::default`].)
    #[must_use]
    pub fn greeted() -> Self {
        Self { state: State::Open, ..Self::default() }
    }

    /// Reads what the carrier brought, event by event: from the front of `bytes`, which is moved on,
    /// until there is nothing left and `None` comes.
    ///
    /// # Errors
    /// [`Broken`]: the session is over.
    pub fn receive<'b>(&mut self, bytes: &mut &'b [u8]) -> Result<Option<Event<'b>>, Broken> {
        while let Some(piece) = self.reader.next(bytes)? {
            let event = match piece {
                Piece::Data(id, bytes) => self.data(id, bytes)?,
                Piece::Control(kind, id, payload) => self.control(kind, id, &payload)?,
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// To be called where a message of the carrier ends, which must be where a frame ends.
    ///
    /// # Errors
    /// [`Broken::Partial`].
    pub fn message_ends(&self) -> Result<(), Broken> {
        if self.reader.is_between_frames() { Ok(()) } else { Err(Broken::Partial) }
    }

    /// Whether the carrier may be read; else wait until more was [`drained`](Self::drained).
    #[must_use]
    pub fn may_receive(&self) -> bool {
        self.held < MAX_HELD
    }

    /// So many bytes of a stream's [`Event::Data`] have been written out, or thrown away.
    pub fn drained(&mut self, id: StreamId, count: usize) {
        self.held = self.held.saturating_sub(count);
        if let Some(stream) = self.streams.get_mut(&id) {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            stream.drained = stream.drained.saturating_add(count).min(WINDOW - stream.allowance);
        }
    }

    /// How many bytes a stream may [`send`](Self::send) now. More when the app has read some.
    #[must_use]
    pub fn room(&self, id: StreamId) -> usize {
        let Some(stream) = self.streams.get(&id).filter(|stream| !stream.closing) else {
            return 0;
        };
        let own = CHUNK.saturating_sub(stream.queue.len());
        own.max(MAX_QUEUED.saturating_sub(self.queued)).min(stream.credit as usize)
    }

    /// Queues bytes for the app: as many as there is [`room`](Self::room) for; how many.
    pub fn send(&mut self, id: StreamId, bytes: &[u8]) -> usize {
        let count = self.room(id).min(bytes.len());
        if let Some(stream) = self.streams.get_mut(&id)
            && count > 0
        {
            stream.queue.extend(&bytes[..count]);
            stream.credit = stream.credit.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
            self.queued += count;
            stand_in_line(&mut self.line, id, stream);
        }
        count
    }

    /// How many bytes the app takes on a stream now; `None` if it is not open, or is closing.
    #[must_use]
    pub fn credit(&self, id: StreamId) -> Option<usize> {
        let stream = self.streams.get(&id).filter(|stream| !stream.closing)?;
        Some(stream.credit as usize)
    }

    /// Appends a frame whose data `read` puts at the end of what it is given: at most as many bytes
    /// as it is told; how many. Nothing is appended if those are none, or it fails. So what a socket
    /// has goes out without waiting in a queue; there must be nothing of this stream in one.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn pass<E>(
        &mut self,
        id: StreamId,
        most: usize,
        out: &mut Vec<u8>,
        read: impl FnOnce(&mut Vec<u8>, usize) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.closing) else {
            return Ok(0);
        };
        let most = most.min(stream.credit as usize).min(frame::MAX_PAYLOAD);
        let start = out.len();
        frame::put_header(out, Kind::Data, id, 0);
        let data = out.len();
        let done = read(out, most);
        let length = out.len() - data;
        match u32::try_from(length) {
            Ok(count) if done.is_ok() && length > 0 => {
                out[data - 4..data].copy_from_slice(&count.to_be_bytes());
                stream.credit = stream.credit.saturating_sub(count);
            }
            _ => out.truncate(start),
        }
        done
    }

    /// Ends a stream, after what is queued for it.
    pub fn close(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.closing = true;
            stand_in_line(&mut self.line, id, stream);
        }
    }

    /// Asks whether the app is there. `false` if it has not answered the last time.
    pub fn ping(&mut self) -> bool {
        if self.state != State::Open || self.unanswered {
            return false;
        }
        (self.pings, self.unanswered) = (self.pings + 1, true);
        frame::put(&mut self.controls, Kind::Ping, StreamId::SESSION, &self.pings.to_be_bytes());
        true
    }

    /// Says that the relay leaves; nothing can be sent after it.
    pub fn bye(&mut self) {
        if self.state == State::Open {
            frame::put(&mut self.controls, Kind::Bye, StreamId::SESSION, &[]);
        }
        self.state = State::Left;
        self.streams.clear();
        self.line.clear();
        self.queued = 0;
    }

    /// How many streams are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether [`transmit`](Self::transmit) has something to say.
    #[must_use]
    pub fn has_to_say(&self) -> bool {
        !self.controls.is_empty()
            || !self.line.is_empty()
            || self.streams.values().any(|stream| stream.drained >= GRANT)
    }

    /// Appends whole frames for the app: all that are not data, and then data, turn by turn, until
    /// there are `most` bytes or a few more.
    pub fn transmit(&mut self, most: usize, out: &mut Vec<u8>) {
        let most = out.len() + most;
        out.append(&mut self.controls);
        for (id, stream) in &mut self.streams {
            if stream.drained >= GRANT && !stream.closing {
                frame::put(out, Kind::Window, *id, &stream.drained.to_be_bytes());
                stream.allowance += std::mem::take(&mut stream.drained);
            }
        }
        while out.len() < most
            && let Some(id) = self.line.pop_front()
        {
            self.turn(id, most - out.len(), out);
        }
    }

    /// A stream that stands in line says a piece.
    fn turn(&mut self, id: StreamId, most: usize, out: &mut Vec<u8>) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.in_line = false;
        let count = stream.queue.len().min(CHUNK).min(most);
        if count > 0 {
            frame::put_header(out, Kind::Data, id, count);
            let (front, back) = stream.queue.as_slices();
            let front = &front[..count.min(front.len())];
            out.extend_from_slice(front);
            out.extend_from_slice(&back[..count - front.len()]);
            stream.queue.drain(..count);
            self.queued -= count;
        }
        if !stream.queue.is_empty() {
            stand_in_line(&mut self.line, id, stream);
        } else if stream.closing {
            frame::put(out, Kind::Close, id, &[]);
            self.streams.remove(&id);
            self.closed.remember(id);
        } else {
            // An idle stream owns no buffer.
            stream.queue = VecDeque::new();
        }
    }

    fn data<'b>(&mut self, id: StreamId, bytes: &'b [u8]) -> Result<Option<Event<'b>>, Broken> {
        self.is_open()?;
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.closed.knows(id).map(|()| None);
        };
        let count = u32::try_from(bytes.len()).map_err(|_| Broken::Credit)?;
        stream.allowance = stream.allowance.checked_sub(count).ok_or(Broken::Credit)?;
        if stream.closing || bytes.is_empty() {
            return Ok(None);
        }
        self.held += bytes.len();
        Ok(Some(Event::Data(id, bytes)))
    }

    fn control(
        &mut self,
        kind: Kind,
        id: StreamId,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, Broken> {
        if kind == Kind::Hello && self.state == State::Ungreeted {
            if payload != VERSION {
                return Err(Broken::Payload);
            }
            self.state = State::Open;
            frame::put(&mut self.controls, Kind::Welcome, StreamId::SESSION, &[]);
            return Ok(Some(Event::Greeted));
        }
        self.is_open()?;
        match kind {
            Kind::Open => self.open(id, payload),
            Kind::Close => self.end(id, payload),
            Kind::Window => self.grant(id, payload).map(|()| None),
            Kind::Pong => {
                if !self.unanswered || payload != self.pings.to_be_bytes() {
                    return Err(Broken::Payload);
                }
                self.unanswered = false;
                Ok(Some(Event::Alive))
            }
            _ => Err(Broken::Unexpected),
        }
    }

    fn is_open(&self) -> Result<(), Broken> {
        if self.state == State::Open { Ok(()) } else { Err(Broken::Unexpected) }
    }

    fn open(&mut self, id: StreamId, payload: &[u8]) -> Result<Option<Event<'static>>, Broken> {
        if !payload.is_empty() {
            return Err(Broken::Payload);
        }
        if self.streams.contains_key(&id) || self.closed.knows(id).is_ok() {
            return Err(Broken::Reused);
        }
        if self.streams.len() >= MAX_STREAMS {
            if self.controls.len() >= MAX_CONTROLS {
                return Err(Broken::Deaf);
            }
            frame::put(&mut self.controls, Kind::Close, id, &[]);
            self.closed.remember(id);
            return Ok(None);
        }
        let stream = Stream {
            credit: WINDOW,
            queue: VecDeque::new(),
            allowance: WINDOW,
            drained: 0,
            in_line: false,
            closing: false,
        };
        self.streams.insert(id, stream);
        Ok(Some(Event::Opened(id)))
    }

    fn end(&mut self, id: StreamId, payload: &[u8]) -> Result<Option<Event<'static>>, Broken> {
        if !payload.is_empty() {
            return Err(Broken::Payload);
        }
        let Some(stream) = self.streams.remove(&id) else {
            return self.closed.knows(id).map(|()| None);
        };
        self.queued -= stream.queue.len();
        if stream.in_line {
            self.line.retain(|other| *other != id);
        }
        self.closed.remember(id);
        // One that we were closing is nobody's any more.
        Ok((!stream.closing).then_some(Event::Closed(id)))
    }

    fn grant(&mut self, id: StreamId, payload: &[u8]) -> Result<(), Broken> {
        let more = payload.try_into().map(u32::from_be_bytes).map_err(|_| Broken::Payload)?;
        if more == 0 {
            return Err(Broken::Payload);
        }
        match self.streams.get_mut(&id) {
            Some(stream) => stream.credit = stream.credit.saturating_add(more),
            None => self.closed.knows(id)?,
        }
        Ok(())
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} streams)", self.streams.len())
    }
}

fn stand_in_line(line: &mut VecDeque<StreamId>, id: StreamId, stream: &mut Stream) {
    if !stream.in_line {
        stream.in_line = true;
        line.push_back(id);
    }
}

/// The streams that were closed last.
#[derive(Default)]
struct Closed {
    order: VecDeque<StreamId>,
    all: HashSet<StreamId>,
}

impl Closed {
    fn remember(&mut self, id: StreamId) {
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        if self.all.insert(id) {
            self.order.push_back(id);
        }
    }

    fn knows(&self, id: StreamId) -> Result<(), Broken> {
        if self.all.contains(&id) { Ok(()) } else { Err(Broken::Unknown) }
    }
}

#[cfg(test)]
mod tests;
