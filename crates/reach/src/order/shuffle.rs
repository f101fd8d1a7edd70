//! All ports of both transports in an order that a key gives: many people with keys of their own
//! cover them all together, though nobody tells them to.

use wire::ctr::Ctr;
use wire::echo::Transport;

const ALL: u32 = 1 << 17;

/// Every port of both transports once.
pub(super) struct Shuffle {
    order: Vec<u32>,
}

impl Shuffle {
    /// As this key and epoch have it: Fisher and Yates' shuffle, over half a MiB of key stream.
    pub(super) fn new(key: &[u8; 32], epoch: u64) -> Self {
        let mut iv = [0; 16];
        iv[..8].copy_from_slice(&epoch.to_be_bytes());
        let mut noise = vec![0; 8 * ALL as usize];
        Ctr::new(key, &iv).apply(&mut noise);
        let mut order: Vec<u32> = (0..ALL).collect();
        let (noise, _) = noise.as_chunks::<8>();
        for (left, noise) in (2..=ALL).rev().zip(noise) {
            // 2^64 is so much more than 2^17 that no port is favoured measurably.
            let drawn = u64::from_le_bytes(*noise) % u64::from(left);
            let drawn = usize::try_from(drawn).expect("below 2^17");
            order.swap(left as usize - 1, drawn);
        }
        Self { order }
    }

    pub(super) fn get(&self, at: usize) -> Option<(Transport, u16)> {
        let drawn = *self.order.get(at)?;
        let transport = if drawn >> 16 == 0 { Transport::Tcp } else { Transport::Udp };
        Some((transport, (drawn & 0xffff) as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_port_comes_once_and_keys_and_epochs_differ() {
        let all = |key: u8, epoch| {
            let shuffle = Shuffle::new(&[key; 32], epoch);
            (0..).map_while(|at| shuffle.get(at)).collect::<Vec<_>>()
        };
        let one = all(1, 0);
        assert_eq!(one.iter().collect::<HashSet<_>>().len(), 131_072);
        assert_eq!(one, all(1, 0));
        assert_ne!(one, all(1, 1));
        assert_ne!(one, all(2, 0));
    }

    #[test]
    fn a_hundred_people_find_one_of_five_ports_a_hundred_times_as_soon() {
        let open = [179, 646, 3784, 3785, 4784].map(|port| (Transport::Tcp, port));
        let first = |key: u8| {
            let shuffle = Shuffle::new(&[key; 32], 0);
            (0..).map_while(|at| shuffle.get(at)).position(|it| open.contains(&it)).expect("all")
        };
        let firsts: Vec<usize> = (0..100).map(first).collect();
        let soonest = firsts.iter().min().expect("100");
        let mean = firsts.iter().sum::<usize>() / 100;
        assert!((11_000..35_000).contains(&mean), "{mean}");
        assert!(*soonest < 3_000, "{soonest}");
    }
}
