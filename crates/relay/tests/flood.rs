//! A flood from an address behind which thousands of people are costs neither them nor anybody else
//! their way in, and not much of the machine.

// The rest of it is for other tests.
#[expect(dead_code)]
mod common;
#[path = "common/datacentre.rs"]
mod datacentre;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use lab::client;
use lab::flood::{Flood, visit};
use relay::{CourseSettings, Keys, Limits, Relay, Settings};
use wire::derive::{Buckets, Epoch, FleetKey, Form, KeyId, Person, RelayId, RelayKey};
use wire::mtproto::{Datacentre, Datacentres, ProxyLink, ProxySecret};

const KEYS: u64 = 100_000;
/// How many ports with a hint are open, of 1,024.
const PORTS: usize = 24;
/// How many may be at the door from one address.
const DOOR: usize = 64;
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

const CARRIER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 1, 0, 1));

fn elsewhere(number: u8) -> IpAddr {
    IpAddr::from([127, 2, 0, number])
}

/// A relay with many keys, and the doors of some of their buckets.
struct House {
    key: RelayKey,
    buckets: Buckets,
    relay: Relay,
    /// The ports that lead to a bucket.
    hinted: Vec<SocketAddr>,
    /// One that leads nowhere.
    unhinted: SocketAddr,
    /// Keys whose bucket has an open door.
    people: Vec<KeyId>,
    /// Keys among those that are tried first where there is no hint.
    first: Vec<KeyId>,
}

fn house() -> House {
    let (fleet, id) = (FleetKey::from_bytes([1; 32]), RelayId([2; 16]));
    let key = fleet.relay_key(&id);
    let buckets = Buckets::new(&key, Epoch(1));
    let ids: Vec<KeyId> = (0..KEYS).map(|n| fleet.pseudonym(&id, Person(n))).collect();
    let of = |id: &KeyId| buckets.port(buckets.of(*id));

    let mut ports: Vec<u16> = ids.iter().map(of).collect();
    ports.sort_unstable();
    ports.dedup();
    // Not every port is free on every machine.
    let open = |port: u16| common::listener(&format!("127.0.0.1:{port}")).ok();
    let listeners: Vec<_> = ports.into_iter().filter_map(open).take(PORTS).collect();
    let at = |listener: &std::net::TcpListener| listener.local_addr().expect("an address");
    let hinted: Vec<SocketAddr> = listeners.iter().map(at).collect();
    let has_door = |id: &&KeyId| hinted.iter().any(|at| at.port() == of(id));
    let people = ids.iter().filter(has_door).copied().collect();
    let is_first = |id: &&KeyId| buckets.of(**id).index() < 20;
    let first = ids.iter().filter(is_first).copied().collect();

    // Ephemeral ports lead to no bucket.
    let listener = common::listener("127.0.0.1:0").expect("a port");
    let unhinted = at(&listener);
    let mut datacentres = Datacentres::default();
    datacentres
        .set(Datacentre::Main(2), vec![datacentre::start().to_string().parse().expect("a host")]);
    let limits = Limits { arrivals_per_source: DOOR, ..Limits::default() };
    let settings = Settings {
        course: CourseSettings { datacentres, ..CourseSettings::default() },
        limits,
        ..Settings::default()
    };
    let relay = common::run(&key, settings, move |relay| {
        relay.set_keys(Keys { telegram: &ids, ..Keys::default() });
        listeners.into_iter().chain([listener]).map(|listener| relay.serve(listener)).collect()
    });
    House { key, buckets, relay, hinted, unhinted, people, first }
}

impl House {
    /// Whether somebody is answered at an address; every other one wears fake TLS.
    fn lets_in(&self, id: KeyId, from: IpAddr, to: SocketAddr) -> bool {
        let secret = self.key.secret(Form::Telegram, id, Epoch(1));
        let secret = match id.0[0] % 2 {
            0 => ProxySecret::Padded(secret),
            _ => ProxySecret::FakeTls(secret, "www.example.org".parse().expect("a name")),
        };
        let port = to.port().try_into().expect("a port");
        let link = ProxyLink { server: to.ip().to_string(), port, secret };
        let opening = client::through(&link.tg()).expect("a link").opening();
        visit(from, to, &opening, PATIENCE).is_ok()
    }

    /// Where a key's bucket has its port.
    fn hint(&self, id: KeyId) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.buckets.port(self.buckets.of(id))).into()
    }
}

#[test]
fn who_follows_a_hint_gets_through_whatever_else_comes_from_their_address_and_others_do_not_notice()
{
    let house = house();
    let (known, new) = house.people.split_at(40);
    // Much is tried for an address from which people come.
    assert!(known.iter().all(|id| house.lets_in(*id, CARRIER, house.hint(*id))));

    let flood = Flood::start(CARRIER, house.hinted.clone(), 700).expect("started");
    let deadline = Instant::now() + PATIENCE;
    while house.relay.waits().waiting < DOOR / 4 {
        assert!(Instant::now() < deadline, "garbage waits for its turn");
        thread::sleep(Duration::from_millis(10));
    }
    let (new, others) = new.split_at(300);
    let let_in = new.iter().filter(|id| house.lets_in(**id, CARRIER, house.hint(**id))).count();
    assert!(let_in * 100 >= new.len() * 99, "{let_in} of {} new people", new.len());
    let last = new.last().expect("300");
    assert!(house.lets_in(*last, CARRIER, house.unhinted), "lately seen from there");

    for (number, id) in (1u8..).zip(&others[..100]) {
        assert!(house.lets_in(*id, elsewhere(number), house.hint(*id)), "from elsewhere");
    }
    for (number, id) in (101u8..).zip(&house.first[..20]) {
        assert!(house.lets_in(*id, elsewhere(number), house.unhinted), "in turn, without a hint");
    }
    // One at least for each of them: how many more depends on how soon all had come in.
    assert!(flood.sent() > new.len() as u64, "{} first flights", flood.sent());
}
