//! `jaryq reach` itself, as somebody inside starts it, and what it says that it found.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use lab::{Error, Host, Result};
use serde_json::Value;
use wire::echo::Transport;

use super::rivals::{Spent, children, end};
use super::scene::{NOBODY, Scene};

/// Receipts: of a search, and of the day before.
const FRESH: &str = "receipts";
const KNOWN: &str = "known";
/// It always ends; this is for when it does not.
const PATIENCE: Duration = Duration::from_secs(300);

/// What came of one search.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) spent: Spent,
    /// From the first question until a crack was verified, as it says itself.
    pub(super) first: Option<Duration>,
    /// How many candidates had been asked then.
    pub(super) asked_before: u64,
    /// All that it verified.
    pub(super) cracks: BTreeSet<(Transport, u16)>,
    /// Every object that it printed.
    pub(super) said: Vec<Value>,
}

/// Who searches, and how.
pub(super) struct Searcher<'a> {
    pub(super) scene: &'a Scene,
    pub(super) from: &'a Host,
    /// With root's rights, so that it may send raw packets.
    pub(super) as_root: bool,
    /// Which relay's bundle.
    pub(super) relay: usize,
    /// Whether the relay has answered them before, so that loud is loud at once.
    pub(super) knows: bool,
}

impl Search {
    /// What it says of a candidate.
    pub(super) fn verdicts(&self, transport: Transport, port: u16) -> Vec<String> {
        let is_it = |object: &&Value| {
            object["transport"] == transport.to_string() && object["port"] == port
        };
        let verdict = |object: &Value| object["verdict"].to_string();
        self.said.iter().filter(is_it).map(verdict).collect()
    }
}

impl<'a> Searcher<'a> {
    /// Somebody without privileges, at the provider.
    pub(super) fn of(scene: &'a Scene) -> Self {
        Self { scene, from: &scene.user, as_root: false, relay: 0, knows: false }
    }

    /// The same, whom the relay has answered on another day.
    pub(super) fn again(scene: &'a Scene) -> Self {
        Self { knows: true, ..Self::of(scene) }
    }

    /// The same, with a bundle of their own: a relay answers so many questions of one in ten minutes, lets 64
    /// climb at a time with it, and keeps a datagram's climb for two minutes.
    pub(super) fn afresh(scene: &'a Scene) -> Result<Self> {
        scene.make_bundle(0)?;
        Ok(Self::again(scene))
    }

    /// Lets the relay answer once, and keeps its receipt.
    pub(super) fn introduce(scene: &Scene) -> Result {
        let searcher = Searcher::of(scene);
        searcher.search(&["--enough", "1"])?;
        std::fs::copy(searcher.fresh(), scene.folder.join(KNOWN))?;
        Ok(())
    }

    /// Where this one's receipts go.
    fn fresh(&self) -> PathBuf {
        self.scene.folder.join(format!("{FRESH}-{}", self.from.v4()))
    }

    /// The receipts with which a search begins, in a file of its own.
    fn receipts(&self) -> Result<PathBuf> {
        let (file, known) = (self.fresh(), self.scene.folder.join(KNOWN));
        let receipts = if self.knows { std::fs::read(known)? } else { Vec::new() };
        std::fs::write(&file, receipts)?;
        chown(&file, Some(NOBODY), Some(NOBODY))?;
        Ok(file)
    }

    pub(super) fn search(&self, arguments: &[&str]) -> Result<Search> {
        let Self { scene, from, .. } = self;
        let out = from.folder()?.join("found.jsonl");
        let mut command = scene.as_user();
        if self.as_root {
            command = std::process::Command::new("env");
            command.arg(format!("HOME={}", scene.folder.display()));
            command.arg(format!("XDG_CONFIG_HOME={}", scene.folder.join("config").display()));
        }
        command.arg(&scene.jaryq).arg("reach").arg(scene.bundle(self.relay)).arg("--json");
        command.args(["--brief", "--receipts"]).arg(self.receipts()?);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(Stdio::null());
        let before = children()?;
        let start = Instant::now();
        let mut child = from.spawn(command)?;
        let (ended, peak) = end(&mut child, start + PATIENCE)?;
        let took = start.elapsed();
        let cpu = children()?.saturating_sub(before);
        if !ended {
            return Err(Error::Unexpected("the search did not end".to_owned()));
        }
        read(&out, Spent { took, cpu, peak })
    }
}

fn read(out: &Path, spent: Spent) -> Result<Search> {
    let printed = std::fs::read_to_string(out)?;
    let parse = |line: &str| {
        serde_json::from_str::<Value>(line)
            .map_err(|error| Error::Unexpected(format!("jaryq printed {line}: {error}")))
    };
    let said = printed.lines().map(parse).collect::<Result<Vec<_>>>()?;
    let summary = said.iter().find(|object| object["event"] == "summary");
    let failed = said.iter().find_map(|object| object["error"].as_str());
    let none = || Error::Unexpected(failed.unwrap_or("no summary of a search").to_owned());
    let summary = summary.ok_or_else(none)?;
    let crack = |object: &Value| {
        let transport = object["transport"].as_str()?.parse().ok()?;
        Some((transport, u16::try_from(object["port"].as_u64()?).ok()?))
    };
    let cracks = summary["cracks"].as_array().into_iter().flatten().filter_map(crack).collect();
    Ok(Search {
        spent,
        first: summary["first_ms"].as_u64().map(Duration::from_millis),
        asked_before: summary["asked_before_first"].as_u64().unwrap_or_default(),
        cracks,
        said,
    })
}
