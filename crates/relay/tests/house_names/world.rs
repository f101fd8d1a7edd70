//! A relay with a website of its own, and a person in a country that names do not reach.

use std::net::{IpAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};

use front::{Front, Identity};
use lab::{Error, Host, Lab, Network, Result, need};
use relay::{House, Keys, NoDesk, Relay, Settings};
use tokio::sync::oneshot;
use wire::derive::{Epoch, FleetKey, KeyId, Person, RelayId, RelayKey};
use wire::doorway::Doorway;

/// The relay's name.
const NAME: &str = "relay.example.org";
/// Its port.
pub const PORT: u16 = 443;

/// A country from which nobody reaches the name server outside; a relay, and a site.
pub struct World {
    _inside: Network,
    pub phone: Host,
    pub server: Host,
    pub names: Host,
    pub web: Host,
}

impl World {
    pub fn new(lab: &Lab) -> Result<Self> {
        let names = lab.host("names", &["185.98.5.53"])?;
        let inside = lab.network("inside")?;
        inside.swallow(names.v4())?;
        Ok(Self {
            phone: inside.host("phone", &["5.76.1.10"])?,
            server: lab.host("server", &["116.203.7.7"])?,
            web: lab.host("web", &["185.98.5.5"])?,
            _inside: inside,
            names,
        })
    }
}

/// A relay that is open until this is dropped.
pub struct Housed {
    pub relay: Relay,
    key: RelayKey,
    /// The keys for the web.
    pub ids: Vec<KeyId>,
    pub address: IpAddr,
    _open: oneshot::Sender<()>,
}

impl Housed {
    /// Opens one on a host, with two keys.
    pub fn on(host: &Host) -> Result<Self> {
        let (fleet, relay_id) = (FleetKey::generate(), RelayId::generate());
        let key = fleet.relay_key(&relay_id);
        let ids: Vec<KeyId> = (0..2).map(|n| fleet.pseudonym(&relay_id, Person(n))).collect();
        let address = host.v4();
        let state = host.folder()?.join("tls");
        let (started, is_open) = mpsc::channel();
        let (open, is_over) = oneshot::channel();
        host.start({
            let (key, ids) = (key.clone(), ids.clone());
            async move || {
                let names = vec![NAME.parse().expect("a name")];
                let identity = Identity::SelfSigned(names.clone());
                let (front, _notices) =
                    Front::open(front::Settings::new(state, identity)).expect("a front");
                let house = House { front, names, web_host: None, desk: Arc::new(NoDesk) };
                let settings = Settings { house: Some(house), ..Settings::default() };
                let (relay, _notices) = Relay::new(&key, Epoch(1), settings);
                relay.set_keys(Keys { web: &ids, ..Keys::default() });
                let listener = TcpListener::bind((address, PORT))?;
                listener.set_nonblocking(true)?;
                let _door = relay.serve(listener)?;
                started.send(relay.clone()).expect("somebody waits");
                let _ = is_over.await;
                Ok(())
            }
        })?;
        let relay = is_open.recv().map_err(|_| Error::Unexpected("no relay".to_owned()))?;
        Ok(Self { relay, key, ids, address, _open: open })
    }

    /// The secret part of an address of one of its keys.
    pub fn token(&self, doorway: Doorway, key: usize) -> String {
        doorway.token(&self.key, self.ids[key], Epoch(1))
    }

    /// Where one of its keys asks for names.
    pub fn dns(&self, key: usize) -> String {
        format!("https://{}:{PORT}/{}/dns-query", self.address, self.token(Doorway::Dns, key))
    }
}

/// What a program on a host prints, and whether it is content.
pub fn says(host: &Host, program: &str, arguments: &[&str]) -> Result<(Vec<u8>, bool)> {
    let output = host.output(command(program, arguments)?)?;
    Ok(([output.stdout, output.stderr].concat(), output.status.success()))
}

/// A program that is about to be started, whose streams are pipes.
pub fn command(program: &str, arguments: &[&str]) -> Result<Command> {
    need(program)?;
    let mut command = Command::new(program);
    command.args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// What curl on a host gets: status, headers and body. Nothing vouches for the relay's certificate.
pub fn curl(host: &Host, arguments: &[&str]) -> Result<Vec<u8>> {
    let ordinary = ["-sSik", "--path-as-is", "--max-time", "60"];
    let (said, is_content) = says(host, "curl", &[&ordinary[..], arguments].concat())?;
    if is_content {
        return Ok(said);
    }
    Err(Error::Unexpected(format!("{arguments:?}: {}", String::from_utf8_lossy(&said))))
}
