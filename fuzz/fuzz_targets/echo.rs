//! What a relay makes of strangers' first bytes and datagrams when it looks for a question, and an
//! asker of what somebody answers: nobody's bytes are a bundle's, and in every dress what went in
//! comes out.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wire::derive::{FleetKey, RelayId};
use wire::echo::{Asker, BundleId, Climb, LENGTH, Shape, Table, Transport, Wanted, Way, dress};

const NOW: u32 = 1_800_000_123;
const BUNDLE: BundleId = BundleId([7; 16]);

static TABLE: LazyLock<(Table, Asker, Climb)> = LazyLock::new(|| {
    let key = FleetKey::from_bytes([7; 32]).relay_key(&RelayId([9; 16]));
    let echo_key = key.echo_key(BUNDLE);
    let asker = Asker::new(&echo_key, &key.mask_key());
    let (relay, transport) = (([116, 203, 7, 7], 179).into(), Transport::Udp);
    let wanted = Wanted { transport, shape: Shape::Dns, relay, time: NOW, near: None };
    let climb = asker.climb(&asker.ask(&wanted, [1; 12]));
    (Table::new(&key.mask_key(), [(BUNDLE, echo_key)], NOW), asker, climb)
});

fuzz_target!(|bytes: &[u8]| {
    let (table, asker, climb) = &*TABLE;
    let _ = dress::may_become(bytes);
    for transport in Transport::ALL {
        if let Some((_, question, used)) = dress::find(transport, bytes) {
            assert!(used <= bytes.len());
            assert!(table.open(&question, NOW).is_none());
        }
        for shape in Shape::ALL {
            let dress = asker.dress(transport, shape, "a.example");
            if let Ok(Some((_, used))) = dress.read_answer(bytes) {
                assert!(used <= bytes.len());
            }
            for way in [Way::Up, Way::Down] {
                if let Ok(Some((piece, used))) = dress.read_piece(way, bytes) {
                    assert!(used <= bytes.len() && climb.open(&piece).is_none());
                    let said = dress.piece(Way::Down, &piece, bytes);
                    assert!(transport == Transport::Tcp || said.len() <= bytes.len());
                }
            }
        }
    }
    let Some((question, rest)) = bytes.split_first_chunk::<LENGTH>() else { return };
    let letter = |byte: &u8| if *byte < 32 { '.' } else { char::from(b'a' + byte % 26) };
    let name: String = rest.iter().take(dress::LONGEST_NAME).map(letter).collect();
    for transport in Transport::ALL {
        for shape in Shape::ALL {
            let dress = asker.dress(transport, shape, &name);
            let dressed = dress.question(question);
            assert!(dressed.len() <= dress::LONGEST_QUESTION);
            let (found, bare, used) = dress::find(transport, &dressed).expect("a question");
            assert_eq!((found, &bare), (shape, question));
            assert_eq!(used + dress.rest_of(&bare), dressed.len());
            let told = dress.answer(&dressed, question, NOW);
            let read = dress.read_answer(&told);
            assert_eq!(read, Ok(Some((*question, told.len()))));
            assert!(transport == Transport::Tcp || told.len() <= dressed.len());
        }
    }
});
