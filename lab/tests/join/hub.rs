//! A hub that says what a test has it say: the other side of `wire::fleet`, behind a real front.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use front::{Body, Front, Identity, Rooms, Settings, body};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use lab::{Host, Lab, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use wire::account::Password;
use wire::derive::{Epoch, FleetKey, Form, KeyId, Person, RelayId};
use wire::fleet::invite::path;
use wire::fleet::{
    Carries, Enrolled, Enrolment, Heartbeat, HubAddress, Invite, Order, Pin, Posture, Seat, Seats,
};
use wire::mtproto::{ProxyLink, ProxySecret};

/// The relay that joins.
pub const RELAY: RelayId = RelayId([9; 16]);
const TOKEN: [u8; 16] = [1; 16];
const ROOM: [u8; 16] = [2; 16];
/// How long something may take.
pub const LIMIT: Duration = Duration::from_secs(20);

/// What the hub knows.
#[derive(Clone)]
pub struct Office(Arc<Shared>);

struct Shared {
    fleet: FleetKey,
    desk: Mutex<Desk>,
    news: Notify,
}

struct Desk {
    order: Order,
    /// Who signs it.
    signer: FleetKey,
    attempt: Option<[u8; 16]>,
    heard: Vec<Heartbeat>,
    is_away: bool,
    /// Whose seats, to be given with the next order.
    seats: HashMap<KeyId, u16>,
}

/// A hub at work; dropped, it is gone.
pub struct Hub {
    pub office: Office,
    pub host: Host,
    /// Its certificate.
    pub certificate: PathBuf,
    invite: Invite,
    _stop: oneshot::Sender<()>,
}

impl Hub {
    pub fn on(lab: &Lab) -> Result<Self> {
        let host = lab.host("hub", &["185.98.9.9", "2a00:5da0:99::9"])?;
        let fleet = FleetKey::from_bytes([7; 32]);
        let desk = Desk {
            order: first(),
            signer: fleet.clone(),
            attempt: None,
            heard: Vec::new(),
            is_away: false,
            seats: HashMap::new(),
        };
        let signer = fleet.signer().public();
        let shared = Shared { fleet, desk: Mutex::new(desk), news: Notify::new() };
        let office = Office(Arc::new(shared));
        let (stop, stopped) = oneshot::channel();
        let (ready, opened) = mpsc::channel();
        let folder = host.folder()?.join("tls");
        let (name, tls, rooms) = (host.v4(), folder.clone(), office.clone());
        host.start(async move || {
            let names = vec![name.to_string().parse().expect("an address")];
            let settings = Settings::new(tls, Identity::SelfSigned(names));
            let (front, _notices) = Front::open(settings).expect("a front");
            let listener = TcpListener::bind("0.0.0.0:443").await?;
            let _ = ready.send(());
            tokio::select! { () = serve(front, listener, rooms) => {}, _ = stopped => {} }
            Ok(())
        })?;
        opened.recv().expect("the hub opens");
        let mut files = std::fs::read_dir(&folder).expect("a folder");
        let file = files.next().expect("a certificate").expect("a file").path();
        let certificate = CertificateDer::from_pem_file(&file).expect("a certificate");
        let hash = digest::digest(&digest::SHA256, &certificate);
        let pin = Pin::Certificate(hash.as_ref().try_into().expect("32 bytes"));
        let at = HubAddress { host: host.v4().to_string(), port: 443 };
        let invite = Invite { token: TOKEN, room: ROOM, signer, pin, hub: vec![at] };
        Ok(Self { office, host, certificate: file, invite, _stop: stop })
    }

    /// What the volunteer pastes.
    pub fn invite(&self) -> String {
        self.invite.text()
    }

    /// One that this hub has not made.
    pub fn other_invite(&self) -> String {
        Invite { token: [3; 16], ..self.invite.clone() }.text()
    }
}

async fn serve(front: Front, listener: TcpListener, rooms: Office) {
    let rooms = Arc::new(rooms);
    while let Ok((mut stream, _)) = listener.accept().await {
        let (front, rooms) = (front.clone(), Arc::clone(&rooms));
        tokio::spawn(async move {
            let mut first = Vec::new();
            let _ = stream.read_buf(&mut first).await;
            front.serve(stream, first, rooms).await;
        });
    }
}

fn first() -> Order {
    Order {
        relay: RELAY,
        number: 1,
        given: 0,
        next: 2,
        posture: Posture::Quiet,
        carries: Carries::Telegram,
        epoch: Epoch(1),
        address: None,
        is_reached: None,
        certificate: None,
        seats: Seats::default(),
        bundles: Vec::new(),
        home: Vec::new(),
        fleet: Vec::new(),
        helped: 0,
        words: Vec::new(),
    }
}

impl Office {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something else from now on.
    pub fn order(&self, change: impl FnOnce(&mut Order)) -> u64 {
        let mut desk = self.desk();
        desk.order.seats = Seats::default();
        change(&mut desk.order);
        desk.order.number += 1;
        let number = desk.order.number;
        drop(desk);
        self.0.news.notify_waiters();
        number
    }

    /// What a person is called on the relay.
    pub fn key(&self, person: u64) -> KeyId {
        self.0.fleet.pseudonym(&RELAY, Person(person))
    }

    /// Gives a person a seat with this port, from the next order on; what they are sent.
    pub fn seat(&self, person: u64, server: IpAddr, port: u16, epoch: Epoch) -> String {
        let key = self.key(person);
        self.desk().seats.insert(key, port);
        self.link(person, server, port, epoch)
    }

    /// What a person is sent.
    pub fn link(&self, person: u64, server: IpAddr, port: u16, epoch: Epoch) -> String {
        let key = self.key(person);
        let secret = self.0.fleet.relay_key(&RELAY).secret(Form::Telegram, key, epoch);
        let secret = ProxySecret::Padded(secret);
        let port = port.try_into().expect("a port");
        ProxyLink { server: server.to_string(), port, secret }.tg()
    }

    /// Takes a person's seat away, from the next order on.
    pub fn unseat(&self, person: u64) {
        let key = self.key(person);
        self.desk().seats.remove(&key);
    }

    /// Signs with another fleet's key, or with its own again.
    pub fn forge(&self, is_forged: bool) {
        let other = FleetKey::from_bytes([8; 32]);
        self.desk().signer = if is_forged { other } else { self.0.fleet.clone() };
    }

    /// Answers nobody, or everybody again.
    pub fn away(&self, is_away: bool) {
        self.desk().is_away = is_away;
        self.0.news.notify_waiters();
    }

    /// The relay's seed.
    pub fn seed(&self) -> [u8; 32] {
        self.0.fleet.relay_seed(&RELAY).0
    }

    /// All heartbeats up to now.
    pub fn heard(&self) -> Vec<Heartbeat> {
        self.desk().heard.clone()
    }

    /// Waits for a heartbeat.
    pub fn hears(&self, what: &str, is_it: impl Fn(&Heartbeat) -> bool) -> Heartbeat {
        let end = Instant::now() + LIMIT;
        loop {
            let heard = self.heard();
            if let Some(found) = heard.iter().find(|heartbeat| is_it(heartbeat)) {
                return found.clone();
            }
            assert!(Instant::now() < end, "{what}, and not only {heard:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn signed(&self) -> wire::fleet::SignedOrder {
        let desk = self.desk();
        let given = desk.seats.iter().map(|(key, port)| Seat { key: *key, port: *port });
        let seats =
            Seats { from: 0, to: desk.order.number, gone: Vec::new(), given: given.collect() };
        Order { seats, ..desk.order.clone() }.sign(&desk.signer.signer())
    }

    fn enrol(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let enrolment = Enrolment::read(bytes).ok()?;
        let mut desk = self.desk();
        let is_used = desk.attempt.is_some_and(|attempt| attempt != enrolment.attempt);
        if enrolment.token != TOKEN || is_used {
            return None;
        }
        desk.attempt = Some(enrolment.attempt);
        drop(desk);
        let seed = self.0.fleet.relay_seed(&RELAY);
        Some(Enrolled { id: RELAY, seed, order: self.signed() }.write())
    }

    async fn heartbeat(&self, bytes: &[u8]) -> Option<Response<Body>> {
        let heartbeat = Heartbeat::read(bytes, &self.0.fleet.relay_key(&RELAY)).ok()?;
        let known = heartbeat.order;
        {
            let mut desk = self.desk();
            let is_later = desk.heard.last().is_none_or(|last| heartbeat.number > last.number);
            if desk.is_away || !is_later {
                return None;
            }
            desk.heard.push(heartbeat);
        }
        let until = tokio::time::Instant::now() + Duration::from_secs(2);
        loop {
            let news = self.0.news.notified();
            let (number, is_away) = {
                let desk = self.desk();
                (desk.order.number, desk.is_away)
            };
            if is_away {
                return None;
            }
            if number > known {
                return Some(Response::new(body::full(self.signed().bytes().to_vec())));
            }
            if tokio::time::timeout_at(until, news).await.is_err() {
                let mut nothing = Response::new(body::empty());
                *nothing.status_mut() = StatusCode::NO_CONTENT;
                return Some(nothing);
            }
        }
    }
}

impl Rooms for Office {
    async fn enter(&self, request: &mut Request<Body>) -> Option<Response<Body>> {
        let what = request.uri().path().strip_prefix(&path(&ROOM))?.to_owned();
        let said = request.body_mut().collect().await.ok()?.to_bytes();
        match what.as_str() {
            "/enrol" => Some(Response::new(body::full(self.enrol(&said)?))),
            "/heartbeat" => self.heartbeat(&said).await,
            _ => None,
        }
    }
}

impl Office {
    /// What a person shows an HTTPS proxy.
    pub fn web_account(&self, person: u64, epoch: Epoch) -> (String, String) {
        let key = self.key(person);
        let secret = self.0.fleet.relay_key(&RELAY).secret(Form::Web, key, epoch);
        (key.to_string(), Password(secret).to_string())
    }
}
