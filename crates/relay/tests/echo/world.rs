//! Relays that answer bundles: one that is silent to strangers, one before another website, and one
//! with a website of its own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use front::{Front, Identity, Settings as FrontSettings};
use relay::{
    CourseSettings, Datagrams, Door, Flow, House, Keys, Limits, Networks, NoDesk, Relay, Settings,
};
use wire::derive::{Epoch, FleetKey, KeyId, RelayId, RelayKey};
use wire::echo::BundleId;
use wire::receipt::{Certificate, Witness};
use wire::signer::Signer;
use wire::tally::Day;

use crate::asker::{Endpoint, now};
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

    /// One that signs receipts, and knows networks from this file.
    pub fn with_receipts(networks: Option<&Path>) -> Self {
        let read = |file| Arc::new(Networks::read(file).expect("a table"));
        let course = CourseSettings { networks: networks.map(read), ..CourseSettings::default() };
        let world = Self::with(Kind::Silent, Settings { course, ..Settings::default() });
        let (key, mask) = (world.key.receipt_key(), world.key.mask_key());
        let today = Day(i64::from(now() / 86_400));
        let certificate = Certificate::issue(&signer(), key.public(), &mask, today);
        world.relay.set_witness(Witness::new(key, certificate).expect("its own certificate"));
        world
    }

    pub fn open(kind: Kind, limits: Limits, folder: Option<&Path>) -> Self {
        let folder = folder.map(Path::to_path_buf);
        Self::with(kind, Settings { limits, folder, ..Settings::default() })
    }

    fn with(kind: Kind, mut settings: Settings) -> Self {
        let key = FleetKey::from_bytes([1; 32]).relay_key(&RelayId([2; 16]));
        let listener = common::listener("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("its address");
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
                let socket = UdpSocket::bind(at).expect("the same port");
                socket.set_nonblocking(true).expect("set");
                let _doors: [Door; 2] = [
                    relay.serve(listener).expect("a listener"),
                    relay.serve_datagrams(Socket { socket, at }).expect("a socket"),
                ];
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

/// A socket of its own for one port.
struct Socket {
    socket: UdpSocket,
    at: SocketAddr,
}

impl Datagrams for Socket {
    fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Flow)> {
        let (length, from) = self.socket.recv_from(buffer)?;
        Ok((length, Flow { from, to: self.at }))
    }

    fn answer(&self, flow: &Flow, payload: &[u8]) -> io::Result<()> {
        self.socket.send_to(payload, flow.from).map(|_| ())
    }
}

/// Who has made the bundles.
pub fn signer() -> Signer {
    Signer::from_seed(&[9; 32])
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
