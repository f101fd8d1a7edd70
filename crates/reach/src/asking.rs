//! Questions that need not be remembered: port, attempt and time give the same one again.
//!
//! Whoever swallows a question could ask it later himself, as long as the relay takes it for fresh. So
//! questions are dated back, once the relay's clock is known from an answer, and are worthless within a
//! minute. A relay that has not answered gets a few with the time as our clock has it; if others have
//! answered by then, it is taken to be right as far as some minutes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wire::ctr::Ctr;
use wire::echo::question::NONCE;
use wire::echo::{Question, SKEW, Shape, Wanted};

use crate::Spot;

/// Questions of one stretch of time bear the same time, in seconds. Answers come within one.
const STRETCH: u32 = 16;
/// For how long a question is good, in seconds, and up to a stretch less: where the relay's own clock
/// is known, and where another relay's is.
const LIFE: u32 = 60;
const LIFE_BY_OTHERS: u32 = 360;
/// By how much a clock may stray, in seconds, before what is known of it is known no more.
const STRAY: i64 = 10;
/// How many questions a relay that has not answered gets with the time as it is.
const KNOCKS: u32 = 8;

/// What a search asks.
pub(crate) struct Questions {
    key: [u8; 32],
    began: Instant,
    /// Seconds since 1970 when it began: the clock may be set while we search.
    unix: u64,
    clocks: Mutex<Clocks>,
}

/// How far relays' clocks are ahead of ours, in seconds.
#[derive(Default)]
struct Clocks {
    known: HashMap<u16, i64>,
    /// Of the relay that answered first.
    first: Option<i64>,
    /// How far the machine's clock had gone ahead of our own count, when that was looked at last: it is
    /// set, or the machine has slept.
    strayed: i64,
    /// How many questions went to each that has not answered.
    knocks: HashMap<u16, u32>,
}

impl Questions {
    pub(crate) fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let clocks = Mutex::default();
        Self { key: wire::random(), began: Instant::now(), unix: unix.as_secs(), clocks }
    }

    fn now(&self) -> u32 {
        u32::try_from(self.unix + self.began.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    fn strayed(&self) -> i64 {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let unix = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
        unix.saturating_sub(i64::from(self.now()))
    }

    /// The time that a question to this spot bears, if it goes out now.
    pub(crate) fn time(&self, spot: &Spot) -> u32 {
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        clocks.look(self.strayed());
        clocks.date(spot.relay(), self.now())
    }

    /// Times that questions may bear whose answers come now from there.
    pub(crate) fn times(&self, spot: &Spot) -> Vec<u32> {
        let clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let bases = clocks.dates(spot.relay(), self.now());
        let both = |time: u32| [time, time.saturating_sub(STRETCH)];
        bases.into_iter().flatten().flat_map(both).collect()
    }

    /// A relay's answer tells its time.
    pub(crate) fn learn(&self, spot: &Spot, time: u32) {
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        clocks.learn(spot.relay(), i64::from(time) - i64::from(self.now()));
    }

    /// A question that nobody can make again: for whoever remembers it.
    pub(crate) fn fresh(&self, spot: &Spot, shape: Shape) -> Question {
        self.ask(spot, shape, self.time(spot), wire::random())
    }

    /// The question of one attempt. An attempt must not be made twice in one transport and time but
    /// with the same shape; its number is below 256.
    pub(crate) fn question(&self, spot: &Spot, shape: Shape, attempt: u8, time: u32) -> Question {
        self.ask(spot, shape, time, self.nonce(spot, shape, attempt, time))
    }

    fn ask(&self, spot: &Spot, shape: Shape, time: u32, nonce: [u8; NONCE]) -> Question {
        let wanted =
            Wanted { transport: spot.transport(), shape, relay: spot.address(), time, near: None };
        spot.asker().ask(&wanted, nonce)
    }

    fn nonce(&self, spot: &Spot, shape: Shape, attempt: u8, time: u32) -> [u8; NONCE] {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&spot.key().to_be_bytes());
        block[8..12].copy_from_slice(&time.to_be_bytes());
        block[12] = shape.number();
        block[13] = attempt;
        let mut noise = [0; 16];
        Ctr::new(&self.key, &block).apply(&mut noise);
        *noise.first_chunk().expect("12 of 16")
    }
}

impl Clocks {
    fn learn(&mut self, relay: u16, ahead: i64) {
        // Within a few seconds it is the same: questions that are out must be made again as they were.
        let known = self.known.entry(relay).or_insert(ahead);
        if known.abs_diff(ahead) > STRAY.unsigned_abs() {
            *known = ahead;
        }
        self.first.get_or_insert(ahead);
        self.knocks.remove(&relay);
    }

    /// Where the machine has slept, our count has stood still, and no relay's clock has.
    fn look(&mut self, strayed: i64) {
        if self.strayed.abs_diff(strayed) > STRAY.unsigned_abs() {
            *self = Self { strayed, ..Self::default() };
        }
    }

    fn date(&mut self, relay: u16, now: u32) -> u32 {
        let [own, others, plain] = self.dates(relay, now);
        if let Some(own) = own {
            return own;
        }
        let knocks = self.knocks.entry(relay).or_default();
        *knocks = knocks.saturating_add(1);
        others.filter(|_| *knocks > KNOCKS).or(plain).unwrap_or(now)
    }

    /// By the relay's clock, by the first one's that answered, and by ours.
    fn dates(&self, relay: u16, now: u32) -> [Option<u32>; 3] {
        let back = |ahead: i64, life: u32| {
            let theirs = i64::from(now) + ahead - i64::from(SKEW - life);
            u32::try_from(theirs).unwrap_or(now) / STRETCH * STRETCH
        };
        let own = self.known.get(&relay).map(|ahead| back(*ahead, LIFE));
        let others = self.first.map(|ahead| back(ahead, LIFE_BY_OTHERS));
        [own, others, Some(now / STRETCH * STRETCH)]
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use wire::echo::{BundleId, EchoKey, MaskKey, Table, Transport};

    use super::*;
    use crate::{Targets, peer};

    const NOW: u32 = 1_800_000_000;

    #[test]
    fn a_question_is_worthless_within_a_minute_where_the_relays_clock_is_known() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let endpoint = peer::endpoint(ip, &[]);
        let (echo, mask): (EchoKey, MaskKey) = (endpoint.echo_key, endpoint.mask_key);
        let targets = Targets::untrusted(&[endpoint]);
        let spot = targets.spot((ip, 443).into(), Transport::Tcp).expect("a port");
        for ahead in [0_i64, 5_000, -5_000] {
            let questions = Questions::new();
            let theirs = |later: u32| {
                let now = i64::from(questions.now()) + ahead + i64::from(later);
                u32::try_from(now).expect("this century")
            };
            let takes = |question: &Question, later| {
                let now = theirs(later);
                let table = Table::new(&mask, [(BundleId([1; 16]), echo)], now);
                table.open(question, now).is_some()
            };
            let before = questions.fresh(&spot, Shape::Random);
            assert_eq!(takes(&before, 0), ahead == 0, "our clock's time");
            questions.learn(&spot, theirs(0));
            let question = questions.fresh(&spot, Shape::Random);
            assert!(takes(&question, 0) && takes(&question, 30) && !takes(&question, 62));
            assert!(questions.times(&spot).contains(&questions.time(&spot)));
        }
    }

    #[test]
    fn who_has_not_answered_is_asked_by_our_clock_a_few_times_and_then_by_anothers() {
        let mut clocks = Clocks::default();
        let plain = NOW / STRETCH * STRETCH;
        for _ in 0..100 {
            assert_eq!(clocks.date(1, NOW), plain, "nobody has answered");
        }
        clocks.learn(2, 0);
        for _ in 0..KNOCKS {
            assert_eq!(clocks.date(3, NOW), plain);
        }
        for relay in [1, 3] {
            let age = NOW - clocks.date(relay, NOW);
            assert!((SKEW - LIFE_BY_OTHERS..SKEW - LIFE_BY_OTHERS + STRETCH).contains(&age));
        }
        clocks.learn(3, -100);
        clocks.look(1);
        let life = clocks.date(3, NOW) + SKEW - (NOW - 100);
        assert!((LIFE - STRETCH..=LIFE).contains(&life), "{life}");
        clocks.look(3_600);
        assert_eq!(clocks.date(3, NOW), plain, "the machine has slept");
    }
}
