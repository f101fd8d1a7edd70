//! What can change while the relay runs: where strangers are carried to, where Telegram is, and where
//! browsers and other apps may go.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use front::Name;
use wire::crack::Network;
use wire::derive::{Buckets, Epoch, KeyId, RelayKey};
use wire::mtproto::faketls::Look;
use wire::mtproto::{Datacentre, Datacentres};

use crate::egress::{Egress, Gate};
use crate::fleet::Fleet;
use crate::house::House;
use crate::mask::Mask;
use crate::mask::likeness::Likeness;
use crate::names::Names;
use crate::networks::Networks;

/// What a volunteer can set, and change while the relay runs.
#[derive(Clone, Debug, Default)]
pub struct CourseSettings {
    /// The website that everybody without a key meets.
    pub mask: Option<Mask>,
    /// Where Telegram is.
    pub datacentres: Datacentres,
    /// Where browsers and other apps may go.
    pub egress: Egress,
    /// Whose addresses are, for receipts.
    pub networks: Option<Arc<Networks>>,
    /// What its hub says, if it has one.
    pub fleet: Option<Arc<Fleet>>,
}

/// The same at work. Who has begun under one course may end under it.
pub(crate) struct Course {
    pub mask: Option<Mask>,
    /// The name that hellos to the mask host carry, or to the relay's own website, if it has one.
    pub hello_name: Option<String>,
    /// How they are answered.
    pub likeness: Arc<Likeness>,
    pub gate: Arc<Gate>,
    datacentres: Datacentres,
    networks: Option<Arc<Networks>>,
    pub fleet: Option<Arc<Fleet>>,
}

impl Course {
    pub(crate) fn new(
        settings: CourseSettings,
        (key, epoch): (&RelayKey, Epoch),
        names: &Arc<Names>,
        house: Option<&House>,
    ) -> Self {
        let CourseSettings { mask, datacentres, egress, networks, fleet } = settings;
        let usual = Look::usual(2400 + key.constant("certificate", 2200));
        Self {
            hello_name: match (&mask, house) {
                (Some(mask), _) => hello_name(mask, key, epoch),
                (None, Some(house)) => own_name(house, key, epoch),
                (None, None) => None,
            },
            mask,
            likeness: Arc::new(Likeness::new(usual)),
            gate: Arc::new(Gate::new(egress, fleet.clone(), Arc::clone(names))),
            datacentres,
            networks,
            fleet,
        }
    }

    /// Knows of the mask host what another course knew, if it is the same one; tells whether it is.
    pub(crate) fn learn_from(&mut self, other: &Self) -> bool {
        let text = |mask: &Option<Mask>| mask.as_ref().map(ToString::to_string);
        let is_same = text(&self.mask) == text(&other.mask);
        if is_same {
            self.likeness = Arc::clone(&other.likeness);
        }
        is_same
    }

    pub(crate) fn network_number(&self, address: IpAddr) -> Option<u32> {
        self.networks.as_ref()?.of(address)
    }

    /// The network that an address is of, if that is known.
    pub(crate) fn network(&self, address: IpAddr) -> Option<Network> {
        self.network_number(address).map(Network::As)
    }

    /// Where to dial for a datacentre.
    pub(crate) fn endpoints(&self, datacentre: Datacentre) -> Vec<SocketAddr> {
        self.datacentres.endpoints(datacentre)
    }
}

fn hello_name(mask: &Mask, key: &RelayKey, epoch: Epoch) -> Option<String> {
    let name = mask.server_name()?;
    if !mask.is_wildcard() {
        return Some(name.to_string());
    }
    Some(below(name.as_str(), key, epoch))
}

fn own_name(house: &House, key: &RelayKey, epoch: Epoch) -> Option<String> {
    match house.names.first()? {
        Name::Host(name) => Some(name.clone()),
        Name::Below(name) => Some(below(name, key, epoch)),
        Name::Address(_) => None,
    }
}

/// As in somebody's link: the site may have another certificate for its bare name.
fn below(name: &str, key: &RelayKey, epoch: Epoch) -> String {
    let buckets = Buckets::new(key, epoch);
    let label = buckets.label(buckets.of(KeyId(wire::random())));
    format!("{label}.{name}")
}
