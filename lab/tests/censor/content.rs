//! Borders that read what passes.

use std::net::{IpAddr, SocketAddr};

use lab::censor::{DnsLie, NoRandom, Sni, Way, looks_random};
use lab::{NameServer, Result, country};
use wire::tls::hello::{X25519, X25519_MLKEM768};
use wire::tls::offer;

use crate::world::{Heard, World};

#[test]
fn a_name_in_a_hello_kills_the_connection_or_saves_it() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let all = world.echo(443)?;
        let censor = world.censor(Sni::block(["telegram.org"]))?;
        let passes = |heard| matches!(heard, Heard::Answer(_));
        // One takes a packet, the other two.
        for group in [X25519, X25519_MLKEM768] {
            let [bad, good, alike] = ["web.telegram.org", "ya.ru", "nottelegram.org"]
                .map(|name| offer::record(name, group));
            for at in all {
                censor.replace(0, Sni::block(["telegram.org"]))?;
                // Of a hello in two packets the first may pass, and its echo return.
                if group == X25519 {
                    assert_eq!(world.tcp_half(at, &bad)?, Heard::Mute);
                }
                assert!(passes(world.tcp(at, &good)?) && passes(world.tcp(at, &alike)?));
                assert_eq!(world.tcp(at, "salem")?, Heard::says("salem"));
                censor.replace(0, Sni::block(["telegram.org"]).reset())?;
                let heard = world.tcp(at, &bad)?;
                assert!(group != X25519 || heard == Heard::Reset);
                assert!(censor.counts()[0].harmed > 0);
                censor.replace(0, Sni::allow(["ya.ru"]).reset())?;
                assert!(passes(world.tcp(at, &good)?));
                assert_eq!(censor.counts()[0].harmed, 0);
                let _ = world.tcp(at, &alike)?;
                assert!(censor.counts()[0].harmed > 0);
            }
        }
        Ok(())
    })
}

#[test]
fn a_lie_about_a_name_comes_before_the_truth() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let names = NameServer::on(&world.server)?;
        let [truth, lie] = ["149.154.167.99", "10.10.34.36"];
        let [truth, lie]: [IpAddr; 2] = [truth, lie].map(|ip| ip.parse().expect("an address"));
        names.say("web.telegram.org", &[truth]);
        names.say("ya.ru", &[truth]);
        let censor = world.censor(DnsLie::about(["telegram.org"], lie))?;
        let ask = |name: &'static str| {
            world.phone.run(async move || {
                let all = tokio::net::lookup_host((name, 443)).await?;
                Ok(all.map(|at| at.ip()).collect::<Vec<_>>())
            })
        };
        assert_eq!(ask("ya.ru")?, [truth]);
        assert_eq!(censor.counts()[0].harmed, 0);
        assert_eq!(ask("web.telegram.org")?, [lie]);
        assert_eq!(censor.counts()[0].harmed, 1);
        // The question arrived all the same.
        let asked = |question: &Vec<u8>| question.windows(8).any(|word| word == b"telegram");
        assert!(names.heard().iter().any(asked));
        assert!(censor.witness().came(Way::In).packets > 0);
        Ok(())
    })
}

#[test]
fn first_words_that_look_like_nothing_do_not_pass() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let all = world.echo(443)?;
        let censor = world.censor(NoRandom::new())?;
        // No byte of it is printable, and half of its bits are set.
        let random: Vec<u8> = [0x8f, 0x1e, 0xa6, 0x93].repeat(50);
        assert!(looks_random(&random));
        let hello = offer::record("ya.ru", X25519);
        let text = [b"salem ", &random[..]].concat();
        for at in all {
            assert_eq!(world.tcp_half(at, &random)?, Heard::Mute);
            for words in [&b"GET / HTTP/1.1"[..], &hello, &text, &[0; 100]] {
                let said = String::from_utf8_lossy(words).into_owned();
                assert_eq!(world.tcp(at, words)?, Heard::Answer(said));
            }
            let said = String::from_utf8_lossy(&random).into_owned();
            assert_eq!(world.udp(at, &random)?, Heard::Answer(said));
        }
        censor.replace(0, NoRandom::new().datagrams())?;
        let at: SocketAddr = all[0];
        assert_eq!(world.udp_briefly(at, &random)?, Heard::Nothing);
        Ok(())
    })
}
