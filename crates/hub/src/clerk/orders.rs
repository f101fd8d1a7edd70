//! What relays are told, and when.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use tokio::time::{Duration, Instant, sleep_until, timeout_at};
use wire::derive::{Person, RelayId};
use wire::echo::BundleId;
use wire::fleet::order::MOST_FLEET;
use wire::fleet::{Carries, Heartbeat, Order, Posture, Seat, Seats, SignedOrder, Standing};
use wire::receipt::Certificate;
use wire::tally::Day;

use super::relays::{Heard, Last};
use super::{Clerk, EPOCH, Keys};
use crate::office::Relay;
use crate::office::views::Listed;

/// A relay is given an order at most so often: seats that change in between go together.
const PACE: Duration = Duration::from_secs(1);
/// For how many days a relay's receipts are certified.
const CERTIFIED: i64 = 14;

/// The last order that a relay was given.
#[derive(Clone, Copy)]
pub(super) struct Given {
    pub number: u64,
    pub posture: Posture,
    when: Instant,
    /// What it says besides seats, and what changes all the time.
    digest: u64,
}

impl Clerk {
    /// What a relay is to be told that was heard just now: at once if there is something, else as soon
    /// as there is. `None` if there is nothing within `patience`.
    pub async fn order(&self, heard: &Heartbeat, patience: Duration) -> Option<SignedOrder> {
        let place = self.place(heard.relay).ok()?;
        let until = Instant::now() + patience;
        let known = self.heard(place);
        loop {
            // Before looking, so that nothing is missed in between.
            let news = known.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let last = given(&known);
            if let Some(next) = last.map(|last| last.when + PACE).filter(|next| *next < until) {
                sleep_until(next).await;
            }
            let is_over = Instant::now() >= until;
            let order = self.draft(place, heard.seats, heard.order, last)?;
            let is_new =
                last.is_none_or(|last| last.digest != order.digest || heard.order < last.number);
            // With a revision that is long past it would have to be told everything.
            let is_behind = is_over && order.listed.to != heard.seats;
            if is_new || is_behind || order.listed.from == 0 || !order.listed.seats.is_empty() {
                return self.hand(&known, order).await;
            }
            if timeout_at(until, news).await.is_err() && is_over {
                return None;
            }
        }
    }

    /// What a relay is told that has just joined.
    pub(super) async fn first_order(&self, place: u16) -> Option<SignedOrder> {
        let draft = self.draft(place, 0, 0, None)?;
        self.hand(&self.heard(place), draft).await
    }

    /// Wakes those who wait for news.
    pub(super) fn tell_news(&self, places: &BTreeSet<u16>) {
        if places.is_empty() {
            return;
        }
        let heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().filter_map(|place| heard.get(place)).for_each(|it| it.news.notify_waiters());
    }

    /// What the hub asks a relay with, from outside.
    #[must_use]
    pub fn check_bundle(&self, relay: RelayId) -> BundleId {
        BundleId(self.0.marks.checks.tag(&relay.0))
    }

    fn draft(&self, place: u16, known: u64, number: u64, last: Option<Given>) -> Option<Draft> {
        let state = self.state();
        let office = &state.office;
        let relay = office.relay(place)?;
        let keys = state.keys.get(usize::from(place))?.clone();
        let listed = office.listed(place, known);
        let mut bundles = office.bundles_of(place);
        bundles.push(self.check_bundle(relay.id));
        let fleet: Vec<IpAddr> = (office.relays().iter())
            .filter(|other| other.id != relay.id && other.standing != Standing::Leaving)
            .map(|other| other.address)
            .take(MOST_FLEET)
            .collect();
        let today = Day::at(self.now().seconds());
        let words = [self.0.settings.words.clone(), self.heard(place).words(self.now())].concat();
        let mut hasher = DefaultHasher::new();
        (relay.posture == Posture::All, relay.is_vouched, relay.address).hash(&mut hasher);
        (relay.is_reached, &bundles, &fleet, &words, today).hash(&mut hasher);
        let number = number.max(last.map_or(0, |last| last.number)) + 1;
        Some(Draft {
            relay: relay.clone(),
            keys,
            number: number.max(self.now().0),
            given: self.now().seconds(),
            digest: hasher.finish(),
            until: Day(today.0 + CERTIFIED),
            listed,
            bundles,
            fleet,
            words,
        })
    }

    async fn hand(&self, heard: &Heard, draft: Draft) -> Option<SignedOrder> {
        let Draft { number, digest, .. } = draft;
        let posture = draft.relay.posture;
        let clerk = self.clone();
        // A thousand seats take a few milliseconds.
        let signed = tokio::task::spawn_blocking(move || clerk.sign(draft)).await.ok()?;
        let mut last = heard.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.given = Some(Given { number, posture, when: Instant::now(), digest });
        Some(signed)
    }

    fn sign(&self, draft: Draft) -> SignedOrder {
        let Draft { relay, keys, number, given, until, listed, bundles, fleet, words, .. } = draft;
        let public = keys.key.receipt_key().public();
        let certificate = Certificate::issue(&self.0.signer, public, &keys.key.mask_key(), until);
        let carries = if relay.is_vouched { Carries::Everything } else { Carries::Telegram };
        let order = Order {
            relay: relay.id,
            number,
            given,
            next: self.0.settings.heartbeat,
            posture: relay.posture,
            carries,
            epoch: EPOCH,
            address: Some(relay.address),
            is_reached: relay.is_reached,
            certificate: Some(certificate),
            seats: self.seats(&relay, &keys, &listed),
            bundles,
            home: self.0.settings.home.clone(),
            fleet,
            helped: relay.helped,
            words,
        };
        order.sign(&self.0.signer)
    }

    /// A relay's seats in its own words. Of several changes of one person the last one counts.
    fn seats(&self, relay: &Relay, keys: &Keys, listed: &Listed) -> Seats {
        let mut last = std::collections::HashMap::<Person, Option<u16>>::new();
        last.extend(listed.seats.iter().copied());
        let mut seats = Seats { from: listed.from, to: listed.to, ..Seats::default() };
        for (person, slot) in last {
            let key = self.0.fleet.pseudonym(&relay.id, person);
            match slot {
                None => seats.gone.push(key),
                Some(slot) => {
                    let port = relay.port_of(slot).and_then(|at| keys.ports.get(at));
                    seats.given.push(Seat { key, port: port.copied().unwrap_or(0) });
                }
            }
        }
        seats
    }
}

fn given(heard: &Heard) -> Option<Given> {
    let last: &Last = &heard.last.lock().unwrap_or_else(PoisonError::into_inner);
    last.given
}

/// An order before it is signed.
struct Draft {
    relay: Relay,
    keys: Arc<Keys>,
    number: u64,
    given: u64,
    digest: u64,
    until: Day,
    listed: Listed,
    bundles: Vec<BundleId>,
    fleet: Vec<IpAddr>,
    words: Vec<String>,
}
