//! One app's session, whoever carries it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use wire::derive::{KeyId, Secret};
use wire::webproxy::carrier::{Batch, Carrier, Downlink, GRACE, Offer, OutOfOrder, Uplink};
use wire::webproxy::session::{Broken, PING_EVERY};
use wire::webproxy::{Event, Session as Engine, StreamId, Token};

use super::stream;
use super::streams::{Stream, Streams, Wakes};
use crate::Shared;
use crate::keyring::Entry;
use crate::sources::Source;

/// How a session begins.
#[derive(Clone, Copy)]
pub(super) enum Beginning {
    /// The greeting was a body of its own.
    Greeted,
    /// It comes with the first frames.
    Ungreeted,
}

/// A session, until it [ends](Session::end).
pub(super) struct Session {
    pub token: Token,
    pub key: KeyId,
    /// What the first flight of each stream must open with.
    pub secret: Secret,
    pub shared: Arc<Shared>,
    /// Where it was opened from, and the port that was dialled.
    pub from: (Source, u16),
    state: Mutex<State>,
    /// Marked when there may be something to say to the app, and when it is over.
    says: watch::Sender<()>,
    /// The app may say more.
    hears: Notify,
    ended: Notify,
    /// One request up at a time is taken.
    taking: tokio::sync::Mutex<()>,
    /// Requests up so far.
    brought: watch::Sender<u64>,
}

struct State {
    streams: Streams,
    carrier: Carrier,
    up: Uplink,
    down: Downlink,
    /// The WebSocket that is open, whether it carries or not.
    socket: Option<AbortHandle>,
    /// Requests down so far: only the last one is answered with frames.
    asked: u64,
    /// When the app was last heard of.
    heard: Instant,
    is_over: bool,
}

/// The session is over.
#[derive(Debug)]
pub(super) struct Over;

/// What is answered to a request down.
pub(super) enum Told {
    Batch(Batch),
    /// Nothing yet.
    Nothing,
    /// Nothing more: another one has come.
    Overtaken,
    /// The app has broken a rule, and the session is over.
    Broken,
    /// It was over before.
    Over,
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        token: Token,
        entry: Entry,
        from: (Source, u16),
        beginning: Beginning,
    ) -> Arc<Self> {
        let (engine, first) = match beginning {
            Beginning::Greeted => (Engine::greeted(), 1),
            Beginning::Ungreeted => (Engine::default(), 0),
        };
        let state = State {
            streams: Streams::new(engine),
            carrier: Carrier::Open,
            up: Uplink::from(first),
            down: Downlink::default(),
            socket: None,
            asked: 0,
            heard: Instant::now(),
            is_over: false,
        };
        Arc::new(Self {
            token,
            key: entry.id,
            secret: entry.secret,
            shared,
            from,
            state: Mutex::new(state),
            says: watch::Sender::new(()),
            hears: Notify::new(),
            ended: Notify::new(),
            taking: tokio::sync::Mutex::default(),
            brought: watch::Sender::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets it live as long as its key does and its app is heard of.
    pub(super) fn start(self: Arc<Self>) {
        let ending = Ending(Arc::clone(&self));
        Arc::clone(&self.shared).start(self.key, async move {
            ending.0.watch(GRACE).await;
        });
    }

    async fn watch(&self, grace: Duration) {
        loop {
            tokio::select! {
                () = self.ended.notified() => return,
                () = sleep(PING_EVERY.min(grace)) => {}
            }
            if !self.is_alive(grace) {
                return;
            }
        }
    }

    fn is_alive(&self, grace: Duration) -> bool {
        let mut state = self.lock();
        if state.socket.is_some() && state.streams.engine.ping() {
            drop(state);
            self.says.send_replace(());
            return true;
        }
        // On a slow line a ping waits behind everything else: whatever is heard will do.
        !state.is_over && state.heard.elapsed() < grace
    }

    /// Ends it: its streams, its carrier, and everybody's knowledge of it.
    pub(super) fn end(&self) {
        let (socket, streams) = {
            let mut state = self.lock();
            if state.is_over {
                return;
            }
            state.is_over = true;
            state.down = Downlink::default();
            (state.socket.take(), std::mem::take(&mut state.streams.table))
        };
        streams.values().for_each(|stream| stream.task.abort());
        drop(streams);
        if let Some(socket) = socket {
            socket.abort();
        }
        self.shared.bridge.forget(&self.token);
        self.says.send_replace(());
        self.hears.notify_one();
        self.ended.notify_one();
    }

    /// Tells when there may be something to say.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.says.subscribe()
    }

    /// Gives it a WebSocket, if it may have one: `serve` starts that. A second one has no place.
    pub(super) fn attach(&self, serve: impl FnOnce() -> AbortHandle) -> Option<()> {
        let mut state = self.lock();
        if state.is_over || state.socket.is_some() || state.carrier == Carrier::Requests {
            return None;
        }
        state.heard = Instant::now();
        state.socket = Some(serve());
        Some(())
    }

    /// The WebSocket is gone. What it had on its way is lost, so if there was anything it is over.
    pub(super) fn detach(&self) {
        let carried = {
            let mut state = self.lock();
            state.socket = None;
            state.heard = Instant::now();
            state.carrier == Carrier::Socket
        };
        if carried {
            self.end();
        }
    }

    /// A piece of a WebSocket's message has come, or its end.
    pub(super) fn receive(self: &Arc<Self>, piece: Option<&[u8]>) -> Result<(), Over> {
        let mut state = self.lock();
        if state.is_over || !state.carrier.settles_on(Carrier::Socket) {
            return Err(Over);
        }
        let done = match piece {
            Some(bytes) => state.receive(self, bytes),
            None => state.streams.engine.message_ends(),
        };
        drop(state);
        self.says.send_replace(());
        done.map_err(|_| {
            self.end();
            Over
        })
    }

    /// A request up has come: does `take` alone, after the one before, which has been given up. `None`
    /// if another one comes meanwhile: an app has one on its way at a time, so this one was lost on it.
    pub(super) async fn in_turn<T>(&self, take: impl Future<Output = T>) -> Option<T> {
        let mut number = 0;
        self.brought.send_modify(|brought| {
            *brought += 1;
            number = *brought;
        });
        let mut brought = self.brought.subscribe();
        let taken = async {
            let _turn = self.taking.lock().await;
            take.await
        };
        tokio::select! {
            biased;
            _ = brought.wait_for(|last| *last != number) => None,
            taken = taken => Some(taken),
        }
    }

    /// A request up has come, whole.
    pub(super) fn take(self: &Arc<Self>, sequence: u64, body: &[u8]) -> Result<(), Over> {
        let mut state = self.lock();
        if state.is_over {
            return Err(Over);
        }
        let is_good = state.carrier.settles_on(Carrier::Requests)
            && match state.up.offer(sequence, body) {
                Ok(Offer::Again) => true,
                Ok(Offer::New) => {
                    let done = state.receive(self, body);
                    done.and_then(|()| state.streams.engine.message_ends()).is_ok()
                }
                Err(_) => false,
            };
        state.heard = Instant::now();
        drop(state);
        if !is_good {
            self.end();
            return Err(Over);
        }
        self.says.send_replace(());
        Ok(())
    }

    /// A request down has come; its number, for [`Session::tell`].
    pub(super) fn ask(&self) -> u64 {
        let asked = {
            let mut state = self.lock();
            state.heard = Instant::now();
            state.asked += 1;
            state.asked
        };
        // Whoever waits longer is not there any more.
        self.says.send_replace(());
        asked
    }

    /// What is answered to a request down that has this number, up to `most` bytes or a few more.
    pub(super) fn tell(&self, asked: u64, arrived: u64, most: usize) -> Told {
        let mut state = self.lock();
        if state.is_over {
            return Told::Over;
        }
        state.heard = Instant::now();
        if state.asked != asked {
            return Told::Overtaken;
        }
        let State { streams, down, carrier, .. } = &mut *state;
        let answer = match carrier {
            Carrier::Socket => Err(OutOfOrder),
            _ => down.ask(arrived, |batch| streams.transmit(most, batch)),
        };
        match answer {
            Ok(answer) => answer.map_or(Told::Nothing, Told::Batch),
            Err(OutOfOrder) => {
                drop(state);
                self.end();
                Told::Broken
            }
        }
    }

    /// Appends what is to be said over a WebSocket, up to `most` bytes or a few more.
    pub(super) fn say(&self, most: usize, out: &mut Vec<u8>) -> Result<(), Over> {
        let mut state = self.lock();
        if state.is_over || state.carrier == Carrier::Requests {
            return Err(Over);
        }
        state.streams.transmit(most, out);
        Ok(())
    }

    /// Whether more of the app's bytes may come.
    pub(super) fn may_receive(&self) -> bool {
        self.lock().streams.engine.may_receive()
    }

    /// Waits until more of them may come.
    pub(super) async fn until_it_may_receive(&self) {
        while !self.may_receive() {
            self.hears.notified().await;
        }
    }

    /// What the app has said on a stream, at most so many bytes; `None` when it has closed it and that
    /// was all.
    pub(super) async fn said(&self, id: StreamId, wakes: &Wakes, most: usize) -> Option<Vec<u8>> {
        loop {
            {
                let mut state = self.lock();
                let stream = state.streams.table.get_mut(&id)?;
                if !stream.said.is_empty() {
                    let bytes: Vec<u8> = if stream.said.len() > most {
                        stream.said.drain(..most).collect()
                    } else {
                        std::mem::take(&mut stream.said)
                    };
                    stream.taken += bytes.len();
                    return Some(bytes);
                }
                if stream.is_closed {
                    return None;
                }
            }
            wakes.said.notified().await;
        }
    }

    /// So much of what it has said was written out, or thrown away.
    pub(super) fn drained(&self, id: StreamId, count: usize) {
        let has_to_say = {
            let mut state = self.lock();
            state.streams.drained(id, count);
            state.streams.engine.has_to_say()
        };
        self.hears.notify_one();
        if has_to_say {
            self.says.send_replace(());
        }
    }

    /// Does something with the streams, after which there may be something to say.
    pub(super) fn with<T>(&self, what: impl FnOnce(&mut Streams) -> T) -> T {
        let done = what(&mut self.lock().streams);
        self.says.send_replace(());
        done
    }
}

impl State {
    fn receive(&mut self, session: &Arc<Session>, mut bytes: &[u8]) -> Result<(), Broken> {
        self.heard = Instant::now();
        let Streams { engine, table, .. } = &mut self.streams;
        while let Some(event) = engine.receive(&mut bytes)? {
            match event {
                Event::Opened(id) => {
                    let wakes = Arc::<Wakes>::default();
                    let task = stream::serve(Arc::clone(session), id, Arc::clone(&wakes));
                    table.insert(id, Stream::new(wakes, tokio::spawn(task).abort_handle()));
                }
                Event::Data(id, bytes) => match table.get_mut(&id) {
                    Some(stream) => {
                        stream.said.extend_from_slice(bytes);
                        stream.wakes.said.notify_one();
                    }
                    None => engine.drained(id, bytes.len()),
                },
                Event::Closed(id) => {
                    if let Some(stream) = table.get_mut(&id) {
                        stream.is_closed = true;
                        stream.wakes.said.notify_one();
                        stream.wakes.closed.notify_one();
                    }
                }
                Event::Greeted | Event::Alive => {}
            }
        }
        Ok(())
    }
}

/// Ends a session when its key is revoked and its task dropped, or when that is done.
struct Ending(Arc<Session>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, Relay, Settings};
    use std::net::{IpAddr, Ipv4Addr};
    use wire::derive::{Epoch, FleetKey, RelayId};

    #[tokio::test]
    async fn a_session_that_nobody_asks_for_ends_and_one_that_is_asked_for_does_not() {
        let key = FleetKey::generate().relay_key(&RelayId::generate());
        let (relay, _notices) = Relay::new(&key, Epoch(1), Settings::default());
        let id = KeyId([1; 8]);
        relay.set_keys(Keys { telegram: &[id], ..Keys::default() });
        let shared = &relay.0;
        let begin = || {
            let entry = *shared.finder.keyring.load().entry(id).expect("valid");
            let from = (IpAddr::from(Ipv4Addr::LOCALHOST).into(), 443);
            let token = Token::generate();
            Session::new(Arc::clone(shared), token, entry, from, Beginning::Greeted)
        };
        let grace = Duration::from_millis(200);
        let (idle, asked) = (begin(), begin());
        let asking = async {
            loop {
                asked.ask();
                sleep(grace / 10).await;
            }
        };
        tokio::select! {
            // On a machine that stands still for a while, it is asked for before it is looked after.
            biased;
            () = asking => {}
            () = asked.watch(grace) => panic!("it was asked for"),
            () = async { idle.watch(grace).await; sleep(grace).await } => {}
        }
        idle.end();
        assert!(matches!(idle.tell(0, 0, 1), Told::Over));
    }

    #[tokio::test]
    async fn with_one_session_too_many_the_keys_oldest_ends() {
        let key = FleetKey::generate().relay_key(&RelayId::generate());
        let (relay, _notices) = Relay::new(&key, Epoch(1), Settings::default());
        let ids = [KeyId([1; 8]), KeyId([2; 8])];
        relay.set_keys(Keys { telegram: &ids, ..Keys::default() });
        let shared = &relay.0;
        let begin = |id| {
            let entry = *shared.finder.keyring.load().entry(id).expect("valid");
            let from = (IpAddr::from(Ipv4Addr::LOCALHOST).into(), 443);
            let token = Token::generate();
            let session =
                Session::new(Arc::clone(shared), token, entry, from, Beginning::Ungreeted);
            shared.bridge.start(Arc::clone(&session));
            token
        };
        let other = begin(ids[1]);
        let own: Vec<Token> = (0..17).map(|_| begin(ids[0])).collect();
        assert!(shared.bridge.find(&own[0]).is_none() && shared.bridge.find(&own[1]).is_some());
        assert!(shared.bridge.find(&other).is_some());
        assert_eq!(shared.bridge.count(), 17);
        relay.set_keys(Keys { telegram: &ids[1..], ..Keys::default() });
        while shared.bridge.count() > 1 {
            tokio::task::yield_now().await;
        }
        assert!(shared.bridge.find(&other).is_some());
    }
}
