//! Addresses that lead to a key: see [`wire::doorway`].

use std::collections::HashMap;

use wire::derive::{Epoch, KeyId, RelayKey};
use wire::doorway::Doorway;

/// The addresses of all keys for the web.
#[derive(Clone, Default)]
pub(crate) struct Doorways(HashMap<String, (Doorway, KeyId)>);

impl Doorways {
    pub(crate) fn of(ids: &[KeyId], key: &RelayKey, epoch: Epoch) -> Self {
        let doorways = |&id: &KeyId| {
            Doorway::ALL.map(|doorway| (doorway.token(key, id, epoch), (doorway, id)))
        };
        Self(ids.iter().flat_map(doorways).collect())
    }

    /// Whose this is, if it is one of these.
    pub(crate) fn find(&self, doorway: Doorway, token: &str) -> Option<KeyId> {
        let (found, id) = self.0.get(token)?;
        (*found == doorway).then_some(*id)
    }
}
