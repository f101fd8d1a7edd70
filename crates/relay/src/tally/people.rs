//! How many people there were, without knowing any of them.
//!
//! HyperLogLog (Flajolet et al., 2007) keeps 4,096 small numbers, whatever comes; it cannot tell
//! whether a given address was among those that it has seen except by guessing, and without the salt
//! not even that. The salt is drawn at the start and again each day, and is nowhere but here.

use aws_lc_rs::{hmac, rand};
use wire::tally::Day;

use crate::sources::Source;

/// How many bits of a hash choose the register.
const BITS: u32 = 12;
/// The standard error is 1.04 / sqrt(REGISTERS) = 1.6 %.
const REGISTERS: usize = 1 << BITS;
/// The largest rank that the other bits can have.
const TOP: usize = 64 - BITS as usize + 1;

pub(super) struct People {
    /// The day of those that were seen; `None` until somebody has asked for the first time.
    day: Option<Day>,
    salt: hmac::Key,
    registers: Box<[u8; REGISTERS]>,
}

impl Default for People {
    fn default() -> Self {
        let mut salt = [0; 32];
        rand::fill(&mut salt).expect("the operating system gives random bytes");
        Self::salted(&salt)
    }
}

impl People {
    fn salted(salt: &[u8; 32]) -> Self {
        let salt = hmac::Key::new(hmac::HMAC_SHA256, salt);
        Self { day: None, salt, registers: Box::new([0; REGISTERS]) }
    }

    pub(super) fn see(&mut self, source: Source) {
        let tag = hmac::sign(&self.salt, &source.octets());
        let hash = tag.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let place = usize::try_from(hash >> (64 - BITS)).expect("twelve bits");
        // One more than there are leading zeros in the rest, which has an end of its own.
        let rank = (hash << BITS | 1 << (BITS - 1)).leading_zeros() + 1;
        let register = &mut self.registers[place];
        *register = (*register).max(u8::try_from(rank).expect("at most 53"));
    }

    /// About how many there were up to now on the day that began with the last change of days; with
    /// a new day all is forgotten. `None` when there was nobody.
    pub(super) fn take(&mut self, today: Day) -> Option<(Day, u64)> {
        let day = *self.day.get_or_insert(today);
        let seen = self.estimate();
        if day != today {
            *self = Self { day: Some(today), ..Self::default() };
        }
        (seen > 0).then_some((day, seen))
    }

    /// The estimate of Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017),
    /// algorithm 6: unbiased for few and for many alike.
    pub(super) fn estimate(&self) -> u64 {
        let mut of_rank = [0.0; TOP + 1];
        self.registers.iter().for_each(|&rank| of_rank[usize::from(rank)] += 1.0);
        let all = REGISTERS as f64;
        let mut sum = all * tau(1.0 - of_rank[TOP] / all);
        for count in of_rank[1..TOP].iter().rev() {
            sum = 0.5 * (sum + count);
        }
        sum += all * sigma(of_rank[0] / all);
        let estimate = all * all / (2.0 * std::f64::consts::LN_2 * sum);
        // Exact enough: far below 2^53, and never negative.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rounded = estimate.round() as u64;
        rounded
    }
}

/// x + the sum of x^(2^k) 2^(k-1) over all k from 1 on.
fn sigma(mut x: f64) -> f64 {
    let (mut sum, mut weight) = (x, 1.0);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        // Also when both are infinite: then nobody was seen.
        if sum == before {
            return sum;
        }
    }
}

/// (1 - x - the sum of (1 - x^(2^-k))^2 2^-k over all k from 1 on) / 3.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut sum, mut weight) = (1.0 - x, 1.0);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x).powi(2) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    fn source(n: u32) -> Source {
        IpAddr::from(Ipv4Addr::from(n)).into()
    }

    #[test]
    fn an_estimate_is_off_by_two_percent_at_most_as_a_rule() {
        const ROUNDS: u8 = 30;
        for people in [1, 10, 100, 1_000, 5_000, 12_000, 40_000] {
            let mut squares = 0.0;
            for salt in 0..ROUNDS {
                let mut sketch = People::salted(&[salt; 32]);
                (0..people).for_each(|n| sketch.see(source(n)));
                let error = sketch.estimate() as f64 / f64::from(people) - 1.0;
                squares += error * error / f64::from(ROUNDS);
            }
            assert!(squares.sqrt() <= 0.02, "{people} people: {:.4}", squares.sqrt());
        }
    }

    #[test]
    fn who_comes_again_is_not_counted_again() {
        let mut people = People::default();
        assert_eq!(people.estimate(), 0);
        for _ in 0..1_000 {
            people.see(source(1));
            people.see(IpAddr::from(Ipv6Addr::new(0x2a01, 4, 0, 0, 1, 2, 3, 4)).into());
            people.see(IpAddr::from(Ipv6Addr::new(0x2a01, 4, 0, 0, 9, 9, 9, 9)).into());
        }
        assert_eq!(people.estimate(), 2);
    }

    #[test]
    fn a_new_day_forgets_everybody_and_the_salt() {
        let mut people = People::salted(&[7; 32]);
        people.see(source(1));
        assert_eq!(people.take(Day(1)), Some((Day(1), 1)));
        assert_eq!(people.take(Day(1)), Some((Day(1), 1)));
        let marks = people.registers.clone();
        people.see(source(2));
        assert_eq!(people.take(Day(2)), Some((Day(1), 2)), "those of the last moments were there");
        assert_eq!(people.take(Day(2)), None);
        people.see(source(1));
        assert_ne!(people.registers, marks, "the same address leaves another mark");
    }
}
