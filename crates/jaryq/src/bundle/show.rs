//! `jaryq bundle show`: what is in one, whoever has signed it.

use std::num::NonZeroU16;

use anyhow::bail;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use wire::bundle::{Bundle, Datagrams, Endpoint, Ports, QUIET_PORTS, Sealed};
use wire::crack::Crack;
use wire::mtproto::{ProxyLink, ProxySecret};
use wire::tally::Day;

use super::counted;
use crate::doors::list;
use crate::key::day;
use crate::ledger::unix;
use crate::print::Printer;
use crate::trust;

pub(super) fn run(from: &str, secrets: bool, printer: &Printer) -> anyhow::Result<()> {
    if secrets && !printer.may_show_links() {
        bail!("secrets are printed on a terminal only, or with --json");
    }
    let sealed = Sealed::read(&trust::read(from)?)?;
    let is_trusted = trust::pinned()?.contains(&sealed.signer());
    let is_over = Day::at(unix()) > sealed.bundle().expires;
    if printer.is_json() {
        printer.object(&object(&sealed, is_trusted, is_over, secrets));
    } else {
        text(&sealed, is_trusted, is_over, secrets, printer);
    }
    Ok(())
}

fn object(sealed: &Sealed, is_trusted: bool, is_over: bool, secrets: bool) -> Value {
    let Bundle { id, made, expires, endpoints, cracks } = sealed.bundle();
    json!({
        "event": "bundle",
        "id": HEXLOWER.encode(&id.0),
        "signer": trust::key_object(&sealed.signer()),
        "trusted": is_trusted,
        "made": day(made.start()),
        "expires": day(expires.start()),
        "expired": is_over,
        "endpoints": endpoints.iter().map(|one| endpoint_object(one, secrets)).collect::<Vec<_>>(),
        "cracks": cracks.iter().map(crack_object).collect::<Vec<_>>(),
    })
}

fn endpoint_object(endpoint: &Endpoint, secrets: bool) -> Value {
    let ports = match &endpoint.ports {
        Ports::All => json!("all"),
        Ports::Quiet => json!("quiet"),
        Ports::First(list) | Ports::List(list) => json!(list),
    };
    let udp = match endpoint.datagrams {
        Datagrams::Everywhere => "too",
        Datagrams::Low => "low",
        Datagrams::Nowhere => "nowhere",
    };
    let addresses: Vec<String> = endpoint.addresses().map(|address| address.to_string()).collect();
    let mut object = json!({
        "addresses": addresses,
        "ports": ports,
        "in_a_cut_all_ports": !matches!(endpoint.ports, Ports::List(_)),
        "udp": udp,
        "telegram": endpoint.secret.is_some(),
    });
    if secrets {
        object["echo_key"] = json!(HEXLOWER.encode(&endpoint.echo_key.0));
        object["mask_key"] = json!(HEXLOWER.encode(&endpoint.mask_key.0));
        object["link"] = json!(link(endpoint));
    }
    object
}

fn crack_object(crack: &Crack) -> Value {
    let passage = &crack.passage;
    json!({
        "network": passage.network.to_string(),
        "transport": passage.transport.name(),
        "port": passage.port,
        "shape": passage.shape.name(),
        "seen": crack.seen.start(),
        "receipts": crack.receipts,
    })
}

fn text(sealed: &Sealed, is_trusted: bool, is_over: bool, secrets: bool, printer: &Printer) {
    let bundle = sealed.bundle();
    let (made, until) = (day(bundle.made.start()), day(bundle.expires.start()));
    let good = if is_over { "was good" } else { "is good" };
    printer.line(format!("A bundle that was made on {made} and {good} until {until}."));
    printer.line(if is_trusted {
        "Its signer, whom you trust:"
    } else {
        "Its signer, whom you do not trust yet (compare the words; then: jaryq trust FILE):"
    });
    printer.line(trust::written(&sealed.signer()));
    printer.line(format!("{}:", counted(bundle.endpoints.len(), "relay")));
    for endpoint in &bundle.endpoints {
        let addresses: Vec<String> =
            endpoint.addresses().map(|address| address.to_string()).collect();
        let opens = if endpoint.secret.is_some() { "; opens Telegram" } else { "" };
        let on = ports(endpoint);
        printer.line(format!("  {}, {on}{opens}", addresses.join(" and ")));
        if secrets {
            let keys = [&endpoint.echo_key.0[..], &endpoint.mask_key.0];
            let [echo, mask] = keys.map(|key| HEXLOWER.encode(key));
            printer.line(format!("    echo key {echo}, mask key {mask}"));
            link(endpoint).iter().for_each(|link| printer.line(format!("    {link}")));
        }
    }
    if bundle.cracks.is_empty() {
        return;
    }
    printer.line(format!("{}:", counted(bundle.cracks.len(), "known crack")));
    for Crack { passage, seen, receipts } in &bundle.cracks {
        let (network, transport) = (&passage.network, passage.transport);
        let hour = seen.0 % 24;
        let date = day(i64::try_from(seen.start()).unwrap_or(i64::MAX));
        printer.line(format!(
            "  {network:<17}{transport} {:<6} {:<10}{date} {hour:02}:00 UTC  {}",
            passage.port,
            passage.shape,
            counted((*receipts).into(), "receipt")
        ));
    }
}

fn ports(endpoint: &Endpoint) -> String {
    let first: Vec<u16> = endpoint.ports.first().iter().map(|port| port.get()).collect();
    let tcp = match endpoint.ports {
        Ports::All => "on all ports".to_owned(),
        Ports::Quiet | Ports::First(_) => {
            format!("on ports {}, and in a cut perhaps on all", list(&first))
        }
        Ports::List(_) => format!("on ports {} alone", list(&first)),
    };
    let udp = match endpoint.datagrams {
        Datagrams::Everywhere => "",
        Datagrams::Low => "; by UDP on those below 32768 alone",
        Datagrams::Nowhere => "; by TCP alone",
    };
    format!("{tcp}{udp}")
}

/// What opens Telegram there by hand.
fn link(endpoint: &Endpoint) -> Option<String> {
    let usual = NonZeroU16::new(QUIET_PORTS[0])?;
    let port = endpoint.ports.first().first().copied().unwrap_or(usual);
    let server = endpoint.addresses().next()?.to_string();
    let secret = ProxySecret::Padded(endpoint.secret?);
    Some(ProxyLink { server, port, secret }.tg())
}
