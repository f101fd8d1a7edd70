//! WebSockets (RFC 6455), the server's side: the handshake's answer, and frames.
//!
//! [`Decoder`] unmasks in place and hands out what came, however it was cut; it keeps nothing but a
//! frame's header and a control frame. So a connection that is idle owns no buffer, and a message
//! needs none of its own size.

use aws_lc_rs::digest;
use data_encoding::BASE64;

/// The longest payload of a control frame, in bytes (RFC 6455, section 5.5).
pub const MAX_CONTROL: usize = 125;
/// The longest header that a frame of a client has: two bytes, a 64-bit length, a mask.
const MAX_HEADER: usize = 14;

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`; `None` if that is none.
#[must_use]
pub fn accept(key: &str) -> Option<String> {
    if BASE64.decode(key.as_bytes()).ok()?.len() != 16 {
        return None;
    }
    // SHA-1 is what the protocol asks for; nothing secret depends on it.
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    Some(BASE64.encode(hash.finish().as_ref()))
}

/// Kinds of frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Opcode {
    /// More of a message.
    Continuation = 0,
    /// The beginning of a message of text.
    Text = 1,
    /// The beginning of a message of bytes.
    Binary = 2,
    /// The end.
    Close = 8,
    /// Is somebody there?
    Ping = 9,
    /// Yes.
    Pong = 10,
}

impl Opcode {
    fn read(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// Appends the header of a whole message, or of a control frame, with so many bytes; they follow.
pub fn put_header(out: &mut Vec<u8>, opcode: Opcode, length: usize) {
    out.push(0x80 | opcode as u8);
    if let Ok(short) = u8::try_from(length)
        && short < 126
    {
        out.push(short);
    } else if let Ok(middle) = u16::try_from(length) {
        out.push(126);
        out.extend(middle.to_be_bytes());
    } else {
        out.push(127);
        out.extend((length as u64).to_be_bytes());
    }
}

/// Appends a whole frame.
pub fn put(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    put_header(out, opcode, payload.len());
    out.extend_from_slice(payload);
}

/// The client broke the protocol, or went beyond a bound: close the connection.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadFrame {
    /// Not a frame of this protocol, without an extension.
    #[error("not a WebSocket frame")]
    Malformed,
    /// A client must mask.
    #[error("an unmasked WebSocket frame")]
    Unmasked,
    /// A continuation of nothing, or a message within another.
    #[error("WebSocket frames out of order")]
    Order,
    /// Text, where only bytes have a meaning.
    #[error("a WebSocket message of text")]
    Text,
    /// More than a message may have.
    #[error("a WebSocket message is too long")]
    Long,
}

/// What came.
#[derive(PartialEq, Eq, Debug)]
pub enum Item<'b> {
    /// Bytes of a message.
    Bytes(&'b [u8]),
    /// The message is whole.
    End,
    /// To be answered by a pong with the same payload.
    Ping(Control),
    /// The client ends the connection; to be answered by the same.
    Close(Control),
}

/// The payload of a control frame.
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
        f.debug_list().entries(self.iter()).finish()
    }
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    last: bool,
    mask: [u8; 4],
    masked: usize,
    left: u64,
}

impl Frame {
    fn unmask(&mut self, bytes: &mut [u8]) {
        // In blocks, which the compiler makes wide instructions of.
        let mask: [u8; 64] = std::array::from_fn(|at| self.mask[(self.masked + at) % 4]);
        self.masked = (self.masked + bytes.len()) % 4;
        for block in bytes.chunks_mut(mask.len()) {
            block.iter_mut().zip(&mask).for_each(|(byte, mask)| *byte ^= mask);
        }
    }
}

/// Reads what a client sends, in binary messages of at most so many bytes.
#[derive(Debug)]
pub struct Decoder {
    most: u64,
    header: [u8; MAX_HEADER],
    header_has: usize,
    frame: Option<Frame>,
    control: Control,
    /// How long the message is so far; `None` between messages.
    message: Option<u64>,
    ended: bool,
}

impl Decoder {
    /// For messages of at most so many bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most: most as u64,
            header: [0; MAX_HEADER],
            header_has: 0,
            frame: None,
            control: Control { bytes: [0; MAX_CONTROL], length: 0 },
            message: None,
            ended: false,
        }
    }

    /// The next item from the front of `bytes`, which is moved on; `None` when nothing is left.
    ///
    /// # Errors
    /// [`BadFrame`]; nothing after it means anything.
    pub fn next<'b>(&mut self, bytes: &mut &'b mut [u8]) -> Result<Option<Item<'b>>, BadFrame> {
        loop {
            if std::mem::take(&mut self.ended) {
                return Ok(Some(Item::End));
            }
            let Some(mut frame) = self.begun(bytes)? else {
                return Ok(None);
            };
            let most = usize::try_from(frame.left).unwrap_or(usize::MAX);
            let taken = take(bytes, most);
            frame.unmask(taken);
            frame.left -= taken.len() as u64;
            self.frame = (frame.left > 0).then_some(frame);
            if frame.opcode.is_control() {
                let end = self.control.length + taken.len();
                self.control.bytes[self.control.length..end].copy_from_slice(taken);
                self.control.length = end;
                match frame.opcode {
                    _ if frame.left > 0 => return Ok(None),
                    Opcode::Ping => return Ok(Some(Item::Ping(self.control))),
                    Opcode::Close => return Ok(Some(Item::Close(self.control))),
                    _ => continue,
                }
            }
            if frame.left == 0 && frame.last {
                (self.message, self.ended) = (None, true);
            }
            if !taken.is_empty() {
                return Ok(Some(Item::Bytes(taken)));
            }
            if frame.left > 0 {
                return Ok(None);
            }
        }
    }

    /// The frame whose header has come.
    fn begun(&mut self, bytes: &mut &mut [u8]) -> Result<Option<Frame>, BadFrame> {
        if self.frame.is_some() {
            return Ok(self.frame);
        }
        let frame = loop {
            let needed = self.header_length();
            if self.header_has == needed {
                break self.read_header()?;
            }
            let taken = take(bytes, needed - self.header_has);
            if taken.is_empty() {
                return Ok(None);
            }
            self.header[self.header_has..self.header_has + taken.len()].copy_from_slice(taken);
            self.header_has += taken.len();
        };
        self.header_has = 0;
        self.frame = Some(frame);
        Ok(self.frame)
    }

    /// As far as what has come of it tells.
    fn header_length(&self) -> usize {
        match (self.header_has, self.header[1] & 0x7f) {
            (0 | 1, _) => 2,
            (_, 126) => 8,
            (_, 127) => 14,
            _ => 6,
        }
    }

    fn read_header(&mut self) -> Result<Frame, BadFrame> {
        let (first, second) = (self.header[0], self.header[1]);
        let opcode = Opcode::read(first & 0x0f).ok_or(BadFrame::Malformed)?;
        let last = first & 0x80 != 0;
        if first & 0x70 != 0 {
            return Err(BadFrame::Malformed);
        }
        if second & 0x80 == 0 {
            return Err(BadFrame::Unmasked);
        }
        let (length, mask) = match &self.header[2..self.header_has] {
            [a, b, mask @ ..] if mask.len() == 4 => (u64::from(u16::from_be_bytes([*a, *b])), mask),
            long if long.len() == 12 => {
                let (length, mask) = long.split_at(8);
                (u64::from_be_bytes(length.try_into().map_err(|_| BadFrame::Malformed)?), mask)
            }
            mask => (u64::from(second & 0x7f), mask),
        };
        let mask = mask.try_into().map_err(|_| BadFrame::Malformed)?;
        if opcode.is_control() {
            if !last || length > MAX_CONTROL as u64 {
                return Err(BadFrame::Malformed);
            }
            self.control.length = 0;
        } else {
            let before = match (opcode, self.message) {
                (Opcode::Continuation, Some(before)) => before,
                (Opcode::Binary, None) => 0,
                (Opcode::Text, None) => return Err(BadFrame::Text),
                _ => return Err(BadFrame::Order),
            };
            let all = before.saturating_add(length);
            if all > self.most {
                return Err(BadFrame::Long);
            }
            self.message = Some(all);
        }
        Ok(Frame { opcode, last, mask, masked: 0, left: length })
    }
}

/// At most so many bytes from the front.
fn take<'b>(bytes: &mut &'b mut [u8], most: usize) -> &'b mut [u8] {
    let most = most.min(bytes.len());
    let (taken, rest) = std::mem::take(bytes).split_at_mut(most);
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A client's frame.
    fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut out = Vec::new();
        put_header(&mut out, Opcode::Binary, payload.len());
        out[0] = first;
        out[1] |= 0x80;
        out.extend(mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out
    }

    /// The messages and control frames that come out, whatever the pieces.
    fn read(wire: &[u8], cut: usize) -> Result<Vec<(char, Vec<u8>)>, BadFrame> {
        let (mut decoder, mut all, mut message) = (Decoder::new(100_000), Vec::new(), Vec::new());
        let mut wire = wire.to_vec();
        for mut part in wire.chunks_mut(cut) {
            while let Some(item) = decoder.next(&mut part)? {
                match item {
                    Item::Bytes(bytes) => message.extend_from_slice(bytes),
                    Item::End => all.push(('m', std::mem::take(&mut message))),
                    Item::Ping(payload) => all.push(('p', payload.to_vec())),
                    Item::Close(payload) => all.push(('c', payload.to_vec())),
                }
            }
        }
        Ok(all)
    }

    #[test]
    fn the_handshake_agrees_with_the_rfc() {
        let answer = accept("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(answer.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(accept("dGhlIHNhbXBsZSBub25j"), None);
        assert_eq!(accept("?"), None);
    }

    #[test]
    fn the_frames_of_the_rfc_are_read_and_written() {
        let hello = [0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(read(&hello, 3), Ok(vec![('m', b"Hello".to_vec())]));
        for (length, header) in [
            (5, [0x82, 5].as_slice()),
            (256, &[0x82, 0x7e, 1, 0]),
            (65_536, &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            put_header(&mut out, Opcode::Binary, length);
            assert_eq!(out, header);
        }
    }

    #[test]
    fn what_breaks_the_protocol_is_refused() {
        let two = |first: Vec<u8>, second: Vec<u8>| [first, second].concat();
        for (wire, error) in [
            (vec![0x82, 5, 0, 0, 0, 0], BadFrame::Unmasked),
            (masked(0x81, b"text", [1; 4]), BadFrame::Text),
            (masked(0xc2, b"", [1; 4]), BadFrame::Malformed),
            (masked(0x83, b"", [1; 4]), BadFrame::Malformed),
            (masked(0x80, b"", [1; 4]), BadFrame::Order),
            (two(masked(0x02, b"", [1; 4]), masked(0x82, b"", [1; 4])), BadFrame::Order),
            (masked(0x09, b"", [1; 4]), BadFrame::Malformed),
            (masked(0x89, &[0; 126], [1; 4]), BadFrame::Malformed),
            (masked(0x82, &[0; 100_001], [1; 4]), BadFrame::Long),
            (
                two(masked(0x02, &[0; 60_000], [1; 4]), masked(0x80, &[0; 60_000], [1; 4])),
                BadFrame::Long,
            ),
            ([&[0x82, 0xff], [0xff; 12].as_slice()].concat(), BadFrame::Long),
        ] {
            assert_eq!(read(&wire, 1000), Err(error), "{:?}", &wire[..wire.len().min(8)]);
        }
    }

    proptest! {
        #[test]
        fn messages_come_whole_however_they_were_fragmented_and_cut(
            messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..700), 1usize..300), 0..6),
            mask: [u8; 4],
            cut in 1usize..200,
        ) {
            let (mut wire, mut expected) = (Vec::new(), Vec::new());
            for (message, fragment) in &messages {
                let count = message.len().div_ceil(*fragment).max(1);
                for (place, part) in message.chunks(*fragment).chain(message.is_empty().then_some([].as_slice())).enumerate() {
                    let last = if place + 1 == count { 0x80 } else { 0 };
                    wire.extend(masked(last | if place == 0 { 2 } else { 0 }, part, mask));
                    if place == 0 {
                        wire.extend(masked(0x8a, b"unasked", mask));
                        wire.extend(masked(0x89, b"there?", mask));
                    }
                    // A message of one fragment has ended before the ping.
                    if place == 0 && count == 1 {
                        expected.push(('m', message.clone()));
                    }
                    if place == 0 {
                        expected.push(('p', b"there?".to_vec()));
                    } else if last != 0 {
                        expected.push(('m', message.clone()));
                    }
                }
            }
            wire.extend(masked(0x88, &[3, 0xe8], mask));
            expected.push(('c', vec![3, 0xe8]));
            prop_assert_eq!(read(&wire, cut).expect("frames"), expected);
        }
    }
}
