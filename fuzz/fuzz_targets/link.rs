//! Whatever is read as a link is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::mtproto::ProxyLink;
use wire::webproxy::WebLink;

fuzz_target!(|text: &str| {
    if let Ok(link) = text.parse::<ProxyLink>() {
        assert_eq!(link.tg().parse(), Ok(link.clone()));
        assert_eq!(link.https().parse(), Ok(link));
    }
    if let Ok(link) = text.parse::<WebLink>() {
        assert_eq!(link.tg().parse(), Ok(link.clone()));
        assert_eq!(link.https().parse(), Ok(link));
    }
});
