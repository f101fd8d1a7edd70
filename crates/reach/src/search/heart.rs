//! What keeps a search going: it hands candidates out as the pace allows, hears what was met, has
//! climbed what answered, and knows when all is done.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use wire::crack::Hour;
use wire::echo::{Shape, Transport};

use super::engines::Engines;
use super::hearing::may_be_unheard;
use super::lane::{Lane, Next};
use super::{Error, Event, Map, Mode, Options};
use crate::order::{Order, Report, rank};
use crate::pace::Pace;
use crate::probe::{Answered, Ask, News, Teller, What, unix};
use crate::stop::Stop;
use crate::target::Road;
use crate::verdict::Finding;
use crate::{Spot, Targets};

/// How long what is under way may take when the time is over: a climb, and its minute.
const LAST_WORDS: Duration = Duration::from_secs(90);
/// How often it is told how it goes.
const PROGRESS: Duration = Duration::from_millis(200);
/// A search's state.
pub(super) struct Heart {
    pub(super) targets: Targets,
    pub(super) options: Options,
    pub(super) stop: Stop,
    pub(super) events: Sender<Event>,
    pub(super) began: Instant,
    pub(super) news: Receiver<News>,
    pub(super) teller: Teller,
    pub(super) engines: Engines,
    pub(super) lanes: Vec<Lane>,
    /// Roads whose relay has answered an echo, now or earlier.
    pub(super) vouched: HashSet<u16>,
    /// Roads on which more is served, by this, than when the bundle was made: the relay has answered
    /// where it did not then.
    pub(super) opened: HashSet<(u16, Transport)>,
    pub(super) rtts: HashMap<u16, Duration>,
    /// Shapes that were tried where one did not pass.
    pub(super) shapes: HashMap<u64, Vec<Shape>>,
    /// Loud questions whose silence may be their shape's fault: by which lane, and when.
    unheard: Vec<(usize, Spot, Shape, Duration)>,
    /// Which lane asked.
    pub(super) asked: HashMap<(u64, Shape, u8), usize>,
    pub(super) answered: VecDeque<(Finding, Answered)>,
    pub(super) climbing: Vec<Finding>,
    pub(super) climbers: usize,
    pub(super) stayers: usize,
    pub(super) survey: Survey,
    pub(super) map: Map,
    pub(super) tried: usize,
    pub(super) told: Instant,
    pub(super) has_swept: bool,
}

/// Whether packets get lost: knocks at a door that is known to be open.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) has_begun: bool,
    pub(super) out: usize,
    pub(super) lost: usize,
}

impl Heart {
    pub(super) fn new(
        targets: Targets,
        options: Options,
        stop: Stop,
        events: Sender<Event>,
    ) -> Result<Self, Error> {
        let (teller, news) = mpsc::channel();
        let engines = Engines::start(&targets, &options, &teller)?;
        let now = Instant::now();
        let mut heart = Self {
            targets,
            options,
            stop,
            events,
            began: now,
            news,
            teller,
            engines,
            lanes: Vec::new(),
            vouched: HashSet::new(),
            opened: HashSet::new(),
            rtts: HashMap::new(),
            shapes: HashMap::new(),
            unheard: Vec::new(),
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
        heart.vouch_for_known();
        heart.open_lanes();
        Ok(heart)
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
    pub(super) fn open_loud(&mut self) {
        if self.options.mode == Mode::Quiet || self.vouched.is_empty() || self.lanes.len() > 1 {
            return;
        }
        for transport in self.options.transports.clone() {
            let mut order = self.order(&[transport]).once().without(self.lanes[0].order());
            order.keep_roads(|road| self.vouched.contains(&road.place));
            let rate = match transport {
                Transport::Tcp if self.engines.has_raw() => self.options.loud_raw,
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
        let unix = unix();
        let claims = rank(&reports, &self.options.network, Hour::at(unix));
        Order::new(&self.targets, claims, transports, &self.options.key, unix / 86_400)
    }

    pub(super) fn now(&self) -> Duration {
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
        self.hurry();
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
        self.engines.flush();
    }

    /// What was asked before anything was known of how far a relay is, is waited for long; the next shape
    /// needs not wait as long, once an answer would have come.
    fn hurry(&mut self) {
        let now = self.now();
        let mut unheard = std::mem::take(&mut self.unheard);
        unheard.retain(|(lane, spot, shape, at)| {
            if !self.asked.contains_key(&(spot.key(), *shape, 0)) {
                return false;
            }
            let Some(rtt) = self.rtts.get(&spot.road.place).copied() else { return true };
            let lane = &mut self.lanes[*lane];
            let is_late = now >= *at + lane.hold(spot.transport(), Some(rtt));
            if is_late {
                let tried = self.shapes.entry(spot.key()).or_default();
                tried.push(*shape);
                lane.other_shape(spot, tried, true);
            }
            !is_late
        });
        self.unheard = unheard;
    }

    fn has_room(&self, lane: usize) -> bool {
        self.lanes[lane].mode == Mode::Quiet || self.engines.has_room()
    }

    pub(super) fn ask(&mut self, lane: usize, next: Next) {
        let Next { spot, shape, attempt, is_new } = next;
        let rtt = self.rtts.get(&spot.road.place).copied();
        let hold = self.lanes[lane].hold(spot.transport(), rtt);
        let patience = self.lanes[lane].patience(rtt);
        if is_new && self.lanes[lane].mode == Mode::Loud && rtt.is_none() && may_be_unheard(&spot) {
            self.unheard.push((lane, spot.clone(), shape, self.now()));
        }
        let attempts = if attempt > 0 && spot.transport() == Transport::Udp { 2 } else { 1 };
        for more in 0..attempts {
            // Datagrams that are not the first go in pairs.
            let attempt = if attempts == 2 { attempt * 2 - 1 + more } else { attempt };
            let what = if is_new { self.what(lane, &spot) } else { What::Echo };
            let ask = Ask { spot: spot.clone(), shape, attempt, hold, patience, what };
            self.lanes[lane].out += 1;
            // The same twice has one outcome that counts.
            if let Some(earlier) = self.asked.insert((spot.key(), shape, attempt), lane) {
                self.lanes[earlier].out -= 1;
            }
            self.engines.ask(ask);
        }
    }

    /// Whether a SYN of our own goes first, to a port that is new: it costs a loud search less than a dial, but the kernel
    /// sends no second one if it is lost.
    fn what(&self, lane: usize, spot: &Spot) -> What {
        let is_syn = self.lanes[lane].mode == Mode::Loud
            && spot.transport() == Transport::Tcp
            && spot.address().is_ipv4()
            && self.lanes[lane].pass == 0
            && self.engines.has_raw();
        if is_syn { What::Syn } else { What::Echo }
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
        let has_nothing = self.rtts.is_empty();
        let lane = &mut self.lanes[at];
        let is_worth_it = is_lossy || has_nothing || lane.is_open();
        let is_needed = lane.mode == Mode::Loud && !only_near && is_worth_it;
        let silent = lane.pass(is_needed, is_lossy);
        silent.into_iter().for_each(|finding| self.conclude(finding));
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
        let has_room = |lane: &&Lane| lane.mode == Mode::Quiet || self.engines.has_room();
        let lanes = self.lanes.iter().filter(|lane| !lane.is_over && !lane.is_dry).filter(has_room);
        let next = lanes.map(|lane| lane.pace.next(now).saturating_sub(now)).min();
        let most = if self.unheard.is_empty() { PROGRESS } else { PROGRESS / 10 };
        next.unwrap_or(most).clamp(Duration::from_micros(200), most)
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
            waiting: self.engines.out() + self.climbers,
            at: now,
            next: Some(next).filter(|next| *next > Duration::from_secs(1)),
        });
    }

    pub(super) fn tell(&self, event: Event) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }
}
