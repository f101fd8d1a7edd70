//! The door to the relay's hub: who holds a key and reaches nothing else asks there for a place that
//! works.
//!
//! It is a datacentre that Telegram does not have ([`HUB`](wire::mtproto::datacentre::HUB)), so that it
//! looks from outside as everything that goes to Telegram does. After the first flight come the bytes
//! of a connection to the hub's HTTPS address, and nothing is to be read in them here.

use std::sync::Arc;

use tokio::net::TcpStream;

use crate::connection::Guest;
use crate::tally::Meter;
use crate::{Shared, pump};

/// Opens the guest's connection to the hub; `None` when there is none, or it does not answer.
pub(crate) async fn open(
    shared: Arc<Shared>,
    client: TcpStream,
    guest: Box<Guest>,
    meter: Arc<Meter>,
) -> Option<Box<pump::Inside>> {
    let Guest { mut opened, dress, early: mut said, .. } = *guest;
    let hub = shared.gate().connect_to_hub().await.ok()?;
    pump::tune(&hub);
    opened.from_client.apply(&mut said);
    pump::write_all(&hub, &said).await.ok()?;
    meter.flow().add_up(said.len());
    let to_client = opened.to_client();
    let from_client = opened.from_client;
    Some(Box::new(pump::Inside { client, hub, from_client, to_client, dress, meter }))
}
