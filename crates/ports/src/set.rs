//! A bit for each of the 65,536 ports.

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
