//! The relay's own website and certificate, as somebody who comes sees them.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use front::look::{Seen, look};

use super::check::Check;
use super::{Patient, list};
use crate::face::HouseFace;
use crate::house::{HTTPS, Vouched};

/// A certificate that somebody else renews should be newer than that before it ends.
const SOON: Duration = Duration::from_secs(5 * 86_400);

pub(super) async fn look_at(patient: &Patient) -> Vec<Check> {
    let Some(house) = &patient.face.house else { return Vec::new() };
    let mut checks = Vec::new();
    if !house.has_site {
        checks.push(
            Check::warning("website", "nothing is found there")
                .cause("a website without a page convinces nobody who looks twice")
                .remedy("give it one: --site DIR, or --site URL of one that suits this server"),
        );
    }
    if patient.runs {
        checks.push(certificate(patient, house).await);
    }
    if house.is_accepted() && !patient.face.ports.contains(&HTTPS) {
        let who = patient.held.by(HTTPS).unwrap_or_else(|| "nobody the doctor knows".to_owned());
        let check = Check::warning("port 443", format!("the relay has it not; who has: {who}"));
        checks.push(
            check
                .cause(
                    "certificate authorities dial no other port unless names are proven in DNS, and \
                     Telegram's WEB proxy none at all",
                )
                .remedy("free it, and start the relay again"),
        );
    }
    checks
}

async fn certificate(patient: &Patient, house: &HouseFace) -> Check {
    let usual = patient.face.ports.first().copied().unwrap_or(HTTPS);
    let port = if patient.face.ports.contains(&HTTPS) { HTTPS } else { usual };
    let Some(place) = patient.places.iter().find(|place| place.is_ours) else {
        return Check::warning("certificate", "not tried").cause("see 'address'");
    };
    let at = SocketAddr::new(place.ip, port);
    match look(at, &house.host, patient.roots.as_deref()).await {
        Ok(seen) => judge(house, &seen, SystemTime::now()),
        Err(why) => Check::fault("certificate", format!("none is shown at {at}: {why}"))
            .cause("something else answers there, or the relay hangs")
            .remedy("see what the other checks say; start the relay again"),
    }
}

fn judge(house: &HouseFace, seen: &Seen, now: SystemTime) -> Check {
    let names = list(&seen.names);
    let left = seen.until.duration_since(now).unwrap_or_default();
    let days = left.as_secs() / 86_400;
    let what = format!("for {names}, {days} days left");
    let renew = match house.vouched {
        Vouched::Public => "see what the relay says of it: journalctl -u jaryq",
        _ => "renew the files of --certificate and --key; the relay notices",
    };
    if left.is_zero() || now < seen.from {
        return Check::fault("certificate", format!("for {names}, not good today"))
            .cause("it has expired or is not good yet, or this server's clock is wrong")
            .remedy(format!("{renew}; see 'clock'"));
    }
    if !seen.fits {
        return Check::fault("certificate", what)
            .cause(format!("it is not for {}, which stands in links", house.host))
            .remedy("give --domain the names that the certificate is for");
    }
    match (&seen.refused, house.vouched) {
        (Some(_), Vouched::Nobody) => Check::warning("certificate", what)
            .cause("nobody vouches for it: browsers refuse it, and so does Telegram's WEB proxy")
            .remedy("--dns-hook or --dns-server, --certificate FILE, or --certificate public"),
        (Some(why), Vouched::Public) => Check::warning("certificate", format!("{what}: {why}"))
            .cause("none was issued yet")
            .remedy(renew),
        (Some(why), Vouched::Files) => Check::warning("certificate", format!("{what}: {why}"))
            .cause("browsers do not know who vouches for it, or what is between it and a root is missing")
            .remedy("put the whole chain into the file of --certificate"),
        (None, Vouched::Files) if left < SOON => {
            Check::warning("certificate", what).cause("nobody has renewed it").remedy(renew)
        }
        // The relay renews its own when a third is left.
        (None, Vouched::Public) if left < seen.until.duration_since(seen.from).unwrap_or_default() / 6 => {
            Check::warning("certificate", what).cause("it was not renewed in time").remedy(renew)
        }
        (None, _) => Check::ok("certificate", what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::State;

    #[test]
    fn what_is_wrong_with_a_certificate_is_said() {
        let now = SystemTime::now();
        let day = Duration::from_secs(86_400);
        let good = Seen {
            names: vec!["a.example".parse().expect("a name")],
            from: now - day,
            until: now + 60 * day,
            fits: true,
            refused: None,
        };
        let refused = Some("who is that".to_owned());
        for (vouched, seen, state, said) in [
            (Vouched::Public, good.clone(), State::Ok, "60 days"),
            (
                Vouched::Public,
                Seen { from: now - 80 * day, until: now + 10 * day, ..good.clone() },
                State::Warning,
                "not renewed in time",
            ),
            (Vouched::Public, Seen { until: now - day, ..good.clone() }, State::Fault, "expired"),
            (Vouched::Files, Seen { from: now + day, ..good.clone() }, State::Fault, "not good"),
            (Vouched::Files, Seen { fits: false, ..good.clone() }, State::Fault, "is not for"),
            (
                Vouched::Files,
                Seen { until: now + 2 * day, ..good.clone() },
                State::Warning,
                "renew",
            ),
            (
                Vouched::Files,
                Seen { refused: refused.clone(), ..good.clone() },
                State::Warning,
                "chain",
            ),
            (Vouched::Nobody, Seen { refused, ..good }, State::Warning, "nobody vouches"),
        ] {
            let host = "a.example".to_owned();
            let names = vec![host.clone()];
            let house = HouseFace {
                names,
                vouched,
                host,
                fingerprint: None,
                has_site: true,
                awaited: false,
            };
            let check = judge(&house, &seen, now);
            let all = format!("{check:?}");
            assert!(check.state == state && all.contains(said), "{all}");
        }
    }
}
