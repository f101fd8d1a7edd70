//! Questions that need not be remembered: port, attempt and time give the same one again.
//!
//! Whoever swallows a question could ask it later himself, as long as the relay takes it for fresh. So
//! questions are dated back, once the relay's clock is known from an answer, and are worthless within a
//! minute. A relay that has not answered gets a few with the time as our clock has it; if others have
//! answered by then, it is taken to be right as far as some minutes.
//!
//! And they name our network ([`Near`]), once the relay has told it, so that they are worth nothing
//! elsewhere. But a question that names the wrong one is silence, as behind a translator that gives one
//! person several addresses: datagrams all leave from one port, so that one word is enough for them; of
//! connections it takes a few that agree. What was told is forgotten when nobody repeats it, since whoever
//! moves to another network would ask in vain.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use wire::ctr::Ctr;
use wire::echo::question::NONCE;
use wire::echo::{Answer, Near, Question, SKEW, Shape, Transport, Wanted};

use crate::Spot;
use crate::probe::unix;

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

/// How many answers must agree on our network before questions name it.
const AGREE_UDP: u32 = 1;
const AGREE_TCP: u32 = 3;
/// And for how long they do after the last one, in seconds.
const NAMED: u32 = 60;

/// When a question is asked, as it says itself, and from where, if it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment {
    time: u32,
    near: Option<Near>,
}

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
    /// Where each address of a relay's saw us, by each transport.
    seen: HashMap<(u16, Transport), Seen>,
}

/// Where a relay saw us.
struct Seen {
    near: Near,
    /// How often, and when last.
    times: u32,
    at: u32,
    /// Whether it has seen us elsewhere too.
    is_torn: bool,
}

impl Questions {
    pub(crate) fn new() -> Self {
        let clocks = Mutex::default();
        Self { key: wire::random(), began: Instant::now(), unix: unix(), clocks }
    }

    fn now(&self) -> u32 {
        u32::try_from(self.unix + self.began.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    fn strayed(&self) -> i64 {
        let unix = i64::try_from(unix()).unwrap_or(i64::MAX);
        unix.saturating_sub(i64::from(self.now()))
    }

    /// What a question to this spot says, if it goes out now.
    pub(crate) fn moment(&self, spot: &Spot) -> Moment {
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        clocks.look(self.strayed());
        let now = self.now();
        Moment { time: clocks.date(spot.relay(), now), near: clocks.near(spot, now) }
    }

    /// What questions may have said whose answers come now from there.
    pub(crate) fn moments(&self, spot: &Spot) -> Vec<Moment> {
        let clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = clocks.seen.get(&place(spot)).map(|seen| Some(seen.near));
        let nears = || seen.into_iter().chain([None]);
        let bases = clocks.dates(spot.relay(), self.now());
        let both = |time: u32| [time, time.saturating_sub(STRETCH)];
        let times = bases.into_iter().flatten().flat_map(both);
        times.flat_map(|time| nears().map(move |near| Moment { time, near })).collect()
    }

    /// A relay's answer tells its time, and where it sees us.
    pub(crate) fn learn(&self, spot: &Spot, answer: &Answer) {
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        clocks.learn(spot.relay(), i64::from(answer.time) - i64::from(now));
        clocks.see(place(spot), Near::of(answer.asker.ip()), now);
    }

    /// A question that nobody can make again: for whoever remembers it.
    pub(crate) fn fresh(&self, spot: &Spot, shape: Shape) -> Question {
        self.ask(spot, shape, self.moment(spot), wire::random())
    }

    /// The question of one attempt. An attempt must not be made twice in one transport and moment but
    /// with the same shape; its number is below 256.
    pub(crate) fn question(
        &self,
        spot: &Spot,
        shape: Shape,
        attempt: u8,
        moment: Moment,
    ) -> Question {
        self.ask(spot, shape, moment, self.nonce(spot, shape, attempt, moment))
    }

    fn ask(&self, spot: &Spot, shape: Shape, moment: Moment, nonce: [u8; NONCE]) -> Question {
        let Moment { time, near } = moment;
        let wanted =
            Wanted { transport: spot.transport(), shape, relay: spot.address(), time, near };
        spot.asker().ask(&wanted, nonce)
    }

    fn nonce(&self, spot: &Spot, shape: Shape, attempt: u8, moment: Moment) -> [u8; NONCE] {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&spot.key().to_be_bytes());
        block[8..12].copy_from_slice(&moment.time.to_be_bytes());
        block[12] = shape.number();
        block[13] = attempt;
        block[14] = u8::from(moment.near.is_some());
        let mut noise = [0; 16];
        Ctr::new(&self.key, &block).apply(&mut noise);
        *noise.first_chunk().expect("12 of 16")
    }
}

/// Who sees us from there.
fn place(spot: &Spot) -> (u16, Transport) {
    (spot.road.place, spot.transport())
}

impl Clocks {
    fn see(&mut self, place: (u16, Transport), near: Near, now: u32) {
        let fresh = || Seen { near, times: 0, at: now, is_torn: false };
        let seen = self.seen.entry(place).or_insert_with(fresh);
        seen.is_torn |= seen.near != near;
        seen.times = seen.times.saturating_add(1);
        seen.at = now;
    }

    /// Where a question to this spot says that it is from.
    fn near(&self, spot: &Spot, now: u32) -> Option<Near> {
        let agree = match spot.transport() {
            Transport::Tcp => AGREE_TCP,
            Transport::Udp => AGREE_UDP,
        };
        let is_good = |seen: &&Seen| {
            !seen.is_torn && seen.times >= agree && now.saturating_sub(seen.at) <= NAMED
        };
        self.seen.get(&place(spot)).filter(is_good).map(|seen| seen.near)
    }

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
            let asker = (ip, 50_000).into();
            let answer = Answer { relay: spot.address(), asker, time: theirs(0), reserved: [0; 8] };
            questions.learn(&spot, &answer);
            let question = questions.fresh(&spot, Shape::Random);
            assert!(takes(&question, 0) && takes(&question, 30) && !takes(&question, 62));
            assert!(questions.moments(&spot).contains(&questions.moment(&spot)));
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

    #[test]
    fn questions_name_our_network_as_long_as_the_relay_sees_us_there_and_nowhere_else() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let targets = Targets::untrusted(&[peer::endpoint(ip, &[])]);
        let spot = |transport| targets.spot((ip, 443).into(), transport).expect("a port");
        let [tcp, udp] = Transport::ALL.map(spot);
        let near = |text: &str| Near::of(text.parse().expect("an address"));
        let (here, elsewhere) = (near("198.51.100.7"), near("203.0.113.7"));
        let mut clocks = Clocks::default();
        assert_eq!(clocks.near(&udp, NOW), None, "nobody has told it");

        clocks.see(place(&udp), here, NOW);
        assert_eq!(clocks.near(&udp, NOW), Some(here));
        assert_eq!(clocks.near(&udp, NOW + NAMED), Some(here));
        assert_eq!(clocks.near(&udp, NOW + NAMED + 1), None, "we may have moved");
        clocks.see(place(&udp), here, NOW + 100);
        assert_eq!(clocks.near(&udp, NOW + 101), Some(here));

        for agreed in 1..=AGREE_TCP {
            assert_eq!(clocks.near(&tcp, NOW), None, "{agreed}");
            clocks.see(place(&tcp), near("198.51.100.99"), NOW);
        }
        assert_eq!(clocks.near(&tcp, NOW), Some(here));
        clocks.see(place(&tcp), elsewhere, NOW);
        clocks.see(place(&tcp), here, NOW);
        assert_eq!(clocks.near(&tcp, NOW), None, "one person has several addresses");
        clocks.look(3_600);
        assert_eq!(clocks.near(&udp, NOW + 101), None, "the machine has slept");
    }

    #[test]
    fn a_question_that_names_our_network_is_worth_nothing_elsewhere() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let endpoint = peer::endpoint(ip, &[]);
        let (echo, mask): (EchoKey, MaskKey) = (endpoint.echo_key, endpoint.mask_key);
        let targets = Targets::untrusted(&[endpoint]);
        let spot = targets.spot((ip, 443).into(), Transport::Udp).expect("a port");
        let questions = Questions::new();
        let comes_from = |address: &str| {
            let now = questions.now();
            let question = questions.question(&spot, Shape::Random, 0, questions.moment(&spot));
            let table = Table::new(&mask, [(BundleId([1; 16]), echo)], now);
            let found = table.open(&question, now).expect("a question of now");
            found.may_come_from(address.parse().expect("an address"))
        };
        assert!(comes_from("198.51.100.7") && comes_from("203.0.113.7"));
        let asker = ([198, 51, 100, 7], 50_000).into();
        let time = questions.now();
        questions.learn(&spot, &Answer { relay: spot.address(), asker, time, reserved: [0; 8] });
        assert!(comes_from("198.51.100.99") && !comes_from("203.0.113.7"));
        assert!(questions.moments(&spot).contains(&questions.moment(&spot)));
    }
}
