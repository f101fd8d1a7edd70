//! People: they ask, refresh, and say how it went.

use std::net::IpAddr;
use std::num::NonZeroU16;

use data_encoding::BASE64URL_NOPAD;
use wire::bundle::{Bundle, Datagrams, Endpoint, Ports, Sealed};
use wire::derive::{Form, Person};
use wire::echo::BundleId;
use wire::fleet::Posture;
use wire::mtproto::{ProxyLink, ProxySecret};
use wire::tally::Day;

use super::{Clerk, EPOCH, Keys, Refused, RequestKey, State, decoded};
use crate::office::views::Seated;
use crate::office::{DoorId, Event, Relay, Why};

/// The longest name that a door has for somebody, in bytes.
const LONGEST_ID: usize = 256;
/// For how many days a bundle is good; within half of that the same one is given again.
const BUNDLE: i64 = 14;
/// A ticket: whose it is, and a mark that nobody else can make.
const TICKET: usize = 8 + 16;

/// Somebody's way in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handout {
    /// With what they refresh and report.
    pub ticket: String,
    /// The best first. None while they wait for a seat.
    pub links: Vec<ProxyLink>,
    /// Changes when the links do.
    pub version: String,
    /// In how many seconds they are to ask again.
    pub refresh: u32,
}

/// Where a seat leads.
struct Way<'a> {
    relay: &'a Relay,
    keys: &'a Keys,
    port: u16,
}

/// What a refresh brings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refresh {
    /// Nothing new.
    Same,
    /// Something.
    Changed(Handout),
}

impl Keys {
    /// The port of a relay's slot. Where it answers on any, it is the one that passes best, if that is
    /// known; else the one that its volunteer named.
    pub(super) fn port(&self, relay: &Relay, slot: u16, best: impl Fn() -> Option<u16>) -> u16 {
        let own = relay.port_of(slot).and_then(|at| self.ports.get(at)).copied();
        if let Some(port) = own {
            return port;
        }
        // A volunteer's own list of ports stays what it is.
        let has_all = relay.posture == Posture::All && relay.capacity.can_open;
        let best = if has_all { best() } else { None };
        best.unwrap_or(if relay.face.port == 0 { 443 } else { relay.face.port })
    }
}

impl Clerk {
    /// Somebody asks at a door, who has a name for them. Whoever has a seat is given the same again.
    ///
    /// # Errors
    /// When the name is none, the request's key was another person's, there are too many people, or
    /// the hub has stopped.
    pub async fn ask(
        &self,
        door: DoorId,
        id: &str,
        request: RequestKey,
        network: Option<u32>,
    ) -> Result<Handout, Refused> {
        if id.is_empty() || id.len() > LONGEST_ID {
            return Err(Refused::Bad("a person has a name of 1 to 256 bytes"));
        }
        self.asks(door, id.as_bytes(), request, network).await
    }

    /// The same for somebody who has no name: each request's key is another person.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn give(
        &self,
        door: DoorId,
        request: RequestKey,
        network: Option<u32>,
    ) -> Result<Handout, Refused> {
        self.asks(door, &request, request, network).await
    }

    async fn asks(
        &self,
        door: DoorId,
        id: &[u8],
        request: RequestKey,
        network: Option<u32>,
    ) -> Result<Handout, Refused> {
        let network = network.unwrap_or(0);
        let request = self.0.marks.requests.mark(&[&door.0.to_be_bytes(), &request[..]].concat());
        let person = {
            let state = self.state();
            let person = self.person(&state.office, door, id);
            let before = state.office.requested(request);
            if before.is_some_and(|whose| whose != person) {
                return Err(Why::Request.into());
            }
            if let Some(seated) = state.office.person(person)
                && !seated.places.is_empty()
                && !seated.is_stale
                && (network == 0 || seated.network == network)
            {
                if before.is_none() {
                    self.0.visits.note(&seated);
                }
                return Ok(self.handout(&state, person, &seated));
            }
            person
        };
        self.happens(Event::Asked { person, door, request, network }).await?;
        self.now_has(person)
    }

    /// What somebody has by now.
    fn now_has(&self, person: Person) -> Result<Handout, Refused> {
        let state = self.state();
        let seated = state.office.person(person).ok_or(Refused::Ticket)?;
        Ok(self.handout(&state, person, &seated))
    }

    /// Somebody wants to know whether something is new since the version that they have. It waits
    /// for nobody.
    ///
    /// # Errors
    /// When the ticket is none, or they were forgotten.
    pub fn refresh(&self, ticket: &str, known: Option<&str>) -> Result<Refresh, Refused> {
        let person = self.whose(ticket)?;
        let state = self.state();
        let seated = state.office.person(person).ok_or(Refused::Ticket)?;
        if seated.is_stale {
            self.mentions(Event::Heard { person });
        }
        if known.is_some_and(|known| known == self.version(&self.ways(&state, &seated), person)) {
            return Ok(Refresh::Same);
        }
        Ok(Refresh::Changed(self.handout(&state, person, &seated)))
    }

    /// Somebody says whether their seat works. It counts as one voice among those of all who sit
    /// there. Where it does not work they are shown a second link: one, and at most one other a day
    /// after that, since more would be a way to learn the fleet.
    ///
    /// # Errors
    /// When the ticket is none, they were forgotten, or the hub has stopped.
    pub async fn report(&self, ticket: &str, works: bool) -> Result<Handout, Refused> {
        let person = self.whose(ticket)?;
        let has_spare = {
            let state = self.state();
            let seated = state.office.person(person).ok_or(Refused::Ticket)?;
            if !works {
                self.0.visits.note(&seated);
            }
            works || seated.places.len() != 1
        };
        if !has_spare {
            self.happens(Event::Spared { person }).await?;
        }
        self.now_has(person)
    }

    /// A bundle with somebody's own relays: at most two.
    ///
    /// # Errors
    /// When the ticket is none, they have no seat, a relay has too many bundles, or the hub has stopped.
    pub async fn bundle(&self, ticket: &str) -> Result<Sealed, Refused> {
        let person = self.whose(ticket)?;
        let today = Day::at(self.now().seconds());
        // So that whoever asks often has one, and not many.
        let made = Day(today.0 - today.0.rem_euclid(BUNDLE / 2));
        let (bundle, endpoints, cracks) = {
            let state = self.state();
            let seated = state.office.person(person).ok_or(Refused::Ticket)?;
            let relays = seated.places.iter().flat_map(|(relay, _)| relay.id.0);
            let said: Vec<u8> = made.0.to_be_bytes().into_iter().chain(relays).collect();
            let said = [&person.0.to_be_bytes()[..], &said].concat();
            let bundle = BundleId(self.0.marks.bundles.tag(&said));
            let ways = self.ways(&state, &seated);
            let endpoints = ways.iter().map(|way| self.endpoint(way, bundle, person));
            let cracks = state.cracks.all(seated.network, state.office.now());
            (bundle, endpoints.collect::<Vec<_>>(), cracks)
        };
        if endpoints.is_empty() {
            return Err(Refused::Bad("there is no seat yet, and nothing to put into a bundle"));
        }
        let expires = Day(made.0 + BUNDLE);
        self.happens(Event::Bundled { person, bundle, expires }).await?;
        let bundle = Bundle { id: bundle, made, expires, endpoints, cracks };
        let unfit = Refused::Bad("the relays of this seat cannot be put into a bundle");
        bundle.seal(&self.0.signer).map_err(|_| unfit)
    }

    fn endpoint(&self, way: &Way<'_>, bundle: BundleId, person: Person) -> Endpoint {
        let Way { relay, keys, port } = way;
        let (v4, v6) = match relay.address {
            IpAddr::V4(four) => (Some(four), None),
            IpAddr::V6(six) => (None, Some(six)),
        };
        let id = self.0.fleet.pseudonym(&relay.id, person);
        Endpoint {
            v4,
            v6,
            ports: match (relay.posture, NonZeroU16::new(*port)) {
                (Posture::Quiet, Some(port)) => Ports::First(vec![port]),
                _ => Ports::All,
            },
            datagrams: Datagrams::Low,
            echo_key: keys.key.echo_key(bundle),
            mask_key: keys.key.mask_key(),
            secret: Some(keys.key.secret(Form::Telegram, id, EPOCH)),
        }
    }

    /// Whether this is the ticket of somebody who is known.
    #[must_use]
    pub fn knows(&self, ticket: &str) -> bool {
        let is_known = |person| self.state().office.person(person).is_some();
        self.whose(ticket).is_ok_and(is_known)
    }

    /// Whose ticket this is.
    pub(super) fn whose(&self, ticket: &str) -> Result<Person, Refused> {
        let bytes: [u8; TICKET] = decoded(ticket).ok_or(Refused::Ticket)?;
        let (person, mark) = bytes.split_first_chunk::<8>().ok_or(Refused::Ticket)?;
        let right: [u8; 16] = self.0.marks.tickets.tag(person);
        aws_lc_rs::constant_time::verify_slices_are_equal(&right, mark)
            .map_err(|_| Refused::Ticket)?;
        Ok(Person(u64::from_be_bytes(*person)))
    }

    fn ticket(&self, person: Person) -> String {
        let person = person.0.to_be_bytes();
        let mark: [u8; 16] = self.0.marks.tickets.tag(&person);
        BASE64URL_NOPAD.encode(&[&person[..], &mark].concat())
    }

    fn handout(&self, state: &State, person: Person, seated: &Seated<'_>) -> Handout {
        let ways = self.ways(state, seated);
        Handout {
            ticket: self.ticket(person),
            links: ways.iter().filter_map(|way| self.link(way, person)).collect(),
            version: self.version(&ways, person),
            refresh: self.0.settings.refresh,
        }
    }

    /// Where somebody's seats lead.
    fn ways<'a>(&self, state: &'a State, seated: &Seated<'a>) -> Vec<Way<'a>> {
        let best = || state.cracks.port(seated.network, state.office.now());
        let way = |&(relay, slot): &(&'a Relay, u16)| {
            let keys = &**state.keys.get(usize::from(state.office.place(relay.id)?))?;
            Some(Way { relay, keys, port: keys.port(relay, slot, best) })
        };
        seated.places.iter().filter_map(way).collect()
    }

    fn link(&self, way: &Way<'_>, person: Person) -> Option<ProxyLink> {
        let Way { relay, keys, port } = way;
        let id = self.0.fleet.pseudonym(&relay.id, person);
        let secret = keys.key.secret(Form::Telegram, id, EPOCH);
        let secret = match relay.face.name.parse() {
            Ok(name) if !relay.face.name.is_empty() => ProxySecret::FakeTls(secret, name),
            _ => ProxySecret::Padded(secret),
        };
        let port = NonZeroU16::new(*port)?;
        Some(ProxyLink { server: relay.address.to_string(), port, secret })
    }

    /// A mark of all that makes somebody's links: it tells nobody else what they have in common.
    fn version(&self, ways: &[Way<'_>], person: Person) -> String {
        let mut said = Vec::with_capacity(128);
        said.extend(person.0.to_be_bytes());
        for Way { relay, port, .. } in ways {
            said.extend(relay.id.0);
            said.extend(port.to_be_bytes());
            wire::cursor::write_ip(&relay.address, &mut said);
            said.extend(relay.face.name.as_bytes());
        }
        BASE64URL_NOPAD.encode(&self.0.marks.versions.tag::<9>(&said))
    }
}
