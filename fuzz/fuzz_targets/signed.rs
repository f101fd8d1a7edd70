//! Bundles, receipts and what passes between hub and relays, as anybody may write them: what is read is within its bounds, is written in
//! the same bytes, leads to public addresses alone, and is nobody's word.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::addresses::forbidden;
use wire::bundle::{Bundle, MOST_CRACKS, MOST_ENDPOINTS, Sealed};
use wire::derive::{RelayId, RelaySeed};
use wire::fleet::{Enrolled, Enrolment, Heartbeat, Invite, SignedOrder};
use wire::receipt::Receipt;
use wire::signer::PublicKey;

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
    let (key, relay) = (RelaySeed([1; 32]).key(), RelayId([2; 16]));
    let _ = (Enrolment::read(bytes), Enrolled::read(bytes));
    assert!(Heartbeat::read(bytes, &key).is_err());
    let signer = PublicKey([3; 32]);
    assert!(SignedOrder::from_bytes(bytes.to_vec()).open(&signer, relay).is_err());
    let text = String::from_utf8_lossy(bytes);
    let _ = Invite::read(&text);
    assert!(Sealed::read(&text).is_err());
    assert!(Receipt::find(&text, 8).len() <= 8);
});
