//! A small HTTP server around the WEB proxy's engine: every stream is an echo.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use lab::Host;
use lab::http::{self, Request};
use wire::derive::Secret;
use wire::webproxy::carrier::{
    Batch, Carrier, Downlink, MAX_DOWN, MAX_UP, Offer, OutOfOrder, Uplink,
};
use wire::webproxy::request::{self, Answer, Ask};
use wire::webproxy::session::{Broken, HELLO};
use wire::webproxy::token::{Redeemed, Tickets};
use wire::webproxy::{Capability, Event, Session, StreamId, Token, WebSecret, page};
use wire::websocket::{self, Decoder, Item, Opcode};

/// What a link to the server would name.
pub const HOST: &str = "proxy.example.com";
/// The secret in it.
pub const SECRET: &str = "07070707070707070707070707070707";

/// What goes wrong.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    /// WebSockets are refused.
    pub no_websocket: bool,
    /// Of so many answers of a kind, one is lost; none if 0.
    pub lose: u32,
    /// A WebSocket is cut after so many messages down; none if 0.
    pub cut: u32,
}

/// The server, until the lab ends.
pub struct Server {
    pub url: String,
    pub port: u16,
    world: Arc<World>,
}

struct World {
    faults: Faults,
    capability: Capability,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    tickets: Tickets<()>,
    sessions: HashMap<Token, Live>,
    /// How many requests of each kind were answered.
    answered: HashMap<String, u32>,
    sockets: u32,
    polls: u32,
    broken: Option<String>,
}

struct Live {
    session: Session,
    carrier: Carrier,
    up: Uplink,
    down: Downlink,
    /// What could not be sent back yet.
    backlog: HashMap<StreamId, VecDeque<u8>>,
}

impl Live {
    fn new(session: Session, first: u64) -> Self {
        let (up, down) = (Uplink::from(first), Downlink::default());
        Self { session, carrier: Carrier::Open, up, down, backlog: HashMap::new() }
    }

    /// A whole message.
    fn receive(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.receive_part(bytes)?;
        self.session.message_ends()
    }

    fn receive_part(&mut self, mut bytes: &[u8]) -> Result<(), Broken> {
        while let Some(event) = self.session.receive(&mut bytes)? {
            match event {
                Event::Data(id, bytes) => self.backlog.entry(id).or_default().extend(bytes),
                Event::Closed(id) => {
                    let left = self.backlog.remove(&id).map_or(0, |left| left.len());
                    self.session.drained(id, left);
                }
                Event::Greeted | Event::Opened(_) | Event::Alive => {}
            }
        }
        self.echo();
        Ok(())
    }

    fn echo(&mut self) {
        for (id, backlog) in &mut self.backlog {
            let sent = self.session.send(*id, backlog.make_contiguous());
            backlog.drain(..sent);
            self.session.drained(*id, sent);
        }
    }
}

impl Server {
    pub fn on(host: &Host, faults: Faults) -> lab::Result<Self> {
        let address = HOST.parse().expect("an address");
        let capability = Capability::of(&address, &WebSecret::Plain(Secret([7; 16])));
        let state = Mutex::new(State::default());
        let world = Arc::new(World { faults, capability, state, changed: Condvar::new() });
        let theirs = Arc::clone(&world);
        let port = host.run(async move || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let port = listener.local_addr().expect("an address").port();
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let world = Arc::clone(&theirs);
                    thread::spawn(move || world.serve(stream));
                }
            });
            Ok(port)
        })?;
        let url = format!("http://127.0.0.1:{port}/?bridge={}", capability.written());
        Ok(Self { url, port, world })
    }

    /// Whether everything went the way that was meant, and no rule was broken.
    pub fn is_content(&self, faults: Faults) {
        let state = self.world.lock();
        assert_eq!(state.broken, None);
        let (sockets, polls) = (state.sockets > 0, state.polls > 0);
        assert_eq!((sockets, polls), (!faults.no_websocket, faults.no_websocket));
    }
}

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panicked")
    }

    /// Serves one connection, request by request.
    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut buffer = Vec::new();
        while let Some(asked) = http::read(&mut stream, &mut buffer) {
            let header = |name: &str| asked.headers.get(name).map(String::as_str);
            let ask = request::read(&asked.method, &asked.target, "/", header);
            if let Some(Ask::Socket(token)) = ask {
                return self.socket(stream, &asked, token);
            }
            let answer = ask.and_then(|ask| self.answer(&ask, &asked.body));
            let answer = answer.unwrap_or(Answer { status: 404, headers: vec![], body: vec![] });
            let bytes = http::answer(answer.status, &answer.headers, &answer.body);
            let lost = answer.status < 300 && self.lock().loses(&asked, &answer, self.faults);
            if lost {
                // Of frames, half arrive; of anything else, a gateway says that it went wrong. (A
                // connection that just ends would be tried again by Chromium itself.)
                let _ = match answer.body.len() {
                    0 | 8 => stream.write_all(&http::answer(502, &[], &[])),
                    _ => stream.write_all(&bytes[..bytes.len() / 2]),
                };
                return;
            }
            if stream.write_all(&bytes).is_err() {
                return;
            }
        }
    }

    /// `None`: nobody's, for the website.
    fn answer(&self, ask: &Ask, body: &[u8]) -> Option<Answer> {
        let mut state = self.lock();
        match *ask {
            Ask::Page(capability) => {
                let token = (capability == self.capability)
                    .then(|| state.tickets.issue((), Instant::now()))?;
                Some(page::bridge(&HOST.parse().ok()?, &token))
            }
            Ask::Begin(token) if body == HELLO => {
                let session = match state.tickets.redeem(&token, Instant::now())? {
                    Redeemed::Again(session) => session,
                    Redeemed::First((), session) => {
                        state.sessions.insert(session, Live::new(Session::greeted(), 1));
                        session
                    }
                };
                Some(Answer::begun(&session))
            }
            Ask::Begin(_) => None,
            Ask::Enter => {
                request::capability_in(body).filter(|shown| *shown == self.capability)?;
                let session = Token::generate();
                state.sessions.insert(session, Live::new(Session::default(), 0));
                Some(Answer::entered(&session))
            }
            Ask::Up { session, sequence, dialect } => {
                let live = state.sessions.get_mut(&session)?;
                if !live.session.may_receive() {
                    return Some(Answer::later());
                }
                if !live.carrier.settles_on(Carrier::Requests) {
                    return Some(state.breaks(&session, &OutOfOrder));
                }
                match live.up.offer(sequence, body) {
                    Ok(Offer::Again) => {}
                    Ok(Offer::New) => {
                        if let Err(broken) = live.receive(body) {
                            return Some(state.breaks(&session, &broken));
                        }
                        self.changed.notify_all();
                    }
                    Err(broken) => return Some(state.breaks(&session, &broken)),
                }
                Some(Answer::taken(dialect, sequence))
            }
            Ask::Down { session: token, arrived, dialect } => {
                state.polls += 1;
                let end = Instant::now() + Duration::from_secs(2);
                loop {
                    let live = state.sessions.get_mut(&token)?;
                    let Live { down, session, .. } = live;
                    match down.ask(arrived, |batch| session.transmit(MAX_DOWN, batch)) {
                        Ok(Some(Batch { number, frames })) => {
                            let frames = frames.to_vec();
                            live.echo();
                            return Some(Answer::batch(dialect, number, frames));
                        }
                        Ok(None) if Instant::now() >= end => {
                            return Some(Answer::nothing(dialect, arrived));
                        }
                        Ok(None) => {}
                        Err(broken) => return Some(state.breaks(&token, &broken)),
                    }
                    let wait = Duration::from_millis(100);
                    state = self.changed.wait_timeout(state, wait).expect("no thread panicked").0;
                }
            }
            Ask::End(session) => state.sessions.remove(&session).map(|_| Answer::ended()),
            Ask::Socket(_) => None,
        }
    }

    /// Serves a WebSocket until it ends, and the session with it.
    fn socket(&self, mut stream: TcpStream, asked: &Request, token: Token) {
        let key = asked.headers.get("sec-websocket-key").and_then(|key| websocket::accept(key));
        let protocol = asked.headers.get("sec-websocket-protocol");
        let known = self.lock().sessions.contains_key(&token) && !self.faults.no_websocket;
        let (Some(key), Some(protocol), true) = (key, protocol, known) else {
            return;
        };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {key}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        self.lock().sockets += 1;
        let (mut decoder, mut buffer) = (Decoder::new(MAX_UP), vec![0; 1 << 16]);
        let mut said = 0;
        let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    let mut bytes = &mut buffer[..count];
                    while let Some(item) = decoder.next(&mut bytes).expect("good frames") {
                        let mut state = self.lock();
                        let live = state.sessions.get_mut(&token).expect("it is there");
                        if !live.carrier.settles_on(Carrier::Socket) {
                            return;
                        }
                        let done = match item {
                            Item::Bytes(bytes) => live.receive_part(bytes),
                            Item::End => live.session.message_ends(),
                            Item::Ping(_) | Item::Close(_) => Ok(()),
                        };
                        if let Err(broken) = done {
                            state.breaks(&token, &broken);
                            return;
                        }
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
            loop {
                let (mut out, mut frames) = (vec![], vec![]);
                {
                    let mut state = self.lock();
                    let Some(live) = state.sessions.get_mut(&token) else {
                        return;
                    };
                    live.session.transmit(1 << 18, &mut frames);
                    live.echo();
                }
                if frames.is_empty() {
                    break;
                }
                said += 1;
                if said == self.faults.cut {
                    return;
                }
                websocket::put_header(&mut out, Opcode::Binary, frames.len());
                out.append(&mut frames);
                if stream.write_all(&out).is_err() {
                    return;
                }
            }
        }
    }
}

impl State {
    /// Whether this is the answer of its kind that gets lost. One without frames is no loss.
    fn loses(&mut self, asked: &Request, answer: &Answer, faults: Faults) -> bool {
        if asked.method != "POST" || asked.target.ends_with("/down") && answer.body.is_empty() {
            return false;
        }
        let answered = self.answered.entry(asked.target.clone()).or_default();
        *answered += 1;
        faults.lose != 0 && answered.is_multiple_of(faults.lose)
    }

    fn breaks(&mut self, session: &Token, broken: &dyn std::error::Error) -> Answer {
        self.sessions.remove(session);
        self.broken = Some(broken.to_string());
        Answer::broken()
    }
}
