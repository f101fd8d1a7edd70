//! A world that many tests begin with.

use crate::error::Result;
use crate::host::Host;
use crate::lab::Lab;
use crate::network::Network;
use crate::telegram::Telegram;

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
