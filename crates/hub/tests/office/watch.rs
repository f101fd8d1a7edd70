//! What is done when an endpoint goes dark.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::hub::{Hub, Member, address, join_with};
use ::hub::blocks::Word;
use ::hub::clerk::{EndpointView, Handout, Refresh};
use ::hub::office::DoorId;
use ::hub::seats::EndpointId;
use ::hub::watch::Watch;
use tempfile::TempDir;
use wire::fleet::{Capacity, Counted, Face, Health, Heartbeat, Standing};

const NETWORK: u32 = 9198;
/// So that people sit on all of them, many at one endpoint, with some room left.
const SMALL: Capacity = Capacity { people: 15, monthly: 0, can_open: false };

/// Ten seconds in which people come as ever everywhere, but at endpoints that are dark; all answer the
/// hub itself, but those of relays that are dead.
async fn ten_seconds(
    hub: &Hub,
    watch: &Watch,
    relays: &mut [Member],
    dark: &HashSet<EndpointId>,
    dead: Option<usize>,
) {
    hub.clock.fetch_add(10_000, Ordering::Relaxed);
    let endpoints = hub.clerk.endpoints();
    for (place, relay) in relays.iter_mut().enumerate() {
        let own = endpoints.iter().filter(|endpoint| endpoint.relay == relay.id);
        let lives = dead != Some(place);
        own.clone().for_each(|endpoint| watch.asked(endpoint.id, lives));
        if lives {
            let alive = own.filter(|endpoint| !dark.contains(&endpoint.id));
            let count = |endpoint: &EndpointView| Counted {
                port: endpoint.address.port(),
                network: NETWORK,
                connections: 6,
            };
            watch.heard(&heartbeat(relay, alive.map(count).collect()));
        }
    }
    watch.tick().await;
}

fn heartbeat(relay: &mut Member, counted: Vec<Counted>) -> Heartbeat {
    relay.number += 1;
    Heartbeat {
        relay: relay.id,
        number: relay.number,
        order: relay.order,
        seats: relay.seats,
        standing: Standing::Carrying,
        capacity: SMALL,
        face: Face::default(),
        health: Health::default(),
        over: 10_000,
        counted,
        abroad: Vec::new(),
        version: "1".into(),
    }
}

/// What somebody has now.
fn now_has(hub: &Hub, given: &Handout) -> Handout {
    match hub.clerk.refresh(&given.ticket, Some(&given.version)).expect("is known") {
        Refresh::Same => given.clone(),
        Refresh::Changed(handout) => handout,
    }
}

fn is_at(given: &Handout, endpoint: &EndpointView) -> bool {
    given.links.first().is_some_and(|link| {
        let server = endpoint.address.ip().to_string();
        link.server == server && link.port.get() == endpoint.address.port()
    })
}

/// A hub that is watched, with six relays and people on them.
struct World {
    _dir: TempDir,
    hub: Hub,
    watch: Arc<Watch>,
    relays: Vec<Member>,
    given: Vec<Handout>,
}

impl World {
    /// With so many people, after an hour that was as ever.
    async fn new(people: u8) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let hub = Hub::open(dir.path()).await;
        let tells = hub.clock.clone();
        let clock = Arc::new(move || tells.load(Ordering::Relaxed));
        let watch = Watch::new(hub.clerk.clone(), clock, Arc::new(|_, _| ()));
        let mut relays = Vec::new();
        for number in 1..=6 {
            relays.push(join_with(&hub.clerk, number, SMALL).await);
        }
        let mut given = Vec::new();
        for person in 0..people {
            given.push(give(&hub, person).await);
        }
        for _ in 0..360 {
            ten_seconds(&hub, &watch, &mut relays, &HashSet::new(), None).await;
        }
        assert!(hub.clerk.blocks().is_empty(), "nothing was blocked");
        Self { _dir: dir, hub, watch, relays, given }
    }
}

async fn give(hub: &Hub, person: u8) -> Handout {
    let given = hub.clerk.give(DoorId::OFFICE, [person; 16], Some(NETWORK)).await;
    given.expect("a seat")
}

#[tokio::test]
async fn people_of_an_endpoint_that_goes_dark_are_seated_elsewhere_when_they_say_so() {
    goes_dark(60, true).await;
}

#[tokio::test]
async fn they_are_also_if_only_its_relay_says_so_and_nobody_is_blamed() {
    goes_dark(60, false).await;
}

#[tokio::test]
async fn the_only_one_of_an_endpoint_is_seated_elsewhere_at_once_whether_they_say_so_or_not() {
    goes_dark(6, true).await;
    goes_dark(6, false).await;
}

async fn goes_dark(people: u8, people_say_so: bool) {
    let World { _dir, hub, watch, mut relays, given } = World::new(people).await;
    let endpoints = hub.clerk.endpoints();
    let is_alone = people == 6;
    let all = endpoints.iter().filter(|endpoint| !is_alone || endpoint.people == 1);
    let dark = *all.max_by_key(|endpoint| endpoint.people).expect("endpoints");
    let given: Vec<Handout> = given.iter().map(|given| now_has(&hub, given)).collect();
    let cut_off: Vec<&Handout> = given.iter().filter(|given| is_at(given, &dark)).collect();
    assert!(is_alone || cut_off.len() >= 2, "{} people", cut_off.len());
    for given in cut_off.iter().filter(|_| people_say_so) {
        hub.clerk.report(&given.ticket, false).await.expect("heard");
    }
    let all = HashSet::from([dark.id]);
    let mut ticks = 0;
    while hub.clerk.blocks().is_empty() && ticks < 30 {
        ten_seconds(&hub, &watch, &mut relays, &all, None).await;
        ticks += 1;
    }
    // Nobody else can bear it out, so nobody is waited for.
    assert!(ticks <= 4 || !is_alone, "{ticks} ticks");
    let blocks = hub.clerk.blocks();
    let [block] = blocks.as_slice() else { panic!("after {ticks} ticks: {blocks:?}") };
    assert!(block.endpoints == 1 && block.people >= cut_off.len(), "{block:?}");
    assert!(block.cause.contains(&dark.address.to_string()), "{block:?}");
    let word = match (people_say_so, is_alone) {
        (false, _) => Word::Relay,
        (true, true) => Word::One,
        (true, false) => Word::Several,
    };
    assert_eq!(block.word, word, "{block:?}");
    assert_eq!(block.cause.contains("nobody is blamed"), !people_say_so, "{block:?}");
    for given in cut_off {
        assert!(!is_at(&now_has(&hub, given), &dark), "still there");
    }
    let relay = relays.iter_mut().find(|relay| relay.id == dark.relay).expect("its relay");
    let beat = hub.clerk.heartbeat(&relay.beat(), dark.address.ip()).await.expect("heard");
    let order = hub.clerk.order(&beat, Duration::from_secs(5)).await.expect("news");
    let order = order.open(&hub.clerk.signer(), relay.id).expect("the fleet's");
    assert!(order.words.iter().any(|word| word.contains("no longer reached")), "{order:?}");
    hub.stop().await;
}

#[tokio::test]
async fn a_cut_of_the_country_moves_nobody_and_volunteers_are_told_to_go_on() {
    let World { _dir, hub, watch, mut relays, given } = World::new(60).await;
    let given: Vec<Handout> = given.iter().map(|given| now_has(&hub, given)).collect();
    let all = hub.clerk.endpoints().iter().map(|endpoint| endpoint.id).collect();
    for _ in 0..12 {
        ten_seconds(&hub, &watch, &mut relays, &all, None).await;
    }
    let blocks = hub.clerk.blocks();
    let [cut] = blocks.as_slice() else { panic!("{blocks:?}") };
    assert_eq!((cut.endpoints, cut.people), (0, 0), "{cut:?}");
    assert!(cut.cause.starts_with("the country leads nobody out"), "{cut:?}");
    for given in &given {
        assert_eq!(now_has(&hub, given).version, given.version);
    }
    for (number, relay) in (1..).zip(&mut relays) {
        let beat = hub.clerk.heartbeat(&relay.beat(), address(number)).await.expect("heard");
        let order = hub.clerk.order(&beat, Duration::from_secs(5)).await.expect("news");
        let order = order.open(&hub.clerk.signer(), relay.id).expect("the fleet's");
        assert!(order.words.iter().any(|word| word.contains("please let it run")), "{order:?}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_relay_that_answers_nobody_is_dead_and_nothing_is_called_blocked() {
    dies(true).await;
}

#[tokio::test]
async fn so_is_one_that_nobody_sits_at_and_no_fresh_seat_is_there() {
    dies(false).await;
}

async fn dies(has_people: bool) {
    let World { _dir, hub, watch, mut relays, given } = World::new(60).await;
    if !has_people {
        relays.push(join_with(&hub.clerk, 7, SMALL).await);
        ten_seconds(&hub, &watch, &mut relays, &HashSet::new(), None).await;
    }
    let endpoints = hub.clerk.endpoints();
    let sits = |relay: &Member| endpoints.iter().any(|endpoint| endpoint.relay == relay.id);
    let dead = relays.iter().rposition(|relay| sits(relay) == has_people).expect("one of these");
    for _ in 0..12 {
        ten_seconds(&hub, &watch, &mut relays, &HashSet::new(), Some(dead)).await;
    }
    for report in hub.clerk.relays() {
        let relay = &report.view.relay;
        assert_eq!(relay.is_gone, relay.id == relays[dead].id, "{relay:?}");
    }
    assert!(hub.clerk.blocks().is_empty(), "{:?}", hub.clerk.blocks());
    let server = address(u8::try_from(dead + 1).expect("few relays")).to_string();
    let mut given: Vec<Handout> = given.iter().map(|given| now_has(&hub, given)).collect();
    // Newcomers need a fresh place; without the one that died, there is none where all have people.
    for person in (100..105).filter(|_| !has_people) {
        given.push(give(&hub, person).await);
    }
    for now in &given {
        assert!(!now.links.is_empty() && now.links.iter().all(|link| link.server != server));
    }
    hub.stop().await;
}
