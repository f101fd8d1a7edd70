//! A proxy request is read in the same way however it is cut, and what goes on is one request that
//! no server reads as two.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::http_proxy::{Wish, request};
use wire::socks5::Read;

fuzz_target!(|bytes: &[u8]| {
    let whole = request(bytes);
    for cut in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
        let part = request(&bytes[..cut]);
        assert!(part == Ok(Read::More) || part == whole, "{cut}: {part:?}, then {whole:?}");
    }
    if let Ok(Read::Whole(asked, _)) = whole
        && let Wish::Fetch { head, .. } = asked.wish
    {
        let end = head.windows(4).position(|four| four == b"\r\n\r\n");
        assert_eq!(end, Some(head.len() - 4));
        let mut headers = [httparse::EMPTY_HEADER; 110];
        let mut parsed = httparse::Request::new(&mut headers);
        assert_eq!(parsed.parse(&head), Ok(httparse::Status::Complete(head.len())));
        let hosts = parsed.headers.iter().filter(|one| one.name.eq_ignore_ascii_case("host"));
        assert_eq!(hosts.count(), 1);
    }
});
