//! Telegram's own client library opens what a relay prints.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use lab::relay::{Form, forged};
use lab::{Blockade, Relay, Result, Website, country, tdlib};

/// Far below the ten seconds after which TDLib itself gives up.
const AT_ONCE: Duration = Duration::from_secs(3);

#[test]
fn every_link_works_in_the_app_as_it_was_printed() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let key = relay.key()?;
        for form in Form::ALL {
            key.link(form)?;
        }
        tdlib::ping_all(&world.phone, key.links)
    })
}

#[test]
fn every_link_works_in_the_app_as_it_was_printed_behind_a_mask() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = Website::https(&world.web, 443, "orchards.example")?;
        let relay = Relay::on(&world.server).mask("orchards.example").start()?;
        let key = relay.key()?;
        for form in Form::ALL {
            key.link(form)?;
        }
        tdlib::ping_all(&world.phone, key.links)
    })
}

#[test]
fn every_form_works_in_the_app_on_every_port_and_by_both_families() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).ports("443,8443").start()?;
        let key = relay.key()?;
        let mut links = Vec::new();
        for address in world.server.addresses() {
            for port in [443, 8443] {
                for form in Form::ALL {
                    links.push(key.link_to(form, SocketAddr::new(*address, port))?);
                }
            }
        }
        tdlib::ping_all(&world.phone, links)
    })
}

#[test]
fn behind_a_mask_a_wrong_secret_is_refused_at_once() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = Website::https(&world.web, 443, "orchards.example")?;
        let relay = Relay::on(&world.server).mask("orchards.example").start()?;
        let key = relay.key()?;
        let links = Form::ALL.map(|form| forged(key.link(form)?));
        let links = links.into_iter().collect::<Result<Vec<_>>>()?;
        for ping in tdlib::ping(&world.phone, links)? {
            assert!(!ping.is_ok() && ping.took < AT_ONCE, "{ping:?}");
        }
        Ok(())
    })
}

#[test]
fn a_key_that_is_made_while_the_relay_runs_works_within_a_second() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let key = relay.new_key()?;
        sleep(Duration::from_secs(1));
        tdlib::ping_all(&world.phone, key.links)
    })
}

#[test]
fn a_key_that_was_revoked_is_refused_at_once_and_the_others_go_on() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = Website::https(&world.web, 443, "orchards.example")?;
        let relay = Relay::on(&world.server).mask("orchards.example").start()?;
        let (stays, goes) = (relay.key()?, relay.new_key()?);
        sleep(Duration::from_secs(1));
        tdlib::ping_all(&world.phone, &goes.links)?;
        relay.revoke(&goes)?;
        sleep(Duration::from_secs(1));
        for ping in tdlib::ping(&world.phone, &goes.links)? {
            assert!(!ping.is_ok() && ping.took < AT_ONCE, "{ping:?}");
        }
        tdlib::ping_all(&world.phone, stays.links)
    })
}
