//! A real certificate authority (pebble), and what it needs.
#![allow(dead_code)] // Each test uses a part of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use front::{Acme, Body, Proof, Rooms, body};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Running, free_port, run, until_open};

/// An authority that finds every host on this machine.
pub struct Authority {
    pub home: TempDir,
    pub port: u16,
    /// Where it looks for proof by a hello.
    pub proof_port: u16,
    management: u16,
    /// Where its name server takes orders.
    pub names: u16,
    _running: Vec<Running>,
}

impl Authority {
    /// One whose certificates are good for so many seconds, and which asks this name server; without
    /// one, one of its own.
    pub async fn start(seconds: u64, name_server: Option<u16>) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("made");
        std::fs::write(at("cert.pem"), own.cert.pem()).expect("written");
        std::fs::write(at("key.pem"), own.signing_key.serialize_pem()).expect("written");
        let (port, management, proof_port, names) =
            (free_port(), free_port(), free_port(), free_port());
        let mut running = Vec::new();
        let dns = match name_server {
            Some(port) => port,
            None => {
                let dns = free_port();
                let (at_dns, at_names) = (format!("127.0.0.1:{dns}"), format!("127.0.0.1:{names}"));
                let arguments = [
                    "-dns01",
                    &at_dns,
                    "-management",
                    &at_names,
                    "-http01",
                    "",
                    "-https01",
                    "",
                    "-tlsalpn01",
                    "",
                    "-defaultIPv4",
                    "127.0.0.1",
                    "-defaultIPv6",
                    "",
                ];
                running.push(Running::start("pebble-challtestsrv", &arguments, &at("names.log")));
                until_open(names).await;
                dns
            }
        };
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": at("cert.pem"),
            "privateKey": at("key.pem"),
            "httpPort": 1,
            "tlsPort": proof_port,
            "certificateValidityPeriod": seconds,
        }});
        std::fs::write(at("pebble.json"), config.to_string()).expect("written");
        let config = at("pebble.json");
        let dns = format!("127.0.0.1:{dns}");
        let arguments = ["-config", config.to_str().expect("a path"), "-dnsserver", &dns];
        running.push(Running::start("pebble", &arguments, &at("pebble.log")));
        until_open(port).await;
        Self { home, port, proof_port, management, names, _running: running }
    }

    /// The certificate that it shows itself.
    pub fn own(&self) -> PathBuf {
        self.home.path().join("cert.pem")
    }

    /// What to ask it for.
    pub fn ask(&self, name: &str, proof: Proof) -> Acme {
        Acme {
            directory: format!("https://127.0.0.1:{}/dir", self.port),
            roots: Some(self.own()),
            ..Acme::new(vec![name.parse().expect("a name")], proof)
        }
    }

    /// Its root, as a file that programs trust.
    pub async fn root(&self) -> PathBuf {
        let url = format!("https://127.0.0.1:{}/roots/0", self.management);
        let root = self.home.path().join("root.pem");
        std::fs::write(&root, run("curl", &["-sSk", &url]).await).expect("written");
        root
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("pebble.log")).expect("a log")
    }
}

/// Stands before an authority: advertises a profile that pebble does not know, and can refuse.
pub struct PassThrough {
    port: u16,
    trust: Arc<rustls::ClientConfig>,
    pub state: Arc<Mutex<Seen>>,
}

/// What went through, and what is done with it.
#[derive(Default)]
pub struct Seen {
    /// Paths that were asked for.
    pub asked: Vec<String>,
    /// Profiles that were ordered.
    pub profiles: Vec<String>,
    /// Orders hear that there were too many, and to come back in so many seconds.
    pub too_many: Option<u64>,
    /// The next order hears that its account does not exist.
    pub forget: bool,
    /// What it says the time is.
    pub date: Option<String>,
}

impl PassThrough {
    pub fn new(authority: &Authority) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        let pem = std::fs::read(authority.own()).expect("a certificate");
        roots.add(CertificateDer::from_pem_slice(&pem).expect("a certificate")).expect("a root");
        let trust = rustls::ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { port: authority.port, trust: Arc::new(trust), state: Arc::default() }
    }

    async fn pass(&self, request: Request<Full<bytes::Bytes>>) -> Response<bytes::Bytes> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("a connection");
        let name = "127.0.0.1".try_into().expect("a name");
        let stream = TlsConnector::from(Arc::clone(&self.trust)).connect(name, stream).await;
        let stream = TokioIo::new(stream.expect("a handshake"));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.expect("a connection");
        tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await.expect("an answer").into_parts();
        Response::from_parts(parts, body.collect().await.expect("a body").to_bytes())
    }
}

impl Rooms for PassThrough {
    async fn enter(&self, request: &mut Request<Body>) -> Option<Response<Body>> {
        let body = std::mem::replace(request.body_mut(), body::empty());
        let body = body.collect().await.expect("a body").to_bytes();
        let path = request.uri().path().to_owned();
        {
            let mut seen = self.state.lock().expect("seen");
            seen.asked.push(path.clone());
            if path == "/order-plz" {
                let message: serde_json::Value = serde_json::from_slice(&body).expect("a message");
                let payload = message["payload"].as_str().expect("a payload");
                let payload = data_encoding::BASE64URL_NOPAD.decode(payload.as_bytes());
                let order: serde_json::Value =
                    serde_json::from_slice(&payload.expect("base 64")).expect("an order");
                seen.profiles.push(order["profile"].as_str().unwrap_or("none").to_owned());
                if std::mem::take(&mut seen.forget) {
                    let problem =
                        r#"{"type":"urn:ietf:params:acme:error:accountDoesNotExist","status":400}"#;
                    let answer = Response::builder().status(StatusCode::BAD_REQUEST);
                    return Some(answer.body(body::full(problem)).expect("an answer"));
                }
                if let Some(seconds) = seen.too_many {
                    let problem = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many","status":429}"#;
                    let date = seen.date.as_deref().unwrap_or_default();
                    let answer = Response::builder()
                        .status(StatusCode::TOO_MANY_REQUESTS)
                        .header("date", date)
                        .header("retry-after", seconds)
                        .header("content-type", "application/problem+json");
                    return Some(answer.body(body::full(problem)).expect("an answer"));
                }
            }
        }
        let (mut parts, _) = std::mem::replace(request, Request::new(body::empty())).into_parts();
        parts.extensions.clear();
        let (mut parts, mut body) =
            self.pass(Request::from_parts(parts, Full::new(body))).await.into_parts();
        if path == "/dir" {
            let mut directory: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            directory["meta"]["profiles"] = serde_json::json!({"shortlived": "six days"});
            body = directory.to_string().into();
            parts.headers.remove("content-length");
        }
        if let Some(date) = &self.state.lock().expect("seen").date {
            parts.headers.insert("date", date.parse().expect("a date"));
        }
        Some(Response::from_parts(parts, body::full(body)))
    }
}

/// A name server (Knot) with a zone `example.org` that takes updates signed with this key.
pub async fn name_server(home: &Path, secret: &str) -> (Running, u16) {
    let port = free_port();
    let dir = home.display();
    let config = format!(
        "server:\n  rundir: {dir}\n  listen: 127.0.0.1@{port}\n\
         database:\n  storage: {dir}\n\
         log:\n  - target: stderr\n    any: debug\n\
         key:\n  - id: acme\n    algorithm: hmac-sha256\n    secret: {secret}\n\
         acl:\n  - id: change\n    key: acme\n    action: update\n\
         zone:\n  - domain: example.org\n    storage: {dir}\n    file: zone\n    acl: change\n"
    );
    std::fs::write(home.join("knot.conf"), config).expect("written");
    let zone = "example.org. 60 SOA ns.example.org. x.example.org. 1 3600 600 86400 1\n\
                example.org. 60 NS ns.example.org.\nns.example.org. 60 A 127.0.0.1\n";
    std::fs::write(home.join("zone"), zone).expect("written");
    let config = home.join("knot.conf");
    let log = home.join("knot.log");
    let running = Running::start("knotd", &["-c", config.to_str().expect("a path")], &log);
    until_open(port).await;
    (running, port)
}
