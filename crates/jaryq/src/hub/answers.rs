//! What the hub that runs answers to its verbs.

use std::fs::File;
use std::io;
use std::time::Duration;

use anyhow::{Context, bail};
use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use hub::checks::SILENT;
use hub::clerk::{Clerk, Handout, RelayReport, system_clock};
use hub::office::views::{BlockView, PeopleView, RelayView};
use hub::office::{DoorId, INVITE};
use hub::server::PROGRAM;
use tokio::sync::OnceCell;
use wire::bundle::Bundle;
use wire::derive::RelayId;
use wire::fleet::invite::path;
use wire::fleet::{HubAddress, Invite, Pin, Posture, Standing};

use super::talk::{Answers, Ask, Block, Door, Link, People, Program, Relay, Told};
use crate::ledger::unix;

/// What people who were given their links by hand came in by.
const BY_HAND: &str = "(by hand)";

/// Whoever answers.
pub(super) struct Office {
    clerk: Clerk,
    /// Where relays find the hub.
    pub hub: Vec<HubAddress>,
    pin: Pin,
    room: [u8; 16],
    /// This very program, also once its file has been replaced.
    program: File,
    sha256: OnceCell<String>,
}

impl Office {
    pub(super) fn new(
        clerk: Clerk,
        hub: Vec<HubAddress>,
        pin: Pin,
        room: [u8; 16],
        program: File,
    ) -> Self {
        Self { clerk, hub, pin, room, program, sha256: OnceCell::new() }
    }

    /// Below which path relays and doors are heard.
    pub(super) fn path(&self) -> String {
        path(&self.room)
    }

    async fn invite(&self, owner: Option<&str>) -> anyhow::Result<Told> {
        let program = self.program().await?;
        let token = self.clerk.invite(owner).await?;
        let (room, pin, hub) = (self.room, self.pin, self.hub.clone());
        let invite = Invite { token, room, signer: self.clerk.signer(), pin, hub };
        Ok(Told::Invite { invite: invite.text(), until: unix() + INVITE / 1000, program })
    }

    async fn program(&self) -> anyhow::Result<Program> {
        let at = self.hub.first().context("the hub has no address")?;
        let url = format!("https://{at}{}{PROGRAM}", self.path());
        let machine = std::env::consts::ARCH.to_owned();
        Ok(Program { url, sha256: self.sha256().await?, machine })
    }

    async fn sha256(&self) -> anyhow::Result<String> {
        let made = self.sha256.get_or_try_init(async || {
            let mut program = self.program.try_clone()?;
            tokio::task::spawn_blocking(move || hash(&mut program))
                .await
                .map_err(io::Error::other)?
        });
        Ok(made.await.context("cannot read this program")?.clone())
    }

    fn shown(report: &RelayReport) -> Relay {
        let RelayReport { view, heard, health, version, is_at_ports } = report;
        let RelayView { relay, owner, people, .. } = view;
        let now = system_clock()();
        let heard = heard.map(|heard| Duration::from_millis(now.saturating_sub(heard.0)));
        let standing = match (relay.standing, heard) {
            _ if relay.is_gone => "gone",
            _ if relay.is_blocked => "blocked",
            (Standing::Leaving, _) => "left",
            (_, None) => "not heard",
            (_, Some(ago)) if ago > Duration::from_millis(SILENT) => "silent",
            (Standing::Paused, _) => "paused",
            (Standing::Spent, _) => "spent",
            (Standing::Carrying, _) => "carrying",
        };
        Relay {
            id: relay.id.short(),
            owner: owner.clone(),
            address: relay.address.to_string(),
            standing: standing.to_owned(),
            is_vouched: relay.is_vouched,
            is_reached: relay.is_reached,
            ports: relay.posture.name().to_owned(),
            is_at_ports: *is_at_ports,
            people: *people as u64,
            helped: relay.helped,
            connections: health.connections,
            datacentres: health.datacentres,
            carried: health.carried,
            heard: heard.map(|ago| ago.as_secs()),
            version: version.clone(),
        }
    }

    /// The one relay whose id begins so.
    fn relay(&self, begins: &str) -> anyhow::Result<RelayId> {
        let begins = begins.to_ascii_lowercase();
        let relays = self.clerk.relays();
        let mut meant =
            relays.iter().filter(|relay| relay.view.relay.id.long().starts_with(&begins));
        match (meant.next(), meant.next()) {
            (Some(relay), None) => Ok(relay.view.relay.id),
            (None, _) => bail!("no relay's id begins with {begins}; 'jaryq hub relays' lists them"),
            _ => bail!("several relays' ids begin with {begins}: give more of it"),
        }
    }

    fn door(&self, name: Option<&str>) -> anyhow::Result<DoorId> {
        let Some(name) = name else { return Ok(DoorId::OFFICE) };
        let door = self.clerk.door_named(name);
        door.with_context(|| format!("there is no door '{name}'; make it: jaryq hub door {name}"))
    }

    async fn give(&self, door: Option<&str>, network: Option<u32>) -> anyhow::Result<Handout> {
        // Whoever is given nothing by hand is not to wait for it, and take a seat later.
        if !self.clerk.relays().iter().any(|report| report.view.relay.is_working()) {
            bail!(
                "no relay that works has been reached yet: 'jaryq hub relays' shows how they fare, and \
                 'jaryq hub invite' brings one more"
            );
        }
        Ok(self.clerk.give(self.door(door)?, wire::random(), network).await?)
    }

    async fn bundle(&self, door: Option<&str>, network: Option<u32>) -> anyhow::Result<Told> {
        let given = self.give(door, network).await?;
        if given.links.is_empty() {
            bail!("there is no seat for one more at the moment: see 'jaryq hub relays'");
        }
        let sealed = self.clerk.bundle(&given.ticket).await?;
        let text = sealed.text();
        let bundle = Bundle::open(&text, &[self.clerk.signer()], unix())?;
        Ok(Told::Bundle {
            capitals: sealed.capitals(),
            relays: bundle.endpoints.len() as u64,
            until: bundle.expires.start(),
            bundle: text,
        })
    }
}

impl Answers for Office {
    async fn answer(&self, ask: Ask) -> anyhow::Result<Told> {
        let clerk = &self.clerk;
        Ok(match ask {
            Ask::Invite { owner } => self.invite(owner.as_deref()).await?,
            Ask::Vouch { relay, is_vouched } => {
                let relay = self.relay(&relay)?;
                clerk.vouch(relay, is_vouched).await?;
                Told::Vouched { relay: relay.short(), is_vouched }
            }
            Ask::Ports { relay, all } => {
                let relay = relay.map(|relay| self.relay(&relay)).transpose()?;
                let posture = if all { Posture::All } else { Posture::Quiet };
                clerk.posture(relay, posture).await?;
                let relays = if relay.is_some() { 1 } else { clerk.relays().len() as u64 };
                Told::Ports { relays, all }
            }
            Ask::Relays => {
                let relays = clerk.relays();
                Told::Relays { relays: relays.iter().map(Self::shown).collect() }
            }
            Ask::People => {
                let PeopleView { all, waiting, doors } = clerk.people();
                // No door that was made is called so.
                let by_hand =
                    |name: String| if name.is_empty() { BY_HAND.to_owned() } else { name };
                let door = |(name, people)| Door { name: by_hand(name), people: people as u64 };
                let doors = doors.into_iter().map(door).collect();
                let seated = all.saturating_sub(waiting) as u64;
                Told::People(People { seated, waiting: waiting as u64, doors })
            }
            Ask::Blocks => Told::Blocks { blocks: clerk.blocks().into_iter().map(block).collect() },
            Ask::Give { door, network } => {
                let Handout { links, ticket, refresh, .. } =
                    self.give(door.as_deref(), network).await?;
                let links = links.iter().map(|link| Link { tg: link.tg(), https: link.https() });
                Told::Given { links: links.collect(), ticket, refresh }
            }
            Ask::Bundle { door, network } => self.bundle(door.as_deref(), network).await?,
            Ask::Door { name } => {
                let token = clerk.door(&name).await?;
                Told::Door { name, token, path: self.path() }
            }
            Ask::Signer => {
                let key = clerk.signer();
                Told::Signer { key: key.to_string(), words: key.fingerprint().to_string() }
            }
        })
    }
}

fn block(view: BlockView) -> Block {
    let BlockView { moment, endpoints, cause, people, .. } = view;
    Block { at: moment.0 / 1000, cause, endpoints: endpoints as u64, reseated: people as u64 }
}

fn hash(program: &mut File) -> io::Result<String> {
    use std::io::{Read, Seek};
    program.rewind()?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut piece = vec![0; 256 << 10];
    loop {
        match program.read(&mut piece)? {
            0 => return Ok(HEXLOWER.encode(context.finish().as_ref())),
            length => context.update(&piece[..length]),
        }
    }
}
