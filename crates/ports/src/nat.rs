//! Does this machine translate addresses, for containers, virtual machines or a port moved elsewhere?
//!
//! At ingress that has not happened yet: a packet to a port that nobody holds here may belong to a
//! container, be the answer to one, or be about to move to another port. When a socket is looked for,
//! it has.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use crate::held::message;

/// Whether there are rules of that kind. Needs `CAP_NET_ADMIN`, or sees none.
pub(crate) fn translates() -> bool {
    let old = ["/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"];
    let named = |file: &&str| {
        fs::read_to_string(file).is_ok_and(|tables| tables.lines().any(|table| table == "nat"))
    };
    old.iter().any(named) || chains_translate().unwrap_or(false)
}

/// Whether nftables has a chain of type `nat`.
fn chains_translate() -> io::Result<bool> {
    const CHAINS: u16 = 10 << 8; // NFNL_SUBSYS_NFTABLES
    const NEW_CHAIN: u16 = CHAINS | 3;
    const GET_CHAIN: u16 = CHAINS | 4;
    const DUMP: u16 = 0x301; // NLM_F_REQUEST | NLM_F_DUMP
    let protocol = SockProtocol::NetlinkNetFilter;
    let netlink = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    // struct nlmsghdr and struct nfgenmsg: of any family.
    let mut request = [0; 20];
    request[0..4].copy_from_slice(&20_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&GET_CHAIN.to_ne_bytes());
    request[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    sendto(netlink.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut found = false;
    let mut buffer = vec![0; 65_536];
    loop {
        let length = recv(netlink.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..length];
        while let Some((kind, body, next)) = message(rest) {
            match kind {
                // NLMSG_ERROR, NLMSG_DONE
                2 | 3 => return Ok(found),
                NEW_CHAIN => found |= body.get(4..).is_some_and(is_nat),
                _ => {}
            }
            rest = next;
        }
    }
}

/// Whether these attributes of a chain say so.
fn is_nat(mut attributes: &[u8]) -> bool {
    const TYPE: u16 = 7; // NFTA_CHAIN_TYPE
    while let [a, b, c, d, ..] = *attributes {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        if let Some(value) = attributes.get(4..length)
            && u16::from_ne_bytes([c, d]) == TYPE
        {
            return value == b"nat\0";
        }
        if length < 4 {
            return false;
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}
