//! A relay's own life: it stops gently, and a crash loses nothing.

use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;

use lab::relay::{Form, program};
use lab::{Blockade, Relay, Result, client, country};
use nix::sys::signal::Signal;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(15);

#[test]
fn told_to_stop_it_lets_people_finish_and_nobody_in() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let mut relay = Relay::on(&world.server).start()?;
        let link = relay.key()?.link(Form::FakeTls)?.to_owned();
        let (begun, wait) = std::sync::mpsc::channel();
        let (go_on, told) = tokio::sync::oneshot::channel();
        let late = link.clone();
        let person = world.phone.start(async move || {
            let mut client = client::through(&link)?.connect().await?;
            client.ping().await?;
            let _ = begun.send(());
            let _ = told.await;
            timeout(LIMIT, client.download(8 << 20)).await?
        })?;
        wait.recv().expect("the person gets in");
        relay.signal(Signal::SIGTERM)?;
        std::thread::sleep(Duration::from_millis(500));
        let newcomer = world
            .phone
            .run(async move || timeout(LIMIT, client::through(&late)?.connect()).await?);
        assert!(newcomer.is_err(), "somebody was let in after the end");
        let _ = go_on.send(());
        person.join()?;
        let status = relay.ended(LIMIT)?;
        assert!(status.success(), "{status}");
        Ok(())
    })
}

#[test]
fn with_nobody_connected_it_stops_at_once() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let mut relay = Relay::on(&world.server).start()?;
            relay.signal(signal)?;
            let status = relay.ended(Duration::from_secs(3))?;
            assert!(status.success(), "{signal}: {status}");
        }
        Ok(())
    })
}

#[test]
fn killed_and_started_again_it_has_the_same_keys() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let keys = [relay.key()?, relay.new_key()?];
        let relay = relay.crash_and_restart(&Relay::on(&world.server))?;
        for key in keys {
            let link = key.link(Form::Padded)?.to_owned();
            world.phone.run(async move || {
                let ping = async { client::through(&link)?.connect().await?.ping().await };
                timeout(LIMIT, ping).await?
            })?;
        }
        drop(relay);
        Ok(())
    })
}

#[test]
fn a_revoked_keys_open_connections_end_and_the_others_go_on() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let keys = [relay.key()?, relay.new_key()?];
        let links =
            [keys[0].link(Form::Padded)?.to_owned(), keys[1].link(Form::Padded)?.to_owned()];
        // Within a second, a key that was just made is valid.
        std::thread::sleep(Duration::from_secs(1));
        let (begun, wait) = std::sync::mpsc::channel();
        let (go_on, told) = tokio::sync::oneshot::channel();
        let people = world.phone.start(async move || {
            let [leaving, staying] = links;
            let mut leaving = client::through(&leaving)?.connect().await?;
            let mut staying = client::through(&staying)?.connect().await?;
            leaving.ping().await?;
            staying.ping().await?;
            // One more, who has not said anything yet.
            let mut silent = client::through(keys[0].link(Form::FakeTls)?)?.connect().await?;
            let _ = begun.send(keys);
            let _ = told.await;
            timeout(LIMIT, leaving.ended()).await??;
            timeout(LIMIT, silent.ended()).await??;
            timeout(LIMIT, staying.ping()).await?
        })?;
        let keys = wait.recv().expect("they get in");
        relay.revoke(&keys[0])?;
        let _ = go_on.send(());
        people.join()
    })
}

#[test]
fn links_are_not_printed_where_a_log_may_be_kept() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let id = relay.key()?.id;
        let printed = relay.text(&["key", "show", &id])?;
        assert!(printed.contains("terminal") && !printed.contains("secret="), "{printed}");
        Ok(())
    })
}

#[test]
fn a_directory_that_serves_another_purpose_is_not_taken_over() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let folder = world.server.folder()?;
        std::fs::write(folder.join("photo.jpg"), "precious")?;
        let before = std::fs::metadata(&folder)?.uid();
        let state = folder.to_str().expect("a path").to_owned();
        let started = Relay::on(&world.server).arguments(&["--state", &state]).start();
        assert!(format!("{started:?}").contains("other things"), "{started:?}");
        assert_eq!(std::fs::metadata(&folder)?.uid(), before);
        Ok(())
    })
}

#[test]
fn a_command_of_root_does_not_follow_a_link_that_stands_in_for_the_state() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let link = world.server.folder()?.join("link");
        std::os::unix::fs::symlink(relay.state(), &link)?;
        let mut list = Command::new(program()?);
        list.args(["key", "list", "--state"]).arg(link).env_remove("JARYQ_CONFIG");
        let listed = list.output()?;
        let errors = String::from_utf8_lossy(&listed.stderr);
        assert!(errors.contains("cannot open the directory"), "{listed:?}");
        Ok(())
    })
}
