//! The way out for people's other apps: to whom they are taken, and to whom not.
//!
//! A name is resolved once, its addresses are checked, and one of those that were checked is dialled:
//! a name that answers differently the second time changes nothing.

mod ports;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use wire::addresses::{self, Kind};
use wire::fleet::Carries;
use wire::http_proxy::Status;
use wire::target::{Host, Target};

use crate::fleet::Fleet;
use crate::names::{Names, NoAddress};
use crate::race;
pub use ports::{BadEgressPorts, EgressPorts};

/// Where people's other apps may go.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// To which ports.
    pub ports: EgressPorts,
    /// This server's public addresses and names, beside those that its interfaces have: nobody is
    /// taken to them.
    pub own: Vec<String>,
}

/// How long the machine's own addresses are taken for known.
const KNOWN_FOR: Duration = Duration::from_secs(5);
/// How long its own names are.
const NAMES_KNOWN_FOR: Duration = Duration::from_secs(60);
/// How many addresses of one name are tried.
const MOST_ADDRESSES: usize = 8;

/// Whether an address is one of the public internet's, whoever has it.
pub(crate) fn is_public(address: IpAddr) -> bool {
    addresses::forbidden(address.to_canonical()).is_none()
}

/// What nobody is taken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Forbidden {
    Port(u16),
    Kind(Kind),
    /// This server itself.
    Own,
    /// Another machine of its fleet.
    Fleet,
    /// Anything but Telegram, where nobody vouches for the relay.
    Unvouched,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "this relay does not lead to port {port}"),
            Self::Kind(kind) => write!(f, "this relay does not lead to {kind}"),
            Self::Own => f.write_str("this relay does not lead to itself"),
            Self::Fleet => f.write_str("this relay does not lead to others of its fleet"),
            Self::Unvouched => {
                f.write_str("this relay leads to Telegram alone until its organisers vouch for it")
            }
        }
    }
}

/// Why somebody was not taken where they wanted.
#[derive(Debug)]
pub(crate) enum NoWay {
    Forbidden(Forbidden),
    NoSuchName,
    /// The name servers do not say.
    NoNames,
    NoNetwork,
    /// Nobody answers.
    NoAnswer,
    Refused,
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(what) => what.fmt(f),
            Self::NoSuchName => f.write_str("there is no such host"),
            Self::NoNames => f.write_str("the relay's name servers do not answer"),
            Self::NoNetwork => f.write_str("the relay has no way to that network"),
            Self::NoAnswer => f.write_str("that host does not answer"),
            Self::Refused => f.write_str("that host refuses"),
        }
    }
}

impl NoWay {
    /// How an HTTP proxy says it.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Forbidden(_) => Status::Forbidden,
            Self::NoAnswer => Status::Timeout,
            Self::NoSuchName | Self::NoNames | Self::NoNetwork | Self::Refused => {
                Status::BadGateway
            }
        }
    }
}

impl From<NoAddress> for NoWay {
    fn from(reason: NoAddress) -> Self {
        match reason {
            NoAddress::NoSuchName => Self::NoSuchName,
            NoAddress::NoAnswer => Self::NoNames,
        }
    }
}

impl From<&io::Error> for NoWay {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::NetworkUnreachable => Self::NoNetwork,
            _ => Self::NoAnswer,
        }
    }
}

/// The gate that everybody passes on the way out.
pub(crate) struct Gate {
    ports: EgressPorts,
    /// What was set as this server's own.
    names: Vec<String>,
    set: HashSet<IpAddr>,
    own: Mutex<Own>,
    resolver: Arc<Names>,
    fleet: Option<Arc<Fleet>>,
    /// Where its hub is.
    hub: Vec<Target>,
}

#[derive(Default)]
struct Own {
    /// The addresses of this machine's interfaces, and when they were asked for.
    interfaces: HashSet<IpAddr>,
    asked: Option<Instant>,
    /// What the server's own names stand for, and when they were looked up.
    named: HashSet<IpAddr>,
    looked_up: Option<Instant>,
}

impl Gate {
    pub(crate) fn new(egress: Egress, fleet: Option<Arc<Fleet>>, resolver: Arc<Names>) -> Self {
        let hosts = egress.own.iter().filter_map(|text| Host::read(text));
        let (mut set, mut names) = (HashSet::new(), Vec::new());
        for host in hosts {
            match host {
                Host::Address(address) => _ = set.insert(address),
                Host::Name(name) => names.push(name),
            }
        }
        let hub = fleet.iter().flat_map(|fleet| &fleet.hub);
        let hub = hub.filter_map(|at| Some(Target { host: Host::read(&at.host)?, port: at.port }));
        let hub = hub.collect();
        Self { ports: egress.ports, names, set, own: Mutex::default(), resolver, fleet, hub }
    }

    /// Whether people are carried to Telegram alone.
    pub(crate) fn is_unvouched(&self) -> bool {
        self.fleet.as_ref().is_some_and(|fleet| fleet.carries == Carries::Telegram)
    }

    /// Connects to the relay's hub, by one of its addresses, if it has one.
    pub(crate) async fn connect_to_hub(&self) -> Result<TcpStream, NoWay> {
        let mut reason = NoWay::NoSuchName;
        for target in &self.hub {
            match self.connect(target).await {
                Ok(stream) => return Ok(stream),
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }

    /// Whether somebody may be taken there.
    pub(crate) fn check(&self, at: SocketAddr) -> Result<(), Forbidden> {
        let address = at.ip().to_canonical();
        self.check_port(at.port())?;
        if self.fleet.as_ref().is_some_and(|fleet| fleet.others.contains(&address)) {
            return Err(Forbidden::Fleet);
        }
        self.check_address(address)
    }

    fn check_port(&self, port: u16) -> Result<(), Forbidden> {
        if self.is_unvouched() {
            return Err(Forbidden::Unvouched);
        }
        if self.ports.has(port) { Ok(()) } else { Err(Forbidden::Port(port)) }
    }

    /// What goes for every address.
    fn check_address(&self, address: IpAddr) -> Result<(), Forbidden> {
        if let Some(kind) = addresses::forbidden(address) {
            return Err(Forbidden::Kind(kind));
        }
        if self.is_own(address) { Err(Forbidden::Own) } else { Ok(()) }
    }

    /// The addresses where the target is and may be gone to, in the order in which to try them.
    pub(crate) async fn find(&self, target: &Target) -> Result<Vec<SocketAddr>, NoWay> {
        let is_hub = self.hub.contains(target);
        // What follows may take long, and this is certain.
        if !is_hub {
            self.check_port(target.port).map_err(NoWay::Forbidden)?;
        }
        self.find_own_names().await;
        let addresses = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.resolver.addresses(name).await?,
        };
        let (mut good, mut forbidden) = (Vec::new(), None);
        for address in alternating(addresses) {
            let at = SocketAddr::new(address.to_canonical(), target.port);
            let checked = if is_hub { self.check_address(at.ip()) } else { self.check(at) };
            match checked {
                Ok(()) => good.push(at),
                Err(why) => forbidden = Some(why),
            }
        }
        good.truncate(MOST_ADDRESSES);
        match forbidden {
            Some(why) if good.is_empty() => Err(NoWay::Forbidden(why)),
            _ if good.is_empty() => Err(NoWay::NoSuchName),
            _ => Ok(good),
        }
    }

    /// Connects to the target, at one of the addresses that were checked.
    pub(crate) async fn connect(&self, target: &Target) -> Result<TcpStream, NoWay> {
        let outcome = race::run(self.find(target).await?).await;
        match outcome.winner {
            Some((stream, _)) => Ok(stream),
            // The last one to fail may be one that there is no way to; a refusal says more.
            None => {
                let mut reasons = outcome.failed.iter().map(|(_, error)| NoWay::from(error));
                let says_more = |reason: &NoWay| !matches!(reason, NoWay::NoNetwork);
                Err(reasons.find(says_more).unwrap_or(NoWay::NoNetwork))
            }
        }
    }

    fn is_own(&self, address: IpAddr) -> bool {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.asked.is_none_or(|asked| asked.elapsed() > KNOWN_FOR) {
            own.interfaces = interfaces();
            own.asked = Some(Instant::now());
        }
        own.interfaces.contains(&address)
            || own.named.contains(&address)
            || self.set.contains(&address)
    }

    /// Looks up what the server's own names stand for, unless somebody did so lately: when the name
    /// servers do not answer, one guest a minute waits for them and not everybody.
    async fn find_own_names(&self) {
        let own = || self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own().looked_up.is_some_and(|when| when.elapsed() < NAMES_KNOWN_FOR) {
            return;
        }
        own().looked_up = Some(Instant::now());
        for name in &self.names {
            if let Ok(addresses) = self.resolver.addresses(name).await {
                own().named.extend(addresses.iter().map(IpAddr::to_canonical));
            }
        }
    }
}

/// Both families by turns, IPv6 first (RFC 8305, section 4).
fn alternating(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut all = Vec::new();
    loop {
        let turn = [six.next(), four.next()];
        if turn == [None, None] {
            return all;
        }
        all.extend(turn.into_iter().flatten());
    }
}

/// The addresses of this machine's interfaces.
fn interfaces() -> HashSet<IpAddr> {
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return HashSet::new() };
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
        four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))
    };
    all.filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::fleet::HubAddress;

    fn gate(own: &[&str]) -> Gate {
        let own = own.iter().map(|&text| text.to_owned()).collect();
        Gate::new(Egress { own, ..Egress::default() }, None, Arc::default())
    }

    #[tokio::test]
    async fn of_a_fleet_the_hub_alone_is_led_to_and_else_nothing_until_somebody_vouches() {
        let hub = HubAddress { host: "1.2.3.4".to_owned(), port: 8443 };
        let relay = IpAddr::from([1, 2, 3, 5]);
        let gate = |carries| {
            let others = [relay, [1, 2, 3, 4].into()].into();
            let fleet = Fleet { hub: vec![hub.clone()], others, carries, home: HashSet::new() };
            let own = vec!["1.2.3.6".to_owned()];
            Gate::new(Egress { own, ..Egress::default() }, Some(fleet.into()), Arc::default())
        };
        let asks = async |gate: &Gate, to: &str| {
            let found = gate.find(&Target::read(to, None).expect("a target")).await;
            found.map(drop).map_err(|reason| match reason {
                NoWay::Forbidden(what) => what,
                other => panic!("{other}"),
            })
        };
        let vouched = gate(Carries::Everything);
        for (to, expected) in [
            ("1.2.3.4:8443", Ok(())),
            ("1.2.3.4:443", Err(Forbidden::Fleet)),
            ("1.2.3.5:443", Err(Forbidden::Fleet)),
            ("1.2.3.6:443", Err(Forbidden::Own)),
            ("1.1.1.1:443", Ok(())),
        ] {
            assert_eq!(asks(&vouched, to).await, expected, "{to}");
        }
        let unvouched = gate(Carries::Telegram);
        for (to, expected) in [
            ("1.2.3.4:8443", Ok(())),
            ("1.2.3.4:443", Err(Forbidden::Unvouched)),
            ("1.1.1.1:443", Err(Forbidden::Unvouched)),
        ] {
            assert_eq!(asks(&unvouched, to).await, expected, "{to}");
        }
        assert_eq!(unvouched.check("1.1.1.1:443".parse().expect("it")), Err(Forbidden::Unvouched));
    }

    #[test]
    fn a_server_does_not_lead_to_itself_nor_to_closed_ports() {
        let gate = gate(&["1.2.3.4"]);
        let check = |text: &str| gate.check(text.parse().expect("an address"));
        assert_eq!(check("1.2.3.5:443"), Ok(()));
        assert_eq!(check("1.2.3.4:443"), Err(Forbidden::Own));
        assert_eq!(check("[::ffff:1.2.3.4]:443"), Err(Forbidden::Own));
        assert_eq!(check("1.2.3.5:25"), Err(Forbidden::Port(25)));
        assert_eq!(check("127.0.0.1:443"), Err(Forbidden::Kind(Kind::Loopback)));
        assert!(interfaces().contains(&IpAddr::from([127, 0, 0, 1])));
    }

    #[tokio::test]
    async fn an_address_is_checked_before_it_is_dialled() {
        for text in
            ["127.0.0.1:443", "[::1]:443", "10.0.0.1:80", "[64:ff9b::a00:1]:80", "1.1.1.1:25"]
        {
            let target = Target::read(text, None).expect("a target");
            assert!(matches!(gate(&[]).connect(&target).await, Err(NoWay::Forbidden(_))), "{text}");
        }
    }

    #[test]
    fn families_take_turns() {
        let all =
            ["1.1.1.1", "1.1.1.2", "1.1.1.3", "2606::1"].map(|text| text.parse().expect("one"));
        let turns: Vec<String> = alternating(all.into()).iter().map(IpAddr::to_string).collect();
        assert_eq!(turns, ["2606::1", "1.1.1.1", "1.1.1.2", "1.1.1.3"]);
    }
}
