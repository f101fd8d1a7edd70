//! Ports that are opened one by one.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
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
    ipv6: bool,
}

impl Listed {
    pub(crate) fn new(udp: bool) -> Self {
        let out = Raw::new().map_or(Out::Own, |raw| Out::Raw(Arc::new(raw)));
        Self { out, udp, open: Vec::new(), refused: Vec::new(), ipv6: false }
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
            let with_room = open.iter().take(room);
            doors.datagrams = with_room.flat_map(|&port| self.datagrams(port, ipv6)).collect();
        }
        let has = |port: &u16| open.contains(port) || self.open.contains(port);
        self.open = wanted.into_iter().filter(has).collect();
        Change { listeners: doors.listeners, datagrams: doors.datagrams, closed }
    }

    /// UDP may be somebody else's where TCP is ours; then only that is missing.
    fn datagrams(&self, port: u16, ipv6: bool) -> Vec<Datagrams> {
        let any = [Some(Ipv4Addr::UNSPECIFIED.into()), ipv6.then(|| Ipv6Addr::UNSPECIFIED.into())];
        let sockets = any.into_iter().flatten();
        let sockets = sockets.filter_map(|ip: std::net::IpAddr| datagrams((ip, port).into()).ok());
        sockets.map(|socket: UdpSocket| Datagrams::new(socket, self.out.clone())).collect()
    }

    pub(crate) fn ipv6(&self) -> bool {
        self.ipv6
    }

    pub(crate) fn open(&self) -> &[u16] {
        &self.open
    }

    pub(crate) fn refused(&self) -> &[Refused] {
        &self.refused
    }
}
