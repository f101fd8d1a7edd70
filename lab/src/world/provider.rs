//! A provider of internet access, and its border.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::gate::{self, Gate};
use super::home::{Home, member};
use super::meter::Meter;
use super::nat::{Nat, Router};
use crate::censor::Transport;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::network::Network;

/// The second byte of the first provider's addresses.
const FIRST: u8 = 100;

/// A provider that is still to be started.
#[derive(Debug)]
pub struct Plan<'a> {
    network: &'a Network,
    name: &'a str,
    ipv6: bool,
    carrier: Option<Nat>,
    gate: Option<Gate>,
}

impl Plan<'_> {
    /// It gives its people IPv6 too.
    #[must_use]
    pub fn ipv6(self) -> Self {
        Self { ipv6: true, ..self }
    }

    /// It has one IPv4 address for all its people, as mobile providers do: see [`Nat::carrier`].
    #[must_use]
    pub fn carrier_nat(self, nat: Nat) -> Self {
        Self { carrier: Some(nat), ..self }
    }

    /// It lets out only what this gate does.
    #[must_use]
    pub fn gate(self, gate: Gate) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`Error::Missing`] without nft, whatever the system refuses, and after 100 of them.
    pub fn start(self) -> Result<Provider> {
        let border = self.network.network(self.name)?;
        let number = border.router().warden().next_number();
        let none = || Error::Unexpected("a lab has 100 providers".to_owned());
        let octet =
            u8::try_from(number).ok().filter(|octet| *octet < 100).ok_or_else(none)? + FIRST;
        let v4 = Ipv4Addr::new(5, octet, 0, 0);
        let v6 = self.ipv6.then(|| Ipv6Addr::new(0x2a00, 0x5da0, octet.into(), 0, 0, 0, 0, 0));
        let carrier = self.carrier.as_ref().map(|nat| {
            let public = Ipv4Addr::new(5, octet, 0, 1);
            Router::on(&border, "carrier", public.into(), nat)
        });
        let provider =
            Provider { border, carrier: carrier.transpose()?, v4, v6, given: Arc::default() };
        if let Some(gate) = &self.gate {
            provider.set_gate(gate)?;
        }
        Ok(provider)
    }
}

/// A provider: homes below it, and a border above, through which everything goes that its people send
/// to anybody else. It is a [`Network`] too, for whatever is on it and is no home.
#[derive(Clone, Debug)]
pub struct Provider {
    border: Network,
    carrier: Option<Router>,
    v4: Ipv4Addr,
    v6: Option<Ipv6Addr>,
    /// How many homes and phones it has.
    given: Arc<AtomicU8>,
}

impl Provider {
    /// A provider on this network, which is the lab or a part of it. Unless more is asked for, it has
    /// no IPv6 and an IPv4 address for everybody, and lets everything pass.
    #[must_use]
    pub fn on<'a>(network: &'a Network, name: &'a str) -> Plan<'a> {
        Plan { network, name, ipv6: false, carrier: None, gate: None }
    }

    /// A home with a box as [`Nat::home`] describes it.
    ///
    /// # Errors
    /// When the system refuses, and after 250 homes and phones.
    pub fn home(&self, name: &str) -> Result<Home> {
        self.home_behind(name, &Nat::home())
    }

    /// A home with a box of another kind.
    ///
    /// # Errors
    /// As [`Provider::home`].
    pub fn home_behind(&self, name: &str, nat: &Nat) -> Result<Home> {
        let (address, prefix) = self.next()?;
        Home::on(self.access(), name, address, prefix, nat)
    }

    /// A phone, or another machine with nothing between it and the provider.
    ///
    /// # Errors
    /// As [`Provider::home`].
    pub fn phone(&self, name: &str) -> Result<Host> {
        let (address, prefix) = self.next()?;
        member(self.access(), name, address, prefix, 1)
    }

    /// Its carrier-grade NAT, if it has one.
    #[must_use]
    pub fn carrier(&self) -> Option<&Router> {
        self.carrier.as_ref()
    }

    /// The number of its autonomous system, from 64,512 on.
    #[must_use]
    pub fn number(&self) -> u32 {
        64_512 - u32::from(FIRST) + u32::from(self.v4.octets()[1])
    }

    /// The ranges of its addresses, in the format of the tables of iptoasn.com: first and last address,
    /// number, country and name, a range a line.
    #[must_use]
    pub fn table(&self) -> String {
        let name = format!("{}\tKZ\t{}", self.number(), self.border.name());
        let last = Ipv4Addr::from_bits(self.v4.to_bits() | 0xffff);
        let mut table = format!("{}\t{last}\t{name}\n", self.v4);
        if let Some(first) = self.v6 {
            let last = Ipv6Addr::from_bits(first.to_bits() | (u128::MAX >> 48));
            table += &format!("{first}\t{last}\t{name}\n");
        }
        table
    }

    /// From now on its border lets out only what this gate does, in place of any gate before it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_gate(&self, gate: &Gate) -> Result {
        self.border.router().nft(&gate.rules())
    }

    /// Takes the gate away.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove_gate(&self) -> Result {
        self.border.router().nft(gate::NONE)
    }

    /// Counts from now on what its people send to these ports of an address, connections or
    /// datagrams, whether it passes or not. With all ports it takes a second to begin, and one to read.
    ///
    /// # Errors
    /// When there is no port, and when the system refuses.
    pub fn meter(
        &self,
        transport: Transport,
        address: IpAddr,
        ports: impl IntoIterator<Item = u16>,
    ) -> Result<Meter> {
        Meter::on(&self.border, transport, address, ports)
    }

    /// Where its people hang on.
    fn access(&self) -> &Network {
        self.carrier.as_ref().map_or(&self.border, Router::below)
    }

    /// The next address, and the next /64 if there is IPv6.
    fn next(&self) -> Result<(Ipv4Addr, Option<Ipv6Addr>)> {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let full = || Error::Unexpected("a provider has 250 homes".to_owned());
        let number = number.checked_add(1).filter(|number| *number <= 250).ok_or_else(full)?;
        let [a, b, ..] = match self.carrier {
            // RFC 6598.
            Some(_) => [100, 64, 0, 0],
            None => self.v4.octets(),
        };
        let v6 =
            |prefix: Ipv6Addr| Ipv6Addr::from_bits(prefix.to_bits() | u128::from(number) << 64);
        Ok((Ipv4Addr::new(a, b, number, 1), self.v6.map(v6)))
    }
}

impl Deref for Provider {
    type Target = Network;

    fn deref(&self) -> &Network {
        &self.border
    }
}
