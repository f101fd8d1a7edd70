//! What a relay does while it runs, besides carrying: it follows what other processes ask of it, looks
//! after its ports, and says what it has to say.

use std::sync::Arc;
use std::time::Duration;

use front::Front;
use relay::{Keys, NoticeReceiver, Relay};
use serde_json::json;
use store::{Identity, Key, Store};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;
use wire::derive::{Buckets, Form, KeyId};

use crate::address;
use crate::cleartext::{Cleartext, InClear};
use crate::config::{Address, Config};
use crate::desk::Desk;
use crate::doors::{Answers, Doors, as_written};
use crate::echoes::Echoes;
use crate::face::{Face, HouseFace, LinkMaker};
use crate::print::Printer;
use crate::reload::Reload;
use crate::supervisor::Supervisor;

/// How often the relay looks whether keys were made or revoked.
const CHECK: Duration = Duration::from_millis(250);
const TICKS_A_SECOND: u64 = 4;
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
}

/// The valid keys, by what they open.
pub(crate) struct Valid {
    telegram: Vec<KeyId>,
    cleartext: Vec<KeyId>,
}

/// Has a relay know these keys and no others. In a house, those for the web open Telegram too.
pub(crate) fn set_keys(relay: &Relay, keys: &[Key], has_house: bool) -> Valid {
    let (mut telegram, web) = (valid(keys, Form::Telegram), valid(keys, Form::Web));
    if has_house {
        telegram.extend(&web);
    }
    let in_clear: Vec<Key> = keys.iter().filter(|key| key.cleartext).cloned().collect();
    let cleartext = valid(&in_clear, Form::Web);
    relay.set_keys(Keys { telegram: &telegram, web: &web, cleartext: &cleartext });
    Valid { telegram, cleartext }
}

impl Watch<'_> {
    /// Looks every [`CHECK`] whether another process has changed something, and after the ports
    /// every second.
    pub(crate) async fn go_on(&mut self) {
        let mut ticks = interval(CHECK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for tick in 0u64.. {
            ticks.tick().await;
            let revision = timeout(BUSY, self.store.revision()).await;
            let followed = match revision.unwrap_or(Ok(self.seen)).map_err(Into::into) {
                Ok(revision) if self.seen == revision => self.try_again().await,
                Ok(revision) => self.follow().await.map(|()| self.seen = revision),
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
            if tick.is_multiple_of(TICKS_A_SECOND) {
                self.reload_if_due().await;
                if self.echoes.is_of_yesterday() {
                    // Bundles end with a day.
                    self.follow_bundles().await;
                }
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

    /// Lets these keys in and no others, and opens or closes the ports that they need; tells what
    /// came of that.
    pub(crate) async fn let_in(&mut self, keys: &[Key]) -> anyhow::Result<News> {
        let valid = set_keys(&self.relay, keys, self.house.is_some());
        self.open_for(&valid).await
    }

    /// Opens or closes the ports that these keys need; tells what came of that.
    pub(crate) async fn open_for(&mut self, valid: &Valid) -> anyhow::Result<News> {
        let Valid { telegram, cleartext } = valid;
        let in_clear = self.cleartext.want(!cleartext.is_empty());
        let not_ours = self.config.cleartext_port.0;
        let ports = self.buckets.ports().iter().copied().filter(|port| *port != not_ours);
        let ports = self.doors.open_buckets(&self.store, telegram.len(), ports).await?;
        Ok(News { in_clear, ports })
    }

    /// Answers the bundles that are good, and datagrams once there is one. What is wrong with bundles
    /// keeps no key from being revoked.
    async fn follow_bundles(&mut self) {
        if let Err(error) = self.echoes.follow(&self.store).await {
            tell("state", &format!("bundles cannot be read: {error:#}"), self.printer.is_json());
        }
        if self.echoes.has_bundles() {
            self.doors.hear_datagrams();
        }
    }

    async fn follow(&mut self) -> anyhow::Result<()> {
        let keys = self.store.keys().await?;
        let News { in_clear, ports } = self.let_in(&keys).await?;
        self.follow_bundles().await;
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
        self.inform_desk(&keys).await
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
