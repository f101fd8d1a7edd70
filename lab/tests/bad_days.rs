//! Whatever befalls a relay, those who are connected stay so, and it recovers.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use lab::client::Client;
use lab::relay::Form;
use lab::{Blockade, Error, Host, Relay, Result, Task, Website, client, country};
use nix::sys::signal::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(15);

/// Somebody who is inside before the bad day begins, and goes on when told so.
struct Person {
    task: Task<()>,
    go_on: oneshot::Sender<()>,
}

impl Person {
    fn inside(host: &Host, link: &str) -> Result<Self> {
        let link = link.to_owned();
        let (inside, got_in) = std::sync::mpsc::channel();
        let (go_on, told) = oneshot::channel();
        let task = host.start(async move || {
            let mut client = get_in(&link).await?;
            let _ = inside.send(());
            let _ = told.await;
            timeout(LIMIT, client.download(4 << 20)).await?
        })?;
        got_in.recv().map_err(|_| Error::Unexpected("nobody gets in".to_owned()))?;
        Ok(Self { task, go_on })
    }

    fn goes_on(self) -> Result {
        let _ = self.go_on.send(());
        self.task.join()
    }
}

async fn get_in(link: &str) -> Result<Client> {
    let enter = async {
        let mut client = client::through(link)?.connect().await?;
        client.ping().await.map(|()| client)
    };
    timeout(LIMIT, enter).await?
}

fn gets_in(host: &Host, link: &str) -> Result {
    let link = link.to_owned();
    host.run(async move || get_in(&link).await.map(drop))
}

#[test]
fn without_descriptors_those_inside_go_on_and_when_there_are_some_others_get_in() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).open_files(40).start()?;
        let link = relay.key()?.link(Form::FakeTls)?.to_owned();
        let at = SocketAddr::new(world.server.v4(), 8443);
        let person = Person::inside(&world.phone, &link)?;

        // It has some twenty files of its own and lets 25 callers wait: more than there are.
        let (leave, leaving) = oneshot::channel::<()>();
        let crowd = world.phone.start(async move || {
            let mut crowd = Vec::new();
            for _ in 0..60 {
                crowd.push(TcpStream::connect(at).await?);
            }
            let _ = leaving.await;
            Ok(())
        })?;
        relay.notice("cannot-accept", LIMIT)?;
        person.goes_on()?;

        let _ = leave.send(());
        crowd.join()?;
        gets_in(&world.phone, &link)
    })
}

#[test]
fn in_64_mib_people_get_in_past_five_thousand_half_open_and_two_hundred_who_never_read() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let addresses: Vec<String> = (1..=16).map(|n| format!("5.76.2.{n}")).collect();
        let texts: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let crowd = world.inside.host("crowd", &texts)?;
        let relay = Relay::on(&world.server).memory(64 << 20).start()?;
        let link = relay.key()?.link(Form::Padded)?.to_owned();
        let person = Person::inside(&world.phone, &link)?;

        let (stop, stopping) = oneshot::channel::<()>();
        let (asked, wait) = std::sync::mpsc::channel();
        let idle = link.clone();
        let readers = world.phone.start(async move || {
            let mut clients = Vec::new();
            for _ in 0..200 {
                let mut client = get_in(&idle).await?;
                client.ask(64 << 20).await?;
                clients.push(client);
            }
            let _ = asked.send(());
            let _ = stopping.await;
            Ok(())
        })?;
        wait.recv().map_err(|_| Error::Unexpected("they do not get in".to_owned()))?;

        let at = SocketAddr::new(world.server.v4(), 443);
        let (leave, leaving) = oneshot::channel::<()>();
        let (came, wait) = std::sync::mpsc::channel();
        let from: Vec<IpAddr> = crowd.addresses().to_vec();
        let half_open = crowd.start(async move || {
            let mut all = Vec::new();
            for number in 0..5_000 {
                let socket = TcpSocket::new_v4()?;
                socket.bind(SocketAddr::new(from[number % from.len()], 0))?;
                // One that is turned away is as good as one that waits.
                if let Ok(Ok(stream)) = timeout(LIMIT, socket.connect(at)).await {
                    let _ = stream.try_write(&[0x5a; 40]);
                    all.push(stream);
                }
            }
            let _ = came.send(all.len());
            let _ = leaving.await;
            Ok(())
        })?;
        let came = wait.recv().map_err(|_| Error::Unexpected("no crowd".to_owned()))?;
        assert!(came >= 4_900, "{came} came");
        person.goes_on()?;
        gets_in(&world.phone, &link)?;
        let _ = leave.send(());
        half_open.join()?;
        let _ = stop.send(());
        readers.join()
    })
}

#[test]
fn with_a_full_disk_people_get_in_and_a_key_that_cannot_be_kept_is_not_handed_out() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let disk = world.server.folder()?.join("state");
        std::fs::create_dir(&disk)?;
        let at = disk.to_string_lossy();
        // In the host's own view of the files, with which it goes.
        let on_the_host = |command: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", command]);
            world.server.output(shell)
        };
        on_the_host(&format!("mount -t tmpfs -o size=1m,mode=755 disk {at}"))?;
        let relay = Relay::on(&world.server).state(&disk).start()?;
        let link = relay.key()?.link(Form::FakeTls)?.to_owned();
        let person = Person::inside(&world.phone, &link)?;
        let filled = on_the_host(&format!("dd if=/dev/zero of={at}/ballast bs=4k 2>/dev/null"))?;
        assert!(!filled.status.success(), "the disk is not full");

        let refused = relay.new_key();
        assert!(format!("{refused:?}").contains("full"), "{refused:?}");
        gets_in(&world.phone, &link)?;
        person.goes_on()?;
        on_the_host(&format!("rm {at}/ballast"))?;
        let key = relay.new_key()?;
        sleep(Duration::from_secs(1));
        gets_in(&world.phone, key.link(Form::Padded)?)
    })
}

#[test]
fn a_mask_host_that_is_down_is_told_and_touches_nobody_with_a_key() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let site = Website::nginx(&world.web, 443, "orchards.example")?;
        let relay = Relay::on(&world.server).mask("orchards.example").start()?;
        let link = relay.key()?.link(Form::FakeTls)?.to_owned();
        let person = Person::inside(&world.phone, &link)?;
        drop(site);
        let at = SocketAddr::new(world.server.v4(), 443);
        let meets_nobody = || {
            world.phone.run(async move || {
                let mut stranger = TcpStream::connect(at).await?;
                let _ = stranger.try_write(b"GET / HTTP/1.1\r\n\r\n");
                Ok(!matches!(timeout(LIMIT, stranger.read(&mut [0])).await?, Ok(1..)))
            })
        };
        assert!(meets_nobody()?);
        relay.notice("mask-unreachable", LIMIT)?;
        gets_in(&world.phone, &link)?;
        person.goes_on()?;
        let _site = Website::nginx(&world.web, 443, "orchards.example")?;
        for _ in 0..100 {
            if !meets_nobody()? {
                return gets_in(&world.phone, &link);
            }
            sleep(Duration::from_millis(100));
        }
        panic!("the mask host is back, and strangers do not meet it")
    })
}

#[test]
fn a_clock_that_jumps_costs_new_fake_tls_connections_alone_until_it_is_right_again() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let Some(library) = faketime() else {
            return Err(Error::Missing("no libfaketime (apt install faketime)".to_owned()));
        };
        let clock = world.server.folder()?.join("clock");
        let set = |offset: &str| -> Result {
            std::fs::write(&clock, offset)?;
            // It looks at the file once a second.
            sleep(Duration::from_secs(2));
            Ok(())
        };
        set("+0")?;
        let relay = Relay::on(&world.server)
            .environment("LD_PRELOAD", library)
            .environment("FAKETIME_TIMESTAMP_FILE", &clock.to_string_lossy())
            .environment("FAKETIME_CACHE_DURATION", "1")
            .environment("DONT_FAKE_MONOTONIC", "1")
            .start()?;
        let (dd, ee) = (
            relay.key()?.link(Form::Padded)?.to_owned(),
            relay.key()?.link(Form::FakeTls)?.to_owned(),
        );
        let person = Person::inside(&world.phone, &ee)?;
        gets_in(&world.phone, &dd)?;
        for jump in ["+86400", "-86400"] {
            set(jump)?;
            gets_in(&world.phone, &dd)?;
            let turned_away = {
                let ee = ee.clone();
                let enter =
                    async move || timeout(Duration::from_secs(2), get_in(&ee)).await?.map(drop);
                world.phone.run(enter)
            };
            assert!(turned_away.is_err(), "{jump}: an old hello would be taken for a new one");
            relay.notice("clock-skew", LIMIT)?;
        }
        person.goes_on()?;
        set("+0")?;
        gets_in(&world.phone, &ee)
    })
}

fn faketime() -> Option<&'static str> {
    let all = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    ];
    all.into_iter().find(|path| std::path::Path::new(path).exists())
}

#[test]
fn frozen_and_thawed_it_has_lost_nobody() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let link = relay.key()?.link(Form::FakeTls)?.to_owned();
        let person = Person::inside(&world.phone, &link)?;
        relay.signal(Signal::SIGSTOP)?;
        // Longer than a relay may be silent before its ports are taken for nobody's.
        sleep(Duration::from_secs(7));
        let _ = person.go_on.send(());
        sleep(Duration::from_secs(1));
        relay.signal(Signal::SIGCONT)?;
        person.task.join()?;
        sleep(Duration::from_secs(2));
        gets_in(&world.phone, &link)
    })
}

#[test]
fn nothing_is_done_as_root_once_it_is_ready() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", relay.process()))?;
        let line = |name: &str| {
            let found = status.lines().find_map(|line| line.strip_prefix(name));
            found.map(str::trim).unwrap_or_default().to_owned()
        };
        let user = relay.ready()["user"].to_string();
        assert_ne!(user, "0");
        for ids in [line("Uid:"), line("Gid:")] {
            assert!(ids.split_whitespace().all(|id| id == user), "{ids}");
        }
        assert_eq!(line("Groups:"), "");
        for capabilities in ["CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(line(capabilities), "0000000000000000", "{capabilities}");
        }
        assert_eq!(line("NoNewPrivs:"), "1");

        let mut files = vec![relay.state().to_owned()];
        for entry in std::fs::read_dir(relay.state())? {
            files.push(entry?.path());
        }
        for file in files {
            let found = std::fs::metadata(&file)?;
            assert_eq!(found.uid().to_string(), user, "{}", file.display());
            assert_eq!(found.mode() & 0o077, 0, "{}", file.display());
        }
        Ok(())
    })
}
