//! How many connections of strangers there are, in all and from one source.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Of the places for strangers, how many one source may have: an IPv4 address, or an IPv6 /48, which
/// is what one server or line is given at most (RFC 6177).
const SHARE: usize = 64;

/// Places for people of whom nothing is known yet.
pub(super) struct Crowd {
    most: usize,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// A place, free again when it is dropped.
pub(super) struct Place {
    source: IpAddr,
    crowd: Arc<Crowd>,
}

impl Crowd {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, now: Mutex::default() })
    }

    /// A place, if there is one left.
    pub(super) fn admit(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let source = source(from);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let here = now.by_source.get(&source).copied().unwrap_or(0);
        if now.all >= self.most || here >= SHARE {
            return None;
        }
        now.all += 1;
        now.by_source.insert(source, here + 1);
        drop(now);
        Some(Place { source, crowd: Arc::clone(self) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.crowd.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.all -= 1;
        if let Some(here) = now.by_source.get_mut(&self.source) {
            *here -= 1;
            if *here == 0 {
                now.by_source.remove(&self.source);
            }
        }
    }
}

fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() >> 80 << 80).into(),
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_has_its_share_and_leaves_the_rest_to_others() {
        let crowd = Crowd::new(SHARE + 1);
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let mut places: Vec<_> = (0..SHARE)
            .map(|number| {
                crowd.admit(address(&format!("2001:db8:1::{number:x}"))).expect("a place")
            })
            .collect();
        assert!(crowd.admit(address("2001:db8:1:ffff::1")).is_none(), "its share is taken");
        places.push(crowd.admit(address("192.0.2.1")).expect("another's"));
        assert!(crowd.admit(address("192.0.2.2")).is_none(), "all are taken");
        places.clear();
        let now = crowd.now.lock().expect("sound");
        assert!(now.all == 0 && now.by_source.is_empty(), "nobody is remembered");
    }
}
