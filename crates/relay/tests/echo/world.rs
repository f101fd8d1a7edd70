//! Relays that answer bundles: one that is silent to strangers, one before another website, and one
//! with a website of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use front::{Front, Identity, Settings as FrontSettings};
use relay::{CourseSettings, Door, House, Keys, Limits, NoDesk, Relay, Settings};
use wire::derive::{Epoch, FleetKey, KeyId, RelayId, RelayKey};
use wire::echo::BundleId;

use crate::asker::Endpoint;
use crate::common;

pub const BUNDLE: BundleId = BundleId([7; 16]);
/// What the website says to whatever it hears.
pub const SITE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

pub struct World {
    pub relay: Relay,
    pub key: RelayKey,
    pub at: SocketAddr,
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Silent,
    Masked,
    House,
}

impl World {
    pub fn new(kind: Kind) -> Self {
        Self::open(kind, Limits::default(), None)
    }

    pub fn open(kind: Kind, limits: Limits, folder: Option<&Path>) -> Self {
        let key = FleetKey::from_bytes([1; 32]).relay_key(&RelayId([2; 16]));
        let listener = common::listener("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("its address");
        let mut settings =
            Settings { limits, folder: folder.map(Path::to_path_buf), ..Settings::default() };
        if let Kind::Masked = kind {
            let mask = Some(website().to_string().parse().expect("a mask"));
            settings.course = CourseSettings { mask, ..CourseSettings::default() };
        }
        let (relay_key, (tell, told)) = (key.clone(), mpsc::channel());
        thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let folder = tempfile::tempdir().expect("a folder");
                if let Kind::House = kind {
                    settings.house = Some(house(folder.path()));
                }
                let (relay, _notices) = Relay::new(&relay_key, Epoch(1), settings);
                relay.set_keys(Keys { telegram: &[KeyId([1; 8])], ..Keys::default() });
                relay.set_bundles(&[BundleId([6; 16]), BUNDLE]);
                let _door: Door = relay.serve(listener).expect("a listener");
                tell.send(relay).expect("somebody waits");
                std::future::pending::<()>().await;
            });
        });
        Self { relay: told.recv().expect("it comes up"), key, at }
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.at, &self.key, BUNDLE)
    }

    /// How much was counted under this name.
    pub fn counted(&self, name: &str) -> u64 {
        let all = self.relay.totals().counters;
        all.iter().find(|(counter, _)| counter.name() == name).map_or(0, |(_, count)| *count)
    }
}

fn house(folder: &Path) -> House {
    let name = "orchards.example".parse().expect("a name");
    let settings = FrontSettings::new(folder.join("tls"), Identity::SelfSigned(vec![name]));
    let (front, _notices) = Front::open(settings).expect("a face");
    let names = vec!["orchards.example".parse().expect("a name")];
    House { front, names, web_host: None, desk: Arc::new(NoDesk) }
}

fn website() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a visitor");
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(SITE);
            });
        }
    });
    at
}
