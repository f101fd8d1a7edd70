//! What keeps a search going: it hands candidates out as the pace allows, hears what was met, has
//! climbed what answered, and knows when all is done.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use wire::crack::Hour;
use wire::echo::{Shape, Transport, dress};

use super::lane::{Lane, Next};
use super::{ATTEMPTS, Error, Event, Map, Mode, Options};
use crate::asking::Questions;
use crate::ladder::{self, Climbed, Route};
use crate::order::{Order, Report, rank};
use crate::pace::Pace;
use crate::probe::{Answered, Ask, Bell, Met, NAME, News, Outcome, Teller, What};
use crate::stop::Stop;
use crate::target::Road;
use crate::udp::Datagram;
use crate::verdict::{Finding, Rung, Verdict};
use crate::{Spot, Targets, raw, tcp, udp};

/// How many climb at a time.
const CLIMBERS: usize = 16;
/// How many cracks are climbed at: where everything is open, the rest is only asked.
const CLIMBS: usize = 96;
/// How many stay for the minute.
const STAYERS: usize = 48;
/// How many knocks tell whether packets get lost: at a tenth each way, all of them pass once in
/// 5,000 times.
const KNOCKS: usize = 40;
/// How long what is under way may take when the time is over: a climb, and its minute.
const LAST_WORDS: Duration = Duration::from_secs(90);
/// How often it is told how it goes.
const PROGRESS: Duration = Duration::from_millis(200);
/// How many sockets are left to others, and how many are taken at most.
const SPARE_SOCKETS: u64 = 200;
const MOST_SOCKETS: u64 = 19_800;

/// A search's state.
pub(super) struct Heart {
    targets: Targets,
    options: Options,
    stop: Stop,
    events: Sender<Event>,
    began: Instant,
    questions: Arc<Questions>,
    news: Receiver<News>,
    teller: Teller,
    tcp: Engine<Ask>,
    udp: Engine<Datagram>,
    /// Where the machine lets us.
    raw: Option<Engine<Ask>>,
    window: usize,
    lanes: Vec<Lane>,
    /// Roads whose relay has answered an echo, now or earlier.
    vouched: HashSet<u16>,
    rtts: HashMap<u16, Duration>,
    /// Shapes that were tried where one did not pass.
    shapes: HashMap<u64, Vec<Shape>>,
    /// Which lane asked.
    asked: HashMap<(u64, Shape, u8), usize>,
    answered: VecDeque<(Finding, Answered)>,
    climbing: Vec<Finding>,
    climbers: usize,
    stayers: usize,
    survey: Survey,
    map: Map,
    tried: usize,
    told: Instant,
    has_swept: bool,
}

/// An engine's letter box.
struct Engine<T> {
    asks: Sender<Vec<T>>,
    bell: Bell,
    batch: Vec<T>,
    /// How many of its asks are out.
    out: usize,
}

/// Whether packets get lost: knocks at a door that is known to be open.
#[derive(Default)]
struct Survey {
    has_begun: bool,
    out: usize,
    lost: usize,
}

impl Heart {
    pub(super) fn new(
        targets: Targets,
        options: Options,
        stop: Stop,
        events: Sender<Event>,
    ) -> Result<Self, Error> {
        let window = sockets();
        let questions = Arc::new(Questions::new());
        let (teller, news) = mpsc::channel();
        let (tcp, asks) = Engine::new()?;
        let engine = tcp::Engine {
            asks,
            bell: tcp.bell.clone(),
            teller: teller.clone(),
            questions: Arc::clone(&questions),
            window,
        };
        spawn("dials", tells_its_end(teller.clone(), move || engine.run()))?;
        let (udp, asks) = Engine::new()?;
        let engine = udp::Engine {
            asks,
            bell: udp.bell.clone(),
            teller: teller.clone(),
            questions: Arc::clone(&questions),
            targets: targets.clone(),
        };
        spawn("datagrams", tells_its_end(teller.clone(), move || engine.run()))?;
        let now = Instant::now();
        let mut heart = Self {
            targets,
            options,
            stop,
            events,
            began: now,
            questions,
            news,
            teller,
            tcp,
            udp,
            raw: None,
            window,
            lanes: Vec::new(),
            vouched: HashSet::new(),
            rtts: HashMap::new(),
            shapes: HashMap::new(),
            asked: HashMap::new(),
            answered: VecDeque::new(),
            climbing: Vec::new(),
            climbers: 0,
            stayers: 0,
            survey: Survey::default(),
            map: Map::default(),
            tried: 0,
            told: now,
            has_swept: false,
        };
        if heart.options.raw && heart.options.mode == Mode::Loud {
            heart.open_raw()?;
        }
        heart.vouch_for_known();
        heart.open_lanes();
        Ok(heart)
    }

    /// Where this machine lets us send packets of our own making.
    fn open_raw(&mut self) -> Result<(), Error> {
        let Ok(socket) = raw::open() else { return Ok(()) };
        let (engine, asks) = Engine::new()?;
        let (bell, teller) = (engine.bell.clone(), self.teller.clone());
        let work = raw::Engine { asks, bell, teller, socket, targets: self.targets.clone() };
        spawn("syns", tells_its_end(self.teller.clone(), move || work.run()))?;
        self.raw = Some(engine);
        Ok(())
    }

    /// The story.
    pub(super) fn beat(mut self) -> Map {
        self.tell(Event::Started { relays: self.targets.relays() });
        while !self.stop.is_set() {
            self.hand_out();
            self.climb();
            if self.now() > self.options.at_most + LAST_WORDS {
                break;
            }
            if self.is_done() {
                self.map.is_whole = self.lanes.iter().all(|lane| lane.is_over);
                break;
            }
            let wait = self.until_next();
            match self.news.recv_timeout(wait) {
                Ok(news) => self.hear(news),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Ok(news) = self.news.try_recv() {
                self.hear(news);
            }
            self.progress();
        }
        // Those who stay, or climb, hear of the end.
        self.stop.stop();
        let left: Vec<Finding> = self.lanes.iter_mut().flat_map(Lane::left_over).collect();
        left.into_iter().for_each(|finding| self.conclude(finding));
        self.map.took = self.began.elapsed();
        self.map
    }

    /// Relays that have answered before, or that the signer vouches for.
    fn vouch_for_known(&mut self) {
        let proven: HashSet<_> = self.options.receipts.iter().map(|it| it.tag()).collect();
        let is_known = |road: &&Arc<Road>| self.options.is_enrolled || proven.contains(&road.tag);
        let known = self.targets.roads().iter().filter(is_known).map(|road| road.place).collect();
        self.vouched = known;
    }

    fn open_lanes(&mut self) {
        let quiet = self.order(&self.options.transports);
        let seed = u64::from_le_bytes(*self.options.key.first_chunk().expect("8 of 32"));
        self.lanes.push(Lane::new(Mode::Quiet, quiet, Pace::quiet(seed)));
        self.open_loud();
    }

    /// What is loud begins when there is a relay towards which it may.
    fn open_loud(&mut self) {
        if self.options.mode == Mode::Quiet || self.vouched.is_empty() || self.lanes.len() > 1 {
            return;
        }
        for transport in self.options.transports.clone() {
            let mut order = self.order(&[transport]).once();
            order.keep_roads(|road| self.vouched.contains(&road.place));
            let rate = match transport {
                Transport::Tcp if self.raw.is_some() => self.options.loud_raw,
                Transport::Tcp => self.options.loud_tcp,
                Transport::Udp => self.options.loud_udp,
            };
            self.lanes.push(Lane::new(Mode::Loud, order, Pace::loud(rate)));
        }
        let vouched = self.vouched.clone();
        self.lanes[0].order().keep_roads(|road| !vouched.contains(&road.place));
    }

    fn order(&self, transports: &[Transport]) -> Order {
        let mut reports: Vec<Report> = self.options.receipts.iter().map(Report::from).collect();
        reports.extend(self.targets.cracks().iter().map(Report::from));
        reports.extend(self.options.reports.iter().cloned());
        let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let claims = rank(&reports, &self.options.network, Hour::at(unix));
        Order::new(&self.targets, claims, transports, &self.options.key, unix / 86_400)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn has_enough(&self) -> bool {
        let found = self.map.cracks().map(|it| (it.spot.transport(), it.spot.port()));
        let late = self.now() > self.options.at_most;
        late || self.options.enough.is_some_and(|enough| {
            // A search that wants few has few findings that are cracks.
            found.collect::<HashSet<_>>().len() >= enough
        })
    }

    fn hand_out(&mut self) {
        let only_near = self.has_enough();
        if self.now() > self.options.at_most {
            self.lanes.iter_mut().for_each(|lane| lane.is_over = true);
        }
        for at in 0..self.lanes.len() {
            let now = self.now();
            for _ in 0..self.lanes[at].pace.now(now) {
                if self.lanes[at].is_over || !self.has_room(at) {
                    break;
                }
                let Some(next) = self.lanes[at].next(only_near) else { break };
                let transport = next.spot.transport();
                if next.is_new || self.lanes[at].mode == Mode::Loud {
                    self.lanes[at].pace.spend(transport, now);
                } else {
                    self.lanes[at].pace.also(transport, now);
                }
                self.tried += usize::from(next.is_new);
                self.ask(at, next);
            }
            self.finish_pass(at, only_near);
        }
        self.tcp.send();
        self.udp.send();
        if let Some(raw) = &mut self.raw {
            raw.send();
        }
    }

    fn has_room(&self, lane: usize) -> bool {
        self.lanes[lane].mode == Mode::Quiet || self.tcp.out < self.window
    }

    fn ask(&mut self, lane: usize, next: Next) {
        let Next { spot, shape, attempt, .. } = next;
        let rtt = self.rtts.get(&spot.road.place).copied();
        let hold = self.lanes[lane].hold(spot.transport(), rtt);
        let patience = self.lanes[lane].patience(rtt);
        let attempts = if attempt > 0 && spot.transport() == Transport::Udp { 2 } else { 1 };
        for more in 0..attempts {
            // Datagrams of a later pass go in pairs.
            let attempt = if attempts == 2 { attempt * 2 - 1 + more } else { attempt };
            let what = self.what(lane, &spot);
            let ask = Ask { spot: spot.clone(), shape, attempt, hold, patience, what };
            self.lanes[lane].out += 1;
            self.asked.insert((spot.key(), shape, attempt), lane);
            self.send(ask);
        }
    }

    /// Whether a SYN of our own goes first: it costs a loud search less than a dial, but the kernel
    /// sends no second one if it is lost.
    fn what(&self, lane: usize, spot: &Spot) -> What {
        let is_syn = self.lanes[lane].mode == Mode::Loud
            && spot.transport() == Transport::Tcp
            && spot.address().is_ipv4()
            && self.lanes[lane].pass == 0
            && self.raw.is_some();
        if is_syn { What::Syn } else { What::Echo }
    }

    fn send(&mut self, ask: Ask) {
        if ask.what == What::Syn
            && let Some(raw) = &mut self.raw
        {
            raw.put(ask);
            return;
        }
        match ask.spot.transport() {
            Transport::Tcp => self.tcp.put(ask),
            Transport::Udp => {
                let time = self.questions.time();
                let question = self.questions.question(&ask.spot, ask.shape, ask.attempt, time);
                let bytes = dress::question(ask.shape, Transport::Udp, NAME, &question);
                self.udp.put(Datagram { ask, bytes });
            }
        }
    }

    /// Begins a lane's next pass, or ends it, when all of this one is asked and heard.
    fn finish_pass(&mut self, at: usize, only_near: bool) {
        let is_busy = self.survey.out + self.climbers + self.answered.len() > 0;
        let lane = &mut self.lanes[at];
        if lane.is_over || lane.out > 0 || is_busy {
            return;
        }
        if lane.has_next(only_near) {
            return;
        }
        let is_lossy = self.map.is_lossy;
        let has_nothing = self.map.cracks().next().is_none();
        let lane = &mut self.lanes[at];
        let is_needed = lane.mode == Mode::Loud && !only_near && (is_lossy || has_nothing);
        let silent = lane.pass(is_needed, is_lossy);
        silent.into_iter().for_each(|finding| self.conclude(finding));
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Outcomes(outcomes) => outcomes.into_iter().for_each(|it| self.met(it)),
            News::Climbed(number, climbed) => self.climbed(number, climbed),
            News::Dead => self.stop.stop(),
            News::Left => self.stayers = self.stayers.saturating_sub(1),
        }
    }

    fn met(&mut self, outcome: Outcome) {
        let Outcome { ask, dialled, rtt, bytes, met } = outcome;
        if ask.what == What::Syn {
            if let Some(raw) = &mut self.raw {
                raw.out -= 1;
            }
            if matches!(met, Met::Accepted) {
                // Worth a dial. The kernel has ended what our SYN began.
                self.tcp.put(Ask { what: What::Echo, ..ask });
                return;
            }
        } else {
            match ask.spot.transport() {
                Transport::Tcp => self.tcp.out -= 1,
                Transport::Udp => self.udp.out -= 1,
            }
        }
        if ask.what == What::Knock {
            self.survey.out -= 1;
            self.survey.lost += usize::from(!matches!(met, Met::Accepted));
            self.map.is_lossy |= self.survey.lost > 0;
            return;
        }
        let (key, shape) = (ask.spot.key(), ask.shape);
        let Some(lane) = self.asked.remove(&(key, shape, ask.attempt)) else { return };
        self.lanes[lane].out -= 1;
        // Others of a pair speak for it, or it for them.
        let others = (0..ATTEMPTS).filter(|it| self.asked.contains_key(&(key, shape, *it)));
        let others: Vec<u8> = others.collect();
        if matches!(met, Met::Answered(_)) {
            for other in others {
                self.asked.remove(&(key, shape, other));
                self.lanes[lane].out -= 1;
            }
        } else if !others.is_empty() {
            return;
        }
        let verdict = match &met {
            Met::Other(verdict) => *verdict,
            Met::Accepted => Verdict::Mute,
            Met::Answered(_) => Verdict::Verified(Rung::Echo),
        };
        let finding = Finding {
            spot: ask.spot,
            shape: ask.shape,
            verdict,
            at: self.now(),
            took: dialled.elapsed(),
            rtt,
            bytes,
            receipt: None,
        };
        match met {
            Met::Answered(answered) => self.answered(finding, *answered),
            _ => self.failed(lane, finding),
        }
    }

    /// The relay itself has answered.
    fn answered(&mut self, mut finding: Finding, answered: Answered) {
        let saw = answered.answer.relay.port();
        if saw != finding.spot.port() {
            finding.verdict = Verdict::Rewritten { saw };
            self.conclude(finding);
            return;
        }
        let place = finding.spot.road.place;
        if let Some(rtt) = finding.rtt {
            let known = self.rtts.entry(place).or_insert(rtt);
            *known = rtt.min(*known);
        }
        if self.vouched.insert(place) {
            self.open_loud();
        }
        if self.climbing.len() + self.answered.len() >= CLIMBS {
            self.conclude(finding);
        } else {
            self.answered.push_back((finding, answered));
        }
    }

    /// Something else was met than the relay.
    fn failed(&mut self, lane: usize, finding: Finding) {
        let lane = &mut self.lanes[lane];
        if lane.pass == 0 {
            lane.order().failed(&finding.spot);
        }
        let verdict = finding.verdict;
        let may_be_loss =
            matches!(verdict, Verdict::Dropped | Verdict::Mute | Verdict::HandshakeOnly);
        if verdict.may_be_shape() {
            let tried = self.shapes.entry(finding.spot.key()).or_default();
            if !tried.contains(&finding.shape) {
                tried.push(finding.shape);
                lane.other_shape(&finding.spot, tried);
            }
        }
        if lane.mode == Mode::Loud && may_be_loss {
            lane.keep(finding);
        } else {
            self.conclude(finding);
        }
    }

    /// Has climbed what has answered, so many at a time.
    fn climb(&mut self) {
        while self.climbers < CLIMBERS
            && let Some((finding, answered)) = self.answered.pop_front()
        {
            let rtt = finding.rtt.unwrap_or(Duration::from_millis(200));
            let route = Route {
                spot: finding.spot.clone(),
                shape: finding.shape,
                rtt,
                is_lossy: self.map.is_lossy,
                network: self.options.network.clone(),
                stays: self.options.stays && self.stayers < STAYERS,
                stop: self.stop.clone(),
            };
            let (number, teller) = (self.climbing.len(), self.teller.clone());
            let stays = route.stays;
            let climb = move || {
                ladder::climb(&route, answered, |climbed| {
                    let _ = teller.send(News::Climbed(number, climbed));
                });
                if stays {
                    let _ = teller.send(News::Left);
                }
            };
            if spawn("climb", climb).is_ok() {
                self.climbing.push(finding);
                self.climbers += 1;
                self.stayers += usize::from(stays);
            } else {
                self.conclude(Finding { verdict: Verdict::Untried, ..finding });
            }
        }
    }

    fn climbed(&mut self, number: usize, climbed: Climbed) {
        let Some(mut finding) = self.climbing.get(number).cloned() else { return };
        let Climbed { verdict, bytes, receipt, lost } = climbed;
        let is_first = finding.verdict == Verdict::Verified(Rung::Echo);
        finding.verdict = verdict;
        finding.bytes += bytes;
        finding.receipt = receipt.or(finding.receipt);
        finding.took += self.now().saturating_sub(finding.at);
        finding.at = self.now();
        self.climbing[number] = finding.clone();
        if !is_first {
            self.confirm(finding);
            return;
        }
        self.climbers -= 1;
        // One in a hundred is lost to chance, or to our own hurry.
        let has_lost = lost.is_some_and(|(lost, sent)| lost * 50 > sent);
        self.map.is_lossy |= has_lost && verdict.is_crack();
        if verdict.is_crack() {
            for lane in &mut self.lanes {
                lane.order().found(&finding.spot, finding.shape);
            }
            self.survey(&finding);
        }
        self.conclude(finding);
    }

    /// Knocks at what is known to be open, to see whether packets get lost.
    fn survey(&mut self, finding: &Finding) {
        let is_wanted =
            self.options.mode == Mode::Loud && finding.spot.transport() == Transport::Tcp;
        if !is_wanted || self.survey.has_begun {
            return;
        }
        self.survey.has_begun = true;
        let rtt = finding.rtt.unwrap_or_default();
        let hold = (rtt * 3).clamp(Duration::from_millis(250), Duration::from_millis(900));
        for _ in 0..KNOCKS {
            let spot = finding.spot.clone();
            let shape = finding.shape;
            self.survey.out += 1;
            self.send(Ask { spot, shape, attempt: 0, hold, patience: hold, what: What::Knock });
        }
    }

    fn conclude(&mut self, finding: Finding) {
        self.tell(Event::Finding(finding.clone()));
        self.map.findings.push(finding);
    }

    fn confirm(&mut self, finding: Finding) {
        let same = |other: &&mut Finding| {
            other.spot == finding.spot && other.shape == finding.shape && other.verdict.is_crack()
        };
        if let Some(known) = self.map.findings.iter_mut().rev().find(same) {
            *known = finding.clone();
        }
        self.tell(Event::Confirmed(finding));
    }

    fn is_done(&mut self) -> bool {
        let is_idle = self.answered.is_empty() && self.climbers == 0;
        let out: usize = self.lanes.iter().map(|lane| lane.out).sum();
        let is_over = self.lanes.iter().all(|lane| lane.is_over);
        if !(is_over && is_idle && out == 0) {
            return false;
        }
        if !self.has_swept {
            self.has_swept = true;
            self.tell(Event::Swept { at: self.now() });
        }
        self.stayers == 0
    }

    fn until_next(&self) -> Duration {
        let now = self.now();
        let has_room = |lane: &&Lane| lane.mode == Mode::Quiet || self.tcp.out < self.window;
        let lanes = self.lanes.iter().filter(|lane| !lane.is_over).filter(has_room);
        let next = lanes.map(|lane| lane.pace.next(now).saturating_sub(now)).min();
        next.unwrap_or(PROGRESS).clamp(Duration::from_micros(200), PROGRESS)
    }

    fn progress(&mut self) {
        if self.told.elapsed() < PROGRESS {
            return;
        }
        self.told = Instant::now();
        let now = self.now();
        let next = self.lanes[0].pace.next(now).saturating_sub(now);
        self.tell(Event::Progress {
            tried: self.tried,
            waiting: self.tcp.out + self.udp.out + self.raw_out() + self.climbers,
            at: now,
            next: Some(next).filter(|next| *next > Duration::from_secs(1)),
        });
    }

    fn raw_out(&self) -> usize {
        self.raw.as_ref().map_or(0, |raw| raw.out)
    }

    fn tell(&self, event: Event) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }
}

impl<T> Engine<T> {
    fn new() -> std::io::Result<(Self, Receiver<Vec<T>>)> {
        let (asks, listener) = mpsc::channel();
        Ok((Self { asks, bell: Bell::new()?, batch: Vec::new(), out: 0 }, listener))
    }

    fn put(&mut self, ask: T) {
        self.out += 1;
        self.batch.push(ask);
    }

    fn send(&mut self) {
        if !self.batch.is_empty() {
            let _ = self.asks.send(std::mem::take(&mut self.batch));
            self.bell.ring();
        }
    }
}

impl<T> Drop for Engine<T> {
    /// An engine that sleeps sees that nobody can ask any more.
    fn drop(&mut self) {
        let (nobody, _) = mpsc::channel();
        self.asks = nobody;
        self.bell.ring();
    }
}

/// An engine that the machine fails ends the search, which would wait for it otherwise.
fn tells_its_end(
    teller: Teller,
    engine: impl FnOnce() -> nix::Result<()> + Send + 'static,
) -> impl FnOnce() + Send + 'static {
    move || {
        if engine().is_err() {
            let _ = teller.send(News::Dead);
        }
    }
}

fn spawn(name: &str, code: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(code).map(drop)
}

/// How many sockets may be open at a time, when we have asked for as many as we may have.
fn sockets() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let wanted = hard.min(MOST_SOCKETS + SPARE_SOCKETS);
    let have = match setrlimit(Resource::RLIMIT_NOFILE, wanted.max(soft), hard) {
        Ok(()) => wanted.max(soft),
        Err(_) => soft,
    };
    let window = have.saturating_sub(SPARE_SOCKETS).clamp(64, MOST_SOCKETS);
    usize::try_from(window).expect("below 20,000")
}
