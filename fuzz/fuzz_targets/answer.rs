//! Whatever a website answers, it is read within its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::tls::answer;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(answer)) = answer::read(bytes) {
        let encrypted: usize = answer.encrypted.iter().map(|length| length + 5).sum();
        assert!(encrypted < bytes.len());
    }
});
