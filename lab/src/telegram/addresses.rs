//! Where Telegram's datacentres are: the addresses that its apps have built in. They are written
//! down here once more on purpose, for the lab is the world, and not what a relay believes of it.

use std::net::{IpAddr, SocketAddr};

/// A datacentre's number, as apps call it: 1 to 5, 203, and 10,001 to 10,003 for tests.
pub(super) const DATACENTRES: [(u16, &[&str]); 9] = [
    (1, &["149.154.175.50", "2001:b28:f23d:f001::a"]),
    (2, &["149.154.167.51", "95.161.76.100", "2001:67c:4e8:f002::a"]),
    (3, &["149.154.175.100", "2001:b28:f23d:f003::a"]),
    (4, &["149.154.167.91", "2001:67c:4e8:f004::a"]),
    (5, &["149.154.171.5", "2001:b28:f23f:f005::a"]),
    (203, &["91.105.192.100", "2a0a:f280:203:a:5000::100"]),
    (10_001, &["149.154.175.10", "2001:b28:f23d:f001::e"]),
    (10_002, &["149.154.167.40", "2001:67c:4e8:f002::e"]),
    (10_003, &["149.154.175.117", "2001:b28:f23d:f003::e"]),
];

/// The ports that they all answer on.
const PORTS: [u16; 3] = [443, 80, 5222];

/// Every address of every datacentre.
pub(super) fn all() -> Vec<&'static str> {
    DATACENTRES.iter().flat_map(|(_, addresses)| *addresses).copied().collect()
}

/// Every address and port of one datacentre.
pub(super) fn endpoints(datacentre: u16) -> Vec<SocketAddr> {
    let (_, addresses) = DATACENTRES
        .iter()
        .find(|(number, _)| *number == datacentre)
        .expect("one of Telegram's datacentres");
    let parse = |text: &&str| text.parse::<IpAddr>().expect("an address");
    addresses
        .iter()
        .map(parse)
        .flat_map(|address| PORTS.map(|port| (address, port).into()))
        .collect()
}
