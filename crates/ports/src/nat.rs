//! Does this machine translate addresses, for containers, virtual machines or a port moved elsewhere?
//!
//! At ingress that has not happened yet: a packet to a port that nobody holds here may belong to a
//! container, be the answer to one, or be about to move to another port. When a socket is looked for,
//! it has.

use std::fs;

use crate::netlink::attributes;
use crate::nftables::{CHAIN, Netfilter};

/// Whether there are rules of that kind. Needs `CAP_NET_ADMIN`, or sees none.
pub(crate) fn translates() -> bool {
    let old = ["/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"];
    let named = |file: &&str| {
        fs::read_to_string(file).is_ok_and(|tables| tables.lines().any(|table| table == "nat"))
    };
    old.iter().any(named) || chains_translate().unwrap_or(false)
}

/// Whether nftables has a chain of type `nat`.
fn chains_translate() -> Option<bool> {
    const TYPE: u16 = 7; // NFTA_CHAIN_TYPE
    let mut netfilter = Netfilter::open().ok()?;
    let chains = netfilter.list(CHAIN).ok()?;
    let is_nat = |chain: &Vec<u8>| attributes(chain).any(|one| one == (TYPE, b"nat\0"));
    Some(chains.iter().any(is_nat))
}
