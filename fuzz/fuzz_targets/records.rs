//! Records are taken apart in the same way however the stream is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::tls::record::Unframer;

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (cut, stream) = input;
    let mut whole = stream.clone();
    let at_once = Unframer::default().strip(&mut whole).map(|length| whole[..length].to_vec());

    let mut unframer = Unframer::default();
    let mut payload = Vec::new();
    let mut failed = false;
    for piece in stream.chunks(usize::from(cut).max(1)) {
        let mut piece = piece.to_vec();
        match unframer.strip(&mut piece) {
            Ok(length) => payload.extend_from_slice(&piece[..length]),
            Err(_) => {
                failed = true;
                break;
            }
        }
    }
    match at_once {
        Ok(expected) => assert!(!failed && payload == expected),
        Err(_) => assert!(failed),
    }
});
