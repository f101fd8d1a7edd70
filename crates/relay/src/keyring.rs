//! Whose key opens this? Found without trying all of them, wherever there is a hint.

use std::collections::HashMap;
use std::sync::Arc;

use wire::account::Password;
use wire::derive::{Bucket, Buckets, Epoch, Form, KeyId, RelayKey, Secret};
use wire::socks5::Login;

/// The keys that are valid at one moment; a change makes a new one.
pub(crate) struct Keyring {
    entries: Vec<Entry>,
    by_id: HashMap<KeyId, usize>,
    /// The places in `entries` of each bucket's keys.
    by_bucket: Vec<Vec<u32>>,
    /// Keys that name themselves, so that none of them has to be tried.
    web: HashMap<KeyId, Password>,
    origin: Arc<Origin>,
}

/// The keys that are to be valid, by what they open.
#[derive(Clone, Copy, Default, Debug)]
pub struct Keys<'a> {
    /// Telegram, on every port.
    pub telegram: &'a [KeyId],
    /// SOCKS5 and HTTP, on the port that speaks in clear.
    pub web: &'a [KeyId],
}

#[derive(Clone, Copy)]
struct Entry {
    id: KeyId,
    secret: Secret,
    bucket: Bucket,
}

/// What the secrets follow from.
struct Origin {
    key: RelayKey,
    epoch: Epoch,
    buckets: Buckets,
}

/// Up to this many keys, all of them are tried on every connection: it costs less than a tenth of a
/// millisecond (obfuscated2) or a third (fake TLS). Links of a relay with more should give a hint: the
/// port or the name of the key's bucket.
pub const ALWAYS_TRIED: usize = 256;

/// What is known before any key is tried.
#[derive(Clone, Copy, Default)]
pub(crate) struct Hints<'a> {
    /// The port that was dialled.
    pub port: u16,
    /// The host that a TLS hello names.
    pub server_name: Option<&'a str>,
    /// Keys lately seen from that address, the last one first.
    pub recent: &'a [KeyId],
    /// Where to go on with the trial of all keys.
    pub cursor: usize,
    /// How many keys may be tried without a hint.
    pub budget: usize,
}

/// How a key was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    /// The port or the name in the hello.
    Hint,
    /// What was lately seen from that address.
    Recent,
    /// Trying all.
    Trial,
}

/// How a search ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Search<T> {
    pub found: Option<(KeyId, T)>,
    /// How, if it was.
    pub by: By,
    /// How many keys were tried without a hint.
    pub trials: usize,
    /// Where the next trial should go on.
    pub cursor: usize,
}

impl Keyring {
    /// A ring without keys.
    pub(crate) fn new(key: &RelayKey, epoch: Epoch) -> Self {
        let buckets = Buckets::new(key, epoch);
        let origin = Origin { key: key.clone(), epoch, buckets };
        let by_bucket = vec![Vec::new(); wire::derive::BUCKETS.into()];
        let (by_id, web) = (HashMap::new(), HashMap::new());
        Self { entries: Vec::new(), by_id, by_bucket, web, origin: Arc::new(origin) }
    }

    /// A ring with these keys and no others. What is on this one already is not derived again: that
    /// would take a second for 100,000 keys.
    pub(crate) fn with(&self, keys: Keys<'_>) -> Self {
        let Keys { telegram: ids, web } = keys;
        let Origin { key, epoch, buckets } = &*self.origin;
        let entry = |&id: &KeyId| match self.by_id.get(&id) {
            Some(&place) => self.entries[place],
            None => {
                Entry { id, secret: key.secret(Form::Telegram, id, *epoch), bucket: buckets.of(id) }
            }
        };
        let entries: Vec<Entry> = ids.iter().map(entry).collect();
        let mut by_bucket = vec![Vec::new(); wire::derive::BUCKETS.into()];
        for (entry, place) in entries.iter().zip(0u32..) {
            by_bucket[entry.bucket.index()].push(place);
        }
        let by_id = ids.iter().copied().zip(0..).collect();
        let password = |&id: &KeyId| {
            let kept = self.web.get(&id).copied();
            (id, kept.unwrap_or_else(|| Password(key.secret(Form::Web, id, *epoch))))
        };
        let web = web.iter().map(password).collect();
        Self { entries, by_id, by_bucket, web, origin: Arc::clone(&self.origin) }
    }

    pub(crate) fn has(&self, id: KeyId) -> bool {
        self.by_id.contains_key(&id) || self.web.contains_key(&id)
    }

    /// The key that says to be this one, if its password is right.
    pub(crate) fn log_in(&self, login: &Login) -> Option<KeyId> {
        let id = std::str::from_utf8(&login.user).ok()?.parse().ok()?;
        self.web.get(&id)?.is(&login.password).then_some(id)
    }

    /// Tries keys in the order in which they are likely: the bucket of the port, the bucket of the
    /// server name, what came lately from that address, then all others as far as the budget goes.
    pub(crate) fn search<T>(
        &self,
        hints: &Hints<'_>,
        mut opens: impl FnMut(&Secret) -> Option<T>,
    ) -> Search<T> {
        let Origin { buckets, .. } = &*self.origin;
        let port = buckets.at_port(hints.port);
        let name = hints.server_name.and_then(|name| buckets.at_name(name));
        let in_bucket =
            |bucket: Bucket| self.by_bucket[bucket.index()].iter().map(|&at| at as usize);
        let mut recent = hints.recent.iter().filter_map(|id| self.by_id.get(id).copied());
        let mut likely = port.into_iter().chain(name).flat_map(in_bucket);

        let mut attempt = |place: usize| {
            let Entry { id, secret, .. } = &self.entries[place];
            opens(secret).map(|opened| (*id, opened))
        };
        let mut search = Search { found: None, by: By::Hint, trials: 0, cursor: hints.cursor };
        search.found = likely.find_map(&mut attempt);
        if search.found.is_none() {
            search.by = By::Recent;
            search.found = recent.find_map(&mut attempt);
        }
        if search.found.is_some() || self.entries.is_empty() {
            return search;
        }
        search.by = By::Trial;
        let total = self.entries.len();
        let most = if total <= ALWAYS_TRIED { total } else { total.min(hints.budget) };
        for step in 0..most {
            let place = (hints.cursor + step) % total;
            search.trials += 1;
            search.found = attempt(place);
            if search.found.is_some() {
                break;
            }
        }
        search.cursor = (hints.cursor + search.trials) % total;
        search
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

    impl House {
        /// Searches for one person's key; how many keys were tried in all, and what came out.
        fn search(&self, wanted: KeyId, hints: &Hints<'_>) -> (usize, Search<()>) {
            let secret = self.key.secret(Form::Telegram, wanted, EPOCH);
            let mut tried = 0;
            let search = self.keyring.search(hints, |candidate| {
                tried += 1;
                (*candidate == secret).then_some(())
            });
            (tried, search)
        }
    }

    #[test]
    fn the_port_or_the_label_of_a_bucket_leads_to_its_keys_alone() {
        let house = house(20_000);
        let wanted = house.ids[12_345];
        let bucket = house.keyring.origin.buckets.of(wanted);
        let name = format!("{}.example.org", house.keyring.origin.buckets.label(bucket));
        let by_port = Hints { port: house.keyring.origin.buckets.port(bucket), ..Hints::default() };
        let by_name = Hints { server_name: Some(&name), ..Hints::default() };
        for hints in [by_port, by_name] {
            let (tried, search) = house.search(wanted, &hints);
            assert_eq!(search.found, Some((wanted, ())));
            assert_eq!(search.trials, 0);
            assert!(tried < 60, "{tried} keys were tried");
        }
    }

    #[test]
    fn a_key_lately_seen_from_an_address_is_found_first() {
        let house = house(20_000);
        let recent = [house.ids[7], house.ids[9_999]];
        let hints = Hints { port: 443, recent: &recent, ..Hints::default() };
        let (tried, search) = house.search(house.ids[9_999], &hints);
        assert_eq!((tried, search.found), (2, Some((house.ids[9_999], ()))));
    }

    #[test]
    fn without_a_hint_the_trial_is_bounded_and_goes_on_where_it_stopped() {
        let house = house(1000);
        let wanted = house.ids[700];
        let mut hints = Hints { port: 443, budget: 400, ..Hints::default() };
        let (tried, first) = house.search(wanted, &hints);
        assert_eq!((tried, first.trials, first.found), (400, 400, None));
        hints.cursor = first.cursor;
        let (tried, second) = house.search(wanted, &hints);
        assert_eq!((tried, second.found), (301, Some((wanted, ()))));
    }

    #[test]
    fn a_changed_ring_has_the_new_keys_and_not_the_old() {
        let house = house(3);
        let changed = house.keyring.with(telegram(&house.ids[1..]));
        assert!(!changed.has(house.ids[0]) && changed.has(house.ids[1]));
        let changed = House { keyring: changed.with(telegram(&house.ids[..2])), ..house };
        for (id, valid) in changed.ids.iter().zip([true, true, false]) {
            let (_, search) = changed.search(*id, &Hints::default());
            assert_eq!(search.found.is_some(), valid);
        }
    }

    #[test]
    fn a_few_keys_are_always_tried() {
        let house = house(20);
        let (_, search) = house.search(house.ids[19], &Hints::default());
        assert_eq!(search.found, Some((house.ids[19], ())));
    }

    #[test]
    fn a_key_for_the_web_opens_by_its_own_password_and_nothing_else() {
        let house = house(2);
        let [telegram, web] = [house.ids[0], house.ids[1]];
        let keyring = house.keyring.with(Keys { telegram: &[telegram], web: &[web] });
        let login = |id: KeyId, form| Login {
            user: id.to_string().into_bytes(),
            password: Password(house.key.secret(form, id, EPOCH)).to_string().into_bytes(),
        };
        assert_eq!(keyring.log_in(&login(web, Form::Web)), Some(web));
        assert_eq!(keyring.log_in(&login(web, Form::Telegram)), None);
        assert_eq!(keyring.log_in(&login(telegram, Form::Web)), None);
        assert_eq!(keyring.log_in(&login(telegram, Form::Telegram)), None);
        let secret = house.key.secret(Form::Telegram, web, EPOCH);
        let opens = |tried: &Secret| (*tried == secret).then_some(());
        assert_eq!(keyring.search(&Hints::default(), opens).found, None);
        let without = keyring.with(Keys::default());
        assert!(keyring.has(web) && !without.has(web));
        assert_eq!(without.log_in(&login(web, Form::Web)), None);
    }

    #[test]
    fn no_keys_open_nothing() {
        let house = house(0);
        let (tried, search) =
            house.search(KeyId([0; 8]), &Hints { budget: 10, ..Hints::default() });
        assert_eq!((tried, search.found), (0, None));
    }
}
