//! Bundles and receipts, as anybody may write them: what is read is within its bounds, is written in
//! the same bytes, leads to public addresses alone, and is nobody's word.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::addresses::forbidden;
use wire::bundle::{Bundle, MOST_CRACKS, MOST_ENDPOINTS, Sealed};
use wire::receipt::Receipt;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((bundle, signer)) = Bundle::parse(bytes) {
        assert_eq!(bundle.write(&signer), bytes);
        assert!((1..=MOST_ENDPOINTS).contains(&bundle.endpoints.len()));
        assert!(bundle.cracks.len() <= MOST_CRACKS);
        let mut addresses = bundle.endpoints.iter().flat_map(|endpoint| endpoint.addresses());
        assert!(addresses.all(|address| forbidden(address).is_none()));
    }
    assert!(Sealed::read_bytes(bytes).is_err());
    let _ = Receipt::parse(bytes);
    assert!(Receipt::open(bytes, &[], u64::MAX).is_err());
    let text = String::from_utf8_lossy(bytes);
    assert!(Sealed::read(&text).is_err());
    assert!(Receipt::find(&text, 8).len() <= 8);
});
