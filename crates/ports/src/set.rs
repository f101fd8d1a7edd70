//! A bit for each of the 65,536 ports.

use std::ops::RangeInclusive;

/// How many bytes that takes.
pub(crate) const BYTES: usize = 65_536 / 8;

/// Any ports, in no order.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PortSet(pub(crate) Box<[u8; BYTES]>);

impl PortSet {
    pub(crate) fn empty() -> Self {
        Self(Box::new([0; BYTES]))
    }

    /// All but 0, which is no port.
    pub(crate) fn all() -> Self {
        let mut all = Self(Box::new([0xff; BYTES]));
        all.remove(0);
        all
    }

    pub(crate) fn insert(&mut self, port: u16) {
        self.0[usize::from(port >> 3)] |= 1 << (port & 7);
    }

    pub(crate) fn remove(&mut self, port: u16) {
        self.0[usize::from(port >> 3)] &= !(1 << (port & 7));
    }

    pub(crate) fn has(&self, port: u16) -> bool {
        self.0[usize::from(port >> 3)] >> (port & 7) & 1 == 1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|&byte| byte == 0)
    }

    /// As few ranges as there can be.
    pub(crate) fn ranges(&self) -> Vec<RangeInclusive<u16>> {
        let mut ranges: Vec<RangeInclusive<u16>> = Vec::new();
        for port in self.ports() {
            match ranges.last_mut() {
                Some(last) if last.end().checked_add(1) == Some(port) => {
                    *last = *last.start()..=port;
                }
                _ => ranges.push(port..=port),
            }
        }
        ranges
    }

    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        (0..=u16::MAX).filter(|&port| self.has(port))
    }
}

impl FromIterator<u16> for PortSet {
    fn from_iter<T: IntoIterator<Item = u16>>(ports: T) -> Self {
        let mut set = Self::empty();
        ports.into_iter().for_each(|port| set.insert(port));
        set
    }
}

impl std::fmt::Debug for PortSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.ports()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_all_ports_of_a_set_and_no_others() {
        let mut set = PortSet::all();
        [22, 67, 68].into_iter().for_each(|port| set.remove(port));
        assert_eq!(set.ranges(), [1..=21, 23..=66, 69..=65_535]);
        assert_eq!(
            [65_535, 1, 80].into_iter().collect::<PortSet>().ranges(),
            [1..=1, 80..=80, 65_535..=65_535]
        );
        assert!(PortSet::empty().ranges().is_empty() && PortSet::empty().is_empty());
    }
}
