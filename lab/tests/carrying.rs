//! Every byte arrives, whatever the client is like, and the relay's memory stays small.

use std::thread::sleep;
use std::time::Duration;

use lab::relay::Form;
use lab::{Blockade, Error, Relay, Result, Website, client, country};
use tokio::task::JoinSet;
use tokio::time::timeout;

const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn bulk_goes_down_and_up_unharmed_in_every_form() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        for form in Form::ALL {
            let link = relay.key()?.link(form)?.to_owned();
            world.phone.run(async move || {
                let transfer = async {
                    let mut client = client::through(&link)?.connect().await?;
                    client.download(16 * MIB + 4).await?;
                    client.upload(16 * MIB + 4).await?;
                    client.ping().await
                };
                timeout(LIMIT, transfer).await?
            })?;
        }
        Ok(())
    })
}

#[test]
fn a_slow_reader_costs_the_relay_no_memory_and_loses_nothing() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        for form in Form::ALL {
            let link = relay.key()?.link(form)?.to_owned();
            let before = relay.memory()?;
            let (asked, wait) = std::sync::mpsc::channel();
            let (go_on, read) = tokio::sync::oneshot::channel();
            let reader = world.phone.start(async move || {
                let mut client = client::through(&link)?.connect().await?;
                client.ask(64 * MIB).await?;
                let _ = asked.send(());
                let _ = read.await;
                timeout(LIMIT, client.receive(64 * MIB)).await?
            })?;
            let _ = wait.recv();
            sleep(Duration::from_secs(2));
            let grown = relay.memory()?.saturating_sub(before);
            let _ = go_on.send(());
            reader.join()?;
            assert!(grown < 8 * MIB, "{form:?}: {grown} bytes more while nothing was read");
        }
        Ok(())
    })
}

#[test]
fn any_segmentation_is_understood_with_a_mask_and_without() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = Website::https(&world.web, 443, "orchards.example")?;
        let bare = Relay::on(&world.server).start()?;
        let masked = Relay::on(&world.server).ports("9443").mask("orchards.example").start()?;
        for (relay, form) in [&bare, &masked].into_iter().flat_map(|r| Form::ALL.map(|f| (r, f))) {
            for piece in [1, 7, 63, 517] {
                let link = relay.key()?.link(form)?.to_owned();
                // Of a hello's 1,800 pieces, each pause is late on a busy machine.
                let pause = Duration::from_millis(match (piece, form) {
                    (1, Form::FakeTls) => 0,
                    (1, _) => 1,
                    _ => 5,
                });
                let attempt = || {
                    let link = link.clone();
                    world.phone.run(async move || {
                        let approach = client::through(&link)?.in_pieces(piece, pause);
                        let ping = async { approach.connect().await?.ping().await };
                        timeout(Duration::from_secs(10), ping).await?
                    })
                };
                // On a busy machine pieces come late, and the mask host's answer comes before them:
                // for the first time.
                let again =
                    |error| if std::ptr::eq(relay, &masked) { attempt() } else { Err(error) };
                attempt().or_else(again).or_else(again)?;
            }
        }
        Ok(())
    })
}

#[test]
fn two_hundred_come_at_once_from_one_address() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let key = relay.key()?;
        let links = Form::ALL.map(|form| key.link(form).map(str::to_owned));
        let links = links.into_iter().collect::<Result<Vec<_>>>()?;
        world.phone.run(async move || {
            let mut all = JoinSet::new();
            for number in 0..200 {
                let link = links[number % links.len()].clone();
                all.spawn(async move {
                    let mut client = client::through(&link)?.connect().await?;
                    client.ping().await?;
                    client.download(64 * 1024).await?;
                    client.upload(64 * 1024).await
                });
            }
            let finish = async {
                while let Some(done) = all.join_next().await {
                    done.expect("no client panics")?;
                }
                Ok::<(), Error>(())
            };
            timeout(LIMIT, finish).await?
        })
    })
}
