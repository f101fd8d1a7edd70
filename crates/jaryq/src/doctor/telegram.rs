//! Telegram from here, without the relay: whether each datacentre answers, and what its clock shows.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::timeout;
use wire::mtproto::{Datacentre, Datacentres, DcId};

use super::check::Check;
use super::client::{Failure, Heard, visit};
use super::way::{NoWay, Way};
use super::{all, list};

/// Those to which a relay takes people: where accounts live, and the one for files.
const MEANT: [(Datacentre, i16); 6] = [
    (Datacentre::Main(2), 2),
    (Datacentre::Main(4), 4),
    (Datacentre::Main(1), 1),
    (Datacentre::Main(3), 3),
    (Datacentre::Main(5), 5),
    (Datacentre::Media, 203),
];

/// How long an address may take on its usual port, and again on the others.
const PATIENCE: Duration = Duration::from_secs(4);
/// A clock that differs by more lets fake TLS fail: the relay allows ten minutes.
const TOO_MUCH: u64 = 600;
/// Apps' clocks differ too, so not all of it is to be used up here.
const MUCH: u64 = 60;

/// What was seen of one address of a datacentre.
struct Sight {
    dc: Datacentre,
    ip: IpAddr,
    heard: Result<Heard, Failure>,
}

/// What was seen of Telegram.
pub(crate) struct Telegram {
    sights: Vec<Sight>,
}

impl Telegram {
    /// Asks every address, those of a family that this machine does not have excepted.
    pub(crate) async fn look(datacentres: &Datacentres, has_ipv6: bool) -> Self {
        let mut looks = Vec::new();
        for (dc, id) in MEANT {
            let endpoints = datacentres.endpoints(dc);
            let addresses: BTreeSet<IpAddr> = endpoints.iter().map(SocketAddr::ip).collect();
            for ip in addresses.into_iter().filter(|ip| has_ipv6 || ip.is_ipv4()) {
                let ports = endpoints.iter().copied().filter(|at| at.ip() == ip).collect();
                looks.push(look_at(dc, ip, ports, DcId(id)));
            }
        }
        Self { sights: all(looks).await }
    }

    /// One that answers, if any does: the first that apps ask, where that is possible.
    pub(crate) fn answering(&self) -> Option<DcId> {
        let answers = |dc| self.of(dc).any(|sight| sight.heard.is_ok());
        MEANT.into_iter().find(|(dc, _)| answers(*dc)).map(|(_, id)| DcId(id))
    }

    fn of(&self, dc: Datacentre) -> impl Iterator<Item = &Sight> {
        self.sights.iter().filter(move |sight| sight.dc == dc)
    }

    pub(crate) fn clock(&self) -> Check {
        let mut ahead: Vec<i64> = self
            .sights
            .iter()
            .filter_map(|sight| sight.heard.as_ref().ok())
            .map(|h| h.ahead)
            .collect();
        ahead.sort_unstable();
        let Some(&median) = ahead.get(ahead.len() / 2) else {
            return Check::warning(
                "clock",
                "not compared with any other, since Telegram does not answer",
            );
        };
        let side = if median > 0 { "behind" } else { "ahead of" };
        let off = median.unsigned_abs();
        let seen = format!("{} {side} Telegram's", span(off));
        if off < MUCH {
            return Check::ok("clock", "agrees with Telegram's");
        }
        let remedy = "set it, and keep it right: timedatectl set-ntp true";
        if off < TOO_MUCH {
            return Check::warning("clock", seen)
                .cause("this server's clock is wrong; at ten minutes, 'ee' links stop working")
                .remedy(remedy);
        }
        Check::fault("clock", seen)
            .cause("this server's clock is wrong, so every hello of an 'ee' link looks like an old one")
            .remedy(remedy)
    }

    pub(crate) fn checks(&self) -> Vec<Check> {
        let failed = |sight: &&Sight| sight.heard.is_err();
        if self.sights.iter().all(|sight| sight.heard.is_err()) {
            return vec![
                Check::fault("datacentres", format!("none answers: {}", told(self.sights.iter())))
                    .cause(
                        "this server has no way to the internet, or its provider or country blocks \
                         Telegram",
                    )
                    .remedy(
                        "ask the provider, or take a server elsewhere: from here nobody is helped",
                    ),
            ];
        }
        let mut checks = Vec::new();
        // A family of which nothing answers is one trouble, and not six.
        let mut dead = [true, false].into_iter().filter(|&v6| {
            let mut of_it = self.sights.iter().filter(|sight| sight.ip.is_ipv6() == v6).peekable();
            of_it.peek().is_some() && of_it.all(|sight| sight.heard.is_err())
        });
        let dead = dead.next();
        if let Some(v6) = dead {
            let family = if v6 { "IPv6" } else { "IPv4" };
            checks.push(
                Check::warning("datacentres", format!("none answers over {family}"))
                    .cause(format!(
                        "this server's {family} leads nowhere, or the provider blocks it"
                    ))
                    .remedy(
                        "none is needed: the relay takes the other family; the provider can tell",
                    ),
            );
        }
        let mut good = Vec::new();
        for (dc, _) in MEANT {
            let name = format!("datacentre {dc}");
            if self.of(dc).all(|sight| sight.heard.is_err()) {
                checks.push(
                    Check::fault(name, format!("no address answers: {}", told(self.of(dc))))
                        .cause("the provider or something behind it blocks it, or it is down")
                        .remedy(
                            "ask the provider; people whose account lives there do not get through",
                        ),
                );
                continue;
            }
            good.push(dc.to_string());
            let lost =
                || self.of(dc).filter(|sight| dead != Some(sight.ip.is_ipv6())).filter(failed);
            if lost().next().is_some() {
                checks.push(
                    Check::warning(name, format!("answers, but not everywhere: {}", told(lost())))
                        .cause("that address is blocked on the way, or down")
                        .remedy("none is needed: the relay takes another address of it"),
                );
            }
        }
        good.sort_by_key(|name| name.parse::<u16>().unwrap_or(u16::MAX));
        let slowest =
            self.sights.iter().filter_map(|sight| Some(sight.heard.as_ref().ok()?.took)).max();
        let slowest = slowest.unwrap_or_default().as_millis();
        checks.insert(
            0,
            Check::ok("datacentres", format!("{} answer within {slowest} ms", list(&good))),
        );
        checks
    }
}

/// One address, on its usual port; where that does not answer, on all others at once.
async fn look_at(dc: Datacentre, ip: IpAddr, ports: Vec<SocketAddr>, id: DcId) -> Sight {
    let mut heard = Err(Failure::NoWay(NoWay::Silence));
    if let Some((first, others)) = ports.split_first() {
        heard = ask(*first, id).await;
        if heard.is_err() {
            let visits = all(others.iter().map(|&at| ask(at, id)).collect()).await;
            heard = visits.into_iter().find(Result::is_ok).unwrap_or(heard);
        }
    }
    Sight { dc, ip, heard }
}

async fn ask(at: SocketAddr, dc: DcId) -> Result<Heard, Failure> {
    let asking = visit(&Way::Here, at, None, dc);
    timeout(PATIENCE, asking).await.unwrap_or(Err(Failure::NoWay(NoWay::Silence)))
}

/// Addresses and what came of each.
/// Those that failed and why, each reason once.
fn told<'a>(sights: impl Iterator<Item = &'a Sight>) -> String {
    let mut reasons: Vec<(&Failure, Vec<IpAddr>)> = Vec::new();
    for sight in sights {
        let Err(why) = &sight.heard else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, ips)) => ips.push(sight.ip),
            None => reasons.push((why, vec![sight.ip])),
        }
    }
    let texts = reasons.iter().map(|(why, ips)| format!("{}: {why}", list(ips)));
    texts.collect::<Vec<_>>().join("; ")
}

fn span(seconds: u64) -> String {
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) }
}
