//! Boxes that answer in a server's place.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lab::censor::{BlockPage, Censor, Delay, MuteAccept, Piece, Redirect, Replay, Reset, Way};
use lab::{Result, country};

use crate::world::{Heard, World, serve};

#[test]
fn a_mute_box_accepts_every_connection_and_the_server_hears_of_none() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let [open, _] = world.echo(179)?;
        let mute = MuteAccept.when(|packet| packet.port() != Some(179));
        let censor = world.censor(mute)?;
        for ip in world.server.addresses() {
            let closed = SocketAddr::new(*ip, 9999);
            assert_eq!(world.tcp_half(closed, "salem")?, Heard::Mute);
        }
        assert_eq!(censor.witness().left(Way::Out).packets, 0);
        assert_eq!(world.tcp(open, "salem")?, Heard::says("salem"));
        Ok(())
    })
}

#[test]
fn a_block_page_answers_on_every_port_from_where_its_box_stands() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let censor = Censor::on(&world.inside)
            .piece(Delay::of(Duration::from_millis(30)))
            .piece(BlockPage::new())
            .start()?;
        let is_page = |heard| match heard {
            Heard::Answer(page) => page.starts_with("HTTP/1.1 403 ") && page.ends_with("</h1>"),
            _ => false,
        };
        for ip in world.server.addresses() {
            for port in [1, 443, 65_535] {
                let start = Instant::now();
                assert!(is_page(world.tcp(SocketAddr::new(*ip, port), "GET / HTTP/1.1\r\n\r\n")?));
                // There and back for the handshake, and again for the page.
                assert!(start.elapsed() >= Duration::from_millis(120));
            }
        }
        // It waits to be asked, or does not.
        let server = (world.server.v4(), 22).into();
        censor.replace(0, Delay::of(Duration::ZERO))?;
        assert_eq!(world.tcp_half(server, "")?, Heard::Mute);
        censor.replace(1, BlockPage::new().at_once())?;
        assert!(is_page(world.tcp(server, "")?));
        assert_eq!(censor.witness().left(Way::Out).packets, 0);
        Ok(())
    })
}

#[test]
fn a_connection_is_reset_when_it_opens_or_at_a_word_for_both_ends() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let ear = serve(&world.server, 80, None)?;
        let all = [world.server.v4(), world.server.v6()].map(|ip| SocketAddr::new(ip, 80));
        let censor = world.censor(Reset::on_syn())?;
        for at in all {
            assert_eq!(world.tcp(at, "salem")?, Heard::Reset);
        }
        assert_eq!(censor.witness().left(Way::Out).packets, 0);

        censor.replace(0, Reset::on_payload(|said| said.starts_with(b"GET /falun")))?;
        for at in all {
            assert_eq!(world.tcp(at, "GET /weather")?, Heard::says("GET /weather"));
            assert_eq!(ear.recv().expect("a word"), Ok(b"GET /weather".to_vec()));
            assert_eq!(world.tcp(at, "GET /falun")?, Heard::Reset);
            let heard = ear.recv().expect("an end");
            assert_eq!(heard, Err(std::io::ErrorKind::ConnectionReset));
        }
        Ok(())
    })
}

#[test]
fn whoever_asks_hears_their_own_words_or_what_the_server_said_before() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let censor = world.censor(Replay::own_words())?;
        let long = "salem ".repeat(200);
        for ip in world.server.addresses() {
            let closed = SocketAddr::new(*ip, 9999);
            assert_eq!(world.udp(closed, &long)?, Heard::says(&long));
            let Heard::Answer(words) = world.tcp(closed, &long)? else {
                panic!("no answer");
            };
            assert!(long.starts_with(&words));
            assert_eq!(world.returned(closed, 20_000, 20_000)?, 20_000);
        }
        assert_eq!(censor.witness().left(Way::Out).packets, 0);

        // A server that repeats what it hears, and is itself repeated.
        let all = world.echo(443)?;
        for at in all {
            censor.replace(0, Replay::recorded())?;
            for ask in [World::tcp, World::udp] {
                assert_eq!(ask(&world, at, "first")?, Heard::says("first"));
                assert_eq!(ask(&world, at, "second")?, Heard::says("first"));
                let closed = SocketAddr::new(at.ip(), 9999);
                assert_eq!(ask(&world, closed, "third")?, Heard::says("first"));
            }
        }
        Ok(())
    })
}

#[test]
fn a_port_leads_to_another_one_or_to_another_server() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let state = lab.host("state", &["5.76.0.53", "2a00:5da0::53"])?;
        let _ = serve(&world.server, 179, Some("179"))?;
        let _ = serve(&world.server, 443, Some("443"))?;
        let _ = serve(&state, 53, Some("the state"))?;
        let censor = Censor::on(&world.inside)
            .piece(Redirect::port(179, 443))
            .piece(Redirect::server(8080, (state.v4(), 53).into()))
            .piece(Redirect::server(8080, (state.v6(), 53).into()))
            .start()?;
        for ip in world.server.addresses() {
            for ask in [World::tcp, World::udp] {
                for (port, said) in [(179, "443"), (443, "443"), (8080, "the state")] {
                    let at = SocketAddr::new(*ip, port);
                    assert_eq!(ask(&world, at, "salem")?, Heard::says(said));
                }
            }
        }
        censor.replace(0, Redirect::port(1, 2))?;
        let honest = (world.server.v4(), 179).into();
        assert_eq!(world.tcp(honest, "salem")?, Heard::says("179"));
        Ok(())
    })
}
