//! How much is carried in a month, in UTC.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;
use relay::Relay;
use store::{By, Group, Store};
use wire::tally::Day;

use crate::key::day as date;
use crate::ledger::unix;

/// A terabyte, as providers count.
const TB: u64 = 1_000_000_000_000;
const UNITS: [(&str, u64); 4] = [("GB", TB / 1000), ("TB", TB), ("GIB", 1 << 30), ("TIB", 1 << 40)];

/// An amount of traffic, as in 500GB or 2TB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Traffic(pub u64);

impl FromStr for Traffic {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let text = text.trim();
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = (text[..split].trim_end(), text[split..].to_ascii_uppercase());
        let unit = UNITS.iter().find(|(name, _)| *name == unit);
        let (Some((_, unit)), Ok(Money(number))) = (unit, number.parse()) else {
            bail!("'{text}' is no amount of traffic: write 500GB or 2TB");
        };
        Ok(Self(product(number, *unit)))
    }
}

/// As it is read back.
impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[allow(clippy::cast_precision_loss)] // 53 bits are some petabytes.
        let gigabytes = self.0 as f64 / (TB / 1000) as f64;
        write!(f, "{gigabytes}GB")
    }
}

/// An amount of money, in whichever currency.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Money(pub f64);

impl FromStr for Money {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text.trim().parse() {
            Ok(number) if f64::is_finite(number) && number > 0.0 => Ok(Self(number)),
            _ => bail!("'{text}' is no number above 0"),
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn product(number: f64, unit: u64) -> u64 {
    // A number that is too large becomes the largest.
    (number * unit as f64) as u64
}

/// How many bytes a relay may carry in a month; `None` for any number.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Allowance(pub Option<u64>);

impl Allowance {
    /// The smaller of what was said in bytes and in money.
    pub(crate) fn new(
        traffic: Option<Traffic>,
        money: Option<Money>,
        price_per_tb: Option<Money>,
    ) -> anyhow::Result<Self> {
        let for_money = match (money, price_per_tb) {
            (Some(money), Some(price)) => Some(product(money.0 / price.0, TB)),
            (None, None) => None,
            (Some(_), None) => bail!("--monthly-money needs what a TB costs: --price-per-tb"),
            (None, Some(_)) => bail!("--price-per-tb is for --monthly-money, which is missing"),
        };
        let both = [traffic.map(|traffic| traffic.0), for_money];
        Ok(Self(both.into_iter().flatten().min()))
    }

    /// Whether so many bytes are all of it.
    pub(crate) fn is_spent(self, carried: u64) -> bool {
        self.0.is_some_and(|most| carried >= most)
    }
}

/// What was carried in the month that is under way: what the state says of it, and what was added since.
pub(crate) struct Month {
    relay: Relay,
    name: String,
    before: u64,
    /// What this process had carried when the month began.
    start: u64,
}

impl Month {
    /// To be called before anything is carried.
    pub(crate) async fn open(store: &Store, relay: Relay) -> anyhow::Result<Self> {
        let today = Day::at(unix());
        let name = month(today);
        let mut first = today;
        while month(Day(first.0 - 1)) == name {
            first = Day(first.0 - 1);
        }
        let mut before = 0u64;
        for (group, amounts) in store.tally(By::Day, first).await? {
            if matches!(group, Group::Day(_)) {
                before = before.saturating_add(amounts.bytes());
            }
        }
        Ok(Self { relay, name, before, start: 0 })
    }

    /// How many bytes, up and down.
    pub(crate) fn carried(&mut self) -> u64 {
        let since_start = self.relay.totals().carried.values().map(|amounts| amounts.bytes()).sum();
        let name = month(Day::at(unix()));
        if name != self.name {
            (self.name, self.before, self.start) = (name, 0, since_start);
        }
        self.before.saturating_add(since_start - self.start)
    }
}

/// As in 2026-11.
fn month(day: Day) -> String {
    let mut name = date(day.start());
    name.truncate("2026-11".len());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_money_and_traffic_the_smaller_bound_counts() {
        let traffic = |text: &str| text.parse::<Traffic>().ok();
        let money = |number| Some(Money(number));
        for (said, may) in [
            ((None, None, None), None),
            ((traffic("2TB"), None, None), Some(2 * TB)),
            ((traffic("2 TB"), money(5.0), money(1.0)), Some(2 * TB)),
            ((traffic("500GB"), money(5.0), money(1.0)), Some(TB / 2)),
            ((traffic("9TB"), money(6.0), money(1.5)), Some(4 * TB)),
        ] {
            let (traffic, money, price) = said;
            assert_eq!(Allowance::new(traffic, money, price).expect("whole").0, may);
        }
        assert!(Allowance::new(None, money(5.0), None).is_err());
        assert!(Allowance::new(None, None, money(5.0)).is_err());
    }

    #[test]
    fn traffic_is_read_as_it_is_written() {
        for (text, bytes) in [("2TB", 2 * TB), ("1.5tb", TB * 3 / 2), ("10GiB", 10 << 30)] {
            let traffic: Traffic = text.parse().expect("traffic");
            assert_eq!(traffic, Traffic(bytes));
            assert_eq!(traffic.to_string().parse::<Traffic>().ok(), Some(traffic));
        }
        for text in ["", "TB", "2", "2PB", "-2TB", "0TB", "2TBs"] {
            assert!(text.parse::<Traffic>().is_err(), "{text}");
        }
    }
}
