//! Telegram, as a relay meets it: every datacentre on its real addresses and ports. It answers what
//! an app asks first, moves bulk data for the lab's own client, and remembers who came.

mod addresses;
mod conversation;
mod witness;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use witness::Visit;
use witness::Witness;

use crate::error::{Doing, Result};
use crate::host::Host;
use crate::network::Network;

/// All of Telegram's datacentres, on one host.
#[derive(Debug)]
pub struct Telegram {
    host: Host,
    runtime: Handle,
    doors: Mutex<HashMap<SocketAddr, JoinHandle<()>>>,
    witness: Arc<Witness>,
    /// Dropped, it ends the runtime and every connection.
    _open: oneshot::Sender<()>,
}

/// What somebody finds who gets through to a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    Answers,
    Hangs,
}

impl Telegram {
    /// Puts Telegram on a network, everything answering.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn on(network: &Network) -> Result<Self> {
        let host = network.host("telegram", &addresses::all())?;
        let (started, runtime) = mpsc::channel();
        let (open, closed) = oneshot::channel();
        let _ = host.start(async move || {
            let _ = started.send(Handle::current());
            let _ = closed.await;
            Ok(())
        })?;
        let telegram = Self {
            host,
            runtime: runtime.recv().expect("the host runs code"),
            doors: Mutex::default(),
            witness: Arc::default(),
            _open: open,
        };
        for (datacentre, _) in addresses::DATACENTRES {
            for at in telegram.endpoints(datacentre) {
                telegram.answer(at)?;
            }
        }
        Ok(telegram)
    }

    /// Every address of every datacentre.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        self.host.addresses()
    }

    /// Every address and port of one datacentre, by the number that apps give it: 1 to 5, 203, and
    /// 10,001 to 10,003 for tests.
    ///
    /// # Panics
    /// When there is no such datacentre.
    #[must_use]
    pub fn endpoints(&self, datacentre: u16) -> Vec<SocketAddr> {
        addresses::endpoints(datacentre)
    }

    /// Answers there again, as it did in the beginning.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn answer(&self, at: SocketAddr) -> Result {
        self.listen(at, Manner::Answers)
    }

    /// Accepts connections there and then says nothing.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn hang(&self, at: SocketAddr) -> Result {
        self.listen(at, Manner::Hangs)
    }

    /// Refuses connections there, as when no program listens. Those that are open stay.
    pub fn refuse(&self, at: SocketAddr) {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = doors.remove(&at) {
            door.abort();
            let _ = self.runtime.block_on(door);
        }
    }

    /// Sets Telegram's clock so many seconds ahead of this machine's; or, as it looks from here, this
    /// machine's behind.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.witness.set_clock_ahead(seconds);
    }

    /// Takes an address off the net: whatever is sent there vanishes.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn unplug(&self, address: IpAddr) -> Result {
        self.host.unplug(address)
    }

    /// Undoes [`Telegram::unplug`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn plug(&self, address: IpAddr) -> Result {
        self.host.plug(address)
    }

    /// Everybody who came so far and said what he wants, in that order.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        self.witness.visits()
    }

    /// Waits until the visits are as they should be; `false` when they are not after `limit`.
    #[must_use]
    pub fn wait(&self, limit: Duration, good: impl Fn(&[Visit]) -> bool) -> bool {
        self.witness.wait(limit, good)
    }

    fn listen(&self, at: SocketAddr, manner: Manner) -> Result {
        self.refuse(at);
        let (done, bound) = mpsc::channel();
        let witness = self.witness.clone();
        let door = self.runtime.spawn(async move {
            let listener = TcpListener::bind(at).await;
            let Ok(listener) = listener.map_err(|error| done.send(Err(error))) else {
                return;
            };
            let _ = done.send(Ok(()));
            serve(listener, manner, witness).await;
        });
        bound.recv().expect("the door tells").doing(format!("listening on {at}"))?;
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.insert(at, door);
        Ok(())
    }
}

async fn serve(listener: TcpListener, manner: Manner, witness: Arc<Witness>) {
    let mut silent = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        match manner {
            Manner::Hangs => silent.push(stream),
            Manner::Answers => {
                // A visitor who leaves in the middle is nothing that the datacentre minds.
                tokio::spawn(conversation::hold(stream, witness.clone()));
            }
        }
    }
}
