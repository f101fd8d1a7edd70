//! Names and addresses that are the relay's own network's: nobody's business, and a way to attack
//! what is in the asker's (DNS rebinding).

use std::sync::LazyLock;

use hickory_resolver::proto::rr::rdata::svcb::{SVCB, SvcParamValue};
use hickory_resolver::proto::rr::{Name, RData, Record};

use crate::egress;

/// Zones that the public DNS has not: RFC 6761, RFC 6762, RFC 8375, and ICANN's resolution of 2024 on
/// `internal`.
static ZONES: LazyLock<Vec<Name>> = LazyLock::new(|| {
    let zones = ["localhost.", "local.", "internal.", "home.arpa."];
    zones.iter().filter_map(|zone| Name::from_ascii(zone).ok()).collect()
});

/// Whether a name is one of those, or below the reverse name of addresses that are not public.
pub(super) fn is_inside(name: &Name) -> bool {
    ZONES.iter().any(|zone| zone.zone_of(name)) || is_reverse_of_inside(name)
}

fn is_reverse_of_inside(name: &Name) -> bool {
    let is_private = |labels| {
        let end = name.trim_to(labels);
        end.parse_arpa_name().is_ok_and(|net| {
            !egress::is_public(net.network()) && !egress::is_public(net.broadcast())
        })
    };
    let is_reverse = name.iter().next_back().is_some_and(|end| end.eq_ignore_ascii_case(b"arpa"));
    // From one label of the address on.
    is_reverse && (3..=usize::from(name.num_labels())).any(is_private)
}

/// Whether a record leads to public addresses only, if to any. An address of the relay's own is
/// public too: whoever asks goes there from where they are, as they did for this question.
pub(super) fn is_public(record: &Record) -> bool {
    match &record.data {
        RData::A(address) => egress::is_public(address.0.into()),
        RData::AAAA(address) => egress::is_public(address.0.into()),
        RData::HTTPS(https) => has_public_hints(&https.0),
        RData::SVCB(svcb) => has_public_hints(svcb),
        _ => true,
    }
}

fn has_public_hints(svcb: &SVCB) -> bool {
    svcb.svc_params.iter().all(|(_, value)| match value {
        SvcParamValue::Ipv4Hint(hint) => hint.0.iter().all(|hint| egress::is_public(hint.0.into())),
        SvcParamValue::Ipv6Hint(hint) => hint.0.iter().all(|hint| egress::is_public(hint.0.into())),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_relays_own_network_knows_is_inside() {
        for (text, inside) in [
            ("printer.local.", true),
            ("LOCAL.", true),
            ("metadata.google.internal.", true),
            ("nas.home.arpa.", true),
            ("localhost.", true),
            ("1.1.168.192.in-addr.arpa.", true),
            ("10.in-addr.arpa.", true),
            ("1.0.0.127.in-addr.arpa.", true),
            (&format!("{}d.f.ip6.arpa.", "0.".repeat(30)), true),
            ("lb._dns-sd._udp.0.1.168.192.in-addr.arpa.", true),
            ("example.org.", false),
            ("local.example.org.", false),
            ("notlocal.", false),
            ("arpa.", false),
            ("in-addr.arpa.", false),
            ("192.in-addr.arpa.", false),
            ("1.1.1.1.in-addr.arpa.", false),
            (".", false),
        ] {
            assert_eq!(is_inside(&Name::from_ascii(text).expect("a name")), inside, "{text}");
        }
    }
}
