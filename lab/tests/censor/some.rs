//! Borders that are there for some only, and at some hours.

use std::time::Duration;

use lab::censor::{Allow, Block, Piece, Transport, Twice};
use lab::{Clock, Result, country};

use crate::world::{Heard, LONG, SHORT, World, tcp};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn some_addresses_may_pass_and_others_not() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let bank = world.inside.host("bank", &["5.76.9.9", "2a00:5da0:9::9"])?;
        let all = world.echo(443)?;
        let censor = world.censor(Allow::inside(bank.addresses().iter().copied()))?;
        for at in all {
            assert_eq!(tcp(&bank, at, b"salem", LONG, LONG)?, Heard::says("salem"));
            assert_eq!(world.tcp_briefly(at, "salem")?, Heard::Nothing);
        }
        censor.replace(0, Allow::outside([all[0].ip()]))?;
        assert_eq!(world.tcp(all[0], "salem")?, Heard::says("salem"));
        assert_eq!(tcp(&bank, all[1], b"salem", SHORT, SHORT)?, Heard::Nothing);
        // One family, or one transport.
        censor.replace(0, Block.when(|packet| packet.outside().is_ipv6()))?;
        assert_eq!(world.tcp(all[0], "salem")?, Heard::says("salem"));
        assert_eq!(world.tcp_briefly(all[1], "salem")?, Heard::Nothing);
        censor.replace(0, Block.when(|packet| packet.transport() == Some(Transport::Udp)))?;
        assert_eq!(world.tcp(all[1], "salem")?, Heard::says("salem"));
        assert_eq!(world.udp_briefly(all[1], "salem")?, Heard::Nothing);
        Ok(())
    })
}

#[test]
fn a_shutdown_begins_and_ends_by_the_clock() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let [at, _] = world.echo(443)?;
        // It stands still until it is set.
        let clock = Clock::faster(0);
        // A curfew at night, and a shutdown with two windows, as in Kazakhstan on 6 and 7 January 2022.
        let curfew = Block.during(&clock, [HOUR * 18..HOUR * 30]);
        let windows = [HOUR * 10..HOUR * 14, HOUR * 26..HOUR * 30];
        let shutdown = Block.except(&clock, windows);
        let is_open = |hour| -> Result {
            clock.set(HOUR * hour);
            assert_eq!(world.udp(at, "salem")?, Heard::says("salem"), "{hour}");
            Ok(())
        };
        let is_shut = |hour| -> Result {
            clock.set(HOUR * hour);
            assert_eq!(world.udp_briefly(at, "salem")?, Heard::Nothing, "{hour}");
            Ok(())
        };
        let censor = world.censor(curfew)?;
        is_open(17)?;
        is_shut(18)?;
        is_shut(29)?;
        is_open(30)?;
        censor.replace(0, shutdown)?;
        is_shut(9)?;
        is_open(10)?;
        is_shut(14)?;
        is_open(26)?;
        is_shut(30)?;
        // An hour in a second.
        let clock = Clock::faster(3600);
        censor.replace(0, Block.except(&clock, [HOUR..HOUR * 24]))?;
        clock.set(HOUR / 2);
        assert_eq!(world.udp_briefly(at, "salem")?, Heard::Nothing);
        clock.wait(HOUR + HOUR / 100);
        assert_eq!(world.udp(at, "salem")?, Heard::says("salem"));
        Ok(())
    })
}

#[test]
fn a_packet_can_come_twice() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let [at, _] = world.echo(443)?;
        let _censor = world.censor(Twice::of(1.0))?;
        // Twice there and twice back.
        assert_eq!(world.volley(at, 5, 20)?, 20);
        assert_eq!(world.returned(at, 100_000, 100_000)?, 100_000);
        Ok(())
    })
}
