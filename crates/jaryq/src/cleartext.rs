//! The port of SOCKS5 and HTTP proxies. Whoever connects to it can tell what it is, so it is open
//! only while somebody has a key for it.

use std::net::TcpListener;

use ports::{PortList, Refused};
use relay::{Door, Relay};
use serde::{Deserialize, Serialize};

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
    stands: InClear,
}

/// How things stand with the port, for other processes to read.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InClear {
    /// Nobody has a key for it.
    #[default]
    Closed,
    Open,
    /// Why not, in a sentence.
    Refused(String),
}

impl Cleartext {
    pub(crate) fn new(relay: Relay, port: CleartextPort, ours: &[u16]) -> Self {
        let is_ours = ours.contains(&port.0);
        Self { relay, port: port.0, is_ours, wanted: false, serving: None, stands: InClear::Closed }
    }

    pub(crate) fn stands(&self) -> &InClear {
        &self.stands
    }

    /// Takes another port, if it is another; `ours` are those that the relay has already. Tells whether
    /// that changed anything.
    pub(crate) fn move_to(&mut self, port: CleartextPort, ours: &[u16]) -> bool {
        let moved = self.port != port.0;
        if moved {
            // Those who are connected go on.
            self.serving = None;
        }
        self.port = port.0;
        self.is_ours = ours.contains(&port.0);
        self.try_again() || moved
    }

    /// Opens the port, or closes it; connections that are open go on. Tells whether that changed
    /// anything.
    pub(crate) fn want(&mut self, wanted: bool) -> bool {
        self.wanted = wanted;
        self.try_again()
    }

    /// Opens the port if it should be open and could not be before. Tells whether that changed
    /// anything.
    pub(crate) fn try_again(&mut self) -> bool {
        let stands = match (self.wanted, &self.serving) {
            (false, _) => {
                self.serving = None;
                InClear::Closed
            }
            (true, Some(_)) => InClear::Open,
            (true, None) => match self.open() {
                Ok(()) => InClear::Open,
                Err(why) => InClear::Refused(why.to_string()),
            },
        };
        let changed = stands != self.stands;
        self.stands = stands;
        changed
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
