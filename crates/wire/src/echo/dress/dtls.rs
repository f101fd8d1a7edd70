//! DTLS 1.2 (RFC 6347): a client's hello, a server's, records of an epoch that is encrypted.

use super::{LENGTH, PIECE, Question};

const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEADER: usize = 13;
/// Type, length, message number, offset and length of the fragment.
const MESSAGE: usize = 12;
/// Where the random bytes and the session id stand in either hello.
const RANDOM: std::ops::Range<usize> = HEADER + MESSAGE + 2..HEADER + MESSAGE + 34;
const SESSION: std::ops::Range<usize> = RANDOM.end + 1..RANDOM.end + 33;

fn header(kind: u8, epoch: u8, length: usize) -> Vec<u8> {
    let mut out = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0];
    // The number of a record: small, as that of a young connection.
    out.extend(if epoch == 0 {
        [0; 4]
    } else {
        [0, 0, crate::random::<1>()[0] & 3, crate::random::<1>()[0]]
    });
    out.extend(super::length(length));
    out
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = super::length(body.len());
    let mut out = header(HANDSHAKE, 0, MESSAGE + body.len());
    out.extend([kind, 0, high, low, 0, 0, 0, 0, 0, 0, high, low]);
    out.extend_from_slice(body);
    out
}

pub(super) fn hello(name: &str, question: &Question) -> Vec<u8> {
    let (random, session) = question.split_at(32);
    let [h, l] = super::length(name.len());
    let [h3, l3] = super::length(name.len() + 3);
    let [h5, l5] = super::length(name.len() + 5);
    let server_name = [&[0, 0, h5, l5, h3, l3, 0, h, l][..], name.as_bytes()].concat();
    let extensions = [
        &server_name[..],
        &[0, 23, 0, 0, 0xff, 1, 0, 1, 0, 0, 10, 0, 8, 0, 6, 0, 29, 0, 23, 0, 24, 0, 11, 0, 2, 1, 0],
        &[0, 13, 0, 10, 0, 8, 4, 3, 8, 4, 4, 1, 8, 6, 0, 14, 0, 5, 0, 2, 0, 1, 0],
    ]
    .concat();
    let body = [
        &[0xfe, 0xfd][..],
        random,
        &[32],
        session,
        // No cookie; ECDHE with AES-GCM and ChaCha20.
        &[0, 0, 12, 0xc0, 0x2b, 0xc0, 0x2f, 0xcc, 0xa9, 0xcc, 0xa8, 0xc0, 0x09, 0xc0, 0x13, 1, 0],
        &super::length(extensions.len()),
        &extensions,
    ]
    .concat();
    handshake(1, &body)
}

pub(super) fn server_hello(answer: &[u8; LENGTH]) -> Vec<u8> {
    let (random, session) = answer.split_at(32);
    let body = [&[0xfe, 0xfd][..], random, &[32], session, &[0xc0, 0x2b, 0]].concat();
    handshake(2, &body)
}

pub(super) fn record(piece: &[u8; PIECE]) -> Vec<u8> {
    [&header(APPLICATION_DATA, 1, PIECE)[..], piece].concat()
}

pub(super) fn read_hello(came: &[u8]) -> Option<Question> {
    read_handshake(came, 1)
}

pub(super) fn read_server_hello(came: &[u8]) -> Option<[u8; LENGTH]> {
    read_handshake(came, 2)
}

fn read_handshake(came: &[u8], kind: u8) -> Option<[u8; LENGTH]> {
    let body = came.len().checked_sub(HEADER + MESSAGE)?;
    let is_fine = came[..3] == [HANDSHAKE, 0xfe, 0xfd]
        && came[11..13] == super::length(body + MESSAGE)
        && came[HEADER] == kind
        && came.get(RANDOM.end) == Some(&32);
    let mut out = [0; LENGTH];
    out[..32].copy_from_slice(came.get(RANDOM).filter(|_| is_fine)?);
    out[32..].copy_from_slice(came.get(SESSION)?);
    Some(out)
}

pub(super) fn read_record(came: &[u8]) -> Option<[u8; PIECE]> {
    let (header, piece) = came.split_first_chunk::<HEADER>()?;
    let is_fine =
        header[..5] == [APPLICATION_DATA, 0xfe, 0xfd, 0, 1] && header[11..] == super::length(PIECE);
    piece.try_into().ok().filter(|_| is_fine)
}
