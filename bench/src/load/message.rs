//! What the user and the datacentre say to each other: plain MTProto messages, framed with four
//! length bytes, all requests of one size and all answers of another.

/// Are you there? Telegram's `req_pq_multi`, which is what an app says first.
pub(super) const PING: u32 = 0xbe7e_8ef1;
/// The load tool's own: send me so many bytes, take so many of mine.
pub(super) const SEND: u32 = 0x6a72_0001;
pub(super) const TAKE: u32 = 0x6a72_0002;

/// A frame's length, a message's header, a number and 16 bytes.
pub(super) const REQUEST: usize = 4 + 20 + 20;
/// As long as `resPQ` is.
pub(super) const ANSWER: usize = 4 + 84;
/// So much of every transfer is encrypted zeros, which the other side checks; the rest is counted.
pub(super) const CHECKED: usize = 1 << 20;
/// How much is read and written at a time.
pub(super) const PIECE: usize = 256 << 10;

pub(super) type Argument = [u8; 16];

pub(super) fn request(number: u32, argument: Argument) -> [u8; REQUEST] {
    let mut frame = [0; REQUEST];
    frame[0] = 40;
    frame[12] = 4;
    frame[20] = 20;
    frame[24..28].copy_from_slice(&number.to_le_bytes());
    frame[28..].copy_from_slice(&argument);
    frame
}

pub(super) fn read(frame: &[u8; REQUEST]) -> (u32, Argument) {
    let number = u32::from_le_bytes([frame[24], frame[25], frame[26], frame[27]]);
    let mut argument = Argument::default();
    argument.copy_from_slice(&frame[28..]);
    (number, argument)
}

/// The argument comes back in the answer.
pub(super) fn answer(argument: Argument) -> [u8; ANSWER] {
    let mut frame = [0x5a; ANSWER];
    frame[..4].copy_from_slice(&[84, 0, 0, 0]);
    frame[28..44].copy_from_slice(&argument);
    frame
}

/// A number of bytes as an argument, and back.
pub(super) fn amount(bytes: u64) -> Argument {
    u128::from(bytes).to_le_bytes()
}

pub(super) fn bytes(argument: Argument) -> u64 {
    u64::try_from(u128::from_le_bytes(argument)).unwrap_or(u64::MAX)
}
