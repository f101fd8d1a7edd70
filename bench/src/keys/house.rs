//! A relay with very many keys, in this process.

use std::time::{Duration, Instant};

use relay::{CourseSettings, Keys, Relay, Settings};
use wire::derive::{Buckets, Epoch, FleetKey, Form, KeyId, Person, RelayId, RelayKey, Secret};
use wire::mtproto::{Datacentre, Datacentres};

use super::flood;
use crate::process;

const EPOCH: Epoch = Epoch(1);

pub(crate) struct House {
    pub(crate) relay: Relay,
    pub(crate) buckets: Buckets,
    pub(crate) ids: Vec<KeyId>,
    /// How long it took to give it the keys.
    pub(crate) filled_in: Duration,
    /// What they take, in bytes.
    pub(crate) memory: f64,
    key: RelayKey,
}

impl House {
    pub(crate) fn new(keys: u64) -> anyhow::Result<Self> {
        let (fleet, id) = (FleetKey::generate(), RelayId::generate());
        let key = fleet.relay_key(&id);
        let ids: Vec<KeyId> = (0..keys).map(|n| fleet.pseudonym(&id, Person(n))).collect();
        let mut datacentres = Datacentres::default();
        let datacentre = flood::datacentre()?.to_string().parse()?;
        datacentres.set(Datacentre::Main(2), vec![datacentre]);
        let (relay, _notices) = Relay::new(
            &key,
            EPOCH,
            Settings {
                course: CourseSettings { datacentres, ..CourseSettings::default() },
                ..Settings::default()
            },
        );
        let (before, start) = (process::own_memory()?, Instant::now());
        relay.set_keys(Keys { telegram: &ids, ..Keys::default() });
        let filled_in = start.elapsed();
        let memory = process::own_memory()? - before;
        Ok(Self { relay, buckets: Buckets::new(&key, EPOCH), ids, filled_in, memory, key })
    }

    pub(crate) fn set_keys(&self, ids: &[KeyId]) {
        self.relay.set_keys(Keys { telegram: ids, ..Keys::default() });
    }

    pub(crate) fn secret(&self, id: KeyId) -> Secret {
        self.key.secret(Form::Telegram, id, EPOCH)
    }

    pub(crate) fn port(&self, id: KeyId) -> u16 {
        self.buckets.port(self.buckets.of(id))
    }

    pub(crate) fn label(&self, id: KeyId) -> &str {
        self.buckets.label(self.buckets.of(id))
    }
}
