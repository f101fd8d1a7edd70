//! A WebSocket's messages come out the same however they were cut, within their bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::websocket::{BadFrame, Decoder, Item, MAX_CONTROL};

const MOST: usize = 5000;

fn read(bytes: &[u8], cut: usize) -> (Vec<Vec<u8>>, Option<BadFrame>) {
    let (mut decoder, mut bytes) = (Decoder::new(MOST), bytes.to_vec());
    let (mut said, mut message) = (Vec::new(), vec![0]);
    for mut part in bytes.chunks_mut(cut) {
        loop {
            match decoder.next(&mut part) {
                Ok(None) => break,
                Ok(Some(Item::Bytes(bytes))) => message.extend_from_slice(bytes),
                Ok(Some(Item::End)) => said.push(std::mem::replace(&mut message, vec![0])),
                Ok(Some(Item::Ping(payload))) => said.push([&[1], &*payload].concat()),
                Ok(Some(Item::Close(payload))) => said.push([&[2], &*payload].concat()),
                Err(error) => return (said, Some(error)),
            }
            assert!(
                message.len() <= MOST + 1
                    && said.last().is_none_or(|last| last[0] == 0 || last.len() <= MAX_CONTROL + 1)
            );
        }
    }
    (said, None)
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (cut, bytes) = input;
    assert_eq!(read(&bytes, usize::MAX), read(&bytes, usize::from(cut) + 1));
});
