//! A relay takes over new settings while people are connected.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lab::relay::{Form, program};
use lab::{Blockade, Error, Host, Relay, Result, Website, client, country, website};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(15);

/// A file with these settings.
fn settings(host: &Host, text: &str) -> Result<PathBuf> {
    let file = host.folder()?.join("jaryq.toml");
    fs::write(&file, text)?;
    Ok(file)
}

/// The last event of this name, once there are so many.
fn event(relay: &Relay, name: &str, count: usize) -> Result<Value> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        let mut events = relay.events(name);
        if events.len() >= count {
            return Ok(events.pop().unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Error::Unexpected(format!("no {count} events {name}: {:?}", relay.events(name))))
}

#[test]
fn new_settings_hold_at_once_for_newcomers_and_cut_nobody_off() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = Website::https(&world.web, 443, "orchards.example")?;
        let file = settings(&world.server, "ports = 443")?;
        let relay = Relay::on(&world.server).settings(&file).start()?;
        let web = relay.new_web_key()?;
        let link = relay.key()?.link(Form::Padded)?.to_owned();
        let (begun, wait) = mpsc::channel();
        let (go_on, told) = tokio::sync::oneshot::channel();
        let person = world.phone.start(async move || {
            let mut client = client::through(&link)?.connect().await?;
            client.ping().await?;
            let _ = begun.send(());
            let _ = told.await;
            timeout(LIMIT, client.download(4 << 20)).await?
        })?;
        wait.recv().expect("they get in");

        let mut text = "ports = [443, 8443]\nmask = \"orchards.example\"\n".to_owned();
        text += "cleartext_port = 1081\negress_ports = 80\n";
        fs::write(&file, text)?;
        let said = event(&relay, "reloaded", 1)?;
        let changed = serde_json::json!(["mask", "egress_ports", "cleartext_port", "ports"]);
        assert_eq!(said["changed"], changed);
        assert_eq!(said["needs_restart"], serde_json::json!([]));

        // Strangers meet the website, on the new port too; links say so.
        for port in [443, 8443] {
            let at = SocketAddr::new(world.server.v4(), port);
            let page = website::fetch(&world.phone, "https://orchards.example/", at)?;
            assert!(page.is_ok(), "{page:?}");
        }
        let key = relay.key()?;
        let shown = relay.command(&["key", "show", &key.id, "--json"])?;
        assert_eq!(shown[0]["key"]["links"]["best"], "ee");
        // Browsers find the proxy on its new port, and it leads to fewer ports.
        let moved = web.http.replace(":1080", ":1081");
        let _http = Website::http(&world.web, 80, "orchards.example")?;
        let by = |proxy: &str, url: &str| website::fetch_by(&world.phone, proxy, url, &[]);
        assert!(by(&moved, "http://orchards.example/")?.is_ok());
        assert!(by(&moved, "https://orchards.example/")?.is_err());
        assert!(by(&web.http, "http://orchards.example/")?.is_err());

        let _ = go_on.send(());
        person.join()
    })
}

#[test]
fn a_file_that_cannot_be_read_leaves_everything_as_it_was_and_that_is_said() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let file = settings(&world.server, "ports = [443, 8443]")?;
        let mut relay = Relay::on(&world.server).settings(&file).start()?;
        let key = relay.key()?;
        let gets_in = |port| {
            let link = key.link_to(Form::Padded, SocketAddr::new(world.server.v4(), port))?;
            world.phone.run(async move || {
                let ping = async { client::through(&link)?.connect().await?.ping().await };
                timeout(LIMIT, ping).await?
            })
        };
        for (count, broken) in
            ["ports = 443\nmusk = \"a\"", "ports = \"oops\"", "[["].iter().enumerate()
        {
            fs::write(&file, broken)?;
            let said = event(&relay, "notice", count + 1)?;
            let text = said["text"].as_str().unwrap_or_default();
            assert_eq!(said["kind"], "settings");
            assert!(text.contains("stay as they were") && text.contains("jaryq.toml"), "{text}");
            gets_in(8443)?;
        }
        assert!(relay.events("reloaded").is_empty());

        // Asked to read it again, it does, even if it has not changed.
        fs::write(&file, "ports = 443")?;
        assert_eq!(event(&relay, "reloaded", 1)?["changed"], serde_json::json!(["ports"]));
        assert!(gets_in(8443).is_err());
        relay.signal(Signal::SIGHUP)?;
        assert_eq!(event(&relay, "reloaded", 2)?["changed"], serde_json::json!([]));
        gets_in(443)?;
        relay.signal(Signal::SIGTERM)?;
        assert!(relay.ended(LIMIT)?.success());
        Ok(())
    })
}

#[test]
fn what_only_a_new_start_can_change_is_named() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let file = settings(&world.server, "ports = 8443")?;
        // Without BPF ports are a list, and those below 1024 are root's.
        let relay = Relay::on(&world.server).settings(&file).as_user("-all").start()?;
        assert_eq!(relay.ready()["mechanism"], "list");
        fs::write(&file, "ports = [8443, 443, 9443]\nmetrics = 9464")?;
        let said = event(&relay, "reloaded", 1)?;
        assert_eq!(said["changed"], serde_json::json!(["ports"]));
        let why = said["needs_restart"].to_string();
        assert!(why.contains("443 needs root") && !why.contains("9443"), "{why}");
        assert!(why.contains("metrics"), "{why}");
        let link = relay.key()?.link_to(Form::Padded, SocketAddr::new(world.server.v4(), 9443))?;
        world.phone.run(async move || {
            let ping = async { client::through(&link)?.connect().await?.ping().await };
            timeout(LIMIT, ping).await?
        })
    })
}

#[test]
fn a_hang_up_asks_for_new_settings_and_ends_a_relay_whose_terminal_is_gone() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let terminal = posix_openpt(flags).map_err(io::Error::from)?;
        grantpt(&terminal).and_then(|()| unlockpt(&terminal)).map_err(io::Error::from)?;
        let there = ptsname_r(&terminal).map_err(io::Error::from)?;
        let keyboard =
            File::options().read(true).custom_flags(OFlag::O_NOCTTY.bits()).open(there)?;
        let file = settings(&world.server, "ports = 443")?;
        let log = world.server.folder()?.join("log");
        let mut command = Command::new(program()?);
        command.args(["up", "--json", "--config"]).arg(file).arg("--state");
        command.arg(world.server.folder()?.join("state"));
        command.stdin(keyboard).stdout(File::create(&log)?);
        command.stderr(File::options().append(true).open(&log)?);
        let mut relay = world.server.spawn(command)?;
        let process = Pid::from_raw(i32::try_from(relay.id()).expect("a process id"));
        let start = Instant::now();
        let said = |word: &str| -> Result {
            while !fs::read_to_string(&log)?.contains(word) {
                if start.elapsed() > LIMIT {
                    return Err(Error::Unexpected(format!("no {word}")));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        };
        let ended = || -> Result {
            said("\"event\":\"ready\"")?;
            kill(process, Signal::SIGHUP).map_err(io::Error::from)?;
            said("\"event\":\"reloaded\"")?;
            drop(terminal);
            kill(process, Signal::SIGHUP).map_err(io::Error::from)?;
            said("\"event\":\"stopped\"")
        }();
        if ended.is_err() {
            relay.kill()?;
        }
        relay.wait()?;
        ended
    })
}
