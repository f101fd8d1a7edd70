//! A relay gets through to Telegram by whichever address and port still answers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lab::relay::Form;
use lab::{Blockade, Relay, Result, client, country};
use tokio::time::timeout;

/// A little less than TDLib's patience.
const LIMIT: Duration = Duration::from_secs(9);

/// Pings a datacentre through the relay, and gives the address of the only visit that this made.
fn ping(world: &Blockade, relay: &Relay, dc: i16) -> Result<SocketAddr> {
    let link = relay.key()?.link(Form::Padded)?.to_owned();
    let before = world.telegram.visits().len();
    world.phone.run(async move || {
        let ping = async {
            let mut client = client::through(&link)?.datacentre(dc).connect().await?;
            client.ping().await
        };
        timeout(LIMIT, ping).await?
    })?;
    Ok(world.telegram.visits()[before].at)
}

#[test]
fn each_datacentre_is_reached_by_its_own_addresses() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        for (dc, meant) in [(1, 1), (-2, 2), (3, 3), (4, 4), (-5, 5), (203, 203), (10_002, 10_002)]
        {
            let at = ping(&world, &relay, dc)?;
            assert!(world.telegram.endpoints(meant).contains(&at), "{dc} led to {at}");
            let visit = world.telegram.visits().pop().expect("one just came");
            assert_eq!(visit.dc, dc);
            assert!(world.server.addresses().contains(&visit.from.ip()));
        }
        Ok(())
    })
}

#[test]
fn where_a_port_is_refused_the_next_is_tried() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        for at in world.telegram.endpoints(4) {
            if at.port() == 443 {
                world.telegram.refuse(at);
            }
        }
        assert_ne!(ping(&world, &relay, 4)?.port(), 443);
        Ok(())
    })
}

#[test]
fn where_a_family_is_swallowed_the_other_is_tried() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        for (dc, v4_is_swallowed) in [(4, true), (5, false)] {
            let mut endpoints = world.telegram.endpoints(dc);
            endpoints.retain(|at| at.is_ipv4() == v4_is_swallowed && at.port() == 443);
            world.telegram.unplug(endpoints[0].ip())?;
            let at = ping(&world, &relay, dc.cast_signed())?;
            assert_eq!(at.is_ipv6(), v4_is_swallowed);
        }
        Ok(())
    })
}

#[test]
fn where_an_address_accepts_and_says_nothing_the_next_is_tried() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        for at in world.telegram.endpoints(4) {
            if at.is_ipv4() {
                world.telegram.hang(at)?;
            }
        }
        assert!(ping(&world, &relay, 4)?.is_ipv6());
        Ok(())
    })
}

#[test]
fn a_second_address_is_tried_where_the_first_is_swallowed() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let endpoints = world.telegram.endpoints(2);
        let last = IpAddr::from([95, 161, 76, 100]);
        let others: BTreeSet<_> = endpoints.iter().map(SocketAddr::ip).collect();
        for address in others.into_iter().filter(|address| *address != last) {
            world.telegram.unplug(address)?;
        }
        assert_eq!(ping(&world, &relay, 2)?.ip(), last);
        Ok(())
    })
}

#[test]
fn a_datacentre_that_comes_back_is_used_again() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let endpoints = world.telegram.endpoints(3);
        endpoints.iter().for_each(|at| world.telegram.refuse(*at));
        assert!(ping(&world, &relay, 3).is_err());
        for at in endpoints {
            world.telegram.answer(at)?;
        }
        ping(&world, &relay, 3)?;
        Ok(())
    })
}
