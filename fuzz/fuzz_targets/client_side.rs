//! What servers say to a client of ours is read, or refused, and nothing else; and no part of it is
//! taken for whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::mtproto::obfuscated::Tag;
use wire::mtproto::{faketls, frame, message};
use wire::socks5::{Read, client};
use wire::{http_proxy, tls};

fuzz_target!(|said: &[u8]| {
    let cut = &said[..said.len() / 2];
    if let Ok(Some(length)) = faketls::flight_length(said) {
        assert!(length <= said.len());
    }
    for tag in [Tag::Abridged, Tag::Intermediate, Tag::Padded] {
        if let Ok(Some(found)) = frame::first(tag, cut) {
            assert_eq!(frame::first(tag, said), Ok(Some(found.clone())));
            let _ = message::res_pq(&said[found], [0; 16]);
        }
    }
    let _ = (client::choice(said), client::verdict(said));
    if let Ok(Read::Whole(_, length)) = client::reply(said) {
        assert!(length <= said.len());
    }
    if let Ok(Read::Whole(_, length)) = http_proxy::answer(said) {
        assert!(length <= said.len());
    }
    // A hello of ours is one, whatever name is in it.
    let name: String = said.iter().take(100).map(|byte| char::from(b'a' + byte % 26)).collect();
    for group in [tls::hello::X25519, tls::hello::X25519_MLKEM768] {
        assert!(tls::hello::ClientHello::read(&tls::offer::record(&name, group)).is_some());
    }
});
