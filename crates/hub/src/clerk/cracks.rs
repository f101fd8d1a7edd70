//! Which ways pass where, by the receipts that people bring.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};
use wire::crack::{Crack, Hour, Network};
use wire::derive::Person;
use wire::echo::Transport;
use wire::receipt::{Receipt, RelayTag};
use wire::signer::PublicKey;
use wire::tally::Day;

use super::{Clerk, Refused, State};
use crate::cracks::{Map, Standing, check};
use crate::office::{Event, Moment};

/// How many receipts of one text are looked at, and of one person in a day. More would be a way to push
/// out others'.
const MOST: usize = 32;
/// How many people's receipts are counted; beyond that the count of the day begins anew.
const MOST_PEOPLE: usize = 100_000;
/// For how long the best port of a network is not looked up again.
const FRESH: Duration = Duration::from_secs(60);
/// Of how many networks it is remembered.
const MOST_NETWORKS: usize = 4096;

/// What is known of ways.
#[derive(Default)]
pub(super) struct Cracks {
    map: Map,
    /// The best port of each network lately, if one is known.
    best: Mutex<HashMap<u32, (Instant, Option<u16>)>>,
}

/// How many receipts people have brought on a day.
#[derive(Default)]
pub(super) struct Brought(Mutex<(i64, HashMap<Person, usize>)>);

impl Brought {
    /// How many more somebody may bring today, of so many.
    fn take(&self, person: Person, today: Day, wanted: usize) -> usize {
        let mut brought = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if brought.0 != today.0 || brought.1.len() > MOST_PEOPLE {
            *brought = (today.0, HashMap::new());
        }
        let used = brought.1.entry(person).or_default();
        let taken = wanted.min(MOST.saturating_sub(*used));
        *used += taken;
        taken
    }
}

impl Cracks {
    /// Takes in a receipt that is in the journal: it was checked when it came.
    pub fn take(&mut self, bytes: &[u8], signer: PublicKey, now: Moment) {
        let Ok(receipt) = Receipt::open(bytes, &[signer], now.seconds()) else { return };
        // One that says too little is in no journal.
        let _ = self.map.add(&receipt, Hour::at(now.seconds()));
        // In a cut, the first receipt is what everybody waits for.
        self.best.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The port that passes best in a network, where one is known to.
    pub fn port(&self, network: u32, now: Moment) -> Option<u16> {
        let mut best = self.best.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, port)) = best.get(&network)
            && since.elapsed() < FRESH
        {
            return *port;
        }
        if best.len() >= MOST_NETWORKS {
            best.clear();
        }
        let of = if network == 0 { Network::Unknown } else { Network::As(network) };
        let ways = self.map.best(&of, Transport::Tcp, None, Hour::at(now.seconds()));
        let known = ways.first().filter(|way| way.standing != Standing::Usual);
        let port = known.map(|way| way.port.get());
        best.insert(network, (Instant::now(), port));
        port
    }

    /// What a bundle says of ways.
    pub fn all(&self, network: u32, now: Moment) -> Vec<Crack> {
        let network = (network != 0).then_some(Network::As(network));
        self.map.cracks(network.as_ref(), Hour::at(now.seconds()))
    }
}

impl State {
    /// The relay of this tag is one of ours.
    fn is_ours(&self, tag: RelayTag) -> bool {
        self.keys.iter().any(|keys| keys.tag == tag)
    }
}

impl Clerk {
    /// Somebody brings receipts, in whatever text; how many of them say something new.
    ///
    /// # Errors
    /// When the ticket is none, or the hub has stopped.
    pub async fn receipts(&self, ticket: &str, text: &str) -> Result<usize, Refused> {
        let person = self.whose(ticket)?;
        let now = self.now();
        let all: Vec<Vec<u8>> = {
            let state = self.state();
            state.office.person(person).ok_or(Refused::Ticket)?;
            let is_new = |bytes: &Vec<u8>| !state.office.has_receipt(bytes);
            Receipt::find(text, MOST).into_iter().filter(is_new).collect()
        };
        let count = self.0.brought.take(person, Day::at(now.seconds()), all.len());
        let mut new = 0;
        for bytes in all.into_iter().take(count) {
            let is_ours = |tag| self.state().is_ours(tag);
            if check(&bytes, &[self.signer()], is_ours, now.seconds()).is_ok() {
                self.happens(Event::Receipt { bytes }).await?;
                new += 1;
            }
        }
        Ok(new)
    }
}
