//! Which addresses this machine has, as far as it can tell by itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use wire::mtproto::{Datacentre, Datacentres};

/// The addresses from which this machine reaches Telegram, public ones first. Nothing is sent: the
/// kernel is only asked which address it would use.
pub(crate) fn own() -> Vec<IpAddr> {
    let far = Datacentres::default().endpoints(Datacentre::Main(2));
    let families = [far.iter().find(|at| at.is_ipv4()), far.iter().find(|at| at.is_ipv6())];
    let mut own: Vec<IpAddr> = families.into_iter().flatten().filter_map(towards).collect();
    own.sort_by_key(|&ip| !is_public(ip));
    own
}

fn towards(far: &SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = match far {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(far).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

/// Whether this is an address of this machine: only then can a socket have it.
pub(crate) fn is_here(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Whether others can reach this address from anywhere.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(four) => {
            let [a, b, ..] = four.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(shared
                || four.is_private()
                || four.is_loopback()
                || four.is_link_local()
                || a == 0
                || a >= 224)
        }
        IpAddr::V6(six) => six.segments()[0] & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[test]
    fn addresses_behind_a_translator_are_not_public() {
        for (text, public) in [
            ("203.0.113.5", true),
            ("10.0.0.5", false),
            ("100.64.0.1", false),
            ("192.168.1.2", false),
            ("169.254.1.1", false),
            ("2a01:4f8::1", true),
            ("fd00::1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_public(text.parse().expect("an address")), public, "{text}");
        }
    }
}
