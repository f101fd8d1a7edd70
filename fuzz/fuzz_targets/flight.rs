//! Any 64 bytes may come; those that a secret opens can be carried on in fast mode.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::derive::Secret;
use wire::mtproto::DcId;
use wire::mtproto::obfuscated::{Dial, LENGTH, Tag, open};

fuzz_target!(|input: ([u8; 16], [u8; LENGTH], i16, u8, Vec<(u8, u8)>)| {
    let (secret, random, dc, tag, damage) = input;
    let secret = Secret(secret);
    let tag = [Tag::Abridged, Tag::Intermediate, Tag::Padded][usize::from(tag % 3)];
    let mut flight = Dial::from_random(random, tag, DcId(dc), Some(&secret)).flight;
    for (at, bits) in &damage {
        flight[usize::from(*at) % LENGTH] ^= bits;
    }
    let Some(opened) = open(&flight, Some(&secret)) else {
        assert!(damage.iter().any(|(_, bits)| *bits != 0), "what is intact is opened");
        return;
    };
    let _ = opened.dc.datacentre();
    let onward = Dial::fast(&opened);
    let at_datacentre = open(&onward.flight, None).expect("a datacentre understands us");
    assert_eq!((at_datacentre.dc, at_datacentre.tag), (opened.dc, opened.tag));
});
