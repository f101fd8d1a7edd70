//! Which certificate a visitor is shown.

pub(crate) mod der;
pub(crate) mod files;
pub(crate) mod held;
pub(crate) mod self_signed;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::Name;
use crate::acme::Acme;
pub use held::BadCertificate;
pub(crate) use held::Held;

/// Where a certificate comes from.
#[derive(Clone, Debug)]
pub enum Identity {
    /// From a public authority, which publishes it: see [`Acme::publishes`].
    Public(Acme),
    /// From two PEM files that somebody else renews. A change is noticed within two seconds, so they
    /// must be readable for the user that this process becomes.
    Files {
        /// The certificate and those between it and a root.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Made here, once, and kept: whoever has its fingerprint can know it again.
    SelfSigned(Vec<Name>),
}

/// All certificates in use, by the place of their [`Identity`] in the settings.
#[derive(Debug, Default)]
pub(crate) struct Table {
    shown: ArcSwap<Vec<Arc<Held>>>,
    /// What a certificate authority that comes for proof is shown, by the name in its hello.
    proofs: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Table {
    pub(crate) fn new(shown: Vec<Arc<Held>>) -> Self {
        Self { shown: ArcSwap::from_pointee(shown), proofs: Mutex::default() }
    }

    /// From now on this one is shown; connections that are open go on.
    pub(crate) fn show(&self, place: usize, held: &Arc<Held>) {
        self.shown.rcu(|shown| {
            let mut shown = Vec::clone(shown);
            if let Some(slot) = shown.get_mut(place) {
                *slot = Arc::clone(held);
            }
            shown
        });
    }

    /// Holds a proof ready until what is returned is dropped.
    pub(crate) fn prove(self: &Arc<Self>, name: String, proof: Arc<CertifiedKey>) -> Proving {
        self.proofs().insert(name.clone(), proof);
        Proving { table: Arc::clone(self), name }
    }

    /// The proof that is held ready for this name.
    pub(crate) fn proof(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.proofs().get(&name.to_ascii_lowercase()).cloned()
    }

    fn proofs(&self) -> MutexGuard<'_, HashMap<String, Arc<CertifiedKey>>> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one for this name; without a name, the one for an address, which visitors of an address do
    /// not say; else the first one, as ordinary servers do.
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.load();
        let fits = |held: &&Arc<Held>| match name {
            Some(name) => held.facts.names.iter().any(|covered| covered.covers(name)),
            None => held.facts.names.iter().any(|covered| matches!(covered, Name::Address(_))),
        };
        let held = shown.iter().find(fits).or_else(|| shown.first())?;
        Some(Arc::clone(&held.key))
    }
}

impl ResolvesServerCert for Table {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

/// A proof held ready.
pub(crate) struct Proving {
    table: Arc<Table>,
    name: String,
}

impl Drop for Proving {
    fn drop(&mut self) {
        self.table.proofs().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_sees_the_certificate_for_the_name_they_say() {
        let held = |names: &[&str]| {
            let names: Vec<Name> = names.iter().map(|name| name.parse().expect(name)).collect();
            Arc::new(self_signed::make(&names).expect("made").1)
        };
        let star = held(&["*.example.org", "example.org"]);
        let address = held(&["192.0.2.1"]);
        let table = Table::new(vec![Arc::clone(&star), Arc::clone(&address)]);
        let sees = |name, one: &Arc<Held>| {
            Arc::ptr_eq(&table.choose(name).expect("one is shown"), &one.key)
        };
        assert!(sees(Some("a.example.org"), &star));
        assert!(sees(Some("elsewhere.org"), &star), "the first one, as ordinary servers do");
        assert!(sees(None, &address));
        let renewed = held(&["192.0.2.1"]);
        table.show(1, &renewed);
        assert!(sees(None, &renewed));
    }
}
