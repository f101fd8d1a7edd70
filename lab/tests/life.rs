//! A relay's own life: it stops gently, and a crash loses nothing.

use std::time::Duration;

use lab::relay::Form;
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
        let relay = relay.crash_and_restart(Relay::on(&world.server))?;
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
