//! What `up` says at the start, for people and for programs.

use nix::unistd::Uid;
use ports::{Answers, Mechanism, Ports, Refused};
use serde_json::{Value, json};
use store::Key;
use wire::derive::Form;

use crate::address;
use crate::cleartext::InClear;
use crate::config::Config;
use crate::face::{HouseFace, LinkMaker, Links, Udp};
use crate::fleet::{self, Member};
use crate::house::Vouched;
use crate::key::PageLink;
use crate::metrics;
use crate::print::{Printer, key_name, key_object};

/// What there is to say.
pub(crate) struct Start<'a> {
    pub config: &'a Config,
    pub answers: &'a Answers,
    pub ports: &'a Ports,
    pub user: Option<Uid>,
    pub maker: &'a LinkMaker,
    pub keys: &'a [Key],
    /// The page of the key whose links are shown, if there is one.
    pub page: Option<PageLink>,
    /// On which port there is something for Prometheus, if any.
    pub metrics: Result<&'a Option<u16>, &'a metrics::CannotOpen>,
    /// Its place in a fleet, if it has joined one.
    pub member: Option<&'a Member>,
}

impl Start<'_> {
    fn key(&self) -> Option<&Key> {
        greeted(self.keys)
    }

    fn valid_keys(&self) -> usize {
        self.keys.iter().filter(|key| key.revoked.is_none()).count()
    }

    /// Why people may not get through to the first address.
    fn address_warning(&self) -> Option<String> {
        if !self.config.addresses.is_empty() {
            return None;
        }
        let first = self.maker.face().addresses.first()?;
        let private = first.parse().is_ok_and(|ip| !address::is_public(ip));
        private.then(|| {
            format!(
                "{first} is an address that only its own network reaches; if this server has another \
                 one in front of it, give that: --address ADDRESS"
            )
        })
    }
}

/// The key whose links are shown: the oldest for Telegram that is valid.
pub(crate) fn greeted(keys: &[Key]) -> Option<&Key> {
    keys.iter().find(|key| key.revoked.is_none() && key.form == Form::Telegram)
}

/// Says it.
pub(crate) fn announce(start: &Start<'_>, printer: &Printer) -> anyhow::Result<()> {
    let key = start.key();
    let links = key.map(|key| start.maker.links(key)).transpose()?;
    if printer.is_json() {
        printer.object(&ready(start, key, links.as_ref()));
    } else {
        for line in summary(start) {
            printer.line(line);
        }
        greet(start, key, links.as_ref(), printer);
    }
    Ok(())
}

fn ready(start: &Start<'_>, key: Option<&Key>, links: Option<&Links>) -> Value {
    let face = start.maker.face();
    let key = key.map(|key| {
        let mut object = key_object(key, links);
        object["page"] = json!(start.page);
        object
    });
    json!({
        "event": "ready",
        "version": env!("CARGO_PKG_VERSION"),
        "ports": face.ports,
        "bucket_ports": face.bucket_ports,
        "all_ports": start.answers.all,
        "mechanism": start.ports.mechanism().to_string(),
        "not_better": reasons(start.ports),
        "no_datagrams": start.ports.why_no_datagrams(),
        "without_udp": explain(&start.answers.without_udp, start.config),
        "removed": start.ports.removed(),
        "not_open": explain(&start.answers.refused, start.config),
        "ipv6": start.answers.ipv6,
        "addresses": face.addresses,
        "address_warning": start.address_warning(),
        "mask": face.mask,
        "state": start.config.state,
        "user": start.user.map(Uid::as_raw),
        "valid_keys": start.valid_keys(),
        "cleartext_port": (face.in_clear == InClear::Open).then_some(face.cleartext_port),
        "cleartext_not_open": match &face.in_clear {
            InClear::Refused(why) => Some(why),
            _ => None,
        },
        "metrics_port": start.metrics.ok(),
        "metrics_not_open": start.metrics.err().map(ToString::to_string),
        "house": face.house,
        "fleet": start.member.map(|it| fleet::object(&it.membership, it.seated.len())),
        "key": key,
    })
}

fn summary(start: &Start<'_>) -> Vec<String> {
    let face = start.maker.face();
    let families =
        if start.answers.ipv6 { "IPv4 and IPv6" } else { "IPv4; this machine has no IPv6" };
    let also = if start.answers.all { ", and every other port that is free" } else { "" };
    let mut lines = vec![
        format!("Jaryq {} carries Telegram.", env!("CARGO_PKG_VERSION")),
        String::new(),
        format!("  answers on  {}{also}  ({families})", face.ports_for_people()),
    ];
    for (number, why) in explain(&start.answers.refused, start.config).iter().enumerate() {
        lines.push(format!("  {:<12}{why}", if number == 0 { "but not on" } else { "" }));
    }
    lines.push(format!("  by          {}", start.ports.mechanism()));
    for alike in start.ports.why_not_better().chunk_by(|one, next| one.1 == next.1) {
        let mechanisms: Vec<String> = alike.iter().map(|(it, _)| it.to_string()).collect();
        lines.push(format!("              not by {}: {}", mechanisms.join(" or "), alike[0].1));
    }
    if let Some(why) = start.ports.why_no_datagrams() {
        lines.push(format!("              by TCP alone: {why}"));
    }
    for why in explain(&start.answers.without_udp, start.config) {
        lines.push(format!("              by TCP alone on {why}"));
    }
    if face.udp == Udp::Low && start.answers.all {
        lines.push(
            "              by TCP alone on most ports above 32767: this machine's own programs ask by \
             UDP from there"
                .to_owned(),
        );
    }
    for table in start.ports.removed() {
        lines.push(format!(
            "  removed     {table}: rules of nftables that a relay which was killed had left here"
        ));
    }
    lines.push(match (start.answers.all, start.ports.mechanism()) {
        (true, _) => {
            "              a machine that answers on all ports can be recognised by it; when \
                      the cut is over: jaryq ports quiet"
                .to_owned()
        }
        (false, Mechanism::List) => {
            "              in a cut, a relay started as root can answer on \
                                     every port"
                .to_owned()
        }
        (false, _) => {
            "              in a cut: 'jaryq ports all'; a machine that answers on all ports \
                       can be recognised by it"
                .to_owned()
        }
    });
    lines.push(format!("  address     {}", face.addresses.join(", ")));
    if let Some(warning) = start.address_warning() {
        lines.push(format!("              {warning}"));
    }
    lines.push(match (&face.house, &start.config.house.site, &face.mask) {
        (Some(_), Some(site), _) => format!("  strangers   see the website {site}"),
        (Some(_), None, _) => {
            "  strangers   see a website where nothing is found, which convinces nobody who looks \
             twice; with --site DIR they would see yours"
                .to_owned()
        }
        (None, _, Some(mask)) => format!("  strangers   meet {mask}"),
        _ => "  strangers   meet silence; with --mask HOST they would meet a website".to_owned(),
    });
    if let Some(house) = &face.house {
        lines.extend(certificate(house, face.mask.as_deref()));
    }
    match start.member {
        Some(member) => lines.extend(fleet::at_start(&member.membership, member.seated.len())),
        None => lines.push(format!(
            "  keys        {} valid, in {}",
            start.valid_keys(),
            start.config.state.display()
        )),
    }
    match &face.in_clear {
        InClear::Closed => {}
        InClear::Open => lines.push(format!(
            "  in clear    SOCKS5 and HTTP on {}, which can be recognised as a proxy",
            face.cleartext_port
        )),
        InClear::Refused(why) => lines.push(format!("  in clear    {why}")),
    }
    match start.metrics {
        Ok(Some(port)) => lines.push(format!("  metrics     http://127.0.0.1:{port}/metrics")),
        Ok(None) => {}
        Err(why) => lines.push(format!("  metrics     {why}")),
    }
    if let Some(user) = start.user {
        lines.push(format!("  root        given up; runs as user {user}"));
    }
    lines.push(String::new());
    lines
}

/// What the relay shows for its own names, and how it could show something better.
fn certificate(house: &HouseFace, mask: Option<&str>) -> Vec<String> {
    let names = house.names.join(", ");
    let mut lines = vec![match house.vouched {
        Vouched::Public => format!("  certificate public, for {names}"),
        Vouched::Files => format!("  certificate from files, for {names}"),
        Vouched::Nobody => format!("  certificate for {names}; nobody vouches for it"),
    }];
    if house.vouched == Vouched::Nobody {
        let better = [
            "browsers refuse it, and so does Telegram's WEB proxy; better:",
            "--dns-hook or --dns-server, with --domain '*.NAME': shows no host to anybody",
            "--certificate FILE --key FILE: one that you have",
            "--certificate public: needs port 443, and censors read of it",
        ];
        lines.extend(better.map(|line| format!("              {line}")));
    }
    if let Some(mask) = mask {
        lines.push(format!("              whoever asks for {mask} by its name meets that instead"));
    }
    lines
}

fn greet(start: &Start<'_>, key: Option<&Key>, links: Option<&Links>, printer: &Printer) {
    if start.member.is_some() {
        printer.line(
            "The hub gives people their links; there is nothing else to do. For a while: jaryq pause. \
             For good: jaryq leave. Stop: Ctrl-C.",
        );
        return;
    }
    match (key, links) {
        (Some(key), Some(_)) if !printer.may_show_links() => printer.line(format!(
            "Links are not printed here, since this is no terminal. See them with: jaryq key show {}",
            &key.id.to_string()[..8]
        )),
        (Some(key), Some(links)) => {
            printer.line(format!(
                "Send a friend one of these; a tap on it sets up their Telegram. Key {}:\n",
                key_name(key)
            ));
            if let Some(page) = &start.page {
                printer.page(page, &key.id.to_string()[..8]);
            }
            printer.links(links, true);
            printer.line("\nA key for each further person: jaryq key new --label NAME.  Stop: Ctrl-C.");
        }
        _ => printer.line("There is no valid key for Telegram; make one with: jaryq key new --label NAME"),
    }
}

fn reasons(ports: &Ports) -> Vec<String> {
    let reasons = ports.why_not_better().into_iter();
    reasons.map(|(mechanism, why)| format!("{mechanism}: {why}")).collect()
}

/// A line for each reason why ports could not be had.
pub(crate) fn explain(refused: &[Refused], config: &Config) -> Vec<String> {
    let those = |of: fn(&Refused) -> Option<u16>| {
        let ports: Vec<String> =
            refused.iter().filter_map(of).map(|port| port.to_string()).collect();
        ports.join(", ")
    };
    let taken = those(|one| if let Refused::Taken(port) = one { Some(*port) } else { None });
    let forbidden =
        those(|one| if let Refused::NotAllowed(port) = one { Some(*port) } else { None });
    let crowded = those(|one| if let Refused::NoRoom(port) = one { Some(*port) } else { None });
    let never = those(|one| if let Refused::Never(port) = one { Some(*port) } else { None });
    let ephemeral =
        those(|one| if let Refused::Ephemeral(port) = one { Some(*port) } else { None });
    let mut lines = Vec::new();
    if !taken.is_empty() {
        lines.push(format!("{taken}: another program listens there"));
    }
    if !forbidden.is_empty() {
        lines.push(format!(
            "{forbidden}: ports below 1024 need root; 'sudo jaryq up --state {}' would add them",
            config.state.display()
        ));
    }
    if !crowded.is_empty() {
        lines.push(format!("{crowded}: too many for the files that may be open (ulimit -n)"));
    }
    if !never.is_empty() {
        lines.push(format!("{never}: never taken from whoever needs it (ssh, DHCP, time)"));
    }
    if !ephemeral.is_empty() {
        lines.push(format!("{ephemeral}: this machine's own programs ask from there"));
    }
    for one in refused {
        if let Refused::Other(port, error) = one {
            lines.push(format!("{port}: {}", error.desc()));
        }
    }
    lines
}
