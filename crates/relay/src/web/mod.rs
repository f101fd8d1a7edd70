//! SOCKS5 and HTTP proxies, for browsers and all other apps that take a proxy's address.
//!
//! Both speak in clear and before a key is shown, so whoever connects can tell that this is a proxy.
//! That is why they are on a port of their own, which is open only while somebody has such a key.
//!
//! ```text
//! first byte -> SOCKS5 or HTTP -> log-in -> wish -> gate -> pump
//!                                    \-> refused, in the protocol's own terms
//! ```

mod caller;
mod http;
mod logins;
mod socks;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use wire::derive::KeyId;
use wire::socks5;
use wire::tally::{Cell, Protocol};
use wire::target::Target;

use crate::egress::NoWay;
use crate::tally::{Counter, Meter};
use crate::{Shared, pump};
use caller::Caller;
pub(crate) use logins::Logins;
use udp::Association;

/// Somebody who has logged in and said what they want.
struct Guest {
    key: KeyId,
    wish: Wish,
    tongue: Tongue,
}

impl Guest {
    /// Where their traffic is counted.
    fn cell(&self, port: u16) -> Cell {
        let protocol = match (self.tongue, &self.wish) {
            (_, Wish::Associate) => Protocol::Socks5Udp,
            (Tongue::Socks, _) => Protocol::Socks5,
            (Tongue::Http, Wish::Connect(_)) => Protocol::HttpConnect,
            (Tongue::Http, Wish::Fetch { .. }) => Protocol::Http,
        };
        Cell { key: Some(self.key), port, protocol, datacentre: None }
    }
}

/// What people want.
enum Wish {
    /// A connection.
    Connect(Target),
    /// An answer to one request.
    Fetch { target: Target, head: Vec<u8>, body: u64 },
    /// A way for datagrams.
    Associate,
}

/// How they are spoken to.
#[derive(Clone, Copy)]
enum Tongue {
    Socks,
    Http,
}

impl Tongue {
    fn refusal(self, reason: &NoWay) -> Vec<u8> {
        match self {
            Self::Socks => socks::refusal(reason),
            Self::Http => http::refusal(reason),
        }
    }

    fn connected(self) -> Vec<u8> {
        match self {
            Self::Socks => socks5::Reply::Succeeded.plain(),
            Self::Http => wire::http_proxy::TUNNEL.to_vec(),
        }
    }
}

/// Serves one connection from its first byte on.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    room: OwnedSemaphorePermit,
) {
    let mut caller = Caller::new(&shared, stream, peer);
    let Ok(dialled) = caller.local() else { return };
    let lost = caller.lost();
    let welcomed = tokio::select! {
        biased;
        () = lost => return shared.counters.count(Counter::Crowded),
        welcomed = welcome(&mut caller) => welcomed,
    };
    let Some(guest) = welcomed else { return };
    let (key, tongue) = (guest.key, guest.tongue);
    let meter = shared.meter(guest.cell(dialled.port()), caller.source);
    match prepare(&shared, &mut caller, guest, &meter).await {
        Ok(mut session) => shared.start(key, async move {
            session.run(&meter).await;
            drop((session, room));
        }),
        Err(reason) => {
            shared.note_no_way(&reason);
            caller.say(&tongue.refusal(&reason)).await;
            caller.farewell().await;
        }
    }
}

/// Hears somebody out; `None` when that came to nothing, and they were told.
async fn welcome(caller: &mut Caller<'_>) -> Option<Guest> {
    let guest = match caller.first_byte().await {
        Some(socks5::VERSION) => socks::welcome(caller).await,
        Some(b'A'..=b'Z') => http::welcome(caller).await,
        _ => None,
    };
    if guest.is_none() {
        if caller.is_stranger() {
            caller.shared.counters.count(Counter::Strangers);
        }
        caller.farewell().await;
    }
    guest
}

/// What goes on until one side is done. Its future is a new small one: this one here keeps the size
/// of all that it did before.
enum Session {
    Tunnel { client: TcpStream, server: TcpStream, said: io::Result<()> },
    Fetch { client: TcpStream, server: TcpStream, body: u64 },
    Datagrams(Box<Association>),
}

impl Session {
    /// By reference: what is moved into a future is kept twice.
    async fn run(&mut self, meter: &Meter) {
        let flow = meter.flow();
        match self {
            Self::Tunnel { client, server, said } => {
                let said = std::mem::replace(said, Ok(()));
                pump::bridge(client, server, said, u64::MAX, flow).await;
            }
            Self::Fetch { client, server, body } => pump::fetch(client, server, *body, flow).await,
            Self::Datagrams(association) => Box::pin(association.run(flow)).await,
        }
    }
}

/// Goes where a guest wants to go, and tells them so.
async fn prepare(
    shared: &Arc<Shared>,
    caller: &mut Caller<'_>,
    guest: Guest,
    meter: &Meter,
) -> Result<Session, NoWay> {
    let lost = |_| NoWay::NoAnswer;
    Ok(match guest.wish {
        Wish::Connect(target) => {
            let server = shared.gate().connect(&target).await?;
            pump::tune(&server);
            caller.say(&guest.tongue.connected()).await;
            let (client, early) = caller.take();
            let said = pump::write_all(&server, &early).await;
            if said.is_ok() {
                meter.flow().add_up(early.len());
            }
            Session::Tunnel { client, server, said }
        }
        Wish::Fetch { target, head, body } => {
            let server = shared.gate().connect(&target).await?;
            pump::tune(&server);
            pump::write_all(&server, &head).await.map_err(lost)?;
            let (client, mut early) = caller.take();
            // What comes after the body is not for that server.
            early.truncate(usize::try_from(body).unwrap_or(usize::MAX));
            let written = pump::write_all(&server, &early).await;
            if written.is_err() {
                return Ok(Session::Tunnel { client, server, said: written });
            }
            meter.flow().add_up(head.len() + early.len());
            Session::Fetch { client, server, body: body - early.len() as u64 }
        }
        Wish::Associate => {
            let (association, reply) = Association::open(shared, caller).await.map_err(lost)?;
            caller.say(&reply).await;
            let (control, _) = caller.take();
            Session::Datagrams(association.held_by(control))
        }
    })
}
