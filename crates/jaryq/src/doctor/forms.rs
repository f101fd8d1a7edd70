//! Handshakes of each form with the relay, from here, with links as they are printed.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use wire::account::Account;
use wire::mtproto::DcId;

use super::check::Check;
use super::client::{Failure, Heard, visit};
use super::way::{NoWay, Way};
use super::{Patient, all, list};
use crate::cleartext::InClear;

/// A place where the relay should answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub ip: IpAddr,
    /// Whether the address is one of this machine's own. If it is not, a translator has it, and
    /// whether that lets this very machine through is chance.
    pub is_ours: bool,
}

/// Whether this machine has that address.
pub(crate) fn is_ours(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// A form, a place, whether that is this machine's own, and what came of it.
type Tried = (&'static str, SocketAddr, bool, Result<Heard, Failure>);

/// Each form at each place.
pub(crate) async fn telegram(patient: &Patient, dc: Option<DcId>) -> Vec<Check> {
    if patient.face.ports.is_empty() {
        return vec![
            Check::fault("links", "the relay answers on no port")
                .cause("every port that was asked for is another program's, or needs root")
                .remedy("give --ports others, or start it as root"),
        ];
    }
    let mut tries = Vec::new();
    for link in &patient.links {
        for Place { ip, is_ours } in patient.places.iter().copied() {
            let (at, link) = (SocketAddr::new(ip, link.port), link.clone());
            let dc = dc.unwrap_or(DcId(2));
            tries.push(async move {
                (link.form, at, is_ours, visit(&Way::Here, at, Some(&link.secret), dc).await)
            });
        }
    }
    let tried = all(tries).await;
    let of = |form| -> Vec<&Tried> { tried.iter().filter(|(name, ..)| *name == form).collect() };
    let forms = patient.links.iter().map(|link| link.form);

    forms.map(|form| judge(patient, form, &of(form), dc.is_some())).collect()
}

fn judge(patient: &Patient, form: &str, tried: &[&Tried], telegram_answers: bool) -> Check {
    let good: Vec<String> =
        tried.iter().filter(|one| one.3.is_ok()).map(|one| one.1.to_string()).collect();
    let bad = |ours| tried.iter().filter(move |(_, _, is, heard)| *is == ours && heard.is_err());
    let told = |(_, at, _, heard): &&Tried| match heard {
        Err(why) => format!("{at}: {why}"),
        Ok(_) => at.to_string(),
    };
    if let Some((_, at, _, Err(why))) = bad(true).next() {
        let seen = list(&bad(true).map(told).collect::<Vec<_>>());
        let (cause, remedy) = explain(patient, *at, why, telegram_answers);
        return Check::fault(form, seen).cause(cause).remedy(remedy);
    }
    let translated = list(&bad(false).map(told).collect::<Vec<_>>());
    match (good.is_empty(), translated.is_empty()) {
        (true, true) => Check::warning(form, "not tried")
            .cause("this server has no address that it could be tried at")
            .remedy("see above"),
        (false, true) => Check::ok(form, format!("through to Telegram by {}", list(&good))),
        (true, false) => Check::warning(form, translated)
            .cause("that address is not this machine's, and whoever has it does not let it back in")
            .remedy("only somebody outside can tell: jaryq doctor --from, or try a link yourself"),
        (false, false) => Check::ok(
            form,
            format!("through to Telegram by {}; not seen from here: {translated}", list(&good)),
        ),
    }
}

/// Why a handshake with this very machine failed, and what helps.
fn explain(
    patient: &Patient,
    at: SocketAddr,
    why: &Failure,
    telegram_answers: bool,
) -> (String, String) {
    let port = at.port();
    if let Some(who) = patient.held.by(port) {
        let remedy = format!("end that program, or give out links with another port than {port}");
        return (format!("{who} has the port"), remedy);
    }
    let (cause, remedy) = match why {
        Failure::NoWay(NoWay::Refused) => (
            "the relay does not answer there: it hangs, or its hold on the ports was removed",
            "start it again, and tell us if it happens again",
        ),
        Failure::NoWay(_) => (
            "a firewall on this server drops what comes to the port",
            "open all TCP ports of the relay in it: see 'nft list ruleset' or 'ufw status'",
        ),
        Failure::Stranger => (
            "something else than the relay answers there, in front of it or in its place",
            "see what translates or forwards that port: 'nft list ruleset', 'docker ps'",
        ),
        Failure::Silence | Failure::Closed if !telegram_answers => {
            ("the relay does not reach Telegram either, see 'datacentres'", "see 'datacentres'")
        }
        Failure::Silence | Failure::Closed => (
            "the relay does not let the key through, or is full",
            "see what it says: journalctl -u jaryq, or where it was started",
        ),
    };
    (cause.to_owned(), remedy.to_owned())
}

/// SOCKS5 and HTTP, if there is a key for them: to Telegram and back.
pub(crate) async fn web(patient: &Patient, dc: Option<DcId>) -> Vec<Check> {
    let (Some(account), Some(dc)) = (&patient.account, dc) else { return Vec::new() };
    let port = patient.face.cleartext_port;
    if let InClear::Refused(why) = &patient.face.in_clear {
        return vec![
            Check::fault("SOCKS5, HTTP", format!("port {port} is closed: {why}"))
                .cause("the relay could not open the port")
                .remedy("end the program that has it, or give another --cleartext-port"),
        ];
    }

    let endpoints = patient.datacentres.endpoints(dc.datacentre());
    let Some(to) = endpoints.into_iter().find(|at| at.is_ipv4() || patient.has_ipv6) else {
        return Vec::new();
    };
    let here = patient.places.iter().find(|place| place.is_ours);
    let server = here.map_or_else(|| account.server.clone(), |place| place.ip.to_string());
    let account = Arc::new(Account { server, ..account.clone() });
    let ways = [("SOCKS5", Way::Socks5(Arc::clone(&account))), ("HTTP", Way::Http(account))];
    let tries = ways.map(|(name, way)| async move { (name, visit(&way, to, None, dc).await) });
    let tried = all(tries.into()).await;
    tried.into_iter().map(|(name, heard)| judge_web(patient, name, to, heard)).collect()
}

fn judge_web(
    patient: &Patient,
    name: &str,
    to: SocketAddr,
    heard: Result<Heard, Failure>,
) -> Check {
    let port = patient.face.cleartext_port;
    let why = match heard {
        Ok(_) => return Check::ok(name, format!("takes people through on port {port}")),
        Err(Failure::NoWay(NoWay::NotAllowed)) => {
            let said = format!("lets in on port {port}, but leads to no port {}", to.port());
            return Check::warning(name, said)
                .cause("--egress-ports leaves it out")
                .remedy("none, if that is meant");
        }
        Err(why) => why,
    };
    let holder = patient.held.by(port);
    let cause = holder.map_or_else(
        || "the relay does not answer there, or does not let the key in".to_owned(),
        |who| format!("{who} has port {port}"),
    );
    Check::fault(name, format!("port {port}: {why}"))
        .cause(cause)
        .remedy("end the program that has the port, or give another --cleartext-port")
}
