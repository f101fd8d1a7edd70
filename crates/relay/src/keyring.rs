//! The keys that are valid, and where among them somebody's is most likely to be.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use wire::account::Password;
use wire::derive::{BUCKETS, Bucket, Buckets, Epoch, Form, KeyId, RelayKey, Secret};
use wire::doorway::Doorway;
use wire::fleet::Seat;
use wire::socks5::Login;
use wire::webproxy::{Capability, WebAddress, WebSecret};

use crate::house::Doorways;

/// The keys that are valid at one moment; a change makes a new one.
#[derive(Clone)]
pub(crate) struct Keyring {
    /// The keys, bucket by bucket.
    buckets: Vec<Vec<Entry>>,
    /// Where each of them stands.
    places: HashMap<KeyId, Place>,
    /// Keys that name themselves, so that none of them has to be tried.
    web: HashMap<KeyId, Password>,
    /// Those of them that may do so in clear.
    cleartext: HashSet<KeyId>,
    /// What leads to them.
    doorways: Doorways,
    /// What apps show at the WEB proxy: those of all keys that can be tried, if there is one.
    capabilities: HashMap<Capability, KeyId>,
    origin: Arc<Origin>,
}

/// The keys that are to be valid, by what they open.
#[derive(Clone, Copy, Default, Debug)]
pub struct Keys<'a> {
    /// From which epoch on; `None` if it has not changed. Whoever is connected with a key that is still
    /// there goes on; links of the epoch before open nothing.
    pub epoch: Option<Epoch>,
    /// Telegram, on every port.
    pub telegram: &'a [KeyId],
    /// The same, each found where the port leads that stands in its links.
    pub seats: &'a [Seat],
    /// Browsers and other apps.
    pub web: &'a [KeyId],
    /// Those of them that open SOCKS5 and HTTP on the port that speaks in clear too.
    pub cleartext: &'a [KeyId],
}

/// A key that can be tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub id: KeyId,
    pub secret: Secret,
}

#[derive(Clone, Copy)]
struct Place {
    bucket: Bucket,
    at: usize,
    /// Whether the bucket follows from the key, and not from a port.
    is_own: bool,
}

/// What the secrets follow from.
struct Origin {
    key: RelayKey,
    epoch: Epoch,
    buckets: Buckets,
    /// Where the WEB proxy is, if there is one.
    web_address: Option<WebAddress>,
}

impl Origin {
    /// What an app with this secret shows there. All links have the padded form.
    fn capability(&self, secret: Secret) -> Option<Capability> {
        Some(Capability::of(self.web_address.as_ref()?, &WebSecret::Padded(secret)))
    }
}

/// Up to this many keys, all of them are tried on every connection: it costs less than a tenth of a
/// millisecond (obfuscated2) or half of one (fake TLS). Links of a relay with more should give a hint:
/// the port or the name of the key's bucket.
pub const ALWAYS_TRIED: usize = 256;

/// What came of a part of the trial of all keys.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub found: Option<Entry>,
    /// How many keys were tried.
    pub tried: usize,
    /// Over how many buckets it went, counted around.
    pub buckets: usize,
}

impl Keyring {
    /// A ring without keys.
    pub(crate) fn new(key: &RelayKey, epoch: Epoch) -> Self {
        let buckets = Buckets::new(key, epoch);
        Self {
            buckets: vec![Vec::new(); BUCKETS.into()],
            places: HashMap::new(),
            web: HashMap::new(),
            cleartext: HashSet::new(),
            doorways: Doorways::default(),
            capabilities: HashMap::new(),
            origin: Arc::new(Origin { key: key.clone(), epoch, buckets, web_address: None }),
        }
    }

    /// The same ring, which has no keys yet, for a relay that has a WEB proxy there.
    pub(crate) fn at(self, web_address: Option<WebAddress>) -> Self {
        let Origin { key, epoch, .. } = &*self.origin;
        let (key, epoch, buckets) = (key.clone(), *epoch, Buckets::new(key, *epoch));
        Self { origin: Arc::new(Origin { key, epoch, buckets, web_address }), ..self }
    }

    /// A ring with these keys and no others. What is on this one already is copied and not derived
    /// again: of 100,000 keys, one more costs some milliseconds.
    pub(crate) fn with(&self, keys: Keys<'_>) -> Self {
        let is_other = |epoch: &Epoch| *epoch != self.epoch();
        let mut ring = match keys.epoch.filter(is_other) {
            Some(epoch) => Self::new(&self.origin.key, epoch).at(self.origin.web_address.clone()),
            None => self.clone(),
        };
        keys.telegram.iter().for_each(|id| ring.add(*id, 0));
        keys.seats.iter().for_each(|seat| ring.add(seat.key, seat.port));
        if ring.len() != keys.telegram.len() + keys.seats.len() {
            let seated = keys.seats.iter().map(|seat| &seat.key);
            let wanted: HashSet<&KeyId> = keys.telegram.iter().chain(seated).collect();
            let gone = self.places.keys().filter(|id| !wanted.contains(id));
            gone.for_each(|id| ring.remove(*id));
        }

        keys.web.iter().for_each(|id| ring.add_web(*id));
        if ring.web.len() != keys.web.len() {
            let wanted: HashSet<&KeyId> = keys.web.iter().collect();
            let gone = self.web.keys().filter(|id| !wanted.contains(id));
            gone.for_each(|id| ring.remove_web(*id));
        }
        ring.cleartext = keys.cleartext.iter().copied().collect();
        ring
    }

    fn add_web(&mut self, id: KeyId) {
        if self.web.contains_key(&id) {
            return;
        }
        let Origin { key, epoch, .. } = &*self.origin;
        self.web.insert(id, Password(key.secret(Form::Web, id, *epoch)));
        self.doorways.open(id, key, *epoch);
    }

    /// To the bucket of a port, or else to the key's own.
    fn add(&mut self, id: KeyId, port: u16) {
        let given = if port == 0 { None } else { self.origin.buckets.at_port(port) };
        match self.places.get(&id) {
            // Its own is not derived again: that is half of what a new key costs.
            Some(place) if given.map_or(place.is_own, |given| place.bucket == given) => return,
            Some(_) => self.remove(id),
            None => {}
        }
        let Origin { key, epoch, buckets, .. } = &*self.origin;
        let (bucket, is_own) = (given.unwrap_or_else(|| buckets.of(id)), given.is_none());
        let secret = key.secret(Form::Telegram, id, *epoch);
        let entries = &mut self.buckets[bucket.index()];
        self.places.insert(id, Place { bucket, at: entries.len(), is_own });
        entries.push(Entry { id, secret });
        if let Some(capability) = self.origin.capability(secret) {
            self.capabilities.insert(capability, id);
        }
    }

    fn remove_web(&mut self, id: KeyId) {
        let Origin { key, epoch, .. } = &*self.origin;
        self.web.remove(&id);
        self.doorways.close(id, key, *epoch);
    }

    fn remove(&mut self, id: KeyId) {
        let Some(Place { bucket, at, .. }) = self.places.remove(&id) else { return };
        let entries = &mut self.buckets[bucket.index()];
        let gone = entries.swap_remove(at);
        if let Some(capability) = self.origin.capability(gone.secret) {
            self.capabilities.remove(&capability);
        }
        if let Some(place) = entries.get(at).and_then(|moved| self.places.get_mut(&moved.id)) {
            place.at = at;
        }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.origin.epoch
    }

    /// How many keys can be tried.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn has(&self, id: KeyId) -> bool {
        self.places.contains_key(&id) || self.web.contains_key(&id)
    }

    /// The key that says to be this one, if its password is right.
    pub(crate) fn log_in(&self, login: &Login) -> Option<KeyId> {
        let id = std::str::from_utf8(&login.user).ok()?.parse().ok()?;
        self.web.get(&id)?.is(&login.password).then_some(id)
    }

    /// The same where everybody can listen.
    pub(crate) fn log_in_in_clear(&self, login: &Login) -> Option<KeyId> {
        self.log_in(login).filter(|id| self.cleartext.contains(id))
    }

    /// The key that an address leads to.
    pub(crate) fn behind(&self, doorway: Doorway, token: &str) -> Option<KeyId> {
        self.doorways.find(doorway, token)
    }

    /// The key that shows this at the WEB proxy.
    pub(crate) fn capable(&self, capability: &Capability) -> Option<&Entry> {
        self.entry(*self.capabilities.get(capability)?)
    }

    /// The bucket whose port was dialled.
    pub(crate) fn at_port(&self, port: u16) -> Option<&[Entry]> {
        let bucket = self.origin.buckets.at_port(port)?;
        Some(&self.buckets[bucket.index()])
    }

    /// The bucket whose label stands in a server name.
    pub(crate) fn at_name(&self, server_name: &str) -> Option<&[Entry]> {
        let bucket = self.origin.buckets.at_name(server_name)?;
        Some(&self.buckets[bucket.index()])
    }

    /// A key that is still valid.
    pub(crate) fn entry(&self, id: KeyId) -> Option<&Entry> {
        let Place { bucket, at, .. } = self.places.get(&id)?;
        self.buckets[bucket.index()].get(*at)
    }

    /// All keys.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flatten()
    }

    /// Tries whole buckets, from the one numbered `from` on and around: the first one, and others as
    /// long as that makes no more than `most` keys in not more than `buckets` buckets.
    pub(crate) fn try_part(
        &self,
        from: usize,
        buckets: usize,
        most: usize,
        mut fits: impl FnMut(&Secret) -> bool,
    ) -> Part {
        let mut part = Part { found: None, tried: 0, buckets: 0 };
        while part.buckets < buckets && part.found.is_none() {
            let bucket = &self.buckets[(from + part.buckets) % self.buckets.len()];
            // The first one may be larger than that: with very many keys, all of them are.
            if part.buckets > 0 && part.tried + bucket.len() > most {
                break;
            }
            part.found = bucket.iter().find(|entry| fits(&entry.secret)).copied();
            part.tried += bucket.len();
            part.buckets += 1;
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::derive::{FleetKey, Person, RelayId};

    const EPOCH: Epoch = Epoch(1);

    fn telegram(ids: &[KeyId]) -> Keys<'_> {
        Keys { telegram: ids, ..Keys::default() }
    }

    struct House {
        key: RelayKey,
        ids: Vec<KeyId>,
        keyring: Keyring,
    }

    fn house(people: u64) -> House {
        let (fleet, relay) = (FleetKey::from_bytes([1; 32]), RelayId([2; 16]));
        let key = fleet.relay_key(&relay);
        let ids: Vec<KeyId> = (0..people).map(|n| fleet.pseudonym(&relay, Person(n))).collect();
        let keyring = Keyring::new(&key, EPOCH).with(telegram(&ids));
        House { key, ids, keyring }
    }

    #[test]
    fn the_port_or_the_label_of_a_bucket_leads_to_its_keys_alone() {
        let House { ids, keyring, key } = house(20_000);
        let buckets = &keyring.origin.buckets;
        let wanted =
            Entry { id: ids[12_345], secret: key.secret(Form::Telegram, ids[12_345], EPOCH) };
        let bucket = buckets.of(wanted.id);
        let name = format!("{}.example.org", buckets.label(bucket));
        for hinted in [keyring.at_port(buckets.port(bucket)), keyring.at_name(&name)] {
            let hinted = hinted.expect("a bucket");
            assert!(hinted.contains(&wanted) && hinted.len() < 60, "{} keys", hinted.len());
        }
        let port = (1..1024).find(|port| keyring.at_port(*port).is_some());
        assert!(port.is_none() && keyring.at_name("www.example.org").is_none());
    }

    #[test]
    fn the_trial_of_all_keys_goes_on_where_it_stopped_and_tries_each_once() {
        let House { ids, keyring, .. } = house(3000);
        let (mut from, mut left, mut tried) = (1000, usize::from(BUCKETS), HashSet::new());
        while left > 0 {
            let part = keyring.try_part(from, left, 400, |secret| !tried.insert(secret.0));
            assert!(part.found.is_none() && part.tried <= 400 && part.buckets > 0);
            (from, left) = (from + part.buckets, left - part.buckets);
        }
        assert_eq!(tried.len(), ids.len());
        let wanted = keyring.entry(ids[700]).expect("valid");
        let part =
            keyring.try_part(0, BUCKETS.into(), ids.len(), |secret| *secret == wanted.secret);
        assert_eq!(part.found.as_ref(), Some(wanted));
    }

    #[test]
    fn a_bucket_with_more_keys_than_may_be_tried_at_once_is_tried_alone() {
        let House { ids, keyring, .. } = house(3000);
        let (mut from, mut tried) = (0, 0);
        while from < usize::from(BUCKETS) {
            let part = keyring.try_part(from, usize::from(BUCKETS) - from, 1, |_| false);
            assert!(part.buckets > 0, "it stops at bucket {from}");
            (from, tried) = (from + part.buckets, tried + part.tried);
        }
        assert_eq!(tried, ids.len());
    }

    #[test]
    fn a_changed_ring_has_the_new_keys_and_not_the_old() {
        let House { key, ids, keyring } = house(5000);
        let (old, new) = (&ids[..4000], &ids[1000..]);
        let changed = keyring.with(telegram(old)).with(telegram(new));
        for id in &ids {
            let entry = changed.entry(*id).map(|entry| entry.secret);
            let valid = new.contains(id).then(|| key.secret(Form::Telegram, *id, EPOCH));
            assert_eq!((entry, changed.has(*id)), (valid, valid.is_some()));
        }
        assert_eq!((changed.len(), changed.entries().count()), (new.len(), new.len()));
    }

    #[test]
    fn at_the_web_proxy_each_key_is_found_by_its_capability_as_long_as_it_is_valid() {
        let House { ids, key, .. } = house(50);
        let address: WebAddress = "web.example.org".parse().expect("an address");
        let capability = |id: KeyId| {
            let secret = key.secret(Form::Telegram, id, EPOCH);
            Capability::of(&address, &WebSecret::Padded(secret))
        };
        let keyring = Keyring::new(&key, EPOCH).at(Some(address.clone()));
        let changed = keyring.with(telegram(&ids)).with(telegram(&ids[10..]));
        for (number, id) in ids.iter().enumerate() {
            let found = changed.capable(&capability(*id)).map(|entry| entry.id);
            assert_eq!(found, (number >= 10).then_some(*id));
        }
        let without = Keyring::new(&key, EPOCH).with(telegram(&ids));
        assert!(without.capabilities.is_empty());
        assert_eq!(changed.capabilities.len(), ids.len() - 10);
    }

    #[test]
    fn a_key_for_the_web_opens_by_its_own_password_and_nothing_else() {
        let house = house(2);
        let [telegram, web] = [house.ids[0], house.ids[1]];
        let keyring = house.keyring.with(Keys {
            telegram: &[telegram],
            web: &[web],
            cleartext: &[web],
            ..Keys::default()
        });
        let login = |id: KeyId, form| Login {
            user: id.to_string().into_bytes(),
            password: Password(house.key.secret(form, id, EPOCH)).to_string().into_bytes(),
        };
        assert_eq!(keyring.log_in(&login(web, Form::Web)), Some(web));
        assert_eq!(keyring.log_in(&login(web, Form::Telegram)), None);
        assert_eq!(keyring.log_in(&login(telegram, Form::Web)), None);
        assert_eq!(keyring.log_in(&login(telegram, Form::Telegram)), None);
        assert!(keyring.entries().all(|entry| entry.id != web));
        let without = keyring.with(Keys::default());
        assert!(keyring.has(web) && !without.has(web));
        assert_eq!(without.log_in(&login(web, Form::Web)), None);
    }

    #[test]
    fn the_doorways_of_keys_that_stay_are_open_and_those_of_the_others_are_closed() {
        let House { key, ids, keyring } = house(300);
        let (old, new) = (&ids[..200], &ids[100..]);
        let web = |ids| Keys { web: ids, ..Keys::default() };
        let changed = keyring.with(web(old)).with(web(new));
        for (number, id) in ids.iter().enumerate() {
            for doorway in Doorway::ALL {
                let behind = changed.behind(doorway, &doorway.token(&key, *id, EPOCH));
                assert_eq!(behind, (number >= 100).then_some(*id));
            }
        }
        let pac = Doorway::Pac.token(&key, ids[250], EPOCH);
        assert_eq!(changed.behind(Doorway::Dns, &pac), None);
    }

    #[test]
    fn a_seat_is_found_where_the_port_in_its_links_leads_and_moves_with_it() {
        let (fleet, relay) = (FleetKey::from_bytes([1; 32]), RelayId([2; 16]));
        let key = fleet.relay_key(&relay);
        let id = fleet.pseudonym(&relay, Person(1));
        let ports = Buckets::new(&key, EPOCH);
        let other = |port: u16| ports.at_port(port) != Some(ports.of(id));
        let mut elsewhere = (1024..32_768).filter(|port| ports.at_port(*port).is_some());
        let port = elsewhere.find(|port| other(*port)).expect("one of the others");
        let seat = |port| [Seat { key: id, port }];
        let has = |ring: &Keyring, port| {
            ring.at_port(port).expect("a bucket").iter().any(|entry| entry.id == id)
        };
        let seats = seat(port);
        let ring = Keyring::new(&key, EPOCH).with(Keys { seats: &seats, ..Keys::default() });
        let own = ports.port(ports.of(id));
        assert!(has(&ring, port) && !has(&ring, own));
        for anywhere in [0, 443] {
            let seats = seat(anywhere);
            let moved = ring.with(Keys { seats: &seats, ..Keys::default() });
            assert!(has(&moved, own) && !has(&moved, port) && moved.len() == 1);
        }
        assert!(!ring.with(Keys::default()).has(id));
    }

    #[test]
    fn in_another_epoch_the_same_keys_have_other_secrets() {
        let key = FleetKey::from_bytes([1; 32]).relay_key(&RelayId([2; 16]));
        let id = KeyId([5; 8]);
        let seats = [Seat { key: id, port: 0 }];
        let keys = |epoch| Keys { epoch: Some(epoch), seats: &seats, ..Keys::default() };
        let first = Keyring::new(&key, EPOCH).with(keys(EPOCH));
        let next = first.with(keys(Epoch(2)));
        for (ring, epoch) in [(&first, EPOCH), (&next, Epoch(2))] {
            let secret = key.secret(Form::Telegram, id, epoch);
            assert_eq!(ring.entry(id).map(|entry| entry.secret), Some(secret));
            assert_eq!((ring.epoch(), ring.len()), (epoch, 1));
        }
    }
}
