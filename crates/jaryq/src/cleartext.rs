//! The port of SOCKS5 and HTTP proxies. Whoever connects to it can tell what it is, so it is open
//! only while somebody has a key for it.

use std::net::TcpListener;

use ports::{PortList, Refused};
use relay::{Door, Relay};

use crate::config::CleartextPort;

/// Why the port is not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotOpen {
    #[error(
        "SOCKS5 and HTTP are not offered: port {0} is among --ports; give another --cleartext-port"
    )]
    Ours(u16),
    #[error(
        "SOCKS5 and HTTP are not offered as long as another program holds port {0}; end it, or give \
         another --cleartext-port"
    )]
    Taken(u16),
    #[error("SOCKS5 and HTTP are not offered: port {0} cannot be opened")]
    Other(u16),
}

/// The port, open or closed.
pub(crate) struct Cleartext {
    relay: Relay,
    port: u16,
    /// Whether the other ports have it already.
    is_ours: bool,
    wanted: bool,
    serving: Option<Vec<Door>>,
}

impl Cleartext {
    pub(crate) fn new(relay: Relay, port: CleartextPort, ours: &[u16]) -> Self {
        let is_ours = ours.contains(&port.0);
        Self { relay, port: port.0, is_ours, wanted: false, serving: None }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.serving.is_some()
    }

    /// Opens the port, or closes it; connections that are open go on. Why it is not open, if it
    /// should be and was not asked for before.
    pub(crate) fn want(&mut self, wanted: bool) -> Option<CannotOpen> {
        let is_news = wanted && !self.wanted;
        self.wanted = wanted;
        match &self.serving {
            Some(_) if !wanted => {
                self.serving = None;
                None
            }
            None if wanted => self.open().err().filter(|_| is_news),
            _ => None,
        }
    }

    /// Opens the port if it should be open and could not be before.
    pub(crate) fn try_again(&mut self) {
        if self.wanted && self.serving.is_none() {
            // Its reason was told the first time.
            let _ = self.open();
        }
    }

    fn open(&mut self) -> Result<(), CannotOpen> {
        let serve = |listener| self.relay.serve_web(listener);
        let doors = self.listen()?.into_iter().map(serve).collect::<Result<_, _>>();
        self.serving = Some(doors.map_err(|_| CannotOpen::Other(self.port))?);
        Ok(())
    }

    fn listen(&self) -> Result<Vec<TcpListener>, CannotOpen> {
        if self.is_ours {
            return Err(CannotOpen::Ours(self.port));
        }
        let bound = ports::bind(&PortList::from([self.port]), 2);
        match bound.refused.first() {
            None => Ok(bound.listeners),
            Some(Refused::Taken(port)) => Err(CannotOpen::Taken(*port)),
            Some(_) => Err(CannotOpen::Other(self.port)),
        }
    }
}
