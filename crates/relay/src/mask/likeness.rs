//! How the mask host answers a hello: what that looks like from outside and how long it takes. Known
//! from asking it, and from what it answers to strangers; in memory alone. Fake TLS does the same.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wire::mtproto::faketls::Look;
use wire::tls::hello::{ClientHello, Group, X25519, X25519_MLKEM768};

/// How many paces are remembered.
const PACES: usize = 32;
/// A mask host that takes longer than this is not waited for like that: it would cost people more
/// than it hides.
const SLOW: Duration = Duration::from_secs(2);

/// How long the mask host took once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Pace {
    /// Until it had accepted a connection.
    pub connect: Duration,
    /// From the hello's last byte to the answer's first.
    pub answer: Duration,
}

/// One answer of the mask host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Manner {
    pub look: Look,
    /// Where in it, in bytes, the mask host paused, and for how long.
    pub pauses: Vec<(usize, Duration)>,
}

/// What is known of the mask host.
pub(crate) struct Likeness {
    /// What is shown as long as nothing is known.
    usual: Look,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Its answers to a hello that offers the hybrid group, and to one that does not.
    manners: [Vec<Manner>; 2],
    paces: VecDeque<Pace>,
}

/// The two kinds of hello that Telegram's apps send, by the group that tells them apart.
pub(crate) const KINDS: [Group; 2] = [X25519_MLKEM768, X25519];

fn place(kind: Group) -> usize {
    usize::from(kind != X25519_MLKEM768)
}

impl Likeness {
    pub(crate) fn new(usual: Look) -> Self {
        Self { usual, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are its answers to this kind of hello now; what was known before is not true any more.
    pub(crate) fn learn(&self, kind: Group, manners: Vec<Manner>) {
        self.known().manners[place(kind)] = manners;
    }

    /// So long it took.
    pub(crate) fn note(&self, pace: Pace) {
        if pace.connect + pace.answer > SLOW {
            return;
        }
        let mut known = self.known();
        if known.paces.len() >= PACES {
            known.paces.pop_front();
        }
        known.paces.push_back(pace);
    }

    /// How a hello is to be answered: as one of the answers to others of its kind.
    pub(crate) fn manner(&self, hello: &ClientHello<'_>) -> Manner {
        let kind = hello.share(X25519_MLKEM768).map_or(X25519, |_| X25519_MLKEM768);
        let known = self.known();
        let manners = &known.manners[place(kind)];
        let drawn = manners.get(below(manners.len()));
        drawn.cloned().unwrap_or_else(|| {
            // A certificate's signature, and so all that is encrypted, varies by a byte or two.
            let encrypted = self.usual.encrypted + below(3);
            Manner { look: Look { encrypted, ..self.usual }, pauses: Vec::new() }
        })
    }

    /// How long it is to take: something between two neighbouring paces. `None` as long as nothing
    /// is known.
    pub(crate) fn pace(&self) -> Option<Pace> {
        let mut paces: Vec<Pace> = self.known().paces.iter().copied().collect();
        paces.sort_unstable_by_key(|pace| pace.connect + pace.answer);
        let lower = below(paces.len());
        let one = *paces.get(lower)?;
        let other = *paces.get(lower + 1).unwrap_or(&one);
        let part = f64::from(u32::from_be_bytes(wire::random())) / f64::from(u32::MAX);
        let between = |one: Duration, other: Duration| {
            Duration::from_secs_f64(one.as_secs_f64() * (1.0 - part) + other.as_secs_f64() * part)
        };
        let (connect, answer) =
            (between(one.connect, other.connect), between(one.answer, other.answer));
        Some(Pace { connect, answer })
    }
}

/// A random number below `bound`, and 0 for 0.
fn below(bound: usize) -> usize {
    usize::from(u16::from_be_bytes(wire::random())).checked_rem(bound).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use wire::tls::offer;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn each_kind_of_hello_is_answered_like_others_of_its_kind() {
        let likeness = Likeness::new(Look::usual(1));
        let manner = |encrypted| Manner { look: Look::usual(encrypted), pauses: Vec::new() };
        let records = KINDS.map(|kind| offer::record("example.org", kind));
        let hellos = records.each_ref().map(|record| ClientHello::read(record).expect("a hello"));
        let usual = |hello| (1..=3).contains(&likeness.manner(hello).look.encrypted);
        assert!(usual(&hellos[0]));
        likeness.learn(X25519_MLKEM768, vec![manner(2), manner(3)]);
        likeness.learn(X25519, vec![manner(4)]);
        let drawn: HashSet<usize> =
            (0..200).map(|_| likeness.manner(&hellos[0]).look.encrypted).collect();
        assert_eq!(drawn, HashSet::from([2, 3]));
        assert_eq!(likeness.manner(&hellos[1]), manner(4));
        likeness.learn(X25519, Vec::new());
        assert!(usual(&hellos[1]));
    }

    #[test]
    fn the_pace_lies_between_those_that_were_seen_last() {
        let likeness = Likeness::new(Look::usual(1));
        assert_eq!(likeness.pace(), None);
        likeness.note(Pace { connect: ms(500), answer: ms(500) });
        likeness.note(Pace { connect: ms(1), answer: ms(2000) });
        for extra in 0..PACES as u64 {
            likeness.note(Pace { connect: ms(10 + extra), answer: ms(20 + extra) });
        }
        let drawn: HashSet<Pace> = (0..200).map(|_| likeness.pace().expect("known")).collect();
        assert!(drawn.len() > PACES, "not those that were seen alone");
        for pace in drawn {
            assert!((ms(10)..=ms(42)).contains(&pace.connect), "{pace:?}");
            assert!((ms(20)..=ms(52)).contains(&pace.answer), "{pace:?}");
        }
    }
}
