//! Any 64 bytes may come; those that a secret opens can be carried on in fast mode.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::derive::Secret;
use wire::mtproto::obfuscated::{Dial, open};

fuzz_target!(|input: ([u8; 16], &[u8])| {
    let (secret, bytes) = input;
    let Some(flight) = bytes.first_chunk() else { return };
    let Some(opened) = open(flight, Some(&Secret(secret))).or_else(|| open(flight, None)) else {
        return;
    };
    let _ = opened.dc.datacentre();
    let onward = Dial::fast(&opened);
    let at_datacentre = open(&onward.flight, None).expect("a datacentre understands us");
    assert_eq!((at_datacentre.dc, at_datacentre.tag), (opened.dc, opened.tag));
});
