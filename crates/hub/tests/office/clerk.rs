//! What the clerk promises to people and relays, with the real journal.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::hub::{FLEET, Hub, address, join};
use ::hub::blocks::Word;
use ::hub::clerk::{Handout, Refresh, Refused};
use ::hub::office::{DoorId, Scope, Why};
use wire::bundle::Bundle;
use wire::derive::{Epoch, Form, KeyId};
use wire::echo::BundleId;
use wire::fleet::Posture;
use wire::receipt::RelayTag;

const NOW: u64 = crate::hub::START / 1000;

async fn ask(hub: &Hub, door: DoorId, id: &str, request: u8) -> Result<Handout, Refused> {
    hub.clerk.ask(door, id, [request; 16], None).await
}

#[tokio::test]
async fn the_same_request_and_the_same_person_are_given_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::open(dir.path()).await;
    join(&hub.clerk, 1).await;
    hub.clerk.door("bot").await.expect("a door");
    let door = hub.clerk.door_named("bot").expect("is there");
    let given = ask(&hub, door, "aliya", 1).await.expect("a seat");
    assert_eq!(given.links.len(), 1);
    assert_eq!(ask(&hub, door, "aliya", 1).await.expect("again"), given);
    assert_eq!(ask(&hub, door, "aliya", 2).await.expect("another request"), given);
    let other = ask(&hub, door, "berik", 1).await;
    assert!(matches!(other, Err(Refused::Office(Why::Request))));
    assert_ne!(ask(&hub, door, "berik", 3).await.expect("a seat").ticket, given.ticket);
    let elsewhere = ask(&hub, DoorId::OFFICE, "aliya", 1).await.expect("a seat");
    assert_ne!(elsewhere.ticket, given.ticket, "a name means somebody else at another door");
    let by_hand = hub.clerk.give(DoorId::OFFICE, [9; 16], None).await.expect("a seat");
    let again = hub.clerk.give(DoorId::OFFICE, [9; 16], None).await.expect("again");
    assert_eq!(by_hand, again);
    hub.stop().await;
}

#[tokio::test]
async fn a_new_start_knows_everybody_and_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::open(dir.path()).await;
    let relay = join(&hub.clerk, 1).await;
    let token = hub.clerk.door("bot").await.expect("a door");
    let door = hub.clerk.door_of(&token).expect("its token");
    let mut given = Vec::new();
    for person in 0..20 {
        given.push(ask(&hub, door, &format!("person {person}"), person).await.expect("a seat"));
    }
    // Without a word: as if it were killed.
    hub.desk.abort();
    let hub = Hub::open(dir.path()).await;
    assert_eq!(hub.clerk.door_of(&token), Some(door));
    assert_eq!(hub.clerk.relays()[0].view.relay.id, relay.id);
    for handout in &given {
        let same = hub.clerk.refresh(&handout.ticket, Some(&handout.version)).expect("is known");
        assert_eq!(same, Refresh::Same);
    }
    // With a snapshot.
    hub.stop().await;
    let hub = Hub::open(dir.path()).await;
    for (person, handout) in (0..).zip(&given) {
        let again = ask(&hub, door, &format!("person {person}"), 100 + person).await;
        assert_eq!(again.expect("a seat"), *handout);
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_link_opens_the_relay_on_the_port_that_the_relay_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::open(dir.path()).await;
    let mut relays = [join(&hub.clerk, 1).await, join(&hub.clerk, 2).await];
    let mut told: HashMap<(String, u16), KeyId> = HashMap::new();
    let mut given = Vec::new();
    for person in 0..30 {
        given.push(ask(&hub, DoorId::OFFICE, &person.to_string(), person).await.expect("a seat"));
    }
    for (number, relay) in (1..).zip(&mut relays) {
        let beat = hub.clerk.heartbeat(&relay.beat(), address(number)).await.expect("a heartbeat");
        let signed = hub.clerk.order(&beat, Duration::from_secs(5)).await.expect("an order");
        let order = signed.open(&hub.clerk.signer(), relay.id).expect("the fleet's");
        let key = relay.seed.key();
        for seat in order.seats.given {
            let secret = key.secret(Form::Telegram, seat.key, Epoch(1));
            told.insert((format!("{}/{:?}", address(number), secret.0), seat.port), seat.key);
        }
        assert!(order.bundles.contains(&hub.clerk.check_bundle(relay.id)));
        assert_eq!(order.fleet, [address(3 - number)]);
        (relay.order, relay.seats) = (order.number, order.seats.to);
    }
    for handout in &given {
        let [link] = &handout.links[..] else { panic!("one link") };
        let key = (format!("{}/{:?}", link.server, link.secret.key().0), link.port.get());
        assert!(told.contains_key(&key), "no relay knows {link:?}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn news_reach_a_relay_that_waits_for_them_and_nothing_else_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::open(dir.path()).await;
    let mut relay = join(&hub.clerk, 1).await;
    let first = hub.clerk.heartbeat(&relay.beat(), address(1)).await.expect("a heartbeat");
    let signed = hub.clerk.order(&first, Duration::from_secs(5)).await.expect("an order");
    let order = signed.open(&hub.clerk.signer(), relay.id).expect("the fleet's");
    (relay.order, relay.seats) = (order.number, order.seats.to);

    let beat = hub.clerk.heartbeat(&relay.beat(), address(1)).await.expect("a heartbeat");
    assert_eq!(hub.clerk.order(&beat, Duration::from_millis(50)).await, None);
    let patience = Duration::from_secs(60);
    let (order, handout) =
        tokio::join!(hub.clerk.order(&beat, patience), ask(&hub, DoorId::OFFICE, "a", 1));
    handout.expect("a seat");
    let order = order.expect("news").open(&hub.clerk.signer(), relay.id).expect("the fleet's");
    assert_eq!((order.seats.from, order.seats.given.len()), (relay.seats, 1));
    assert!(order.number > relay.order);

    let old = hub.clerk.heartbeat(&first_again(&relay), address(1)).await;
    assert!(matches!(old, Err(Refused::Old)));
    hub.stop().await;
}

/// A heartbeat with a number that was there before.
fn first_again(relay: &crate::hub::Member) -> Vec<u8> {
    crate::hub::Member { number: 0, ..relay.clone() }.beat()
}

#[tokio::test]
async fn whoever_sat_on_a_blocked_endpoint_finds_another_link_at_the_next_refresh() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::open(dir.path()).await;
    join(&hub.clerk, 1).await;
    let given = ask(&hub, DoorId::OFFICE, "a", 1).await.expect("a seat");
    let endpoints = hub.clerk.endpoints();
    let theirs = endpoints.iter().find(|it| it.people == 1).expect("theirs");
    assert_eq!(theirs.address.port(), given.links[0].port.get());
    assert_eq!(hub.clerk.visits(), [], "asking for the first time says nothing of an endpoint");
    hub.clerk.report(&given.ticket, false).await.expect("heard");
    assert_eq!(hub.clerk.visits()[0].endpoint, theirs.id);
    assert_eq!(
        hub.clerk.blocked(&[theirs.id], Scope::Ports, Word::Several, "a test").await.expect("done"),
        1
    );
    let Refresh::Changed(after) =
        hub.clerk.refresh(&given.ticket, Some(&given.version)).expect("is known")
    else {
        panic!("nothing new")
    };
    assert!(after.links.len() == 1 && after.links != given.links);
    assert_eq!(hub.clerk.blocks()[0].people, 1);
    hub.stop().await;
}

#[tokio::test]
async fn on_all_ports_one_link_does_for_everybody_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::open(dir.path()).await;
    join(&hub.clerk, 1).await;
    let before = ask(&hub, DoorId::OFFICE, "a", 1).await.expect("a seat");
    assert_ne!(before.links[0].port.get(), 443);
    hub.clerk.posture(None, Posture::All).await.expect("done");
    let after = ask(&hub, DoorId::OFFICE, "a", 2).await.expect("a seat");
    assert_eq!(after.links[0].port.get(), 443);
    assert_eq!(after.links[0].secret, before.links[0].secret);
    assert_eq!(hub.clerk.endpoints().len(), 1);
    hub.stop().await;
}

#[tokio::test]
async fn a_bundle_has_somebodys_own_relays_which_answer_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::open(dir.path()).await;
    let mut relay = join(&hub.clerk, 1).await;
    join(&hub.clerk, 2).await;
    join(&hub.clerk, 3).await;
    let given = ask(&hub, DoorId::OFFICE, "a", 1).await.expect("a seat");
    let sealed = hub.clerk.bundle(&given.ticket).await.expect("a bundle");
    let again = hub.clerk.bundle(&given.ticket).await.expect("the same");
    assert_eq!(again.text(), sealed.text());
    let bundle = Bundle::open(&sealed.text(), &[hub.clerk.signer()], NOW).expect("signed");
    let [endpoint] = &bundle.endpoints[..] else { panic!("one relay") };
    assert_eq!(endpoint.secret, Some(given.links[0].secret.key()));
    let knows: BundleId = bundle.id;
    let mut asked = 0;
    for member in hub.clerk.relays() {
        let id = member.view.relay.id;
        let key = FLEET.relay_key(&id);
        if RelayTag::of(&key.mask_key()) == RelayTag::of(&endpoint.mask_key) {
            relay.id = id;
            relay.seed = FLEET.relay_seed(&id);
            let from = member.view.relay.address;
            let beat = hub.clerk.heartbeat(&relay.beat(), from).await.expect("a heartbeat");
            let order = hub.clerk.order(&beat, Duration::from_secs(5)).await.expect("an order");
            let order = order.open(&hub.clerk.signer(), id).expect("the fleet's");
            assert!(order.bundles.contains(&knows));
            asked += 1;
        }
    }
    assert_eq!(asked, 1);
    hub.stop().await;
}

#[tokio::test]
async fn the_disk_has_nobodys_name_token_or_ticket() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::open(dir.path()).await;
    join(&hub.clerk, 1).await;
    let token = hub.clerk.door("bot").await.expect("a door");
    let door = hub.clerk.door_of(&token).expect("its token");
    let invite = hub.clerk.invite(Some("owner")).await.expect("an invite");
    let mut secrets: Vec<Vec<u8>> = vec![token.clone().into_bytes(), invite.to_vec()];
    secrets.push(data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).expect("base 64"));
    for person in 0..50 {
        let name = format!("telegram-{person:08}-aliya");
        let given = ask(&hub, door, &name, person).await.expect("a seat");
        hub.clerk.report(&given.ticket, false).await.expect("heard");
        secrets.push(name.into_bytes());
        secrets.push(data_encoding::BASE64URL_NOPAD.decode(given.ticket.as_bytes()).expect("one"));
        secrets.extend(given.links.iter().map(|link| link.secret.key().0.to_vec()));
    }
    let is_clean = || {
        let mut files = 0;
        for entry in std::fs::read_dir(dir.path()).expect("a directory") {
            // SQLite takes away what it does not need any more when it ends.
            let Ok(bytes) = std::fs::read(entry.expect("an entry").path()) else { continue };
            for secret in &secrets {
                let is_there = bytes.windows(secret.len()).any(|part| part == secret);
                assert!(!is_there, "{} is on the disk", secret.escape_ascii());
            }
            files += 1;
        }
        files
    };
    assert!(is_clean() >= 2, "the journal is among them");
    hub.stop().await;
    assert!(is_clean() >= 2, "the snapshot is among them");
}

#[tokio::test]
async fn a_ticket_that_nobody_gave_is_none_and_one_of_a_forgotten_person_neither() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::open(dir.path()).await;
    join(&hub.clerk, 1).await;
    let given = ask(&hub, DoorId::OFFICE, "a", 1).await.expect("a seat");
    let mut forged = data_encoding::BASE64URL_NOPAD.decode(given.ticket.as_bytes()).expect("one");
    forged[0] ^= 1;
    let forged = data_encoding::BASE64URL_NOPAD.encode(&forged);
    for none in ["", "x", &forged, &given.ticket[1..]] {
        assert!(matches!(hub.clerk.refresh(none, None), Err(Refused::Ticket)));
    }
    hub.clock.fetch_add(170 * 3_600_000, Ordering::Relaxed);
    hub.clerk.tick().await.expect("time passes");
    assert!(matches!(hub.clerk.refresh(&given.ticket, None), Err(Refused::Ticket)));
    hub.stop().await;
}
