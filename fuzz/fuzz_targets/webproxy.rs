//! A session does the same however its frames are cut, and keeps within its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::webproxy::session::{Broken, Event, MAX_HELD, MAX_QUEUED, MAX_STREAMS, Session};

/// What the app did and what it was answered. Every other stream is read slowly, all are echoed.
fn play(bytes: &[u8], cut: usize) -> (Vec<String>, Option<Broken>) {
    let (mut session, mut said) = (Session::default(), Vec::new());
    let mut wire = vec![0x10, 0, 0, 0, 0, 0, 0, 1, 1];
    wire.extend(bytes);
    let mut data = 0;
    for mut part in wire.chunks(cut) {
        loop {
            match session.receive(&mut part) {
                Ok(None) => break,
                Ok(Some(Event::Data(id, bytes))) => {
                    data += bytes.len();
                    session.send(id, bytes);
                    session.drained(id, bytes.len());
                }
                Ok(Some(event)) => said.push(format!("{event:?} after {data}")),
                Err(broken) => return (said, Some(broken)),
            }
        }
        assert!(session.streams() <= MAX_STREAMS && session.may_receive());
    }
    assert!(bytes.len() < MAX_HELD.min(MAX_QUEUED));
    let mut out = Vec::new();
    while session.has_to_say() {
        let before = out.len();
        session.transmit(1000, &mut out);
        assert!(out.len() > before);
    }
    said.push(format!("{} bytes", data));
    (said, None)
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (cut, bytes) = input;
    assert_eq!(play(&bytes, usize::MAX), play(&bytes, usize::from(cut) + 1));
});
