//! What a relay does while it runs, besides carrying: it follows what other processes ask of it, looks
//! after its ports, and says what it has to say.

use std::sync::Arc;
use std::time::Duration;

use front::Front;
use relay::{CourseSettings, Keys, NoticeReceiver, Relay};
use serde_json::json;
use store::{Identity, Key, Seated, Store};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;
use wire::derive::{Buckets, Epoch, Form, KeyId};
use wire::fleet::{Seat, Standing};

use crate::address;
use crate::cleartext::{Cleartext, InClear};
use crate::config::{Address, Config};
use crate::desk::Desk;
use crate::doors::{Answers, Doors, as_written};
use crate::echoes::Echoes;
use crate::face::{Face, HouseFace, LinkMaker, Udp};
use crate::fleet::{Member, Month};
use crate::print::Printer;
use crate::reload::Reload;
use crate::supervisor::Supervisor;

/// How often the relay looks whether keys were made or revoked.
const CHECK: Duration = Duration::from_millis(250);
const TICKS_A_SECOND: u64 = 4;
/// Every how many seconds it looks how much it has carried.
const STAND: u64 = 2;
/// How long it waits for the store, which may be busy with something else on a slow disk.
const BUSY: Duration = Duration::from_secs(1);

/// What changed.
pub(crate) struct News {
    pub in_clear: bool,
    pub ports: bool,
}

/// Does what other processes ask of a relay that runs.
pub(crate) struct Watch<'a> {
    pub store: Store,
    /// The revision of the state that this relay has followed.
    pub seen: i64,
    pub relay: Relay,
    pub cleartext: Cleartext,
    pub doors: Doors,
    pub buckets: Buckets,
    pub config: Config,
    pub reload: Reload<'a>,
    pub printer: &'a Printer,
    pub supervisor: Supervisor,
    /// What links of a relay with a website of its own say, and who tells people what theirs are.
    pub house: Option<(HouseFace, Arc<Desk>)>,
    pub front: Option<Front>,
    pub identity: Identity,
    pub echoes: Echoes,
    /// What the relay itself was told of the settings.
    pub course: CourseSettings,
    /// How many connections it can have at the same time.
    pub connections: usize,
    /// What it has carried in this month.
    pub month: Month,
    /// What it did when that was last looked at.
    pub stood: Standing,
    /// Its place in a fleet, if it has joined one.
    pub member: Option<Member>,
}

/// Who is let in.
pub(crate) struct Guests<'a> {
    pub who: Who<'a>,
    /// Whether they are, at the moment.
    pub are_let_in: bool,
}

pub(crate) enum Who<'a> {
    /// Those with keys of the relay's own.
    Keys(&'a [Key]),
    /// Those whom the hub has given seats, in this epoch.
    Seats(&'a Seated, Epoch),
}

/// What they need.
pub(crate) struct Needs {
    ports: PortsOf,
    cleartext: bool,
}

enum PortsOf {
    /// So many keys, each found where its bucket is.
    Keys(usize),
    Seats(Vec<u16>),
}

/// Has a relay know these guests and no others. In a house, keys for the web open Telegram too, and
/// seats open both.
pub(crate) fn set_keys(relay: &Relay, guests: &Guests<'_>, has_house: bool) -> Needs {
    let let_in = |keys: Keys<'_>| {
        let nobody = Keys { epoch: keys.epoch, ..Keys::default() };
        relay.set_keys(if guests.are_let_in { keys } else { nobody });
    };
    match guests.who {
        Who::Keys(keys) => {
            let (mut telegram, web) = (valid(keys, Form::Telegram), valid(keys, Form::Web));
            if has_house {
                telegram.extend(&web);
            }
            let in_clear: Vec<Key> = keys.iter().filter(|key| key.cleartext).cloned().collect();
            let cleartext = valid(&in_clear, Form::Web);
            let (telegram, cleartext) = (&telegram[..], &cleartext[..]);
            let_in(Keys { telegram, web: &web, cleartext, ..Keys::default() });
            Needs { ports: PortsOf::Keys(telegram.len()), cleartext: !cleartext.is_empty() }
        }
        Who::Seats(seated, epoch) => {
            let seats: Vec<Seat> = seated.seats().collect();
            let web: Vec<KeyId> = match has_house {
                true => seats.iter().map(|seat| seat.key).collect(),
                false => Vec::new(),
            };
            let_in(Keys { epoch: Some(epoch), seats: &seats, web: &web, ..Keys::default() });
            let ports = seats.iter().map(|seat| seat.port).collect();
            Needs { ports: PortsOf::Seats(ports), cleartext: false }
        }
    }
}

impl Watch<'_> {
    /// Looks every [`CHECK`] whether the hub or another process has changed something, and after the
    /// ports every second. Ends when the relay has left its fleet.
    pub(crate) async fn go_on(&mut self) {
        let mut ticks = interval(CHECK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for tick in 0u64.. {
            ticks.tick().await;
            let revision = timeout(BUSY, self.store.revision()).await;
            // Bundles, and keys that were made for them, end with a day; in a fleet, by order.
            let is_over = self.member.is_none() && self.echoes.is_of_yesterday();
            let followed = match revision.unwrap_or(Ok(self.seen)).map_err(Into::into) {
                Ok(revision) if self.seen == revision && !is_over => self.try_again().await,
                Ok(revision) => match self.follow().await {
                    Ok(false) => return,
                    followed => followed.map(|_| self.seen = revision),
                },
                Err(error) => Err(error),
            };
            let followed = match followed {
                Ok(()) => self.follow_hub().await,
                Err(error) => Err(error),
            };
            if let Err(error) = followed {
                tell(
                    "state",
                    &format!("changes cannot be read: {error:#}"),
                    self.printer.is_json(),
                );
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            if let Some(trouble) = self.echoes.tend(&self.store).await {
                tell("state", &trouble, self.printer.is_json());
            }
            if self.has_bundles() {
                self.doors.hear_datagrams();
            }
            if tick.is_multiple_of(TICKS_A_SECOND) {
                self.reload_if_due().await;
            }
            if tick.is_multiple_of(TICKS_A_SECOND * STAND)
                && let Err(error) = self.stand().await
            {
                tell("state", &format!("{error:#}"), self.printer.is_json());
            }
            if tick.is_multiple_of(TICKS_A_SECOND)
                && let Some(trouble) = self.doors.tend()
            {
                tell("ports", &trouble, self.printer.is_json());
            }
            // Without ports, a service manager is to start it again.
            if tick.is_multiple_of(TICKS_A_SECOND) && !self.doors.are_lost {
                self.supervisor.alive();
            }
        }
    }

    /// Whether somebody has a bundle.
    pub(crate) fn has_bundles(&self) -> bool {
        self.echoes.has_bundles() || self.member.as_ref().is_some_and(Member::has_bundles)
    }

    /// Lets those in who may, and nobody else.
    pub(crate) async fn let_in_guests(&mut self) -> anyhow::Result<News> {
        if self.member.is_some() {
            self.let_in(&[]).await
        } else {
            let keys = self.store.keys().await?;
            self.let_in(&keys).await
        }
    }

    /// Lets these keys in and no others, and opens or closes the ports that they need; tells what
    /// came of that. In a fleet, it is those with seats.
    async fn let_in(&mut self, keys: &[Key]) -> anyhow::Result<News> {
        let are_let_in = self.stood == Standing::Carrying;
        let guests = match &self.member {
            Some(member) => member.guests(are_let_in),
            None => Guests { who: Who::Keys(keys), are_let_in },
        };
        let needs = set_keys(&self.relay, &guests, self.house.is_some());
        self.open_for(needs).await
    }

    /// Opens or closes the ports that somebody needs; tells what came of that.
    pub(crate) async fn open_for(&mut self, needs: Needs) -> anyhow::Result<News> {
        let in_clear = self.cleartext.want(needs.cleartext);
        let not_ours = self.config.cleartext_port.0;
        let is_ours = |port: &u16| *port != not_ours;
        let ports = match needs.ports {
            PortsOf::Keys(count) => {
                let ports = self.buckets.ports().iter().copied().filter(is_ours);
                self.doors.open_buckets(&self.store, count, ports).await?
            }
            PortsOf::Seats(ports) => {
                self.doors.open_seats(ports.into_iter().filter(is_ours).collect())?
            }
        };
        Ok(News { in_clear, ports })
    }

    /// Whether the relay is to go on.
    async fn follow(&mut self) -> anyhow::Result<bool> {
        if self.member.is_some() {
            return self.follow_volunteer().await;
        }
        // First of all: it ends whose keys were revoked.
        let keys = self.store.keys().await?;
        let News { in_clear, ports } = self.let_in(&keys).await?;
        self.echoes.follow();
        if in_clear && let InClear::Refused(why) = self.cleartext.stands() {
            tell("cleartext-port", why, self.printer.is_json());
        }
        let ports = self.doors.follow(&self.store).await? || ports;
        if in_clear || ports {
            let face = self.save_face().await?;
            if ports && self.printer.is_json() {
                self.printer.object(&face.as_event());
            }
        }
        self.inform_desk(&keys).await?;
        Ok(true)
    }

    /// What could not be had may be free by now, or have come.
    async fn try_again(&mut self) -> anyhow::Result<()> {
        let awaits = self.front.as_ref().is_some_and(Front::awaits_certificate);
        let has_come = match &mut self.house {
            Some((face, _)) => std::mem::replace(&mut face.awaited, awaits) && !awaits,
            None => false,
        };
        if self.cleartext.try_again() || has_come {
            self.save_face().await?;
        }
        Ok(())
    }

    pub(crate) async fn save_face(&mut self) -> anyhow::Result<Face> {
        let answers = self.doors.answers();
        let face = self.face(&answers);
        face.save(&self.store).await?;
        Ok(face)
    }

    /// Tells the desk whom there is and what their links are.
    pub(crate) async fn inform_desk(&mut self, keys: &[Key]) -> anyhow::Result<()> {
        let answers = self.doors.answers();
        let Some((_, desk)) = &self.house else { return Ok(()) };
        desk.know(LinkMaker::new(self.face(&answers), &self.identity)?, keys).await
    }

    /// What the world sees of this relay now.
    fn face(&self, answers: &Answers) -> Face {
        Face {
            addresses: addresses(&self.config),
            ports: answers.usual.ports.clone(),
            bucket_ports: answers.buckets.clone(),
            all_ports: answers.usual.all,
            udp: Udp::of(&self.doors.ports, &answers.usual),
            mode: as_written(self.doors.ports.mode()),
            mask: self.config.mask.as_ref().map(ToString::to_string),
            cleartext_port: self.config.cleartext_port.0,
            in_clear: self.cleartext.stands().clone(),
            process: std::process::id(),
            house: self.house.as_ref().map(|(face, _)| face.clone()),
        }
    }
}

/// The valid keys that open this.
fn valid(keys: &[Key], form: Form) -> Vec<KeyId> {
    let valid = keys.iter().filter(|key| key.revoked.is_none() && key.form == form);
    valid.map(|key| key.id).collect()
}

/// This server's addresses, the one for the links first.
pub(crate) fn addresses(config: &Config) -> Vec<String> {
    let mut addresses = config.addresses.clone();
    if addresses.is_empty() {
        addresses = address::own().into_iter().map(Address::from).collect();
    }
    if addresses.is_empty() {
        addresses.push(Address::from(std::net::IpAddr::from([127, 0, 0, 1])));
    }
    addresses.iter().map(Address::to_string).collect()
}

/// Tells the volunteer what the relay has to tell.
pub(crate) async fn pass_on(mut notices: NoticeReceiver, json: bool) {
    while let Some(notice) = notices.recv().await {
        tell(notice.kind(), &notice.to_string(), json);
    }
}

pub(crate) fn tell(kind: &str, text: &str, json: bool) {
    warn!("{text}");
    if json {
        Printer::new(json).object(&json!({ "event": "notice", "kind": kind, "text": text }));
    }
}
