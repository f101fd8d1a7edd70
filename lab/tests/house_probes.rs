//! Whatever a scanner says, a relay with a website of its own is that website to it: the same bytes, the
//! same end, whether it speaks TLS or not. The website alone is served by the same program's face
//! without a relay.

mod corpus;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use corpus::{Probe, Seen};
use front::{Front, Identity, NoRooms, Settings, Site};
use lab::relay::Form;
use lab::website::curl;
use lab::{Authority, Blockade, Host, Lab, Relay, Result, client, country, need};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const NAME: &str = "orchards.example";
const PAGE: &str = "<p>Apples.";
/// Where both answer.
const PORTS: [u16; 2] = [443, 80];
/// After so long, nobody says anything more.
const SILENCE: Duration = Duration::from_millis(600);
/// How often two answers may differ by the second in which they were given.
const ATTEMPTS: usize = 8;

/// A relay with a website, and the website alone.
struct Scene {
    world: Blockade,
    relay: Relay,
    alone: IpAddr,
    scanners: Vec<Host>,
    trust: Arc<rustls::ClientConfig>,
    _open: oneshot::Sender<()>,
}

impl Scene {
    fn new(lab: &Lab) -> Result<Self> {
        let world = Blockade::new(lab)?;
        world.server.call(NAME)?;
        let authority = Authority::new(&world.server)?;
        let [certificate, key] = authority.vouch(NAME, "site")?;
        let pages = world.server.folder()?;
        std::fs::write(pages.join("index.html"), PAGE)?;
        let text = |path: &Path| path.to_str().expect("text").to_owned();
        let relay = Relay::on(&world.server)
            .ports("443,80,8443")
            .arguments(&["--domain", NAME, "--site", &text(&pages)])
            .arguments(&["--certificate", &text(&certificate), "--key", &text(&key)])
            .start()?;
        let host = lab.host("alone", &["116.203.7.9"])?;
        let mut settings =
            Settings::new(host.folder()?.join("tls"), Identity::Files { certificate, key });
        settings.site = Site::Directory(pages);
        settings.redirect = true;
        let (open, closed) = oneshot::channel();
        serve_alone(&host, settings, closed)?;
        let scanners = ["5.76.2.1", "5.76.2.2", "5.76.2.3", "5.76.2.4"].into_iter();
        let scanners = scanners.map(|at| world.inside.host("scanner", &[at]));
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_file(&authority.certificate).expect("a certificate");
        roots.add(root).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trust = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            scanners: scanners.collect::<Result<_>>()?,
            alone: host.v4(),
            trust: Arc::new(trust),
            world,
            relay,
            _open: open,
        })
    }

    /// The website alone and the relay, by this port.
    fn both(&self, port: u16) -> [SocketAddr; 2] {
        [self.alone, self.world.server.v4()].map(|ip| SocketAddr::new(ip, port))
    }

    /// What comes of each probe at an address, in their order, from all scanners at the same time.
    fn seen(&self, at: SocketAddr, probes: &[Probe]) -> Vec<Seen> {
        let share = probes.len().div_ceil(self.scanners.len());
        thread::scope(|scope| {
            let shares = probes.chunks(share).zip(&self.scanners);
            let seeing = shares.map(|(probes, host)| {
                let probes = probes.to_vec();
                scope.spawn(move || host.run(async move || corpus::seen(at, &probes).await))
            });
            let seeing: Vec<_> = seeing.collect();
            let all = seeing.into_iter().map(|share| share.join().expect("no panic"));
            all.flat_map(|share| share.expect("it answers")).collect()
        })
    }

    fn assert_alike(&self, port: u16, probes: &[Probe]) {
        let [real, ours] = at_once(self.both(port).map(|at| move || self.seen(at, probes)));
        let both = probes.iter().zip(real.iter().zip(&ours));
        let unlike = both.filter(|(_, (real, ours))| !ours.is_like(real));
        let unlike: Vec<_> = unlike.map(|(probe, both)| (&probe.name, both)).collect();
        assert!(
            unlike.is_empty(),
            "port {port}: {} of {}: {unlike:#?}",
            unlike.len(),
            probes.len()
        );
    }

    /// First flights that the relay has answered before.
    fn used(&self) -> Result<Vec<Probe>> {
        let link = |form| self.relay.key()?.link(form).map(str::to_owned);
        let used = Form::ALL.into_iter().map(|form| {
            let opening = client::through(&link(form)?)?.opening();
            Ok(Probe::new(format!("replayed {form:?}"), &opening))
        });
        let used: Vec<Probe> = used.collect::<Result<_>>()?;
        for (probe, first) in used.iter().zip(self.seen(self.both(443)[1], &used)) {
            assert!(!first.bytes.is_empty(), "{} is welcome at first: {first:?}", probe.name);
        }
        Ok(used)
    }
}

/// Does the same at both at the same time.
fn at_once<T: Send>(both: [impl FnOnce() -> T + Send; 2]) -> [T; 2] {
    thread::scope(|scope| both.map(|one| scope.spawn(one)).map(|one| one.join().expect("no panic")))
}

/// Serves a website from a host, as a relay does that has no key, until somebody closes it.
fn serve_alone(host: &Host, settings: Settings, closed: oneshot::Receiver<()>) -> Result {
    let (at, (up, is_up)) = (host.v4(), mpsc::channel());
    host.start(async move || {
        let (front, _notices) = Front::open(settings).expect("a face");
        for port in PORTS {
            let (listener, front) = (TcpListener::bind((at, port)).await?, front.clone());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(front.clone(), stream, port));
                }
            });
        }
        let _ = up.send(());
        let _ = closed.await;
        Ok(())
    })?;
    is_up.recv().expect("it comes up");
    Ok(())
}

async fn serve(front: Front, stream: TcpStream, port: u16) {
    let mut first = [0];
    // Whoever begins a record of TLS has that there too.
    let speaks_plainly = port == 80 && stream.peek(&mut first).await.is_ok_and(|_| first != [0x16]);
    if speaks_plainly {
        front.serve_plain(stream, Vec::new(), 0).await;
    } else {
        front.serve(stream, Vec::new(), Arc::new(NoRooms)).await;
    }
}

#[test]
fn every_probe_of_the_corpus_is_answered_as_by_the_website_alone() -> Result {
    country(|lab| {
        let scene = Scene::new(lab)?;
        let probes = [corpus::all(NAME), scene.used()?].concat();
        scene.assert_alike(443, &probes);
        // What is answered to garbage in pieces depends there on how many a busy machine reads at first.
        let words = probes.into_iter().skip(300).step_by(2);
        let words: Vec<Probe> = words.filter(|one| !one.name.starts_with("garbage, ")).collect();
        scene.assert_alike(80, &words);
        Ok(())
    })
}

/// What is said within TLS, and which protocol is asked for before.
#[derive(Clone)]
struct Inside {
    protocol: Option<&'static str>,
    said: Vec<u8>,
}

/// A frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("short");
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A header that is in no table (RFC 7541, 6.2.2), or whose name is the first one's of this index.
fn header(name: Result<u8, &str>, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    let name = name.map_or_else(|name| [vec![0], text(name)].concat(), |index| vec![index]);
    [name, text(value)].concat()
}

/// A client's first words in HTTP/2, with one request.
fn two(request: &[Vec<u8>]) -> Vec<u8> {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    [preface, frame(4, 0, 0, &[]), frame(1, 5, 1, &request.concat())].concat()
}

fn inside() -> Vec<Inside> {
    const AUTHORITY: Result<u8, &str> = Ok(0x01);
    const METHOD: Result<u8, &str> = Ok(0x02);
    // GET, https, and the path /.
    let get = || vec![vec![0x82, 0x87, 0x84], header(AUTHORITY, NAME)];
    let connect = || vec![header(METHOD, "CONNECT"), header(AUTHORITY, "example.com:443")];
    let login = || header(Err("proxy-authorization"), "Basic YTpi");
    let one = |text: &str| text.as_bytes().to_vec();
    let words = [
        two(&get()),
        two(&connect()),
        two(&[connect(), vec![login()]].concat()),
        two(&[vec![vec![0x82, 0x86, 0x84], header(AUTHORITY, "example.com")], vec![login()]]
            .concat()),
        two(&[vec![0xff; 9]]),
        two(&get())[..24].to_vec(),
        two(&get())[..30].to_vec(),
        one(&format!("GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n")),
        one("GET /none HTTP/1.0\r\n\r\n"),
        one("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"),
        one("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\
             Proxy-Authorization: Basic YTpi\r\n\r\n"),
        one("CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n"),
        one("GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n"),
        one("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
        one("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"),
        one("nonsense\r\n\r\n"),
    ];
    let protocols = [None, Some("h2"), Some("http/1.1")];
    let all = protocols
        .into_iter()
        .flat_map(|protocol| words.iter().map(move |said| Inside { protocol, said: said.clone() }));
    let hellos = ["acme-tls/1", "smtp"];
    let hellos = hellos.map(|protocol| Inside { protocol: Some(protocol), said: Vec::new() });
    all.chain(hellos).collect()
}

/// What is answered within TLS, or that there is none; whether it ends.
async fn said_inside(
    trust: Arc<rustls::ClientConfig>,
    at: SocketAddr,
    Inside { protocol, said }: Inside,
) -> Result<(Vec<u8>, String)> {
    let mut config = (*trust).clone();
    config.alpn_protocols = protocol.into_iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let name = NAME.try_into().expect("a name");
    let mut tls = match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(tls) => tls,
        Err(error) => return Ok((Vec::new(), error.to_string())),
    };
    let agreed = tls.get_ref().1.alpn_protocol().map(<[u8]>::to_vec).unwrap_or_default();
    tls.write_all(&said).await?;
    tls.flush().await?;
    let mut heard = [agreed, b"|".to_vec()].concat();
    loop {
        match timeout(SILENCE, tls.read_buf(&mut heard)).await {
            Err(_) => return Ok((heard, "stays".to_owned())),
            Ok(Ok(0)) => return Ok((heard, "ends".to_owned())),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Ok((heard, error.to_string())),
        }
    }
}

#[test]
fn within_tls_it_is_the_website_too_whatever_is_agreed_on() -> Result {
    country(|lab| {
        let scene = Scene::new(lab)?;
        let (trust, mut left) = (&scene.trust, inside());
        let (mut unlike, mut pages) = (Vec::new(), 0);
        // Two answers may come in different seconds, and say so.
        for _ in 0..ATTEMPTS {
            let [real, ours] = at_once(scene.both(443).map(|at| {
                let (trust, all, scanner) = (Arc::clone(trust), left.clone(), &scene.scanners[0]);
                move || {
                    scanner.run(async move || {
                        let all = all
                            .into_iter()
                            .map(|one| tokio::spawn(said_inside(Arc::clone(&trust), at, one)));
                        let mut heard = Vec::new();
                        for one in all.collect::<Vec<_>>() {
                            heard.push(one.await.expect("no panic")?);
                        }
                        Ok(heard)
                    })
                }
            }));
            let (real, ours) = (real?, ours?);
            pages += real.iter().filter(|(heard, _)| heard.ends_with(PAGE.as_bytes())).count();
            let all = left.into_iter().zip(real.into_iter().zip(ours));
            unlike = all.filter(|(_, (real, ours))| real != ours).collect();
            left = unlike.iter().map(|(one, _)| one.clone()).collect();
            if left.is_empty() {
                break;
            }
        }
        assert!(pages >= 3, "with each protocol, or none, the page is there");
        let shown = unlike.iter().map(|(one, both)| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let both = [&both.0, &both.1].map(|(heard, end)| (text(heard), end));
            (one.protocol, text(&one.said), both)
        });
        assert!(unlike.is_empty(), "{:#?}", shown.collect::<Vec<_>>());
        Ok(())
    })
}

#[test]
fn nghttp_fetches_the_website_and_a_key_holders_file() -> Result {
    country(|lab| {
        need("nghttp")?;
        let scene = Scene::new(lab)?;
        let made = scene.relay.command(&["key", "new", "--for", "web", "--json"])?.remove(0);
        let file = made["key"]["links"]["pac"].as_str().expect("a file");
        // The relay looks four times a second whether there are new keys.
        for _ in 0..200 {
            if curl(&scene.world.phone, &[file])?.is_ok_and(|answer| answer.contains("PROXY")) {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let mut command = std::process::Command::new("nghttp");
        command.args(["-v", "--no-verify-peer", &format!("https://{NAME}/"), file]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let output = scene.world.phone.output(command)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.matches(":status: 200").count(), 2, "{said}");
        assert!(said.contains(PAGE) && said.contains("FindProxyForURL"), "{said}");
        Ok(())
    })
}
