//! First flights, and how long it takes to find their keys.

use std::fmt;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, ensure};
use lab::client;
use wire::derive::{KeyId, Secret};
use wire::mtproto::{ProxyLink, ProxySecret};

use super::house::House;
use crate::figures::within;
use crate::process;

/// A port that leads to no bucket.
const UNHINTED: u16 = 443;

#[derive(Clone, Copy)]
pub(crate) enum Form {
    Plain,
    Padded,
    FakeTls,
}

impl Form {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Padded, Self::FakeTls];
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Padded => "dd",
            Self::FakeTls => "ee",
        })
    }
}

/// People behind one address.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    pub(crate) name: &'static str,
    pub(crate) people: usize,
    ports: Ports,
}

#[derive(Clone, Copy)]
enum Ports {
    /// Each has some to themselves.
    Blocks,
    /// Any.
    Random,
}

pub(crate) const ADDRESSES: [Address; 3] = [
    Address { name: "its household's address", people: 4, ports: Ports::Random },
    Address { name: "its carrier's address, ports in blocks", people: 5_000, ports: Ports::Blocks },
    Address { name: "its carrier's address, ports at random", people: 5_000, ports: Ports::Random },
];

/// How long everybody took.
#[derive(Default)]
pub(crate) struct Times {
    sorted: Vec<Duration>,
    missed: usize,
}

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        let at = self.sorted.partition_point(|other| *other <= time);
        self.sorted.insert(at, time);
    }

    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// What so many of a hundred did not exceed.
    pub(crate) fn within(&self, percent: usize) -> Duration {
        within(&self.sorted, percent).unwrap_or_default()
    }

    pub(crate) fn found_at_once(&self) -> String {
        let all = self.sorted.len() + self.missed;
        format!("{:.1} %", self.sorted.len() as f64 * 100.0 / all as f64)
    }
}

pub(crate) fn opening(secret: Secret, form: Form, name: &str) -> anyhow::Result<Vec<u8>> {
    let secret = match form {
        Form::Plain => ProxySecret::Plain(secret),
        Form::Padded => ProxySecret::Padded(secret),
        Form::FakeTls => ProxySecret::FakeTls(secret, name.parse()?),
    };
    let port = UNHINTED.try_into().context("a port")?;
    let link = ProxyLink { server: Ipv4Addr::LOCALHOST.to_string(), port, secret };
    Ok(client::through(&link.tg())?.opening())
}

/// An address that was not seen before.
fn new_address(number: usize) -> SocketAddr {
    let number = u32::try_from(number).expect("there are fewer people");
    (IpAddr::from((u32::from(Ipv4Addr::new(10, 0, 0, 0)) + number).to_be_bytes()), 50_000).into()
}

pub(crate) fn by_port(house: &House, people: &[KeyId], form: Form) -> anyhow::Result<Times> {
    hinted(house, people, |id| Ok((house.port(id), opening(house.secret(id), form, NAME)?)))
}

pub(crate) fn by_label(house: &House, people: &[KeyId]) -> anyhow::Result<Times> {
    hinted(house, people, |id| {
        let name = format!("{}.{NAME}", house.label(id));
        Ok((UNHINTED, opening(house.secret(id), Form::FakeTls, &name)?))
    })
}

const NAME: &str = "example.org";

fn hinted(
    house: &House,
    people: &[KeyId],
    approach: impl Fn(KeyId) -> anyhow::Result<(u16, Vec<u8>)>,
) -> anyhow::Result<Times> {
    let mut times = Times::default();
    for (number, id) in people.iter().enumerate() {
        let (port, first) = approach(*id)?;
        let peer = new_address(number);
        let start = process::thread_cpu()?;
        let found = house.relay.whose_at_once(peer, port, &first);
        times.add(process::thread_cpu()? - start);
        ensure!(found == Some(*id), "another key was found than the right one");
    }
    Ok(times)
}

/// People come back to where they were seen, without a hint.
pub(crate) fn recent(
    house: &House,
    people: &[KeyId],
    address: Address,
    form: Form,
) -> anyhow::Result<Times> {
    let mut times = Times::default();
    // A form and an address of its own for each.
    let ip = IpAddr::from([11, form as u8, address.ports as u8, people.len().to_le_bytes()[0]]);
    let block = 60_000 / people.len();
    let port_of = |person: usize| match address.ports {
        Ports::Blocks => 2_000 + person * block + random(block.min(64)),
        Ports::Random => 2_000 + random(60_000),
    };
    let peer = |person| SocketAddr::new(ip, u16::try_from(port_of(person)).expect("a port"));
    // Each is seen once, by the port of their bucket.
    for (person, id) in people.iter().enumerate() {
        let first = opening(house.secret(*id), form, NAME)?;
        let found = house.relay.whose_at_once(peer(person), house.port(*id), &first);
        ensure!(found == Some(*id), "nobody was found by the bucket's port");
    }
    // Who comes next: those whose app has begun to connect, by turns, or anybody.
    let bursts = people.len() > 100 && matches!(address.ports, Ports::Random);
    let mut at_it: Vec<(usize, usize)> = Vec::new();
    for _ in 0..3_000 {
        let (person, connection) = if bursts {
            while at_it.len() < 20 {
                at_it.push((random(people.len()), 0));
            }
            let place = random(at_it.len());
            let turn = at_it[place];
            at_it[place].1 += 1;
            if turn.1 == 5 {
                at_it.swap_remove(place);
            }
            turn
        } else {
            (random(people.len()), 1)
        };
        let id = people[person];
        let first = opening(house.secret(id), form, NAME)?;
        // An app's first connection finds its way by a hint or in turn.
        let port = if connection == 0 { house.port(id) } else { UNHINTED };
        let peer = peer(person);
        let start = process::thread_cpu()?;
        let found = house.relay.whose_at_once(peer, port, &first);
        let took = process::thread_cpu()? - start;
        match found {
            _ if connection == 0 => {}
            None => times.missed += 1,
            Some(found) => {
                ensure!(found == id, "another key was found than the right one");
                times.add(took);
            }
        }
    }
    Ok(times)
}

/// Tries all keys on what none of them opens.
pub(crate) fn of_all(house: &House, form: Form) -> anyhow::Result<Times> {
    let mut times = Times::default();
    for _ in 0..20 {
        let first = opening(Secret([0; 16]), form, NAME)?;
        let start = process::thread_cpu()?;
        black_box(house.relay.whose_of_all(&first));
        times.add(process::thread_cpu()? - start);
    }
    Ok(times)
}

/// A number below `bound`.
fn random(bound: usize) -> usize {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    usize::try_from(u64::from_le_bytes(bytes) % bound as u64).expect("below a usize")
}
