//! The world outside: Telegram, a name server, a web page, and volunteers' servers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};
use crate::host::Host;
use crate::lab::Lab;
use crate::names::NameServer;
use crate::network::Network;
use crate::telegram::Telegram;
use crate::website::Website;

/// Where volunteers rent: a host in each of eight providers' networks, no two alike in any prefix.
const SERVERS: [[&str; 2]; 8] = [
    ["116.203.7.7", "2a01:4f8:7::7"],
    ["51.68.8.8", "2001:41d0:8::8"],
    ["157.230.9.9", "2604:a880:9::9"],
    ["139.162.10.10", "2a01:7e00:10::10"],
    ["95.179.11.11", "2001:19f0:11::11"],
    ["89.58.12.12", "2a03:4000:12::12"],
    ["163.172.13.13", "2001:bc8:13::13"],
    ["93.95.228.14", "2a03:f80:14::14"],
];

/// What everybody in the lab could reach if no border were in the way. It has both families.
#[derive(Debug)]
pub struct Abroad {
    /// Telegram.
    pub telegram: Telegram,
    /// The name server that everybody asks. It knows `site.example`.
    pub names: NameServer,
    /// A website.
    pub site: Website,
    /// Where the name server is, and its port.
    pub resolver: SocketAddr,
    internet: Network,
    rented: AtomicUsize,
}

impl Abroad {
    /// Puts all of it into a lab.
    ///
    /// # Errors
    /// [`Error::Missing`] without Python, and whatever the system refuses.
    pub fn on(lab: &Lab) -> Result<Self> {
        let telegram = Telegram::on(lab)?;
        let web = lab.host("web", &["185.98.5.5", "2a00:5da0:98::5"])?;
        let resolver = lab.host("resolver", &["9.9.9.9", "2620:fe::fe"])?;
        let site = Website::http(&web, 80, "site")?;
        let names = NameServer::on(&resolver)?;
        names.say("site.example", web.addresses());
        let internet = Network::clone(lab);
        let resolver = (resolver.v4(), 53).into();
        Ok(Self { telegram, names, site, resolver, internet, rented: AtomicUsize::default() })
    }

    /// One more server of a volunteer, with another provider than all before.
    ///
    /// # Errors
    /// When the system refuses, and after eight of them.
    pub fn server(&self) -> Result<Host> {
        let number = self.rented.fetch_add(1, Ordering::Relaxed);
        let none = || Error::Unexpected(format!("there are {} servers", SERVERS.len()));
        self.internet.host("server", SERVERS.get(number).ok_or_else(none)?)
    }
}
