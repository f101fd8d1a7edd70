//! Addresses that lead to a key: see [`wire::doorway`].

use std::collections::HashMap;

use wire::derive::{Epoch, KeyId, RelayKey, Secret};
use wire::doorway::Doorway;

/// The addresses of all keys for the web, by the secret part of each.
#[derive(Clone, Default)]
pub(crate) struct Doorways(HashMap<[u8; 16], (Doorway, KeyId)>);

impl Doorways {
    /// Opens those of one more key.
    pub(crate) fn open(&mut self, id: KeyId, key: &RelayKey, epoch: Epoch) {
        for doorway in Doorway::ALL {
            let Secret(token) = doorway.secret(key, id, epoch);
            self.0.insert(token, (doorway, id));
        }
    }

    /// Closes those of a key.
    pub(crate) fn close(&mut self, id: KeyId, key: &RelayKey, epoch: Epoch) {
        for doorway in Doorway::ALL {
            self.0.remove(&doorway.secret(key, id, epoch).0);
        }
    }

    /// Whose this is, if it is one of these.
    pub(crate) fn find(&self, doorway: Doorway, token: &str) -> Option<KeyId> {
        let Secret(token) = Doorway::read(token)?;
        let (found, id) = self.0.get(&token)?;
        (*found == doorway).then_some(*id)
    }
}
