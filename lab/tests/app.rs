//! Telegram's own client library opens what a relay prints.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use lab::relay::{Form, forged};
use lab::{Blockade, Host, Relay, Result, Website, country, tdlib};

/// Far below the ten seconds after which TDLib itself gives up.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Every link fails, and no later than [`AT_ONCE`]. One in 455 may do so late, and is tried again:
/// so many first flights, being random, look to a TLS server like the beginning of a longer message.
fn assert_refused_at_once(phone: &Host, links: Vec<String>) -> Result {
    let mut pings = tdlib::ping(phone, links)?;
    pings.retain(|ping| ping.is_ok() || ping.took > AT_ONCE);
    let late = pings.into_iter().map(|ping| ping.link);
    for ping in tdlib::ping(phone, late)? {
        assert!(!ping.is_ok() && ping.took < AT_ONCE, "{ping:?}");
    }
    Ok(())
}

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
fn every_link_works_in_the_app_on_the_port_of_the_relays_own_website() -> Result {
    for name in ["orchards.example", "*.orchards.example"] {
        country(|lab| {
            let world = Blockade::new(lab)?;
            let relay = Relay::on(&world.server).arguments(&["--domain", name]).start()?;
            let key = relay.key()?;
            // The relay asks its website as soon as it is up, for some seconds.
            sleep(Duration::from_secs(7));
            tdlib::ping_all(&world.phone, key.links)
        })?;
    }
    Ok(())
}

#[test]
fn fake_tls_works_in_the_app_as_it_looks_after_its_mask() -> Result {
    for site in [Website::nginx, Website::https] {
        country(|lab| {
            let world = Blockade::new(lab)?;
            let _site = site(&world.web, 443, "orchards.example")?;
            let relay = Relay::on(&world.server).mask("orchards.example").start()?;
            // The relay asks the website as soon as it is up, for some seconds.
            sleep(Duration::from_secs(7));
            let link = relay.key()?.link(Form::FakeTls)?.to_owned();
            tdlib::ping_all(&world.phone, vec![link; 3])
        })?;
    }
    Ok(())
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
        assert_refused_at_once(&world.phone, links)?;
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
        assert_refused_at_once(&world.phone, goes.links)?;
        tdlib::ping_all(&world.phone, stays.links)
    })
}
