//! What was asked for: flags, then `JARYQ_*` variables, then `jaryq.toml`, then defaults.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use nix::unistd::geteuid;
use ports::Mode;
use relay::{EgressPorts, Mask};
use serde::Deserialize;
/// Where a relay answers unless it is told otherwise.
pub(crate) use wire::bundle::QUIET_PORTS as DEFAULT_PORTS;
use wire::fleet::Invite;
use wire::mtproto::datacentre::Host;
use wire::mtproto::{Datacentre, Datacentres, ServerName};

use crate::args::{Place, Service};
use crate::fleet::{Allowance, Money};
use crate::house::HouseFlags;

/// An address or a host name, as it stands in a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address(String);

impl FromStr for Address {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Self(ip.to_string()));
        }
        let name: ServerName = bare
            .parse()
            .map_err(|_| anyhow::anyhow!("'{text}' is neither an IP address nor a host name"))?;
        if name.as_str().bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            bail!("'{text}' is no IP address");
        }
        Ok(Self(name.to_string()))
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self(ip.to_string())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The port of SOCKS5 and HTTP proxies. It has to be one that needs no root: it is opened when the
/// first key for it is made, and root is given up long before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CleartextPort(pub u16);

/// SOCKS has this port by the register of IANA.
impl Default for CleartextPort {
    fn default() -> Self {
        Self(1080)
    }
}

impl FromStr for CleartextPort {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        without_root(text).map(Self)
    }
}

/// The port where Prometheus finds its numbers, which is opened without root too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MetricsPort(pub u16);

impl FromStr for MetricsPort {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        without_root(text).map(Self)
    }
}

fn without_root(text: &str) -> anyhow::Result<u16> {
    match text.trim().parse() {
        Ok(port @ 1024..) => Ok(port),
        Ok(1..) => bail!(
            "port {text} needs root, which is given up before the port is opened; take one from \
             1024 on"
        ),
        _ => bail!("'{text}' is no port from 1024 to 65535"),
    }
}

/// Places of datacentres that differ from what Telegram's apps have built in.
#[derive(Clone, Default, Debug)]
pub(crate) struct DatacentreTable(Vec<(Datacentre, Vec<Host>)>);

/// As rows of a table in the file.
impl fmt::Display for DatacentreTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (dc, hosts) in &self.0 {
            let quoted = |Host { ip, port }: &Host| match port {
                Some(port) => format!("\"{}\"", SocketAddr::new(*ip, *port)),
                None => format!("\"{ip}\""),
            };
            let hosts: Vec<String> = hosts.iter().map(quoted).collect();
            writeln!(f, "{dc} = [{}]", hosts.join(", "))?;
        }
        Ok(())
    }
}

impl FromStr for DatacentreTable {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut table = Vec::new();
        for row in text.split(';').map(str::trim).filter(|row| !row.is_empty()) {
            let (name, hosts) = row
                .split_once('=')
                .with_context(|| format!("'{row}' has no '='; write 2=192.0.2.1"))?;
            table.push(row_of(name.trim(), hosts.split(',').map(str::trim))?);
        }
        Ok(Self(table))
    }
}

fn row_of<'a>(
    name: &str,
    hosts: impl Iterator<Item = &'a str>,
) -> anyhow::Result<(Datacentre, Vec<Host>)> {
    Ok((name.parse()?, hosts.map(str::parse).collect::<Result<_, _>>()?))
}

/// The file, as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    state: Option<PathBuf>,
    address: Option<OneOrMany<String>>,
    ports: Option<OneOrMany<PortText>>,
    mask: Option<String>,
    cleartext_port: Option<PortText>,
    egress_ports: Option<OneOrMany<PortText>>,
    metrics: Option<PortText>,
    datacentres: Option<BTreeMap<String, OneOrMany<String>>>,
    networks: Option<PathBuf>,
    join: Option<String>,
    monthly_traffic: Option<String>,
    monthly_money: Option<Number>,
    price_per_tb: Option<Number>,
    domain: Option<OneOrMany<String>>,
    certificate: Option<String>,
    key: Option<PathBuf>,
    dns_hook: Option<PathBuf>,
    dns_server: Option<String>,
    dns_key: Option<PathBuf>,
    site: Option<String>,
    acme_directory: Option<String>,
    acme_roots: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

/// An amount, with or without a fraction.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u32),
    Broken(f64),
}

impl Number {
    fn money(self) -> anyhow::Result<Money> {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Broken(number) => number.to_string(),
        }
        .parse()
    }
}

/// A port as a number, or several as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum PortText {
    Number(u16),
    Text(String),
}

impl fmt::Display for PortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(port) => write!(f, "{port}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::Many(all) => all,
            Self::One(one) => vec![one],
        }
    }
}

impl File {
    /// Settings of the file, for those that were not given before.
    fn fill(self, place: &mut Place, service: &mut Service) -> anyhow::Result<()> {
        if place.state.is_none() {
            place.state = self.state;
        }
        if let (None, Some(addresses)) = (&service.address, self.address) {
            let read =
                addresses.into_vec().iter().map(|text| text.parse()).collect::<Result<_, _>>();
            service.address = Some(read.context("address")?);
        }
        if let (None, Some(ports)) = (&service.ports, self.ports) {
            let texts: Vec<String> = ports.into_vec().iter().map(PortText::to_string).collect();
            service.ports = Some(texts.join(",").parse().context("ports")?);
        }
        if let (None, Some(mask)) = (&service.mask, self.mask) {
            service.mask = Some(mask.parse().context("mask")?);
        }
        if let (None, Some(port)) = (service.cleartext_port, self.cleartext_port) {
            service.cleartext_port = Some(port.to_string().parse().context("cleartext_port")?);
        }
        if let (None, Some(ports)) = (&service.egress_ports, self.egress_ports) {
            let texts: Vec<String> = ports.into_vec().iter().map(PortText::to_string).collect();
            service.egress_ports = Some(texts.join(",").parse().context("egress_ports")?);
        }
        if let (None, Some(port)) = (service.metrics, self.metrics) {
            service.metrics = Some(port.to_string().parse().context("metrics")?);
        }
        if let (None, Some(rows)) = (&service.datacentres, self.datacentres) {
            let mut table = DatacentreTable::default();
            for (name, hosts) in rows {
                let hosts = hosts.into_vec();
                table
                    .0
                    .push(row_of(&name, hosts.iter().map(String::as_str)).context("datacentres")?);
            }
            service.datacentres = Some(table);
        }
        service.networks = service.networks.take().or(self.networks);
        if let (None, Some(invite)) = (&service.join, self.join) {
            service.join = Some(invite.parse().context("join")?);
        }
        if let (None, Some(traffic)) = (service.monthly_traffic, self.monthly_traffic) {
            service.monthly_traffic = Some(traffic.parse().context("monthly_traffic")?);
        }
        if let (None, Some(money)) = (service.monthly_money, self.monthly_money) {
            service.monthly_money = Some(money.money().context("monthly_money")?);
        }
        if let (None, Some(price)) = (service.price_per_tb, self.price_per_tb) {
            service.price_per_tb = Some(price.money().context("price_per_tb")?);
        }
        let house = &mut service.house;
        if let (None, Some(names)) = (&house.domain, self.domain) {
            let read = names.into_vec().iter().map(|text| text.parse()).collect::<Result<_, _>>();
            house.domain = Some(read.context("domain")?);
        }
        if let (None, Some(text)) = (&house.certificate, self.certificate) {
            house.certificate = Some(text.parse()?);
        }
        if let (None, Some(text)) = (&house.dns_server, self.dns_server) {
            house.dns_server = Some(text.parse().context("dns_server")?);
        }
        if let (None, Some(text)) = (&house.site, self.site) {
            house.site = Some(text.parse().context("site")?);
        }
        house.key = house.key.take().or(self.key);
        house.dns_hook = house.dns_hook.take().or(self.dns_hook);
        house.dns_key = house.dns_key.take().or(self.dns_key);
        house.acme_directory = house.acme_directory.take().or(self.acme_directory);
        house.acme_roots = house.acme_roots.take().or(self.acme_roots);
        Ok(())
    }
}

/// Everything that was asked for, with defaults where nothing was.
#[derive(Clone)]
pub(crate) struct Config {
    pub state: PathBuf,
    /// Empty: to be found out.
    pub addresses: Vec<Address>,
    /// Where to answer; what is quiet is [`DEFAULT_PORTS`].
    pub mode: Mode,
    pub mask: Option<Mask>,
    pub cleartext_port: CleartextPort,
    pub egress_ports: EgressPorts,
    pub metrics: Option<MetricsPort>,
    pub datacentres: Datacentres,
    /// A table of networks.
    pub networks: Option<PathBuf>,
    /// The fleet that is to be joined.
    pub join: Option<Invite>,
    /// How much may be carried in a month.
    pub allowance: Allowance,
    /// A website and a certificate of its own.
    pub house: HouseFlags,
    /// Where files of it are that only root can read.
    pub lent: Option<PathBuf>,
}

impl Config {
    pub(crate) fn gather(place: Place, service: Service) -> anyhow::Result<Self> {
        Asked::new(place, service).gather()
    }
}

/// What was asked for beside the file, and where that is: from this, everything is gathered anew when
/// the file has changed.
pub(crate) struct Asked {
    place: Place,
    service: Service,
    file: PathBuf,
    /// Whether the file was named, and so must be there.
    named: bool,
    default_state: PathBuf,
}

impl Asked {
    /// To be made before root is given up: it is root's places, or those of whoever this is.
    pub(crate) fn new(place: Place, service: Service) -> Self {
        Self::of("jaryq", place, service)
    }

    /// The same for a hub, which has places of its own.
    pub(crate) fn of_hub(place: Place, service: Service) -> Self {
        Self::of("jaryq-hub", place, service)
    }

    fn of(program: &str, place: Place, service: Service) -> Self {
        let home = env::home_dir().unwrap_or_else(|| PathBuf::from("."));
        let within = |variable: &str, usual: &str| {
            let set = env::var_os(variable).filter(|dir| !dir.is_empty());
            set.map_or_else(|| home.join(usual), PathBuf::from)
        };
        let (default_state, usual_file) = if geteuid().is_root() {
            (Path::new("/var/lib").join(program), Path::new("/etc").join(format!("{program}.toml")))
        } else {
            let state = within("XDG_STATE_HOME", ".local/state").join(program);
            (state, within("XDG_CONFIG_HOME", ".config").join(format!("{program}.toml")))
        };
        let named = place.config.is_some();
        let file = place.config.clone().unwrap_or(usual_file);
        Self { place, service, file, named, default_state }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn gather(&self) -> anyhow::Result<Config> {
        let (mut place, mut service) = (self.place.clone(), self.service.clone());
        let shown = self.file.display();
        match std::fs::read_to_string(&self.file) {
            Ok(text) => {
                let filled = fill_from(&text, &mut place, &mut service);
                filled.with_context(|| format!("in {shown}"))?;
            }
            Err(error) if !self.named && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
        }
        settle(&mut service)?;
        let mut datacentres = Datacentres::default();
        for (dc, hosts) in service.datacentres.unwrap_or_default().0 {
            datacentres.set(dc, hosts);
        }
        Ok(Config {
            state: place.state.unwrap_or_else(|| self.default_state.clone()),
            addresses: service.address.unwrap_or_default(),
            mode: service.ports.unwrap_or_default(),
            mask: service.mask,
            cleartext_port: service.cleartext_port.unwrap_or_default(),
            egress_ports: service.egress_ports.unwrap_or_default(),
            metrics: service.metrics,
            datacentres,
            networks: service.networks,
            join: service.join,
            allowance: Allowance::new(
                service.monthly_traffic,
                service.monthly_money,
                service.price_per_tb,
            )?,
            house: service.house,
            lent: service.lent,
        })
    }
}

/// Makes of what was asked for what a service can go by, whichever its directory is.
pub(crate) fn settle(service: &mut Service) -> anyhow::Result<()> {
    if let Some(file) = &mut service.networks {
        *file = std::path::absolute(&*file)?;
    }
    service.house.settle()
}

/// Reads a file's text; settings of it, for those that were not given before.
pub(crate) fn fill_from(
    text: &str,
    place: &mut Place,
    service: &mut Service,
) -> anyhow::Result<()> {
    toml::from_str::<File>(text)?.fill(place, service)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, mut service: Service) -> anyhow::Result<(Place, Service)> {
        let mut place = Place::default();
        fill_from(text, &mut place, &mut service)?;
        Ok((place, service))
    }

    #[test]
    fn the_file_says_the_same_as_the_flags() {
        let text = r#"
            state = "/srv/jaryq"
            address = ["203.0.113.5", "relay.example.org"]
            ports = [443, "8000-8001"]
            mask = "example.org:8443"
            cleartext_port = 1081
            egress_ports = ["default", 22]
            metrics = 9464
            networks = "/var/lib/networks.tsv"
            monthly_traffic = "2TB"
            monthly_money = 5
            price_per_tb = 1.5
            [datacentres]
            2 = ["192.0.2.1:443", "192.0.2.2"]
            203 = "192.0.2.3"
        "#;
        let (place, service) = filled(text, Service::default()).expect("a good file");
        assert_eq!(place.state, Some("/srv/jaryq".into()));
        assert_eq!(service.ports, "443,8000,8001".parse().ok());
        assert_eq!(service.mask.expect("a mask").to_string(), "example.org:8443");
        assert_eq!(service.cleartext_port, Some(CleartextPort(1081)));
        assert_eq!(service.egress_ports, "default,22".parse().ok());
        assert_eq!(service.metrics, Some(MetricsPort(9464)));
        assert_eq!(service.networks, Some("/var/lib/networks.tsv".into()));
        assert_eq!(service.monthly_traffic, "2TB".parse().ok());
        assert_eq!(
            [service.monthly_money, service.price_per_tb],
            [5.0, 1.5].map(|n| Some(Money(n)))
        );
        let addresses: Vec<String> =
            service.address.expect("some").iter().map(Address::to_string).collect();
        assert_eq!(addresses, ["203.0.113.5", "relay.example.org"]);
        let from_file = service.datacentres.expect("a table");
        let from_flag: DatacentreTable =
            "2=192.0.2.1:443,192.0.2.2;203=192.0.2.3".parse().expect("a table");
        let mut rows = [from_file.0, from_flag.0];
        rows.iter_mut().for_each(|rows| rows.sort_by_key(|row| row.0));
        assert_eq!(rows[0], rows[1]);
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let given = Service { ports: "9000".parse().ok(), ..Service::default() };
        let (_, service) = filled("ports = 443", given).expect("a good file");
        assert_eq!(service.ports, "9000".parse().ok());
    }

    #[test]
    fn a_mistyped_setting_is_an_error_and_not_passed_over() {
        for bad in [
            "port = 443",
            "ports = 70000",
            "cleartext_port = 80",
            "metrics = 80",
            "egress_ports = [25]",
            "mask = \"\"",
            "address = \"1.2.3\"",
            "[datacentres]\n6 = \"192.0.2.1\"",
        ] {
            assert!(filled(bad, Service::default()).is_err(), "{bad}");
        }
    }
}
