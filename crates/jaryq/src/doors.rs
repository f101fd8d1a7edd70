//! The ports on which a relay answers while it runs, and the command that changes them.

use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use ports::{Change, Mode, PortList, Ports, Trouble};
use relay::{Door, Flow, Relay};
use store::Store;

use crate::config::DEFAULT_PORTS;
use crate::face::Face;
use crate::fleet;
use crate::key::open;
use crate::print::Printer;

/// The note by which the command tells the relay.
const NOTE: &str = "ports";
/// How long the command waits until the relay has done it.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a trouble is not told again.
const AGAIN: Duration = Duration::from_secs(60);

/// The note that the buckets' ports were opened once, and are in links since.
const BUCKETS_NOTE: &str = "bucket-ports";

/// The ports, and who accepts on them.
pub(crate) struct Doors {
    pub ports: Ports,
    relay: Relay,
    open: Vec<(u16, Door)>,
    /// The buckets' ports, when they are open; or would be, were they not somebody else's.
    buckets: Vec<u16>,
    /// The last trouble, and when it was told.
    told: Option<(String, Instant)>,
    /// Whether only a new start opens the ports again.
    pub are_lost: bool,
}

/// Where a relay answers.
pub(crate) struct Answers {
    /// On the ports that it was asked for.
    pub usual: ports::Answers,
    /// And on these of its buckets.
    pub buckets: Vec<u16>,
}

impl Doors {
    /// Lets people in.
    pub(crate) fn open(mut ports: Ports, relay: Relay) -> io::Result<Self> {
        let (listeners, datagrams) = (ports.listeners(), ports.datagrams());
        let first = Change { listeners, datagrams, closed: Vec::new() };
        let mut doors = Self {
            ports,
            relay,
            open: Vec::new(),
            buckets: Vec::new(),
            told: None,
            are_lost: false,
        };
        doors.apply(first)?;
        Ok(doors)
    }

    fn apply(&mut self, change: Change) -> io::Result<()> {
        self.open.retain(|(port, _)| !change.closed.contains(port));
        for listener in change.listeners {
            let port = listener.local_addr()?.port();
            self.open.push((port, self.relay.serve(listener)?));
        }
        for datagrams in change.datagrams {
            let port = datagrams.port();
            self.open.push((port, self.relay.serve_datagrams(Heard(datagrams))?));
        }
        Ok(())
    }

    /// Opens the ports of the buckets if there are so many keys that links need them as a hint; tells
    /// whether that is new.
    ///
    /// All of them or none: each key's own would tell a scanner how many keys there are, and when one
    /// was made. And for good, since from then on links carry them.
    pub(crate) async fn open_buckets(
        &mut self,
        store: &Store,
        keys: usize,
        ports: impl Iterator<Item = u16>,
    ) -> anyhow::Result<bool> {
        if !self.buckets.is_empty() {
            return Ok(false);
        }
        if store.note(BUCKETS_NOTE).await?.is_none() {
            if keys <= relay::ALWAYS_TRIED {
                return Ok(false);
            }
            store.set_note(BUCKETS_NOTE, "open").await?;
        }
        self.set_buckets(ports.filter(|port| !DEFAULT_PORTS.contains(port)).collect())?;
        Ok(true)
    }

    /// Opens the ports that seats name, and no other ports of buckets; tells whether that is new.
    pub(crate) fn open_seats(&mut self, mut ports: Vec<u16>) -> anyhow::Result<bool> {
        ports.retain(|port| *port != 0 && !DEFAULT_PORTS.contains(port));
        ports.sort_unstable();
        ports.dedup();
        if ports == self.buckets {
            return Ok(false);
        }
        self.set_buckets(ports)?;
        Ok(true)
    }

    fn set_buckets(&mut self, ports: Vec<u16>) -> anyhow::Result<()> {
        self.buckets = ports;
        let quiet = DEFAULT_PORTS.iter().chain(&self.buckets).copied().collect::<Vec<u16>>();
        let change = self.ports.set_quiet(PortList::from(quiet));
        Ok(self.apply(change)?)
    }

    /// Takes datagrams from now on. Until somebody has a bundle there is nobody to answer, and a port
    /// that takes them in silence differs from a closed one.
    pub(crate) fn hear_datagrams(&mut self) {
        self.ports.hear_datagrams();
    }

    /// Where it answers now.
    pub(crate) fn answers(&mut self) -> Answers {
        let mut usual = self.ports.answers();
        if matches!(self.ports.mode(), Mode::List(_)) {
            return Answers { usual, buckets: Vec::new() };
        }
        let is_usual = |port: u16| DEFAULT_PORTS.contains(&port);
        let buckets = usual.ports.extract_if(.., |port| !is_usual(*port)).collect();
        usual.refused.retain(|refused| is_usual(refused.port()));
        usual.without_udp.retain(|refused| is_usual(refused.port()));
        Answers { usual, buckets }
    }

    /// Does what the command has asked for since the last time; tells whether that changed anything.
    pub(crate) async fn follow(&mut self, store: &Store) -> anyhow::Result<bool> {
        let Some(asked) = store.note(NOTE).await? else { return Ok(false) };
        let mode: Mode = asked.parse()?;
        if mode == *self.ports.mode() {
            return Ok(false);
        }
        let change = self.ports.set_mode(mode);
        self.apply(change)?;
        Ok(true)
    }

    /// Answers elsewhere from now on, as the settings say, whatever a command asked for before.
    pub(crate) async fn set_mode(&mut self, mode: Mode, store: &Store) -> anyhow::Result<()> {
        let change = self.ports.set_mode(mode);
        self.apply(change)?;
        self.note(store).await
    }

    /// To be called once a second: see [`Ports::tend`]. Gives what is to be told: a trouble when it
    /// begins, and then once a minute.
    pub(crate) fn tend(&mut self) -> Option<String> {
        let trouble = self.ports.tend();
        self.are_lost = matches!(trouble, Err(Trouble::KeeperGone));
        let trouble = trouble.err()?.to_string();
        let known = |(told, at): &(String, Instant)| *told == trouble && at.elapsed() < AGAIN;
        if self.told.as_ref().is_some_and(known) {
            return None;
        }
        self.told = Some((trouble.clone(), Instant::now()));
        Some(trouble)
    }

    /// Writes down what was asked for at the start, in place of what an earlier command asked for.
    pub(crate) async fn note(&self, store: &Store) -> anyhow::Result<()> {
        Ok(store.set_note(NOTE, &as_written(self.ports.mode())).await?)
    }
}

/// Datagrams as the relay takes them.
struct Heard(ports::Datagrams);

impl relay::Datagrams for Heard {
    fn socket(&self) -> &UdpSocket {
        self.0.socket()
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Flow)> {
        let (length, ports::Flow { from, to }) = self.0.receive(buffer)?;
        Ok((length, Flow { from, to }))
    }

    fn answer(&self, &Flow { from, to }: &Flow, payload: &[u8]) -> io::Result<()> {
        self.0.answer(&ports::Flow { from, to }, payload)
    }
}

/// A mode as it is read back.
pub(crate) fn as_written(mode: &Mode) -> String {
    mode.to_string().replace(' ', "")
}

/// `jaryq ports`: asks the running relay to answer elsewhere, and waits until it does.
pub(crate) fn change(mode: &Mode, state: &Path, printer: &Printer) -> anyhow::Result<()> {
    let wanted = as_written(mode);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let face = runtime.block_on(async {
        let store = open(state).await?;
        fleet::is_ours_to_say(&store).await?;
        store.set_note(NOTE, &wanted).await?;
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(face) = Face::load(&store).await?
                && face.mode == wanted
            {
                return anyhow::Ok(face);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("no relay has answered; is it running? ('jaryq up --ports {wanted}' starts one)")
    })?;
    if printer.is_json() {
        printer.object(&face.as_event());
        return Ok(());
    }
    printer.line(match (face.all_ports, mode) {
        (true, _) => {
            "Every port that is free answers now. A machine that does can be recognised by \
                      it: go back with 'jaryq ports quiet' when the cut is over."
                .to_owned()
        }
        (false, Mode::All) => format!(
            "This machine cannot answer on all ports (see what 'jaryq up' said at its start); it \
             answers on {}.",
            face.ports_for_people()
        ),
        (false, _) => format!("It answers on {} now.", face.ports_for_people()),
    });
    Ok(())
}

/// Ports for people to read.
pub(crate) fn list(ports: &[u16]) -> String {
    let texts: Vec<String> = ports.iter().map(u16::to_string).collect();
    texts.join(", ")
}
