//! Whatever befalls a relay, those who are connected stay so, and it recovers.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use lab::relay::Form;
use lab::{Blockade, Relay, Result, client, country};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(15);

#[test]
fn without_descriptors_those_inside_go_on_and_when_there_are_some_others_get_in() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).open_files(40).start()?;
        let link = relay.key()?.link(Form::FakeTls)?.to_owned();
        let at = SocketAddr::new(world.server.v4(), 8443);
        let late = link.clone();

        let (inside, got_in) = std::sync::mpsc::channel();
        let (go_on, told) = tokio::sync::oneshot::channel();
        let person = world.phone.start(async move || {
            let mut client = client::through(&link)?.connect().await?;
            client.ping().await?;
            let _ = inside.send(());
            let _ = told.await;
            timeout(LIMIT, client.download(4 << 20)).await?
        })?;
        got_in.recv().expect("the person gets in");

        // It has some twenty files of its own and lets 25 callers wait: more than there are.
        let (leave, leaving) = tokio::sync::oneshot::channel::<()>();
        let crowd = world.phone.start(async move || {
            let mut crowd = Vec::new();
            for _ in 0..60 {
                crowd.push(TcpStream::connect(at).await?);
            }
            let _ = leaving.await;
            Ok(())
        })?;
        let notice = relay.event("notice", LIMIT)?;
        assert_eq!(notice["kind"], "cannot-accept");
        let _ = go_on.send(());
        person.join()?;

        let _ = leave.send(());
        crowd.join()?;
        world.phone.run(async move || {
            let ping = async { client::through(&late)?.connect().await?.ping().await };
            timeout(LIMIT, ping).await?
        })
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
