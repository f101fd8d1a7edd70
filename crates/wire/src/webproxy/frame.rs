//! The frames that the app and the relay exchange: `kind:u8 | stream:u24 | length:u32 | payload`,
//! big-endian.

/// How long a frame's header is, in bytes.
pub const HEADER: usize = 8;
/// The longest payload, in bytes.
pub const MAX_PAYLOAD: usize = 1 << 20;
/// The longest payload of anything but data, in bytes: what a ping or a farewell may hold.
pub const MAX_CONTROL: usize = 64;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// The app opens a stream.
    Open = 0x01,
    /// Bytes of a stream.
    Data = 0x02,
    /// A stream has ended, both ways.
    Close = 0x03,
    /// So many more bytes (a u32, not 0) may be sent on a stream.
    Window = 0x04,
    /// The relay asks whether the app is there.
    Ping = 0x05,
    /// It is; with the ping's payload.
    Pong = 0x06,
    /// The app's first frame; its payload is the version, 1.
    Hello = 0x10,
    /// The relay's first frame.
    Welcome = 0x11,
    /// The relay leaves.
    Bye = 0x1f,
}

impl Kind {
    fn read(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::Open,
            0x02 => Self::Data,
            0x03 => Self::Close,
            0x04 => Self::Window,
            0x05 => Self::Ping,
            0x06 => Self::Pong,
            0x10 => Self::Hello,
            0x11 => Self::Welcome,
            0x1f => Self::Bye,
            _ => return None,
        })
    }

    /// Whether such a frame belongs to a stream; all others have stream 0.
    #[must_use]
    pub fn of_stream(self) -> bool {
        matches!(self, Self::Open | Self::Data | Self::Close | Self::Window)
    }
}

/// Which stream: 1 to 2^24 - 1, or 0 for the session itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(u32);

impl StreamId {
    /// The session itself.
    pub const SESSION: Self = Self(0);

    /// `None` from 2^24 on.
    #[must_use]
    pub fn new(id: u32) -> Option<Self> {
        (id < 1 << 24).then_some(Self(id))
    }
}

/// This is no frame.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadFrame {
    /// No kind that version 1 knows.
    #[error("unknown kind of frame")]
    Kind,
    /// Longer than its kind may be.
    #[error("the frame is too long")]
    Long,
    /// A stream's frame without a stream, or the session's with one.
    #[error("the frame's stream does not fit its kind")]
    Stream,
}

/// Appends a frame.
///
/// # Panics
/// When the payload is longer than [`MAX_PAYLOAD`].
pub fn put(out: &mut Vec<u8>, kind: Kind, stream: StreamId, payload: &[u8]) {
    put_header(out, kind, stream, payload.len());
    out.extend_from_slice(payload);
}

pub(super) fn put_header(out: &mut Vec<u8>, kind: Kind, stream: StreamId, length: usize) {
    let length = u32::try_from(length).ok().filter(|length| *length as usize <= MAX_PAYLOAD);
    let length = length.expect("a payload within its bound");
    out.extend(((kind as u32) << 24 | stream.0).to_be_bytes());
    out.extend(length.to_be_bytes());
}

/// What has come of frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'b> {
    /// Some bytes of a stream, as they came: a frame may give many pieces, one if it is empty.
    Data(StreamId, &'b [u8]),
    /// Any other frame, whole.
    Control(Kind, StreamId, Control),
}

/// The payload of a frame that is not data.
#[derive(Clone, Copy)]
pub struct Control {
    bytes: [u8; MAX_CONTROL],
    length: usize,
}

impl std::ops::Deref for Control {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl PartialEq for Control {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Control {}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control({})", self.length)
    }
}

/// Reads frames however they were cut, and keeps no data.
#[derive(Debug)]
pub struct Reader {
    header: [u8; HEADER],
    header_has: usize,
    frame: Option<(Kind, StreamId)>,
    left: usize,
    control: Control,
}

impl Default for Reader {
    fn default() -> Self {
        let control = Control { bytes: [0; MAX_CONTROL], length: 0 };
        Self { header: [0; HEADER], header_has: 0, frame: None, left: 0, control }
    }
}

impl Reader {
    /// The next piece from the front of `bytes`, which is moved on; `None` when nothing is left.
    ///
    /// # Errors
    /// [`BadFrame`]; nothing after it means anything.
    pub fn next<'b>(&mut self, bytes: &mut &'b [u8]) -> Result<Option<Piece<'b>>, BadFrame> {
        let Some((kind, stream)) = self.begun(bytes)? else {
            return Ok(None);
        };
        let taken = take(bytes, self.left);
        self.left -= taken.len();
        if self.left == 0 {
            (self.frame, self.header_has) = (None, 0);
        }
        if kind == Kind::Data {
            let nothing = taken.is_empty() && self.left > 0;
            return Ok((!nothing).then_some(Piece::Data(stream, taken)));
        }
        let end = self.control.length + taken.len();
        self.control.bytes[self.control.length..end].copy_from_slice(taken);
        self.control.length = end;
        Ok((self.left == 0).then_some(Piece::Control(kind, stream, self.control)))
    }

    /// Whether the last frame is whole: every message of a carrier has to end so.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.frame.is_none() && self.header_has == 0
    }

    /// The frame whose header has come.
    fn begun(&mut self, bytes: &mut &[u8]) -> Result<Option<(Kind, StreamId)>, BadFrame> {
        if self.frame.is_some() {
            return Ok(self.frame);
        }
        let taken = take(bytes, HEADER - self.header_has);
        self.header[self.header_has..self.header_has + taken.len()].copy_from_slice(taken);
        self.header_has += taken.len();
        if self.header_has < HEADER {
            return Ok(None);
        }
        let [kind, a, b, c, length @ ..] = self.header;
        let kind = Kind::read(kind).ok_or(BadFrame::Kind)?;
        let stream = StreamId(u32::from_be_bytes([0, a, b, c]));
        let length = u32::from_be_bytes(length) as usize;
        if length > if kind == Kind::Data { MAX_PAYLOAD } else { MAX_CONTROL } {
            return Err(BadFrame::Long);
        }
        if kind.of_stream() != (stream != StreamId::SESSION) {
            return Err(BadFrame::Stream);
        }
        (self.frame, self.left, self.control.length) = (Some((kind, stream)), length, 0);
        Ok(self.frame)
    }
}

/// At most so many bytes from the front.
fn take<'b>(bytes: &mut &'b [u8], most: usize) -> &'b [u8] {
    let (taken, rest) = bytes.split_at(most.min(bytes.len()));
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What frames say, however they were cut: data joined frame by frame.
    fn read<'a>(
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<(u32, Vec<u8>)>, BadFrame> {
        let (mut reader, mut all) = (Reader::default(), Vec::<(u32, Vec<u8>)>::new());
        let mut joins = false;
        for mut part in parts {
            while let Some(piece) = reader.next(&mut part)? {
                match piece {
                    Piece::Data(_, bytes) if joins => {
                        all.last_mut().expect("the one it belongs to").1.extend(bytes);
                    }
                    Piece::Data(stream, bytes) => all.push((2 << 24 | stream.0, bytes.to_vec())),
                    Piece::Control(kind, stream, payload) => {
                        all.push(((kind as u32) << 24 | stream.0, payload.to_vec()));
                    }
                }
                joins = !reader.is_between_frames();
            }
        }
        Ok(all)
    }

    fn frame() -> impl Strategy<Value = (u32, Vec<u8>)> {
        let stream = 1u32..1 << 24;
        let data = (stream.clone(), prop::collection::vec(any::<u8>(), 0..300));
        let control = (
            prop::sample::select(vec![1u32, 3, 4]),
            stream,
            prop::collection::vec(any::<u8>(), 0..64),
        );
        let session = (
            prop::sample::select(vec![5u32, 6, 0x10, 0x11, 0x1f]),
            prop::collection::vec(any::<u8>(), 0..64),
        );
        prop_oneof![
            data.prop_map(|(stream, bytes)| (2 << 24 | stream, bytes)),
            control.prop_map(|(kind, stream, bytes)| (kind << 24 | stream, bytes)),
            session.prop_map(|(kind, bytes)| (kind << 24, bytes)),
        ]
    }

    proptest! {
        #[test]
        fn frames_are_read_as_they_were_written_however_they_are_cut(
            frames in prop::collection::vec(frame(), 0..12),
            cuts in prop::collection::vec(1usize..40, 1..40),
        ) {
            let mut wire = Vec::new();
            for (head, payload) in &frames {
                let kind = Kind::read((head >> 24) as u8).expect("a kind");
                put(&mut wire, kind, StreamId(head & 0xff_ffff), payload);
            }
            let (mut parts, mut rest, mut cut) = (Vec::new(), wire.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (part, after) = rest.split_at((*cut.next().expect("endless")).min(rest.len()));
                parts.push(part);
                rest = after;
            }
            prop_assert_eq!(read(parts).expect("frames"), frames);
        }
    }

    #[test]
    fn what_no_frame_could_be_is_refused_by_its_header() {
        for (header, error) in [
            ([0x12, 0, 0, 0, 0, 0, 0, 0], BadFrame::Kind),
            ([0x00, 0, 0, 1, 0, 0, 0, 0], BadFrame::Kind),
            ([0x02, 0, 0, 1, 0, 0x10, 0, 1], BadFrame::Long),
            ([0x04, 0, 0, 1, 0, 0, 0, 65], BadFrame::Long),
            ([0x02, 0, 0, 0, 0, 0, 0, 1], BadFrame::Stream),
            ([0x10, 0, 0, 1, 0, 0, 0, 1], BadFrame::Stream),
        ] {
            assert_eq!(read([header.as_slice()]), Err(error));
        }
        assert_eq!(read([[0x02, 0, 0, 1, 0, 0x10, 0, 0].as_slice()]), Ok(vec![]));
    }
}
