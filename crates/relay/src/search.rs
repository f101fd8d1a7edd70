//! Whose key opens this? Found without trying all of them, wherever there is a hint.
//!
//! ```text
//! bucket of the port ─> bucket of the name ─> lately seen from that address ─> the trial of all keys
//! └─────────────── at once, some hundred keys at most ──────────────────────┘  └─ waits for its turn
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;
use wire::derive::{BUCKETS, Secret};
use wire::mtproto::{faketls, obfuscated};

use crate::keyring::{ALWAYS_TRIED, Entry, Keyring};
use crate::queue::Queue;
use crate::sources::{Source, Sources};
use crate::tally::{Counter, Counters};
use crate::waits::{End, Figures, Waits};

/// How many keys that were lately seen from an address are tried at once; the others wait.
const AT_ONCE: usize = 64;
/// How many keys are tried in one turn: less than a millisecond's work. If a bucket has more, which it
/// has from about 400,000 keys on, it is one turn.
const TURN: usize = 512;
/// The trial takes one part in so many of one core's time.
const SHARE: u32 = 10;
/// How long a trial that nobody has used for a while may run ahead of its share, ten times what it
/// works then: enough for a new address or two.
const AHEAD: Duration = Duration::from_millis(100);

/// A first flight on which keys can be tried.
#[derive(Debug)]
pub(crate) enum Lock {
    Flight(obfuscated::Trial),
    Hello(faketls::Trial),
}

impl Lock {
    pub(crate) fn fits(&mut self, secret: &Secret) -> bool {
        match self {
            Self::Flight(flight) => flight.fits(secret),
            Self::Hello(hello) => hello.open(secret).is_some(),
        }
    }
}

/// What is known before any key is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hints<'a> {
    /// Where the caller comes from.
    pub source: Source,
    /// The port there.
    pub source_port: u16,
    /// The port that was dialled.
    pub port: u16,
    /// The host that a TLS hello names.
    pub server_name: Option<&'a str>,
}

/// A key that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub entry: Entry,
    /// How many keys were tried before, without a hint.
    tried: usize,
}

/// What came of looking where the hints lead.
pub(crate) enum Look {
    Found(Found),
    /// No key, and none will be tried.
    Nobody,
    /// It waits for the trial of all keys.
    Waits(Wait),
}

/// A caller's wait for the trial of all keys. Dropped, it is given up.
pub(crate) struct Wait {
    finder: Arc<Finder>,
    answer: oneshot::Receiver<Option<Found>>,
    since: Instant,
    is_over: bool,
}

/// Finds keys.
pub(crate) struct Finder {
    pub keyring: ArcSwap<Keyring>,
    sources: Sources,
    trials: Mutex<Trials>,
    figures: Figures,
    counters: Arc<Counters>,
}

struct Trials {
    queue: Queue<Trial>,
    /// Whether somebody sees to the queue.
    is_tended: bool,
    /// When the trial will have rested for what it has worked.
    free_at: Instant,
}

/// Somebody's trial of all keys, as far as it has come.
struct Trial {
    lock: Lock,
    source_port: u16,
    /// Whether those lately seen from that address were tried.
    is_past_recent: bool,
    /// How many buckets are left.
    left: usize,
    tried: usize,
    answer: oneshot::Sender<Option<Found>>,
}

/// How a turn ended.
enum Turn {
    GoOn,
    Done(Option<Entry>),
}

impl Finder {
    pub(crate) fn new(keyring: Keyring, counters: Arc<Counters>) -> Self {
        Self {
            keyring: ArcSwap::from_pointee(keyring),
            sources: Sources::default(),
            trials: Mutex::new(Trials {
                queue: Queue::default(),
                is_tended: false,
                free_at: Instant::now(),
            }),
            figures: Figures::default(),
            counters,
        }
    }

    /// Tries the keys to which the hints lead, which takes less than a millisecond, and lets the caller
    /// wait for all others.
    pub(crate) fn look(self: &Arc<Self>, hints: &Hints<'_>, mut lock: Lock) -> Look {
        if let Some(found) = self.at_once(hints, &mut lock) {
            return Look::Found(found);
        }
        let are_few = self.keyring.load().len() <= ALWAYS_TRIED;
        let wait = if are_few { None } else { self.enqueue(hints, lock) };
        match wait {
            Some(wait) => Look::Waits(wait),
            None => {
                self.counters.count(Counter::NotFound);
                if !are_few {
                    self.figures.note(End::TurnedAway);
                }
                Look::Nobody
            }
        }
    }

    /// Tries the keys to which the hints lead.
    pub(crate) fn at_once(&self, hints: &Hints<'_>, lock: &mut Lock) -> Option<Found> {
        let (entry, by) = self.at_hand(hints, lock)?;
        self.figures.note(End::AtOnce);
        self.counters.count(by);
        Some(Found { entry, tried: 0 })
    }

    /// Remembers where a key came from, and trusts that address further. Only for those whose first
    /// flight is new: else whoever has recorded one could have any number of keys tried.
    pub(crate) fn welcome(&self, source: Source, source_port: u16, found: Found) {
        self.sources.welcome(source, found.entry.id, source_port, found.tried);
    }

    /// The same, and how it was found.
    fn at_hand(&self, hints: &Hints<'_>, lock: &mut Lock) -> Option<(Entry, Counter)> {
        let Hints { source, source_port, port, server_name } = *hints;
        let keyring = self.keyring.load();
        let are_few = keyring.len() <= ALWAYS_TRIED;
        let mut fits = |entry: &&Entry| lock.fits(&entry.secret);
        let at_port = keyring.at_port(port);
        let at_name = server_name.and_then(|name| keyring.at_name(name));
        let hinted = at_port.into_iter().chain(at_name).flatten().find(&mut fits);
        if let Some(found) = hinted {
            return Some((*found, Counter::ByHint));
        }
        if (at_port.is_some() || at_name.is_some()) && !are_few {
            // Whoever follows a hint is there or, as a rule, nobody: no more is spent on them here.
            return None;
        }
        let recent = self.sources.recent(source, source_port, 0..AT_ONCE);
        let mut recent = recent.into_iter().filter_map(|id| keyring.entry(id));
        if let Some(found) = recent.find(&mut fits) {
            return Some((*found, Counter::ByRecent));
        }
        if !are_few {
            return None;
        }
        self.counters.add(Counter::Trials, keyring.len());
        keyring.entries().find(fits).map(|found| (*found, Counter::ByTrial))
    }

    fn enqueue(self: &Arc<Self>, hints: &Hints<'_>, lock: Lock) -> Option<Wait> {
        let Hints { source, source_port, .. } = *hints;
        if self.sources.allowance(source).budget == 0 {
            return None;
        }
        let (sender, answer) = oneshot::channel();
        let left = BUCKETS.into();
        let trial =
            Trial { lock, source_port, is_past_recent: false, left, tried: 0, answer: sender };
        let mut trials = self.trials();
        trials.queue.push(source, trial, Trial::is_over).then_some(())?;
        if !trials.is_tended {
            trials.is_tended = true;
            tokio::spawn(Arc::clone(self).tend());
        }
        Some(Wait { finder: Arc::clone(self), answer, since: Instant::now(), is_over: false })
    }

    /// Gives everybody their turns until nobody waits, within the share of a core that there is for it.
    async fn tend(self: Arc<Self>) {
        let mut free_at = self.trials().free_at;
        loop {
            if free_at > Instant::now() {
                tokio::time::sleep_until(free_at.into()).await;
            } else {
                tokio::task::yield_now().await;
            }
            let Some((source, mut trial)) = self.next() else { return };
            let start = Instant::now();
            let turn =
                if trial.is_over() { Turn::Done(None) } else { self.turn(source, &mut trial) };
            let behind = start.checked_sub(AHEAD).unwrap_or(start);
            free_at = free_at.max(behind) + start.elapsed() * SHARE;
            let undone = match turn {
                Turn::GoOn => Some(trial),
                Turn::Done(found) => {
                    let found = found.map(|entry| Found { entry, tried: trial.tried });
                    // Whoever asked may have gone.
                    let _ = trial.answer.send(found);
                    None
                }
            };
            let mut trials = self.trials();
            trials.queue.end_turn(source, undone);
            trials.free_at = free_at;
        }
    }

    fn next(&self) -> Option<(Source, Trial)> {
        let mut trials = self.trials();
        let next = trials.queue.next();
        trials.is_tended = next.is_some();
        next
    }

    fn turn(&self, source: Source, trial: &mut Trial) -> Turn {
        let keyring = self.keyring.load();
        let Trial { lock, source_port, is_past_recent, left, tried, .. } = trial;
        let allowance = self.sources.allowance(source);
        let most = allowance.budget.min(TURN);
        if !*is_past_recent {
            let which = *tried..*tried + most;
            let recent = self.sources.recent(source, *source_port, which);
            *is_past_recent = recent.len() < most;
            let mut likely = recent.iter().filter_map(|id| keyring.entry(*id));
            let found = likely.find(|entry| lock.fits(&entry.secret)).copied();
            self.spend(source, tried, recent.len(), 0);
            if found.is_some() {
                return Turn::Done(found);
            }
            if !recent.is_empty() {
                return Turn::GoOn;
            }
        }
        if most == 0 {
            return Turn::Done(None);
        }
        let part = keyring.try_part(allowance.bucket, *left, most, |secret| lock.fits(secret));
        *left -= part.buckets;
        self.spend(source, tried, part.tried, part.buckets);
        if part.found.is_some() || *left == 0 { Turn::Done(part.found) } else { Turn::GoOn }
    }

    fn spend(&self, source: Source, tried: &mut usize, now: usize, buckets: usize) {
        *tried += now;
        self.sources.spend(source, now, buckets);
        self.figures.note_tried(now);
        self.counters.add(Counter::Trials, now);
    }

    /// Who waits, and how long.
    pub(crate) fn waits(&self) -> Waits {
        let (waiting, sources) = self.trials().queue.lengths();
        Waits { waiting, sources, ..self.figures.read() }
    }

    /// How many keys may be tried for an address.
    #[cfg(test)]
    pub(crate) fn budget(&self, source: Source) -> usize {
        self.sources.allowance(source).budget
    }

    #[cfg(test)]
    pub(crate) fn this_minute(&self) -> Waits {
        self.figures.this_minute()
    }

    fn trials(&self) -> MutexGuard<'_, Trials> {
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trial {
    /// Whether nobody waits for it any more.
    fn is_over(&self) -> bool {
        self.answer.is_closed()
    }
}

impl Wait {
    /// Waits until the trial is over; the key that it has found.
    pub(crate) async fn end(&mut self) -> Option<Found> {
        let found = (&mut self.answer).await.ok().flatten();
        let waited = self.since.elapsed();
        let (end, counter) = match found {
            Some(_) => (End::Found(waited), Counter::ByTrial),
            None => (End::Nobody(waited), Counter::NotFound),
        };
        self.finder.figures.note(end);
        self.finder.counters.count(counter);
        self.is_over = true;
        found
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if !self.is_over {
            self.finder.figures.note(End::GaveUp(self.since.elapsed()));
            self.finder.counters.count(Counter::NotFound);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keys;
    use std::net::IpAddr;
    use wire::derive::{Buckets, Epoch, FleetKey, Form, KeyId, Person, RelayId, RelayKey};
    use wire::mtproto::DcId;
    use wire::mtproto::obfuscated::{Dial, Tag};

    struct House {
        key: RelayKey,
        ids: Vec<KeyId>,
        finder: Arc<Finder>,
    }

    fn house(people: u64) -> House {
        let (fleet, relay) = (FleetKey::from_bytes([1; 32]), RelayId([2; 16]));
        let key = fleet.relay_key(&relay);
        let ids: Vec<KeyId> = (0..people).map(|n| fleet.pseudonym(&relay, Person(n))).collect();
        let keyring = Keyring::new(&key, Epoch(1));
        let keyring = keyring.with(Keys { telegram: &ids, ..Keys::default() });
        let finder = Finder::new(keyring, Arc::default());
        House { key, ids, finder: Arc::new(finder) }
    }

    fn hints(last: u8, port: u16) -> Hints<'static> {
        let source = IpAddr::from([192, 0, 2, last]).into();
        Hints { source, source_port: 50_000, port, server_name: None }
    }

    impl House {
        fn lock_of(&self, id: KeyId) -> Lock {
            let secret = self.key.secret(Form::Telegram, id, Epoch(1));
            let dial = Dial::new(Tag::Padded, DcId(2), Some(&secret));
            Lock::Flight(obfuscated::Trial::new(&dial.flight))
        }

        fn look(&self, id: KeyId, hints: &Hints<'_>) -> Look {
            self.finder.look(hints, self.lock_of(id))
        }

        /// Whether the key was found at once; `None` when it was not found at all.
        async fn find(&self, id: KeyId, hints: &Hints<'_>) -> Option<bool> {
            let (found, at_once) = match self.look(id, hints) {
                Look::Found(found) => (Some(found), true),
                Look::Nobody => (None, true),
                Look::Waits(mut wait) => (wait.end().await, false),
            };
            found.map(|found| {
                assert_eq!(found.entry.id, id);
                self.finder.welcome(hints.source, hints.source_port, found);
                at_once
            })
        }

        fn tried(&self, hints: &Hints<'_>) -> usize {
            5000 - self.finder.budget(hints.source)
        }
    }

    #[tokio::test]
    async fn the_port_the_name_and_the_address_lead_to_a_key_at_once() {
        let house = house(20_000);
        let wanted = house.ids[12_345];
        let buckets = Buckets::new(&house.key, Epoch(1));
        let bucket = buckets.of(wanted);
        let name = format!("{}.example.org", buckets.label(bucket));
        let by_port = hints(1, buckets.port(bucket));
        let by_name = Hints { server_name: Some(&name), ..hints(2, 443) };
        assert_eq!(house.find(wanted, &by_port).await, Some(true));
        assert_eq!(house.find(wanted, &by_name).await, Some(true));
        for by_address in [hints(1, 443), hints(2, 443)] {
            assert_eq!(house.find(wanted, &by_address).await, Some(true));
        }
        assert_eq!(house.find(house.ids[1], &hints(1, 443)).await, Some(false), "it had to wait");
    }

    #[tokio::test]
    async fn a_few_keys_are_all_tried_at_once() {
        let house = house(200);
        for id in &house.ids {
            assert_eq!(house.find(*id, &hints(1, 443)).await, Some(true));
        }
        assert_eq!(house.find(KeyId([0; 8]), &hints(1, 443)).await, None);
    }

    #[tokio::test]
    async fn without_a_hint_a_new_address_has_5000_trials_a_minute_and_goes_on_where_it_stopped() {
        let house = house(6000);
        let nobody = KeyId([0; 8]);
        assert_eq!(house.find(nobody, &hints(1, 443)).await, None);
        let tried = house.tried(&hints(1, 443));
        assert!((4900..=5000).contains(&tried), "{tried} keys were tried");
        // Where it stopped, less than a sixth of the keys is left, and then come those of the start.
        house.finder.sources.welcome(hints(1, 443).source, nobody, 1, 0);
        let left = house.finder.keyring.load();
        let last = left.entries().last().expect("many").id;
        assert_eq!(house.find(last, &hints(1, 443)).await, Some(false));
        assert!(house.finder.waits().waiting == 0);
        assert_eq!(
            house.find(nobody, &hints(2, 443)).await,
            None,
            "others have trials of their own"
        );
        assert_eq!(house.tried(&hints(2, 443)), tried);
    }

    #[tokio::test]
    async fn thousands_behind_one_address_are_found_among_those_lately_seen() {
        let house = house(20_000);
        for id in &house.ids[..3000] {
            house.finder.sources.welcome(hints(1, 443).source, *id, 1, 0);
        }
        assert_eq!(house.find(house.ids[0], &hints(1, 443)).await, Some(false));
        let keys = house.finder.this_minute().keys_tried;
        assert!((2000..=3000).contains(&keys), "{keys} keys were tried");
    }

    #[tokio::test]
    async fn who_gives_up_and_who_is_turned_away_is_counted_and_costs_no_more_trials() {
        let house = house(20_000);
        let nobody = KeyId([0; 8]);
        let waits: Vec<Look> = (0..40).map(|_| house.look(nobody, &hints(1, 443))).collect();
        let waiting = waits.iter().filter(|look| matches!(look, Look::Waits(_))).count();
        let Waits { waiting: counted, sources, .. } = house.finder.waits();
        assert_eq!((counted, sources), (waiting, 1));
        drop(waits);
        assert_eq!(
            house.find(house.ids[7], &hints(2, 443)).await.is_some(),
            house.tried(&hints(1, 443)) == 0
        );
        let figures = house.finder.this_minute();
        assert_eq!(
            (figures.gave_up.count, figures.turned_away),
            (waiting as u64, 40 - waiting as u64)
        );
    }
}
