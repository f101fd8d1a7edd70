//! A relay that has joined a fleet: it asks its hub, and does as that says.
//!
//! ```text
//! up --join ─> enrolled ─> state ─> orders: ports, seats, epoch, what is carried
//!                            ^                    │
//!              pulse: heartbeat ─> hub ─> order ──┘
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | `join` | the first word, at the start |
//! | `hub` | the hub, by whichever of its addresses answers |
//! | `pulse` | heartbeats, for as long as the relay runs |
//! | `member` | what the relay has been told, and doing it |
//! | `allowance` | how much is carried in a month |
//! | `words` | what the volunteer is told of it |
//! | this one | `jaryq pause`, `resume` and `leave` |

mod allowance;
mod hub;
mod join;
mod member;
mod pulse;
mod words;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;
use store::{Membership, Store};
use wire::fleet::{Capacity, Face, Health, Heartbeat, Standing};

use crate::key::open;
use crate::ledger::unix;
use crate::print::Printer;
use crate::running::Running;

pub(crate) use allowance::{Allowance, Money, Month, Traffic};
pub(crate) use join::join;
pub(crate) use member::{Member, Sitting, about, fleet, mode};
pub(crate) use words::{at_start, object, of_stats};

use hub::{Hub, now};

/// The note by which a volunteer's wish reaches the relay.
const NOTE: &str = "standing";
const PAUSED: &str = "paused";
/// How long `leave` tries to tell the hub.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the other verbs wait until the relay has done it.
const DONE: Duration = Duration::from_secs(3);

/// Whether the volunteer has paused the relay.
async fn is_paused(store: &Store) -> anyhow::Result<bool> {
    Ok(store.note(NOTE).await?.as_deref() == Some(PAUSED))
}

async fn membership(store: &Store) -> anyhow::Result<Membership> {
    store.membership().await?.context("this relay has not joined a fleet")
}

/// `jaryq pause` and `jaryq resume`.
pub(crate) fn pause(paused: bool, state: &Path, printer: &Printer) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let is_done = runtime.block_on(async {
        let store = open(state).await?;
        membership(&store).await?;
        store.set_note(NOTE, if paused { PAUSED } else { "" }).await?;
        let end = Instant::now() + DONE;
        let mut is_done = false;
        while Running::is_marked(state)? && !is_done && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let stands = member::Stands::load(&store).await?;
            is_done = stands.is_some_and(|stands| stands.is_paused == paused);
        }
        store.close().await;
        anyhow::Ok(is_done)
    })?;
    let event = if paused { PAUSED } else { "resumed" };
    if printer.is_json() {
        printer.object(&json!({ "event": event, "relay_runs": is_done }));
        return Ok(());
    }
    printer.line(match (paused, is_done) {
        (true, true) => "Paused: nobody is carried, and the hub gives its people other places. Go on with: jaryq resume",
        (false, true) => "It carries again; the hub sends people as it needs places.",
        (true, false) => "No relay runs here; the next one starts paused. Go on with: jaryq resume",
        (false, false) => "No relay runs here; the next one carries.",
    });
    Ok(())
}

/// `jaryq leave`: tells the hub, and forgets the fleet in any case.
pub(crate) fn leave(state: &Path, printer: &Printer) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let told = runtime.block_on(async {
        let store = open(state).await?;
        let membership = membership(&store).await?;
        let told = say_farewell(&membership).await;
        store.leave().await?;
        store.set_note(NOTE, "").await?;
        store.close().await;
        anyhow::Ok(told)
    })?;
    let why = told.as_ref().err().map(|why| format!("{why:#}"));
    if printer.is_json() {
        printer.object(&json!({ "event": "left", "hub_knows": told.is_ok(), "why_not": why }));
        return Ok(());
    }
    printer.line(
        "This relay has left its fleet and forgotten all that its links followed from. A relay that runs \
         here ends now; if 'join' stands in its settings, take it out before the next start.",
    );
    if let Some(why) = why {
        printer.line(format!("The hub could not be told ({why}); it will notice by itself."));
    }
    Ok(())
}

async fn say_farewell(membership: &Membership) -> anyhow::Result<()> {
    let hub = Hub::of(&membership.invite)?;
    let heartbeat = Heartbeat {
        relay: membership.relay,
        number: now(),
        order: membership.order.number,
        seats: 0,
        standing: Standing::Leaving,
        capacity: Capacity { people: 0, monthly: 0, can_open: false },
        face: Face::default(),
        health: Health::default(),
        over: 0,
        counted: Vec::new(),
        abroad: Vec::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let bytes = heartbeat.write(&membership.key());
    let answer = tokio::time::timeout(PATIENCE, hub.heartbeat(bytes, PATIENCE)).await;
    answer.context("it did not answer")?.map(drop)
}

/// Fails where a hub says what is asked for.
pub(crate) async fn is_ours_to_say(store: &Store) -> anyhow::Result<()> {
    if store.membership().await?.is_some() {
        bail!(store::HasHub);
    }
    Ok(())
}

/// How long ago something was, in whole seconds.
fn since(unix_seconds: u64) -> u64 {
    unix().saturating_sub(unix_seconds)
}
