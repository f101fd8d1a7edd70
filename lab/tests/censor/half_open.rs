//! Borders on which a connection comes about and then dies.

use lab::censor::{Freeze, HandshakeOnly, NoServerHello, Way};
use lab::website::fetch;
use lab::{Result, Website, country};
use std::net::SocketAddr;

use crate::world::{Heard, World, serve};

/// The "16 KB curtain".
const CURTAIN: usize = 16 << 10;

#[test]
fn of_a_tls_server_nothing_comes_back_and_everything_arrives() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let ear = serve(&world.server, 80, None)?;
        let echo = SocketAddr::new(world.server.v4(), 80);
        let site = Website::https(&world.server, 443, "orchard.example")?;
        let url = "https://orchard.example/";
        assert!(fetch(&world.phone, url, site.address())?.is_ok());
        let _censor = world.censor(NoServerHello::new())?;
        let curl = ["--connect-timeout", "0.5", "--max-time", "0.5", "--connect-to"];
        let to = format!("::{}", site.address());
        let failed = lab::website::curl(&world.phone, &[&curl[..], &[&to, url]].concat())?;
        assert!(failed.is_err_and(|said| said.contains("timed out")));
        // What is no TLS passes; what looks like it is dead, after it arrived.
        assert_eq!(world.tcp(echo, "salem")?, Heard::says("salem"));
        ear.recv().expect("a word").expect("heard");
        let hello = b"\x16\x03\x03\x00\x04\x02\x00\x00\x00";
        assert_eq!(world.tcp_half(echo, hello)?, Heard::Mute);
        assert_eq!(ear.recv().expect("a word"), Ok(hello.to_vec()));
        Ok(())
    })
}

#[test]
fn every_flow_freezes_after_sixteen_kilobytes() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let all = world.echo(443)?;
        let censor = world.censor(Freeze::after(CURTAIN as u64).of(Way::In))?;
        // The next connection has as much again.
        for at in all.into_iter().cycle().take(3) {
            let returned = world.returned(at, 1 << 17, CURTAIN - 1500)?;
            assert!((CURTAIN - 1500..=CURTAIN).contains(&returned), "{returned}");
        }
        assert_eq!(world.volley(all[0], 20, 16)?, 16);
        // Counted both ways, half of it comes back at most.
        censor.replace(0, Freeze::after(CURTAIN as u64))?;
        assert!(world.volley(all[0], 20, 0)? <= 8);
        assert_eq!(world.volley(all[0], 8, 8)?, 8);
        Ok(())
    })
}

#[test]
fn a_server_accepts_and_that_is_all_that_is_heard_of_it() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let ear = serve(&world.server, 443, None)?;
        let all = [world.server.v4(), world.server.v6()].map(|ip| SocketAddr::new(ip, 443));
        let censor = world.censor(HandshakeOnly::new())?;
        for at in all {
            assert_eq!(world.tcp_half(at, "salem")?, Heard::Mute);
            assert_eq!(ear.recv().expect("a word"), Ok(b"salem".to_vec()));
            assert_eq!(world.udp(at, "salem")?, Heard::says("salem"));
        }
        // It does not even hear anything.
        censor.replace(0, HandshakeOnly::new().both_ways())?;
        assert_eq!(world.tcp_half(all[0], "salem")?, Heard::Mute);
        assert!(ear.try_recv().is_err());
        Ok(())
    })
}
