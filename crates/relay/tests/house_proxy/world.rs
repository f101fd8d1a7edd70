//! A relay with a website of its own, somebody far away with a key, and where they want to go.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use front::{Front, Identity, NoRooms};
use lab::{Blockade, BlockedSite, Host, Lab, Result};
use relay::{House, Keys, NoDesk, Relay, Settings};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::account::Password;
use wire::derive::{Epoch, FleetKey, Form, KeyId, RelayId, RelayKey};
use wire::doorway::Doorway;

/// The relay's own name.
pub const NAME: &str = "relay.example";
pub const EPOCH: Epoch = Epoch(1);
/// Where a front listens that has no rooms.
const BARE: u16 = 8443;
/// Where a server on the web answers what it hears.
pub const ECHO: u16 = 5222;

pub struct World {
    pub lab: Blockade,
    pub relay: Relay,
    pub key: RelayKey,
    pub id: KeyId,
    trusted: PathBuf,
    _site: BlockedSite,
}

impl World {
    pub fn new(lab: &Lab) -> Result<Self> {
        let lab = Blockade::new(lab)?;
        let site = BlockedSite::new(&lab)?;
        echo(&lab.web)?;
        let key = FleetKey::from_bytes([1; 32]).relay_key(&RelayId([2; 16]));
        let id = KeyId([7; 8]);
        let state = lab.server.folder()?;
        let relay = open(&lab.server, &key, id, &state)?;
        let mut files = std::fs::read_dir(&state)?.filter_map(|file| Some(file.ok()?.path()));
        let trusted = files.find(|path| path.to_string_lossy().contains("self-signed"));
        let trusted = trusted.expect("a certificate");
        Ok(Self { lab, relay, key, id, trusted, _site: site })
    }

    pub fn at(&self) -> SocketAddr {
        SocketAddr::new(self.lab.server.v4(), 443)
    }

    /// The same without rooms.
    pub fn bare(&self) -> SocketAddr {
        SocketAddr::new(self.lab.server.v4(), BARE)
    }

    pub fn password(&self) -> String {
        Password(self.key.secret(Form::Web, self.id, EPOCH)).to_string()
    }

    /// As it stands in a header.
    pub fn credentials(&self) -> String {
        basic(&format!("{}:{}", self.id, self.password()))
    }

    /// The host at which the key's browser is asked for its password.
    pub fn log_in_host(&self) -> String {
        format!("{}.{NAME}", Doorway::LogIn.token(&self.key, self.id, EPOCH))
    }

    /// What curl on the phone prints by way of the proxy: answers, the proxy's too, and its own words.
    pub fn curl(&self, user: &str, arguments: &[&str]) -> Result<String> {
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        let proxy = format!("https://{user}{}", self.at());
        let mut command = Command::new("curl");
        command
            .args(["-sS", "-i", "-k", "--proxy-insecure", "--max-time", "30", "-x", &proxy])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = self.lab.phone.output(command)?;
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// The user and the password as curl takes them.
    pub fn user(&self) -> String {
        format!("{}:{}", self.id, self.password())
    }

    /// What TLS clients are told.
    pub fn tls(&self, protocol: &str) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        let pem = std::fs::read(&self.trusted).expect("a certificate");
        roots.add(CertificateDer::from_pem_slice(&pem).expect("a certificate")).expect("a root");
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut config = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

pub fn basic(pair: &str) -> String {
    format!("Basic {}", lab::website::base64(pair.as_bytes()))
}

pub async fn connect(tls: TlsConnector, to: SocketAddr) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(tls.connect(NAME.try_into().expect("a name"), stream).await?)
}

/// A connection of HTTP/2, through a line on which every piece takes `delay`.
pub async fn http2(
    tls: TlsConnector,
    to: SocketAddr,
    line: Arc<crate::line::Line>,
) -> Result<h2::client::SendRequest<Bytes>> {
    let ours = line.lead(connect(tls, to).await?);
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(16 << 20)
        .initial_connection_window_size(64 << 20)
        .handshake(ours)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    Ok(client.ready().await.expect("ready"))
}

/// Runs a relay with one key on this host, and a front without rooms beside it.
fn open(host: &Host, key: &RelayKey, id: KeyId, state: &Path) -> Result<Relay> {
    let (sender, receiver) = mpsc::channel();
    let (key, state) = (key.clone(), state.to_owned());
    let (at, bare) = (SocketAddr::new(host.v4(), 443), SocketAddr::new(host.v4(), BARE));
    host.start::<(), _>(async move || {
        let names = vec![NAME.parse().expect("a name")];
        let identity = Identity::SelfSigned(names.clone());
        let (front, _notices) =
            Front::open(front::Settings::new(state, identity)).expect("a front");
        let house = House { front: front.clone(), names, web_host: None, desk: Arc::new(NoDesk) };
        let settings = Settings { house: Some(house), ..Settings::default() };
        let (relay, _notices) = Relay::new(&key, EPOCH, settings);
        relay.set_keys(Keys { web: &[id], ..Keys::default() });
        let listener = std::net::TcpListener::bind(at)?;
        listener.set_nonblocking(true)?;
        let _door = relay.serve(listener)?;
        let listener = TcpListener::bind(bare).await?;
        sender.send(relay).expect("somebody waits");
        loop {
            let (stream, _) = listener.accept().await?;
            let front = front.clone();
            tokio::spawn(async move { front.serve(stream, Vec::new(), Arc::new(NoRooms)).await });
        }
    })?;
    Ok(receiver.recv_timeout(Duration::from_secs(20)).expect("it opens"))
}

/// A server that answers what it hears, and ends when it hears the end; after a word `endless`, it
/// says something for ever, and after `deaf` it hears nothing more.
fn echo(host: &Host) -> Result {
    let at = SocketAddr::new(host.v4(), ECHO);
    let (sender, receiver) = mpsc::channel();
    host.start::<(), _>(async move || {
        let listener = TcpListener::bind(at).await?;
        sender.send(()).expect("somebody waits");
        loop {
            let (mut stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                let mut heard = vec![0; 64 << 10];
                while let Ok(read @ 1..) = stream.read(&mut heard).await {
                    if heard.starts_with(b"deaf") {
                        std::future::pending::<()>().await;
                    }
                    while heard.starts_with(b"endless") {
                        if stream.write_all(&[7; 64 << 10]).await.is_err() {
                            return;
                        }
                    }
                    if stream.write_all(&heard[..read]).await.is_err() {
                        return;
                    }
                }
                let _ = stream.shutdown().await;
            });
        }
    })?;
    receiver.recv_timeout(Duration::from_secs(20)).expect("it opens");
    Ok(())
}
