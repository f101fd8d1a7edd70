//! What somebody without a key could recognise today.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::timeout;
use wire::mtproto::ProxySecret;
use wire::tls::answer::Answer;

use super::Patient;
use super::check::Check;
use super::client::{greet, hello};
use super::list;
use super::way::Way;
use crate::cleartext::InClear;

const NAME: &str = "scanner";
/// Where a name is shown to whoever watches the line.
const EE: &str = "'ee' links";
const PAGES: &str = "links to the website";
const SSH: u16 = 22;
const PATIENCE: Duration = Duration::from_secs(5);

/// What there is to recognise, each with what would help.
pub(crate) async fn look(patient: &Patient, mask: Option<&Answer>) -> Vec<Check> {
    let mut checks = Vec::new();
    if patient.face.all_ports {
        checks.push(
            Check::warning(NAME, "every port answers")
                .cause("no other kind of machine does that")
                .remedy("when the cut is over: jaryq ports quiet"),
        );
    }
    if patient.face.in_clear == InClear::Open {
        let port = patient.face.cleartext_port;
        checks.push(
            Check::warning(NAME, format!("port {port} says that it is a SOCKS5 and HTTP proxy"))
                .cause("there is a key for web, which speaks in clear")
                .remedy("revoke such keys where somebody looks for proxies: jaryq key list"),
        );
    }
    match (&patient.mask, &patient.face.house, patient.name()) {
        (None, None, name) => {
            checks.push(
                Check::warning(NAME, "no port ever says anything to a stranger")
                    .cause("there is no mask")
                    .remedy("--mask HOST: then strangers meet that website (see GUIDE.md)"),
            );
            if let Some(name) = name {
                checks.push(
                    Check::warning(NAME, format!("'ee' links name {name}, which is not here"))
                        .cause("without a mask there is no name that belongs to this server")
                        .remedy("send 'dd' links, or give --mask a name that points here"),
                );
            }
        }
        (None, Some(_), Some(name)) => checks.extend(name_of(patient, name.as_str(), EE).await),
        (Some(_), house, Some(name)) => {
            let host = house.as_ref().map(|house| house.host.as_str());
            let is_other = |host: &&str| *host != name.as_str() && host.parse::<IpAddr>().is_err();
            let own = async { name_of(patient, host.filter(is_other)?, PAGES).await };
            let name = name_of(patient, name.as_str(), EE);
            let (name, own, tls) = tokio::join!(name, own, fingerprint(patient, mask));
            checks.extend(name.into_iter().chain(own).chain(tls));
        }
        (_, _, None) => {}
    }
    if patient.held.is_held(SSH) {
        checks.push(Check::ok(NAME, "port 22 is ssh's, as on most servers, and never the relay's"));
    }
    checks
}

/// Whether the name that links carry leads here, as a censor finds out who looks it up.
async fn name_of(patient: &Patient, name: &str, within: &str) -> Option<Check> {
    let found = timeout(PATIENCE, patient.names.addresses(name)).await.ok()?.ok()?;
    if found.iter().any(|ip| patient.public.contains(ip)) {
        return Some(Check::ok(NAME, format!("{name} in {within} points here")));
    }
    Some(
        Check::warning(NAME, format!("{name} in {within} points to {}", list(&found)))
            .cause("whoever looks the name up sees that it is not at this server's address")
            .remedy(
                "make a name of your own point here and give that to --domain or --mask; as a mask, a \
                 site of the same provider is better than a famous one",
            ),
    )
}

/// Whether the relay's own TLS, with a key, looks like the mask's.
async fn fingerprint(patient: &Patient, mask: Option<&Answer>) -> Option<Check> {
    let (key, name, port) = patient.links.iter().find_map(|link| match &link.secret {
        ProxySecret::FakeTls(key, name) => Some((key, name, link.port)),
        _ => None,
    })?;
    let at = patient.places.iter().find(|place| place.is_ours)?;

    let hello = hello(name, key);
    let greeting = greet(&Way::Here, (at.ip, port).into(), &hello);
    let ours = timeout(PATIENCE, greeting).await.ok()?.ok()?;
    let (Ok(ours), mask) = (ours, mask?) else { return None };
    let mut differences = Vec::new();
    if ours.cipher != mask.cipher {
        differences.push(format!("cipher suite {:04x}, not {:04x}", ours.cipher, mask.cipher));
    }
    if ours.group != mask.group {
        differences.push(format!("group {:04x}, not {:04x}", ours.group.0, mask.group.0));
    }
    if ours.versions_first != mask.versions_first {
        differences.push("extensions in another order".to_owned());
    }
    if differences.is_empty() {
        return Some(Check::ok(NAME, "the TLS of 'ee' links chooses what the mask's chooses"));
    }
    Some(
        Check::warning(NAME, format!("the TLS of 'ee' links has {}", list(&differences)))
            .cause("it imitates a server in general, and whoever watches the line can compare")
            .remedy("another mask may be nearer; 'dd' links show no TLS"),
    )
}
