//! A world that many tests begin with, and what is out of reach in it.

use crate::error::Result;
use crate::host::Host;
use crate::lab::Lab;
use crate::network::Network;
use crate::telegram::Telegram;
use crate::website::Website;

/// A country whose border swallows whatever goes to Telegram, a person inside, and a volunteer's
/// server outside. Everyone has both families of addresses.
#[derive(Debug)]
pub struct Blockade {
    /// The country, whose border can swallow more.
    pub inside: Network,
    /// The person's phone.
    pub phone: Host,
    /// The volunteer's server.
    pub server: Host,
    /// Somebody's web server, outside.
    pub web: Host,
    /// Telegram.
    pub telegram: Telegram,
}

impl Blockade {
    /// Puts all of it into an empty lab.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new(lab: &Lab) -> Result<Self> {
        let telegram = Telegram::on(lab)?;
        let inside = lab.network("inside")?;
        for address in telegram.addresses() {
            inside.swallow(*address)?;
        }
        Ok(Self {
            phone: inside.host("phone", &["5.76.1.10", "2a00:5da0:1::10"])?,
            server: lab.host("server", &["116.203.7.7", "2a01:4f8:7::7"])?,
            web: lab.host("web", &["185.98.5.5", "2a00:5da0:98::5"])?,
            inside,
            telegram,
        })
    }
}

/// A website that the border swallows: who opens it has been taken there.
#[derive(Debug)]
pub struct BlockedSite {
    _servers: [Website; 2],
}

impl BlockedSite {
    /// Where it is.
    pub const URLS: [&str; 2] = ["http://orchards.example/", "https://orchards.example/"];
    /// What stands on its page.
    pub const SAYS: &str = "Apple orchards of Almaty";

    /// Opens it on the web server of this world, until it is dropped.
    ///
    /// # Errors
    /// As [`Website::https`].
    pub fn new(world: &Blockade) -> Result<Self> {
        let servers = [
            Website::http(&world.web, 80, "orchards.example")?,
            Website::https(&world.web, 443, "orchards.example")?,
        ];
        world.inside.swallow(world.web.v4())?;
        world.inside.swallow(world.web.v6())?;
        Ok(Self { _servers: servers })
    }
}
