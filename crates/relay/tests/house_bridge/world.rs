//! A relay with a house on the lab's server, and TLS to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use front::{Front, Identity};
use lab::{Blockade, Lab, Result};
use relay::{House, Keys, NoDesk, Relay, Settings};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::derive::{Epoch, FleetKey, Form, KeyId, RelayId, RelayKey, Secret};
use wire::webproxy::{Capability, WebSecret};

/// The name of its certificate, and the host of the WEB proxy.
pub const HOST: &str = "web.example.org";
/// The keys that open it.
pub const KEYS: [KeyId; 2] = [KeyId([1; 8]), KeyId([2; 8])];

/// A country, and a relay outside, for as long as a test runs.
pub struct World {
    pub blockade: Blockade,
    pub relay: Relay,
    pub door: Door,
    key: RelayKey,
    _open: oneshot::Sender<()>,
}

/// How to get in.
#[derive(Clone, Debug)]
pub struct Door {
    pub at: SocketAddr,
    certificate: PathBuf,
    pub capability: String,
    pub secret: Secret,
}

impl World {
    pub fn new(lab: &Lab) -> Result<Self> {
        let blockade = Blockade::new(lab)?;
        let key = FleetKey::generate().relay_key(&RelayId::generate());
        let at = SocketAddr::new(blockade.server.v4(), 443);
        let folder = blockade.server.folder()?;
        let (up, is_up) = mpsc::channel();
        let (open, closed) = oneshot::channel::<()>();
        let (relay_key, state) = (key.clone(), folder.clone());
        let _ = blockade.server.start(async move || {
            let name = || HOST.parse().expect("a name");
            let settings = front::Settings::new(state, Identity::SelfSigned(vec![name()]));
            let (front, _notices) = Front::open(settings).expect("a front");
            let web_host = Some(HOST.parse().expect("a host"));
            let house = House { front, names: vec![name()], web_host, desk: Arc::new(NoDesk) };
            let settings = Settings { house: Some(house), ..Settings::default() };
            let (relay, _notices) = Relay::new(&relay_key, Epoch(1), settings);
            relay.set_keys(Keys { telegram: &KEYS, ..Keys::default() });
            let listener = crate::common::listener(&at.to_string())?;
            let _door = relay.serve(listener)?;
            let _ = up.send(relay);
            let _ = closed.await;
            Ok(())
        })?;
        let relay = is_up.recv().expect("a relay");
        let files = std::fs::read_dir(folder).expect("a folder");
        let mut files = files.map(|file| file.expect("a file").path());
        let certificate = files.find(|path| path.to_string_lossy().contains("self-signed"));
        let certificate = certificate.expect("a certificate");
        let door = door_of(&key, KEYS[0], at, certificate);
        Ok(Self { blockade, relay, door, key, _open: open })
    }

    /// The same door for the other key.
    pub fn other_door(&self) -> Door {
        door_of(&self.key, KEYS[1], self.door.at, self.door.certificate.clone())
    }
}

fn door_of(key: &RelayKey, id: KeyId, at: SocketAddr, certificate: PathBuf) -> Door {
    let secret = key.secret(Form::Telegram, id, Epoch(1));
    let address = HOST.parse().expect("an address");
    let capability = Capability::of(&address, &WebSecret::Padded(secret)).written();
    Door { at, certificate, capability, secret }
}

impl Door {
    /// A connection to it on which one protocol is offered.
    pub async fn tls(&self, protocol: &str) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        let pem = std::fs::read(&self.certificate).expect("a certificate");
        roots.add(CertificateDer::from_pem_slice(&pem).expect("a certificate")).expect("a root");
        let mut config = rustls::ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.at).await.expect("a connection");
        stream.set_nodelay(true).expect("set");
        let name = HOST.try_into().expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
    }
}
