//! A router that stands before others with one IPv4 address, and has a table to keep them apart.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Doing, Error, Result};
use crate::network::Network;

/// How often a [`Watch`] looks.
const INTERVAL: Duration = Duration::from_millis(50);

/// What a router's table takes, and how long it keeps it. Each connection has an entry in it, and each
/// pair of addresses and ports that datagrams go between, IPv6 no less than IPv4.
#[derive(Clone, Debug)]
pub struct Nat {
    most: Option<u32>,
    each: Option<u32>,
    /// By the names of `/proc/sys/net/netfilter`.
    patience: Vec<(&'static str, Duration)>,
}

impl Nat {
    /// A box at home: 1,024 entries, and Linux' own patience: 120 s for a connection that nobody
    /// answers, 30 s for a datagram.
    #[must_use]
    pub fn home() -> Self {
        Self { most: Some(1024), each: None, patience: Vec::new() }
    }

    /// A provider's box, before all its people: 1,000 entries for each of them, and in all what the
    /// ports of one address and the machine's own table allow.
    #[must_use]
    pub fn carrier() -> Self {
        Self { most: None, each: Some(1000), patience: Vec::new() }
    }

    /// So many entries in all. What would be one more is dropped, without a word. (The kernel counts
    /// by going through a list: of 10,000, in some 20 µs for each that is new.)
    #[must_use]
    pub fn entries(self, most: u32) -> Self {
        Self { most: Some(most), ..self }
    }

    /// As many entries as come.
    #[must_use]
    pub fn without_limit(self) -> Self {
        Self { most: None, each: None, ..self }
    }

    /// So many for each IPv4 address behind it.
    #[must_use]
    pub fn entries_each(self, most: u32) -> Self {
        Self { each: Some(most), ..self }
    }

    /// How long a connection that nobody answers is kept, in whole seconds.
    #[must_use]
    pub fn keeps_half_open(self, patience: Duration) -> Self {
        self.keeps("nf_conntrack_tcp_timeout_syn_sent", patience)
    }

    /// How long an open connection on which nothing passes is kept, in whole seconds.
    #[must_use]
    pub fn keeps_idle(self, patience: Duration) -> Self {
        self.keeps("nf_conntrack_tcp_timeout_established", patience)
    }

    /// How long a connection that was reset is kept, in whole seconds.
    #[must_use]
    pub fn keeps_reset(self, patience: Duration) -> Self {
        self.keeps("nf_conntrack_tcp_timeout_close", patience)
    }

    /// How long a datagram that nobody answers is kept, in whole seconds.
    #[must_use]
    pub fn keeps_datagram(self, patience: Duration) -> Self {
        self.keeps("nf_conntrack_udp_timeout", patience)
    }

    fn keeps(mut self, name: &'static str, patience: Duration) -> Self {
        self.patience.push((name, patience));
        self
    }

    /// The kernel's own limit is one for the whole machine, and only the machine may set it. So it is
    /// a rule that counts.
    fn rules(&self, address: IpAddr) -> String {
        let [mut all, mut each] = [String::new(), String::new()];
        if let Some(most) = self.most {
            all = format!("ct count over {most} counter name refused drop");
        }
        if let Some(most) = self.each {
            each = format!(
                "add @people {{ ip saddr ct count over {most} }} counter name refused drop"
            );
        }
        format!(
            "table inet nat {{
              set people {{ type ipv4_addr; size 65535; flags dynamic; }}
              counter refused {{ }}
              chain forward {{
                type filter hook forward priority 0;
                ct state established,related accept
                ct state invalid drop
                iifname \"eth0\" drop
                {each}
                {all}
              }}
              chain postrouting {{
                type nat hook postrouting priority 100;
                meta nfproto ipv4 oifname \"eth0\" snat ip to {address}
              }}
            }}\n"
        )
    }
}

/// A router that does so. Nobody outside opens a connection to anybody behind it, by neither family.
#[derive(Clone, Debug)]
pub struct Router {
    below: Network,
    address: IpAddr,
}

impl Router {
    pub(super) fn on(network: &Network, name: &str, address: IpAddr, nat: &Nat) -> Result<Self> {
        let below = network.network(name)?;
        let node = below.router();
        node.translate(address)?;
        for (name, patience) in &nat.patience {
            node.set(&format!("netfilter/{name}"), patience.as_secs())?;
        }
        node.nft(&nat.rules(address))?;
        Ok(Self { below, address })
    }

    /// The network behind it.
    #[must_use]
    pub fn below(&self) -> &Network {
        &self.below
    }

    /// The IPv4 address that it has for everybody behind it.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many entries its table has now, those of a patience that has run out not among them.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn live_entries(&self) -> Result<usize> {
        self.below.router().namespace().enter(entries).doing("reading a router's table")
    }

    /// How many packets it has dropped because there was no room for an entry.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn refused(&self) -> Result<u64> {
        let said = self.below.router().nft_list("counter inet nat refused")?;
        let bad = || Error::Unexpected(format!("nft printed {said}"));
        let json: serde_json::Value = serde_json::from_str(&said).map_err(|_| bad())?;
        let mut parts = json["nftables"].as_array().ok_or_else(bad)?.iter();
        parts.find_map(|part| part["counter"]["packets"].as_u64()).ok_or_else(bad)
    }

    /// Looks at its table twenty times a second from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn watch(&self) -> Result<Watch> {
        let (stop, seen) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<_>>>::default());
        let body = {
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&seen));
            move || {
                let started = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    let sample = entries().map(|count| (started.elapsed(), count));
                    seen.lock().unwrap_or_else(PoisonError::into_inner).extend(sample);
                    std::thread::sleep(INTERVAL);
                }
            }
        };
        let thread = self.below.router().namespace().thread("watch", body)?;
        Ok(Watch { stop, seen, thread: Some(thread) })
    }
}

/// How many entries the namespace of this thread has; the kernel leaves out what has expired.
fn entries() -> std::io::Result<usize> {
    let table = std::fs::read("/proc/thread-self/net/nf_conntrack")?;
    Ok(table.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count())
}

/// Somebody who looks at a router's table until this is dropped.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<(Duration, usize)>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// The most entries that were seen at once.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.seen().iter().map(|(_, count)| *count).max().unwrap_or_default()
    }

    /// What was seen, and how long after the beginning.
    #[must_use]
    pub fn seen(&self) -> Vec<(Duration, usize)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
