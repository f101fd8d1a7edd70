//! How much passes at a candidate that the relay has answered: 64 KiB each way, then a receipt, and
//! whether it still lives after a minute. What stops on its way says where.

mod acknowledged;
mod tcp;
mod udp;

use std::time::{Duration, Instant};

use wire::crack::Network;
use wire::echo::climb::{PIECE, PIECES};
use wire::echo::{Shape, Way};

use crate::probe::{self, Answered};
use crate::verdict::{Rung, Verdict};
use crate::{Spot, stop::Stop};

/// When a way is looked at once more.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// How long 64 KiB may take as long as something moves.
const LONGEST: Duration = Duration::from_secs(20);
/// Below this a way is throttled, in KiB a second, if the distance does not explain it.
const SLOW: f64 = 32.0;

/// What is climbed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) spot: Spot,
    pub(crate) shape: Shape,
    pub(crate) rtt: Duration,
    /// Whether packets get lost on this way.
    pub(crate) is_lossy: bool,
    /// Where the person says to be.
    pub(crate) network: Network,
    /// Whether to stay for a minute.
    pub(crate) stays: bool,
    pub(crate) stop: Stop,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Climbed {
    pub(crate) verdict: Verdict,
    pub(crate) bytes: u32,
    pub(crate) receipt: Option<Vec<u8>>,
    /// How many datagrams were lost, of how many.
    pub(crate) lost: Option<(u32, u32)>,
}

/// How far a climb got, each way in pieces.
#[derive(Clone, Copy, Default, Debug)]
struct Height {
    up: u16,
    down: u16,
}

/// Climbs, tells, and stays for a minute if it went well.
pub(crate) fn climb(route: &Route, answered: Answered, mut tell: impl FnMut(Climbed)) {
    let began = Instant::now();
    match answered.stream {
        Some((stream, rest)) => match tcp::Rope::new(route, stream, rest, &answered.question) {
            Ok(mut rope) => {
                rope.has_come(answered.came);
                let climbed = rope.climb();
                let is_up = climbed.verdict.is_crack();
                tell(climbed);
                if is_up && route.stays {
                    stay(route, began, |last| rope.is_alive(last), tell);
                }
            }
            Err(_) => tell(Climbed::none(Verdict::Untried)),
        },
        None => match udp::Rope::new(route) {
            Ok(mut rope) => {
                let climbed = rope.climb();
                let is_up = climbed.verdict.is_crack();
                tell(climbed);
                if is_up && route.stays {
                    stay(route, began, |last| rope.is_alive(last), tell);
                }
            }
            Err(verdict) => tell(Climbed::none(verdict)),
        },
    }
}

/// Waits for the minute's end. `look` is given how long it may look.
fn stay(
    route: &Route,
    began: Instant,
    mut look: impl FnMut(Duration) -> Option<Option<Vec<u8>>>,
    mut tell: impl FnMut(Climbed),
) {
    if route.stop.sleep_until(began + MINUTE) {
        return;
    }
    let patience = patience(route.rtt, true);
    let (verdict, receipt) = match look(patience) {
        Some(receipt) => (Verdict::Verified(Rung::Minute), receipt),
        None => {
            let after = began.elapsed().as_secs();
            (Verdict::Died { after: u16::try_from(after).unwrap_or(u16::MAX) }, None)
        }
    };
    tell(Climbed { receipt, ..Climbed::none(verdict) });
}

impl Climbed {
    fn none(verdict: Verdict) -> Self {
        Self { verdict, bytes: 0, receipt: None, lost: None }
    }
}

/// How long nothing may move before a way counts as frozen.
fn patience(rtt: Duration, is_lossy: bool) -> Duration {
    let calm = (rtt * 3 + Duration::from_millis(500)).max(Duration::from_secs(1));
    if is_lossy { calm * 3 } else { calm }
}

/// All of it passed, in this time: is that slow? A new connection doubles what it sends each round
/// trip, from 14 KiB on, so that 64 KiB take three or four; over datagrams it is ours to say, six.
fn judge_speed(took: Duration, rtt: Duration) -> Verdict {
    let rate = 64.0 / took.as_secs_f64().max(0.001);
    let explained = rtt * 6 + Duration::from_millis(300);
    if rate < SLOW && took > explained * 5 / 2 {
        Verdict::Throttled { rate: whole(rate) }
    } else {
        Verdict::Verified(Rung::Load)
    }
}

/// It moved to the end of our patience: slow, and how slow.
fn judge_slow(height: Height, took: Duration) -> Verdict {
    let pieces = height.up.min(height.down);
    let kib = f64::from(pieces) * PIECE as f64 / 1024.0;
    Verdict::Throttled { rate: whole(kib / took.as_secs_f64().max(0.001)) }
}

/// It stopped here. `has_all` says of each way whether all is known to have passed.
fn judge_stop(height: Height, has_all_up: bool) -> Verdict {
    let kib = |pieces: u16| u16::try_from(usize::from(pieces) * PIECE / 1024).expect("at most 64");
    let has_all_up = has_all_up || height.up >= PIECES;
    match (has_all_up, height.down >= PIECES) {
        (true, false) if height.down == 0 => Verdict::OneWay(Way::Up),
        (false, true) if height.up == 0 => Verdict::OneWay(Way::Down),
        (true, false) => Verdict::Frozen { up: None, down: Some(kib(height.down)) },
        (false, true) => Verdict::Frozen { up: Some(kib(height.up)), down: None },
        _ => Verdict::Frozen { up: Some(kib(height.up)), down: Some(kib(height.down)) },
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(rate: f64) -> u16 {
    rate.round().clamp(0.0, f64::from(u16::MAX)) as u16
}

/// What a receipt is asked with: the network that the person names.
fn told(network: &Network) -> Vec<u8> {
    match network {
        Network::Unknown => Vec::new(),
        named => named.to_string().into_bytes(),
    }
}

/// Seconds since 1970, as dresses write them.
fn unix() -> u32 {
    u32::try_from(probe::unix()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_way_stops_is_said_of_each_direction() {
        let stop = |up, down, has_all_up| judge_stop(Height { up, down }, has_all_up);
        assert_eq!(stop(8, 21, true), Verdict::Frozen { up: None, down: Some(15) });
        assert_eq!(stop(21, 86, false), Verdict::Frozen { up: Some(15), down: None });
        assert_eq!(stop(8, 12, false), Verdict::Frozen { up: Some(6), down: Some(9) });
        assert_eq!(stop(0, 0, true), Verdict::OneWay(Way::Up));
        assert_eq!(stop(0, 86, false), Verdict::OneWay(Way::Down));
    }

    #[test]
    fn slow_is_what_the_distance_does_not_explain() {
        let speed =
            |took, rtt| judge_speed(Duration::from_millis(took), Duration::from_millis(rtt));
        let fine = Verdict::Verified(Rung::Load);
        assert_eq!(speed(1_400, 200), fine);
        assert_eq!(speed(4_500, 700), fine, "by satellite");
        assert_eq!(speed(4_500, 50), Verdict::Throttled { rate: 14 });
        assert_eq!(speed(2_100, 50), Verdict::Throttled { rate: 30 });
    }
}
