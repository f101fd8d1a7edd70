//! Ports that are opened one by one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::anchor::datagrams;
use crate::bind::{Bound, Refused, bind, most_listeners};
use crate::datagrams::{Datagrams, Out, Raw};
use crate::never;
use crate::open::Change;
use crate::{PortList, steered::Doors};

#[derive(Debug)]
pub(crate) struct Listed {
    out: Out,
    udp: bool,
    open: Vec<u16>,
    refused: Vec<Refused>,
    /// The open ports that take no datagrams.
    without_udp: Vec<Refused>,
    ipv6: bool,
}

impl Listed {
    pub(crate) fn new(udp: bool) -> Self {
        let out = Raw::new().map_or(Out::Own, |raw| Out::Raw(Arc::new(raw)));
        let (open, refused, without_udp) = (Vec::new(), Vec::new(), Vec::new());
        Self { out, udp, open, refused, without_udp, ipv6: false }
    }

    /// Opens what is not open yet; names what the caller is to close.
    pub(crate) fn want(&mut self, ports: &PortList) -> Change {
        let never: Vec<u16> = never::certain().collect();
        let (refused, wanted): (Vec<u16>, Vec<u16>) =
            ports.as_slice().iter().partition(|port| never.contains(port));
        let new: Vec<u16> =
            wanted.iter().copied().filter(|port| !self.open.contains(port)).collect();
        let closed: Vec<u16> =
            self.open.iter().copied().filter(|port| !wanted.contains(port)).collect();
        let Bound { listeners, open, refused: failed, ipv6 } =
            bind(&PortList::from(new), most_listeners().saturating_sub(self.open.len() * 2));
        self.refused = refused.into_iter().map(Refused::Never).chain(failed).collect();
        self.ipv6 = ipv6;
        let mut doors = Doors { listeners, ..Doors::default() };
        if self.udp {
            // In the room that connections leave: a port has two sockets of either kind.
            let room = most_listeners().saturating_sub(self.open.len() * 4 + open.len() * 2) / 2;
            for (at, &port) in open.iter().enumerate() {
                if at < room {
                    doors.datagrams.extend(self.datagrams(port, ipv6));
                } else {
                    self.without_udp.push(Refused::NoRoom(port));
                }
            }
        }
        let has = |port: &u16| open.contains(port) || self.open.contains(port);
        self.open = wanted.into_iter().filter(has).collect();
        self.without_udp.retain(|refused| self.open.contains(&refused.port()));
        Change { listeners: doors.listeners, datagrams: doors.datagrams, closed }
    }

    /// UDP may be somebody else's where TCP is ours; then only that is missing.
    fn datagrams(&mut self, port: u16, ipv6: bool) -> Vec<Datagrams> {
        let any = [Some(Ipv4Addr::UNSPECIFIED.into()), ipv6.then(|| Ipv6Addr::UNSPECIFIED.into())];
        let any = any.into_iter().flatten();
        let sockets = any.map(|ip: IpAddr| datagrams((ip, port).into()));
        let (sockets, errors): (Vec<_>, Vec<_>) = sockets.partition(Result::is_ok);
        if let Some(Err(error)) = errors.first() {
            self.without_udp.push(Refused::new(port, error));
        }
        let sockets = sockets.into_iter().flatten();
        sockets.map(|socket| Datagrams::new(socket, self.out.clone())).collect()
    }

    pub(crate) fn ipv6(&self) -> bool {
        self.ipv6
    }

    pub(crate) fn open(&self) -> &[u16] {
        &self.open
    }

    pub(crate) fn without_udp(&self) -> &[Refused] {
        &self.without_udp
    }

    pub(crate) fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_port_whose_datagrams_are_somebody_elses_is_named_for_as_long_as_it_is_open() {
        let other = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        let taken = other.local_addr().expect("an address").port();
        let mut listed = Listed::new(true);
        let change = listed.want(&PortList::from(vec![taken]));
        assert_eq!(listed.open(), [taken], "connections are had");
        assert!(
            change
                .datagrams
                .iter()
                .all(|one| one.socket().local_addr().is_ok_and(|at| at.is_ipv6()))
        );
        assert_eq!(listed.without_udp(), [Refused::Taken(taken)]);
        let _ = listed.want(&PortList::from(vec![taken]));
        assert_eq!(listed.without_udp(), [Refused::Taken(taken)], "it is told once");
        let _ = listed.want(&PortList::from(Vec::new()));
        assert_eq!(listed.without_udp(), []);
    }
}
