//! Whatever is read as a link is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::mtproto::ProxyLink;

fuzz_target!(|text: &str| {
    let Ok(link) = text.parse::<ProxyLink>() else { return };
    assert_eq!(link.tg().parse(), Ok(link.clone()));
    assert_eq!(link.https().parse(), Ok(link));
});
