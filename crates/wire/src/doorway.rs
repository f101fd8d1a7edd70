//! Addresses that only one person knows: they lead to what a relay has for that person, and show no
//! secret of theirs to whoever sees them go by.

use data_encoding::HEXLOWER;

use crate::derive::{Epoch, KeyId, RelayKey, Secret};

/// What is behind such an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Doorway {
    /// The host at which a browser is asked for its password, and nowhere else.
    LogIn,
    /// The proxy's address in the form that browsers take from a URL.
    Pac,
    /// DNS over HTTPS.
    Dns,
    /// The profile for Apple's devices.
    Apple,
}

/// How long the secret part of an address is, in letters and digits.
pub const WRITTEN: usize = 32;

impl Doorway {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::LogIn, Self::Pac, Self::Dns, Self::Apple];

    /// The secret part of the address for one key: 32 digits and letters to `f`. To be looked up in a
    /// hash map, whose time gives nothing away.
    #[must_use]
    pub fn token(self, key: &RelayKey, id: KeyId, epoch: Epoch) -> String {
        HEXLOWER.encode(&self.secret(key, id, epoch).0)
    }

    /// Reads what [`Self::token`] writes.
    #[must_use]
    pub fn read(token: &str) -> Option<Secret> {
        Some(Secret(HEXLOWER.decode(token.as_bytes()).ok()?.try_into().ok()?))
    }

    /// The same before it is written.
    #[must_use]
    pub fn secret(self, key: &RelayKey, id: KeyId, epoch: Epoch) -> Secret {
        // These words are in every address that was handed out: they must never change.
        let what = match self {
            Self::LogIn => "log-in",
            Self::Pac => "pac",
            Self::Dns => "dns",
            Self::Apple => "apple",
        };
        key.token(what, id, epoch, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::{FleetKey, RelayId};

    #[test]
    fn every_key_has_addresses_of_its_own_that_differ_from_each_other() {
        let key = FleetKey::from_bytes([7; 32]).relay_key(&RelayId([1; 16]));
        let token = |doorway: Doorway, id| doorway.token(&key, KeyId([id; 8]), Epoch(1));
        let mut all: Vec<String> =
            Doorway::ALL.iter().flat_map(|&doorway| [1, 2].map(|id| token(doorway, id))).collect();
        assert!(all.iter().all(|token| token.len() == WRITTEN));
        let secret = Doorway::Pac.secret(&key, KeyId([1; 8]), Epoch(1));
        assert!(Doorway::read(&token(Doorway::Pac, 1)) == Some(secret));
        assert!(Doorway::read("relay").is_none() && Doorway::read(&"0".repeat(34)).is_none());
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8);
    }
}
