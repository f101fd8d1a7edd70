//! What a relay has been told by its hub, and doing it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use ports::Mode;
use relay::{CourseSettings, Fleet, Keys, Relay};
use serde::{Deserialize, Serialize};
use store::{Membership, Seated, Store};
use tokio::sync::{mpsc, watch};
use wire::echo::BundleId;
use wire::fleet::{Capacity, Face, Order, Posture, SignedOrder, Standing};
use wire::receipt::Witness;

use super::pulse::{Pulse, Report, Signs};
use super::{is_paused, words};
use crate::config::Config;
use crate::house::HouseFlags;
use crate::watch::{Guests, Watch, Who, tell};

/// The share of connections that one person takes: an app for Telegram opens about so many.
const CONNECTIONS_EACH: usize = 4;
/// The note by which the other commands know how things stand.
const NOTE: &str = "fleet";

/// A place in a fleet, while the relay runs.
pub(crate) struct Member {
    pub membership: Membership,
    pub seated: Seated,
    is_paused: bool,
    /// Whose questions are answered.
    bundles: Vec<BundleId>,
    said: Option<Stands>,
    reports: watch::Sender<Report>,
    orders: mpsc::Receiver<(Order, SignedOrder)>,
    signs: Arc<Signs>,
    _pulse: Pulse,
}

/// How things stand, for the other commands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(crate) struct Stands {
    pub is_paused: bool,
    pub standing: String,
    /// Whether the hub answers.
    pub is_heard: bool,
}

impl Stands {
    /// As it was last written, if it ever was.
    pub(super) async fn load(store: &Store) -> anyhow::Result<Option<Self>> {
        Ok(store.note(NOTE).await?.and_then(|text| serde_json::from_str(&text).ok()))
    }
}

/// What is told apart of who sits where.
pub(crate) struct Sitting {
    pub membership: Membership,
    pub seated: Seated,
    pub is_paused: bool,
}

impl Sitting {
    /// What was told before this start.
    pub(crate) async fn of(store: &Store, mut membership: Membership) -> anyhow::Result<Self> {
        // They are in the state.
        membership.order.seats = wire::fleet::Seats::default();
        let (seated, is_paused) = (store.seated().await?, is_paused(store).await?);
        Ok(Self { membership, seated, is_paused })
    }

    /// What it does at the start.
    pub(crate) fn standing(&self) -> Standing {
        if self.is_paused { Standing::Paused } else { Standing::Carrying }
    }

    pub(crate) fn guests(&self) -> Guests<'_> {
        guests(&self.membership.order, &self.seated, !self.is_paused)
    }

    /// Begins to ask the hub.
    pub(crate) fn begin(self, relay: &Relay, about: (Capacity, Face), json: bool) -> Member {
        let standing = self.standing();
        let Self { membership, seated, is_paused } = self;
        let (capacity, face) = about;
        let order = membership.order.number;
        let first = Report { order, seats: seated.revision, standing, capacity, face };
        let (reports, report) = watch::channel(first);
        let (sender, orders) = mpsc::channel(1);
        let signs = Arc::<Signs>::default();
        let pulse = Pulse::begin(&membership, relay, report, sender, Arc::clone(&signs), json);
        Member {
            membership,
            seated,
            is_paused,
            bundles: Vec::new(),
            said: None,
            reports,
            orders,
            signs,
            _pulse: pulse,
        }
    }
}

fn guests<'a>(order: &Order, seated: &'a Seated, are_let_in: bool) -> Guests<'a> {
    Guests { who: Who::Seats(seated, order.epoch), are_let_in }
}

/// What the hub says, as the relay itself needs it.
pub(crate) fn fleet(membership: &Membership) -> Arc<Fleet> {
    let Order { fleet, carries, home, .. } = &membership.order;
    Arc::new(Fleet {
        hub: membership.invite.hub.clone(),
        others: fleet.iter().map(IpAddr::to_canonical).collect(),
        carries: *carries,
        home: home.iter().copied().collect::<HashSet<u32>>(),
    })
}

/// What is said of this machine.
pub(crate) fn about(config: &Config, connections: usize, port: u16) -> (Capacity, Face) {
    let people = u32::try_from(connections / CONNECTIONS_EACH).unwrap_or(u32::MAX);
    let monthly = config.allowance.0.unwrap_or(0);
    let capacity = Capacity { people, monthly, can_open: !matches!(config.mode, Mode::List(_)) };
    let mut addresses = config.addresses.iter().map(ToString::to_string);
    let address = addresses.find(|text| text.parse::<IpAddr>().is_ok()).unwrap_or_default();
    (capacity, Face { address, port, name: name(config) })
}

/// The name in fake TLS links that all people of a relay share.
fn name(config: &Config) -> String {
    let below = |name: &str| format!("www.{name}");
    if let Some(mask) = &config.mask
        && let Some(name) = mask.server_name()
    {
        return if mask.is_wildcard() { below(name.as_str()) } else { name.to_string() };
    }
    let HouseFlags { domain, .. } = &config.house;
    match domain.iter().flatten().next() {
        Some(front::Name::Host(name)) => name.clone(),
        Some(front::Name::Below(name)) => below(name),
        Some(front::Name::Address(_)) | None => String::new(),
    }
}

/// Where a relay is to answer: a volunteer's own list stays what it is.
pub(crate) fn mode(config: &Config, membership: Option<&Membership>) -> Mode {
    match (&config.mode, membership.map(|membership| membership.order.posture)) {
        (Mode::List(_), _) | (_, None) => config.mode.clone(),
        (_, Some(Posture::Quiet)) => Mode::Quiet,
        (_, Some(Posture::All)) => Mode::All,
    }
}

impl Member {
    /// Whether there are bundles whose questions are answered.
    pub(crate) fn has_bundles(&self) -> bool {
        !self.bundles.is_empty()
    }

    pub(crate) fn guests(&self, are_let_in: bool) -> Guests<'_> {
        guests(&self.membership.order, &self.seated, are_let_in)
    }

    fn stands(&self, standing: Standing) -> Stands {
        Stands {
            is_paused: self.is_paused,
            standing: words::of_standing(standing).to_owned(),
            is_heard: self.signs.is_heard(),
        }
    }
}

impl Watch<'_> {
    /// What the relay does at the moment.
    pub(crate) fn standing(&mut self) -> Standing {
        if self.member.is_none() && self.config.allowance.0.is_none() {
            return Standing::Carrying;
        }
        let carried = self.month.carried();
        if let Some(member) = &self.member {
            member.signs.set_carried(carried);
            if member.is_paused {
                return Standing::Paused;
            }
        }
        if self.config.allowance.is_spent(carried) { Standing::Spent } else { Standing::Carrying }
    }

    /// Does what the hub has said since the last time.
    pub(crate) async fn follow_hub(&mut self) -> anyhow::Result<()> {
        while let Some(Ok((order, signed))) = self.member.as_mut().map(|one| one.orders.try_recv())
        {
            self.obey(order, &signed).await?;
        }
        Ok(())
    }

    async fn obey(&mut self, mut order: Order, signed: &SignedOrder) -> anyhow::Result<()> {
        let Some(member) = &mut self.member else { return Ok(()) };
        let seats = std::mem::take(&mut order.seats);
        let fitting = member.seated.fits(&seats).then_some(&seats);
        // First of all: whatever happens now, a new start does it.
        self.store.keep_order(signed, fitting).await?;
        member.seated.follow(&seats);
        let is_other_epoch = member.membership.order.epoch != order.epoch;
        let before = std::mem::replace(&mut member.membership.order, order);
        if is_other_epoch {
            self.identity = self.store.identity().await?;
        }
        let (news, json) = (words::news(&before, &member.membership.order), self.printer.is_json());
        self.do_as_told().await?;
        news.iter().for_each(|text| tell("hub", text, json));
        if json && let Some(member) = &self.member {
            self.printer.object(&words::event(member));
        }
        Ok(())
    }

    /// Does what the last order says, as far as that is not done.
    pub(crate) async fn do_as_told(&mut self) -> anyhow::Result<()> {
        let Some(member) = &mut self.member else { return Ok(()) };
        let order = &member.membership.order;
        if let Some(certificate) = order.certificate.clone()
            && let Ok(witness) = Witness::new(member.membership.key().receipt_key(), certificate)
        {
            self.relay.set_witness(witness);
        }
        if order.bundles != member.bundles {
            member.bundles.clone_from(&order.bundles);
            let (relay, bundles) = (self.relay.clone(), member.bundles.clone());
            tokio::task::spawn_blocking(move || relay.set_bundles(&bundles)).await?;
        }
        let fleet = Some(fleet(&member.membership));
        let mode = mode(&self.config, Some(&member.membership));
        // The epoch goes first: links of the mask's follow from it.
        let news = self.let_in_guests().await?;
        if fleet != self.course.fleet {
            self.course = CourseSettings { fleet, ..self.course.clone() };
            self.relay.change(self.course.clone());
        }
        let is_other_mode = mode != *self.doors.ports.mode();
        if is_other_mode {
            self.doors.set_mode(mode, &self.store).await?;
        }
        if is_other_mode || news.ports {
            let face = self.save_face().await?;
            if self.printer.is_json() {
                self.printer.object(&face.as_event());
            }
        }
        self.report().await
    }

    /// Does what has changed without the hub: a pause, a month's end; tells the hub.
    pub(crate) async fn stand(&mut self) -> anyhow::Result<()> {
        let standing = self.standing();
        if standing != self.stood {
            self.stood = standing;
            self.let_in_guests().await?;
            tell("standing", words::on_standing(standing), self.printer.is_json());
        }
        self.report().await
    }

    /// Follows what the volunteer has said at the command line; whether the relay is still in its fleet.
    pub(crate) async fn follow_volunteer(&mut self) -> anyhow::Result<bool> {
        let Some(member) = &mut self.member else { return Ok(true) };
        if self.store.membership().await?.is_none_or(|it| it.relay != member.membership.relay) {
            self.relay.set_keys(Keys::default());
            tell("left", "this relay has left its fleet", self.printer.is_json());
            return Ok(false);
        }
        member.is_paused = is_paused(&self.store).await?;
        self.stand().await?;
        Ok(true)
    }

    /// Tells the hub, with the next heartbeat, and the other commands.
    async fn report(&mut self) -> anyhow::Result<()> {
        let Some(member) = &mut self.member else { return Ok(()) };
        let answers = self.doors.answers();
        let port = answers.usual.ports.first().copied().unwrap_or(0);
        let (capacity, face) = about(&self.config, self.connections, port);
        let (order, seats) = (member.membership.order.number, member.seated.revision);
        let report = Report { order, seats, standing: self.stood, capacity, face };
        member.reports.send_if_modified(|last| {
            let differs = *last != report;
            *last = report;
            differs
        });
        let stands = member.stands(self.stood);
        if member.said.as_ref() != Some(&stands) {
            self.store.set_note(NOTE, &serde_json::to_string(&stands)?).await?;
            member.said = Some(stands);
        }
        Ok(())
    }
}
