//! Does this machine translate addresses, for containers, virtual machines or a port moved elsewhere?
//!
//! At ingress that has not happened yet: a packet to a port that nobody holds here may belong to a
//! container, be the answer to one, or be about to move to another port. When a socket is looked for,
//! it has.

use std::fs;
use std::io;
use std::path::Path;

use crate::netlink::attributes;
use crate::nftables::{CHAIN, Netfilter};

/// Whether there are rules of that kind. Needs `CAP_NET_ADMIN`, or sees none.
pub(crate) fn translates() -> bool {
    let old = ["ip", "ip6"].iter().any(|family| {
        let names = fs::read_to_string(format!("/proc/thread-self/net/{family}_tables_names"));
        let module = format!("/sys/module/{family}table_nat");
        old_tables_translate(names, Path::new(&module))
    });
    old || chains_translate().unwrap_or(false)
}

/// Whether the tables that came before nftables (`iptables-legacy`) translate. Which of them there are
/// only root may read, and a service is not root: it sees that the kernel knows how, if not for whom.
fn old_tables_translate(names: io::Result<String>, module: &Path) -> bool {
    match names {
        Ok(names) => names.lines().any(|table| table == "nat"),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => module.exists(),
        Err(_) => false,
    }
}

/// Whether nftables has a chain of type `nat`.
fn chains_translate() -> Option<bool> {
    const TYPE: u16 = 7; // NFTA_CHAIN_TYPE
    let mut netfilter = Netfilter::open().ok()?;
    let chains = netfilter.list(CHAIN).ok()?;
    let is_nat = |chain: &Vec<u8>| attributes(chain).any(|one| one == (TYPE, b"nat\0"));
    Some(chains.iter().any(is_nat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_tables_are_seen_by_root_by_their_names_and_by_a_service_by_their_module() {
        let (loaded, not_loaded) = (Path::new("/"), Path::new("/nowhere"));
        let names = |text: &str| Ok(text.to_owned());
        let refused = || Err(io::ErrorKind::PermissionDenied.into());
        assert!(old_tables_translate(names("filter\nnat\n"), not_loaded));
        assert!(!old_tables_translate(names("filter\n"), loaded));
        assert!(old_tables_translate(refused(), loaded));
        assert!(!old_tables_translate(refused(), not_loaded));
        assert!(!old_tables_translate(Err(io::ErrorKind::NotFound.into()), loaded));
    }
}
