//! The same handshakes from elsewhere, by way of a second relay: what works from here and not from
//! there is lost in between.

use std::net::SocketAddr;
use std::sync::Arc;

use wire::account::Account;
use wire::mtproto::DcId;

use super::check::Check;
use super::client::{Failure, visit};
use super::forms::is_ours;
use super::way::{NoWay, Way};
use super::{Patient, all, list};

const NAME: &str = "from there";
/// How many ports are tried at most.
const MOST: usize = 16;
/// Ports that a second relay may usually dial, and that answer if all do.
const OTHERS: [u16; 3] = [8080, 993, 5223];

/// Tries every port, and every form on the first one.
pub(crate) async fn look(patient: &Patient, from: &Account, dc: Option<DcId>) -> Vec<Check> {
    let server = from.server.parse();
    if server.is_ok_and(|ip| is_ours(ip) || patient.places.iter().any(|place| place.ip == ip)) {
        return vec![
            Check::fault(NAME, "nothing was tried")
                .cause("that is this relay's own key, and no relay leads to itself")
                .remedy("give --from the SOCKS5 link of a key on another relay"),
        ];
    }
    let mut ports: Vec<u16> = patient.face.ports.iter().copied().take(MOST).collect();
    if patient.face.all_ports {
        let free = |port: &u16| !ports.contains(port) && !patient.held.is_held(*port);
        let more: Vec<u16> = OTHERS.into_iter().filter(free).collect();
        ports.extend(more);
    }
    let way = Way::Socks5(Arc::new(from.clone()));
    let dc = dc.unwrap_or(DcId(2));
    let mut tries = Vec::new();
    for place in &patient.places {
        // What only this machine knows of itself nobody else can reach.
        if !patient.public.contains(&place.ip) {
            continue;
        }
        for (turn, port) in ports.iter().enumerate() {
            for link in patient.links.iter().filter(|link| turn == 0 || link.form == "dd") {
                // Each link as it is, and one of them to all the other ports.
                let port = if turn == 0 { link.port } else { *port };
                let (at, way, link) = (SocketAddr::new(place.ip, port), way.clone(), link.clone());
                tries.push(async move {
                    (at, link.form, visit(&way, at, Some(&link.secret), dc).await)
                });
            }
        }
    }
    judge(&all(tries).await)
}

type Tried = (SocketAddr, &'static str, Result<super::client::Heard, Failure>);

fn judge(tried: &[Tried]) -> Vec<Check> {
    let whose = |meant: fn(&Failure) -> bool| -> Vec<&Tried> {
        let failed = |one: &&Tried| one.2.as_ref().is_err_and(meant);
        tried.iter().filter(failed).collect()
    };
    let places = |of: &[&Tried]| {
        let mut places: Vec<String> = of.iter().map(|(at, ..)| at.to_string()).collect();
        places.dedup();
        list(&places)
    };
    let proxy = whose(|why| matches!(why, Failure::NoWay(NoWay::Proxy(_))));
    if let Some((_, _, Err(why))) = proxy.first() {
        return vec![
            Check::fault(NAME, format!("the second relay cannot be used: {why}"))
                .cause("its link is old or revoked, or it is down")
                .remedy("ask whoever runs it for a new key: jaryq key new --for web --cleartext"),
        ];
    }
    let good: Vec<&Tried> = tried.iter().filter(|(.., heard)| heard.is_ok()).collect();
    let not_tried = whose(|why| matches!(why, Failure::NoWay(NoWay::NotAllowed)));
    let unreachable = whose(|why| matches!(why, Failure::NoWay(NoWay::NoNetwork(_))));
    let lost = whose(|why| matches!(why, Failure::NoWay(NoWay::Silence | NoWay::Refused)));
    let broken = whose(|why| matches!(why, Failure::Stranger | Failure::Silence | Failure::Closed));
    let mut checks = Vec::new();
    if !good.is_empty() {
        let mut forms: Vec<&str> = good.iter().map(|(_, form, _)| *form).collect();
        forms.sort_unstable();
        forms.dedup();
        let seen = format!("through to Telegram by {} ({})", places(&good), forms.join(", "));
        checks.push(Check::ok(NAME, seen));
    }
    if !lost.is_empty() {
        checks.push(
            Check::fault(NAME, format!("does not get as far as the relay: {}", places(&lost)))
                .cause("the provider's firewall, most likely: nothing on this server stops it")
                .remedy(
                    "in the provider's panel (firewall, security group), let in TCP on all ports, or \
                     on these",
                ),
        );
    }
    if !broken.is_empty() {
        let told = |(at, form, heard): &&Tried| {
            let why = heard.as_ref().err().map(ToString::to_string).unwrap_or_default();
            format!("{form} at {at}: {why}")
        };
        let told: Vec<String> = broken.iter().map(told).collect();
        checks.push(
            Check::fault(NAME, list(&told))
                .cause("something between there and here takes the connection and spoils it")
                .remedy("try a link on another port, and another form; ask the provider"),
        );
    }
    if !not_tried.is_empty() {
        let seen = format!("not tried: {}", places(&not_tried));
        let check = if good.is_empty() && lost.is_empty() && broken.is_empty() {
            Check::warning(NAME, seen)
        } else {
            Check::ok(NAME, seen)
        };
        checks.push(
            check.cause("the other relay may not dial these ports").remedy(
                "none is needed; to have them tried, it can be started with --egress-ports",
            ),
        );
    }
    if !unreachable.is_empty() {
        let seen = format!("not tried: {}", places(&unreachable));
        checks
            .push(Check::ok(NAME, seen).cause("the other relay has no way there, as without IPv6"));
    }
    checks
}
