//! Somebody inside finds what still passes, with the real `jaryq reach` and a real relay.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use lab::censor::{BlockPage, Freeze, Only, Packet, Piece, Way};
use lab::relay::program;
use lab::world::shutdowns::{FIVE, january_2022};
use lab::world::{Imposed, Shutdown};
use lab::{Gate, Host, Lab, Provider, Relay, Result, country};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A person at home, a volunteer's relay, on all ports unless another list is given, and its bundle.
struct World {
    landline: Provider,
    laptop: Host,
    _relay: Relay,
    folder: PathBuf,
}

/// What a search said, and whether anything works.
struct Found {
    objects: Vec<Value>,
    errors: String,
    works: bool,
}

impl World {
    fn new(lab: &Lab) -> Result<Self> {
        Self::with_ports(lab, "all")
    }

    /// The relay answers there.
    fn with_ports(lab: &Lab, ports: &str) -> Result<Self> {
        let landline = Provider::on(lab, "landline").start()?;
        let laptop = landline.home("home")?.host("laptop")?;
        let server = lab.host("server", &["116.203.7.7"])?;
        let relay = Relay::on(&server).ports(ports).start()?;
        let folder = laptop.folder()?;
        let file = folder.join("bundle").display().to_string();
        relay.command(&["bundle", "make", "--json", "--output", &file])?;
        Ok(Self { landline, laptop, _relay: relay, folder })
    }

    /// The person's own `jaryq`, with whatever they trust.
    fn jaryq(&self, arguments: &[&str]) -> Result<Found> {
        self.jaryq_until(arguments, |_, _| false)
    }

    /// The same, until it has said this; then somebody presses Ctrl-C. Asked of what is said, and of the
    /// process that said it.
    fn jaryq_until(
        &self,
        arguments: &[&str],
        mut is_enough: impl FnMut(&Value, Pid) -> bool,
    ) -> Result<Found> {
        let mut command = Command::new(program()?);
        command.args(arguments).arg("--json").current_dir(&self.folder);
        command.env("XDG_CONFIG_HOME", &self.folder).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.laptop.spawn(command)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let process = Pid::from_raw(child.id().try_into().expect("a process"));
        let mut objects: Vec<Value> = Vec::new();
        for line in BufReader::new(stdout.expect("piped")).lines() {
            let object: Value = serde_json::from_str(&line?).expect("JSON");
            if is_enough(&object, process) {
                kill(process, Signal::SIGINT).expect("it runs");
            }
            objects.push(object);
        }
        let mut errors = String::new();
        stderr.expect("piped").read_to_string(&mut errors)?;
        Ok(Found { objects, errors, works: child.wait()?.success() })
    }

    fn trust(&self) -> Result {
        let trusted = self.jaryq(&["trust", "bundle", "--yes"])?;
        assert!(trusted.works, "{}", trusted.errors);
        Ok(())
    }

    fn reach(&self, more: &[&str]) -> Result<Found> {
        self.jaryq(&[&["reach", "bundle", "--brief"], more].concat())
    }

    fn cut(&self, shutdown: Shutdown) -> Result<Imposed> {
        shutdown.on(&self.landline)
    }
}

impl Found {
    fn of(&self, event: &str) -> Vec<&Value> {
        self.objects.iter().filter(|object| object["event"] == event).collect()
    }

    fn summary(&self) -> &Value {
        self.of("summary").first().expect("a summary")
    }

    /// Transport and port of each crack, sorted.
    fn cracks(&self) -> Vec<(String, u64)> {
        let cracks = self.summary()["cracks"].as_array().expect("a list");
        let mut cracks: Vec<_> = cracks
            .iter()
            .map(|crack| {
                let transport = crack["transport"].as_str().expect("a transport").to_owned();
                (transport, crack["port"].as_u64().expect("a port"))
            })
            .collect();
        cracks.sort();
        cracks
    }

    /// What was said of a port.
    fn verdicts(&self, transport: &str, port: u16) -> Vec<&Value> {
        let mut all = self.of("candidate");
        all.retain(|seen| seen["transport"] == transport && seen["port"] == port);
        all
    }
}

fn tcp(port: u16) -> (String, u64) {
    ("tcp".to_owned(), port.into())
}

#[test]
fn the_cracks_of_january_2022_are_found_quietly_and_a_receipt_is_where_the_next_one_begins()
-> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let refused = world.reach(&[])?;
        assert!(!refused.works && refused.errors.contains("jaryq trust"), "{}", refused.errors);
        assert!(refused.of("plan").is_empty(), "nothing is said, and nothing is sent");
        world.trust()?;

        let cut = world.cut(january_2022())?;
        let found = world.reach(&["--enough", "2", "--minutes", "1", "--network", "AS9198"])?;
        assert!(found.works, "{:#?}", found.objects);
        let open: Vec<_> = FIVE.map(tcp).into_iter().chain([("udp".to_owned(), 53)]).collect();
        let cracks = found.cracks();
        assert!(cracks.len() >= 2 && cracks.iter().all(|crack| open.contains(crack)), "{cracks:?}");
        assert!(found.summary()["asked"].as_u64() <= Some(40), "{}", found.summary());
        let shown = format!("{:?}", found.objects);
        assert!(!shown.contains("116.203.7.7"), "an address that nobody asked for");

        // Of a hundred ports that lead nowhere, none is asked before those of the receipts.
        let receipts = std::fs::read_to_string(world.folder.join("bundle.receipts"))?;
        assert!(receipts.contains("jaryq-receipt"), "{receipts}");
        let again = world.reach(&["--enough", "1", "--minutes", "1", "--network", "AS9198"])?;
        assert_eq!(again.of("plan")[0]["receipts"].as_u64(), Some(cracks.len() as u64));
        assert!(cracks.contains(&again.cracks()[0]));
        assert!(again.summary()["asked_before_first"].as_u64() <= Some(3), "{}", again.summary());
        drop(cut);

        // A port that works is one that the relay itself has answered at.
        let closed = |packet: &Packet<'_>| packet.port().is_some_and(|port| port != 646);
        let cut = world.cut(Shutdown::new().piece(BlockPage::new().when(closed)))?;
        let afresh = ["--receipts", "none", "--only", "tcp", "--minutes", "1", "--enough", "1"];
        let found = world.reach(&afresh)?;
        assert_eq!(found.cracks(), [tcp(646)], "{}", found.summary());
        assert!(found.summary()["met"]["liar"].as_u64() > Some(0), "{}", found.summary());
        drop(cut);

        // Whatever stops is told by where: within an answer, while much comes, and while much goes.
        for (way, limit, told, kib) in [
            (Way::In, 2 << 10, "down_kib", 1..=2),
            (Way::In, 16 << 10, "down_kib", 10..=16),
            (Way::Out, 16 << 10, "up_kib", 10..=16),
        ] {
            let frozen = Freeze::after(limit).of(way);
            let cut = world.cut(Shutdown::new().piece(Only::tcp([443])).piece(frozen))?;
            let arguments = ["reach", "bundle", "--only", "tcp", "--minutes", "1"];
            let found = world.jaryq_until(&arguments, |said, _| said["verdict"] == "frozen")?;
            drop(cut);
            assert!(!found.works && found.cracks().is_empty(), "{}", found.summary());
            let seen = found.verdicts("tcp", 443)[0];
            let stopped = seen[told].as_u64().expect("how much");
            assert!(seen["verdict"] == "frozen" && kib.contains(&stopped), "{limit}: {seen:#?}");
            assert!(seen["bytes"].as_u64() <= Some(200_000), "{seen:#?}");
        }
        Ok(())
    })
}

#[test]
fn a_relay_with_the_usual_ports_is_met_where_nothing_but_names_passes() -> Result {
    country(|lab| {
        let world = World::with_ports(lab, "quiet")?;
        world.trust()?;
        let cut = world.cut(Shutdown::new().piece(Only::tcp([]).udp([53])))?;
        let found = world.reach(&["--enough", "1", "--minutes", "1"])?;
        assert_eq!(found.cracks(), [("udp".to_owned(), 53)], "{}", found.summary());

        // Where it answers, its bundle says; of other ports nobody knows, unless its machine says no.
        let until = |transport: &str, port: u16| {
            let arguments = ["reach", "bundle", "--only", transport, "--receipts", "none"];
            world.jaryq_until(&[&arguments[..], &["--enough", "0"]].concat(), |said, _| {
                said["event"] == "candidate" && said["port"] == port
            })
        };
        let found = until("tcp", 22)?;
        let told = |port| found.verdicts("tcp", port)[0]["verdict"].as_str();
        assert_eq!([told(443), told(22)], [Some("dropped"), Some("no-response")]);
        drop(cut);
        let found = until("udp", 123)?;
        assert_eq!(found.verdicts("udp", 123)[0]["verdict"], "refused");
        Ok(())
    })
}

#[test]
fn who_searches_as_root_has_nothing_of_it_left_while_it_reads() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        world.trust()?;
        // Past the home's router, which would forget what is so loud.
        let world = World { laptop: world.landline.phone("phone")?, ..world };
        world.landline.set_gate(&Gate::shut().tcp(FIVE))?;
        let arguments = ["reach", "bundle", "--brief", "--loud", "--only", "tcp", "--minutes", "2"];
        let mut seen = None;
        let found = world.jaryq_until(&arguments, |said, process| {
            if said["event"] == "candidate" && seen.is_none() {
                let read = |file| std::fs::read_to_string(format!("/proc/{process}/{file}"));
                seen = Some([read("status").expect("it runs"), read("net/raw").expect("it runs")]);
            }
            false
        })?;
        let [status, raw] = seen.expect("somebody answered");
        let is = |name: &str| -> Vec<&str> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.expect("a line for it").split_whitespace().collect()
        };
        for name in ["Uid:", "Gid:"] {
            assert!(is(name).iter().all(|id| *id != "0"), "{status}");
        }
        assert!(is("Groups:").is_empty() && is("NoNewPrivs:") == ["1"], "{status}");
        for name in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(is(name), ["0000000000000000"], "{name}");
        }
        // What it took from root it still has: a raw socket, and a file for receipts.
        assert_eq!(raw.lines().count(), 2, "{raw}");
        assert_eq!(found.cracks(), FIVE.map(tcp), "{}", found.summary());
        let receipts = std::fs::read_to_string(world.folder.join("bundle.receipts"))?;
        assert!(receipts.contains("jaryq-receipt"), "{receipts}");
        Ok(())
    })
}
