//! A front on this machine, and the programs that visit it.
#![allow(dead_code)] // Each test uses a part of it.

pub mod authority;
pub mod frames;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use front::{Front, Identity, NoticeReceiver, Rooms, Settings};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A front that listens, for as long as a test runs.
pub struct Wearer {
    pub front: Front,
    pub notices: NoticeReceiver,
    pub address: SocketAddr,
    /// The port without TLS.
    pub plain: SocketAddr,
    pub home: TempDir,
}

/// The name of its certificate.
pub const NAME: &str = "relay.test";

/// Opens one with these settings changed, and these rooms behind the site.
pub async fn wear<R: Rooms>(rooms: R, change: impl FnOnce(&mut Settings, &Path)) -> Wearer {
    let home = tempfile::tempdir().expect("a directory");
    let names = vec![NAME.parse().expect("a name"), "127.0.0.1".parse().expect("an address")];
    let mut settings = Settings::new(home.path().join("tls"), Identity::SelfSigned(names));
    change(&mut settings, home.path());
    let (front, notices) = Front::open(settings).expect("open");
    let (address, plain) = listen(&front, "127.0.0.1:0", rooms);
    Wearer { front, notices, address, plain, home }
}

/// Serves a port with TLS, and one without.
pub fn listen<R: Rooms>(front: &Front, at: &str, rooms: R) -> (SocketAddr, SocketAddr) {
    let rooms = Arc::new(rooms);
    let serve = |at: &str, is_tls: bool| {
        let listener = TcpListener::bind(at).expect("a port");
        listener.set_nonblocking(true).expect("set");
        let address = listener.local_addr().expect("its address");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let (front, rooms) = (front.clone(), Arc::clone(&rooms));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (front, rooms) = (front.clone(), Arc::clone(&rooms));
                tokio::spawn(async move {
                    // As a wearer does that must first know what it is.
                    let mut first = Vec::with_capacity(100);
                    let _ = stream.read_buf(&mut first).await;
                    if is_tls {
                        front.serve(stream, first, rooms).await;
                    } else {
                        let read = first.len();
                        front.serve_plain(stream, first, read).await;
                    }
                });
            }
        });
        address
    };
    (serve(at, true), serve("127.0.0.1:0", false))
}

impl Wearer {
    /// The certificate, as a file that programs trust.
    pub fn trusted(&self) -> PathBuf {
        let state = self.home.path().join("tls");
        let mut files =
            std::fs::read_dir(state).expect("list").map(|file| file.expect("file").path());
        files.find(|path| path.to_string_lossy().contains("self-signed")).expect("a certificate")
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{NAME}:{}{path}", self.address.port())
    }

    /// What curl says about a path: the head of the answer, and its body.
    pub async fn curl(&self, arguments: &[&str], path: &str) -> Visit {
        let resolve = format!("{NAME}:{}:127.0.0.1", self.address.port());
        let trusted = self.trusted();
        let trusted = trusted.to_str().expect("a path").to_owned();
        let mut all = vec![
            "-sS",
            "-i",
            "--path-as-is",
            "--max-time",
            "60",
            "--resolve",
            &resolve,
            "--cacert",
        ];
        all.push(&trusted);
        all.extend(arguments);
        let url = self.url(path);
        all.push(&url);
        Visit::read(&run("curl", &all).await)
    }
}

/// A connection to it on which these protocols are offered.
pub async fn tls(wearer: &Wearer, protocols: &[&str]) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(wearer.trusted()).expect("a certificate");
    let certificate = CertificateDer::from_pem_slice(&pem).expect("a certificate");
    roots.add(certificate).expect("a root");
    let mut config = rustls::ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(wearer.address).await.expect("a connection");
    let name = NAME.try_into().expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
}

/// An answer, as curl shows it.
#[derive(Debug)]
pub struct Visit {
    pub head: String,
    pub body: Vec<u8>,
}

impl Visit {
    fn read(bytes: &[u8]) -> Self {
        let end =
            bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        Self { head, body: bytes[end..].to_vec() }
    }

    pub fn status(&self) -> &str {
        self.head.split_whitespace().nth(1).unwrap_or("none")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (header, value) = line.split_once(": ")?;
            header.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// What a program prints; both of what it prints, when it fails.
pub async fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut printed = output.stdout;
    if !output.status.success() {
        printed.extend(output.stderr);
    }
    printed
}

/// The same as text.
pub async fn text(program: &str, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&run(program, arguments).await).into_owned()
}

/// A program that runs until it is dropped.
pub struct Running(Child);

impl Running {
    pub fn start(program: &str, arguments: &[&str], log: &Path) -> Self {
        let log = std::fs::File::create(log).expect("a log");
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", "0")
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("{program}: {error}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port of this machine that nobody has.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

/// Waits until something accepts.
pub async fn until_open(port: u16) {
    for _ in 0..600 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nothing answers on port {port}");
}
