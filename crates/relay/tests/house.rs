//! A relay with a website of its own: whoever has no key sees that website and nothing else, and
//! whoever has one gets through on the same port.

// The rest of it is for other tests.
#[expect(dead_code)]
mod common;
#[path = "../../../lab/tests/corpus/mod.rs"]
mod corpus;
#[path = "common/datacentre.rs"]
mod datacentre;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use corpus::{Probe, Seen};
use front::{Front, Identity, NoRooms, Settings as FrontSettings, Site};
use lab::client;
use relay::{CourseSettings, House, Keys, NoDesk, Settings};
use tokio::net::TcpListener;
use wire::derive::{Buckets, Epoch, FleetKey, Form, KeyId, RelayId, RelayKey};
use wire::echo::BundleId;
use wire::mtproto::{Datacentre, Datacentres, ProxyLink, ProxySecret, faketls};
use wire::tls::answer::{self, Answer};
use wire::tls::hello::{RANDOM, X25519, X25519_MLKEM768};
use wire::tls::offer;

const NAME: &str = "orchards.example";

/// A website, and a relay that is at home behind it.
struct Scene {
    /// The website alone.
    site: SocketAddr,
    relay: SocketAddr,
    key: RelayKey,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// With so many keys.
    fn new(keys: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pages = folder.path().join("pages");
        std::fs::create_dir(&pages).expect("made");
        std::fs::write(pages.join("index.html"), "<p>Apples.").expect("written");
        let identity = Identity::SelfSigned(vec![NAME.parse().expect("a name")]);
        let mut settings = FrontSettings::new(folder.path().join("tls"), identity);
        settings.site = Site::Directory(pages);

        let key = FleetKey::generate().relay_key(&RelayId::generate());
        let (relay_key, (tell, told)) = (key.clone(), std::sync::mpsc::channel());
        thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let (front, _notices) = Front::open(settings).expect("a face");
                let alone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let site = alone.local_addr().expect("its address");
                let house = House {
                    front: front.clone(),
                    names: vec![NAME.parse().expect("a name")],
                    web_host: None,
                    desk: Arc::new(NoDesk),
                };
                let mut datacentres = Datacentres::default();
                let here = datacentre::start().to_string().parse().expect("a host");
                datacentres.set(Datacentre::Main(2), vec![here]);
                let course = CourseSettings { datacentres, ..CourseSettings::default() };
                let settings = Settings { house: Some(house), course, ..Settings::default() };
                let (relay, _notices) = relay::Relay::new(&relay_key, Epoch(1), settings);
                let ids: Vec<KeyId> = (0..keys).map(|id| KeyId(id.to_be_bytes())).collect();
                relay.set_keys(Keys { telegram: &ids, ..Keys::default() });
                relay.set_bundles(&[BundleId([1; 16])]);
                let listener = common::listener("127.0.0.1:0").expect("a port");
                let address = listener.local_addr().expect("its address");
                let _door = relay.serve(listener).expect("a listener");
                tell.send((site, address)).expect("somebody waits");
                while let Ok((stream, _)) = alone.accept().await {
                    let front = front.clone();
                    tokio::spawn(async move {
                        front.serve(stream, Vec::new(), Arc::new(NoRooms)).await;
                    });
                }
            });
        });
        let (site, relay) = told.recv().expect("it comes up");
        Self { site, relay, key, _folder: folder }
    }

    /// What an app says first that has been given the `id`th key.
    fn opening(&self, id: u64, secret: impl Fn(wire::derive::Secret) -> ProxySecret) -> Vec<u8> {
        let secret = secret(self.key.secret(Form::Telegram, KeyId(id.to_be_bytes()), Epoch(1)));
        let port = self.relay.port().try_into().expect("a port");
        let link = ProxyLink { server: self.relay.ip().to_string(), port, secret };
        client::through(&link.tg()).expect("a link").opening()
    }

    fn fake_tls(&self, id: u64) -> Vec<u8> {
        self.opening(id, |key| ProxySecret::FakeTls(key, NAME.parse().expect("a name")))
    }
}

/// What comes of each probe at this address.
fn seen(at: SocketAddr, probes: &[Probe]) -> Vec<Seen> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(corpus::seen(at, probes)).expect("it answers")
}

fn assert_alike(scene: &Scene, probes: &[Probe]) {
    let (real, ours) = (seen(scene.site, probes), seen(scene.relay, probes));
    let unlike: Vec<_> = probes
        .iter()
        .zip(real.iter().zip(&ours))
        .filter(|(_, (real, ours))| !ours.is_like(real))
        .map(|(probe, (real, ours))| (&probe.name, real, ours))
        .collect();
    assert!(unlike.is_empty(), "{} of {}: {unlike:#?}", unlike.len(), probes.len());
}

#[test]
fn probes_of_the_corpus_are_answered_as_by_the_website_alone() {
    let scene = Scene::new(2);
    // All of it is said to the program itself, in the lab.
    let some: Vec<Probe> = corpus::all(NAME).into_iter().step_by(4).collect();
    assert_alike(&scene, &some);
}

#[test]
fn so_is_what_somebody_with_a_key_has_said_before() {
    let scene = Scene::new(2);
    let used = [scene.fake_tls(0), scene.opening(0, ProxySecret::Padded)];
    let used: Vec<Probe> = used.iter().map(|said| Probe::new("replayed", said)).collect();
    let first = seen(scene.relay, &used[..1]).remove(0);
    assert!(answer::read(&first.bytes).expect("TLS").is_some(), "it is welcome: {first:?}");
    assert_eq!(seen(scene.relay, &used[1..]).remove(0).bytes, b"here");
    assert_alike(&scene, &used);
}

#[test]
fn fake_tls_looks_like_the_websites_own() {
    let scene = Scene::new(2);
    // It is asked as soon as the relay is up, four times in each way.
    thread::sleep(Duration::from_secs(9));
    for kind in [X25519_MLKEM768, X25519] {
        let real = Probe::new("a hello", &offer::record(NAME, kind));
        let real = seen(scene.site, &[real]).remove(0);
        let real = answer::read(&real.bytes).expect("TLS 1.3").expect("whole");
        let one: usize = real.encrypted.iter().map(|payload| payload + 5).sum::<usize>() - 5;
        let ours = seen(scene.relay, &[Probe::new("a key's", &scene.fake_tls(1))]).remove(0);
        let ours = answer::read(&ours.bytes).expect("TLS 1.3").expect("whole");
        if ours.group != real.group {
            continue;
        }
        let [length] = ours.encrypted[..] else { panic!("{ours:?}") };
        // A signature may be a byte or two longer than another.
        assert!(length.abs_diff(one) <= 3, "{ours:?} beside {real:?}");
        assert_eq!(ours, Answer { encrypted: vec![length], ..real });
    }
}

#[test]
fn curl_sees_the_website_on_the_relays_port() {
    let scene = Scene::new(2);
    for version in ["--http1.1", "--http2"] {
        let page = |at: SocketAddr| {
            let output = Command::new("curl")
                .args(["-sk", "--max-time", "10", version, "-D", "-"])
                .args(["--resolve", &format!("{NAME}:{}:127.0.0.1", at.port())])
                .arg(format!("https://{NAME}:{}/", at.port()))
                .output()
                .expect("curl is installed");
            let page = String::from_utf8_lossy(&output.stdout).into_owned();
            page.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n")
        };
        let ours = page(scene.relay);
        assert!(ours.ends_with("<p>Apples."), "{ours}");
        assert_eq!(ours, page(scene.site));
    }
}

#[test]
fn among_many_keys_visitors_do_not_wait_and_a_link_without_a_hint_opens_at_the_second_attempt() {
    let keys = 2_000;
    let scene = Scene::new(keys);
    let buckets = Buckets::new(&scene.key, Epoch(1));
    assert_eq!(buckets.at_port(scene.relay.port()), None, "no hint by chance");
    let secret = scene.key.secret(Form::Telegram, KeyId(1_234u64.to_be_bytes()), Epoch(1));
    let is_welcome = |said: &[u8]| {
        let seen = seen(scene.relay, &[Probe::new("a key's", said)]).remove(0);
        let random = said[RANDOM].first_chunk().expect("32 bytes");
        faketls::flight_is_valid(&seen.bytes, random, &secret)
    };
    assert!(!is_welcome(&scene.fake_tls(1_234)), "the website has it");
    let opened = (0..20).any(|_| {
        thread::sleep(Duration::from_millis(100));
        is_welcome(&scene.fake_tls(1_234))
    });
    assert!(opened);
}
