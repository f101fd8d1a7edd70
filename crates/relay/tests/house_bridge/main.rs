//! Telegram's WEB proxy in a relay: an app's session over real TLS, to the lab's Telegram.

mod app;
#[path = "../common/mod.rs"]
#[allow(dead_code)]
mod common;
mod http;
mod world;

use std::time::Duration;

use app::{App, Way};
use http::Http;
use lab::{Result, client, country};
use relay::{Keys, Relay};
use wire::mtproto::Datacentre;
use wire::tally::{Amounts, Protocol};
use wire::webproxy::Token;
use world::{KEYS, World};

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

const MIB: u64 = 1 << 20;

fn carried(relay: &Relay) -> Amounts {
    let cell = (Protocol::TelegramWeb, Some(Datacentre::Main(2)));
    relay.totals().carried.get(&cell).copied().unwrap_or_default()
}

/// Many streams, each of which is answered, and one that carries much both ways.
fn carries(way: Way) -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let door = world.door.clone();
        world.blockade.phone.run(async move || {
            let app = App::open(&door, way, true).await;
            let mut streams = Vec::new();
            for _ in 0..30 {
                let mut stream = client::through(&app.link())?.connect().await?;
                stream.ping().await?;
                streams.push(stream);
            }
            let mut much = client::through(&app.link())?.connect().await?;
            much.download(24 * MIB).await?;
            much.upload(12 * MIB).await?;
            for stream in &mut streams {
                stream.ping().await?;
            }
            let (mut http, bearer) = (Http::one(&door).await, format!("Bearer {}", app.token));
            let headers = [("Authorization", bearer.as_str())];
            for status in [204, 404] {
                let end = http.ask("DELETE", "/api/v1/session", &headers, b"").await;
                assert_eq!(end.expect("an answer").status, status);
            }
            Ok(())
        })?;
        let Amounts { connections, up, down } = carried(&world.relay);
        assert_eq!(connections, 31);
        assert!(up > 12 * MIB && up < 13 * MIB && down > 24 * MIB && down < 25 * MIB);
        let visits = world.blockade.telegram.wait(LIMIT, |visits| visits.iter().all(|v| !v.open));
        assert!(visits, "a session that ends ends its connections");
        Ok(())
    })
}

#[test]
fn a_websocket_carries_many_streams() -> Result {
    carries(Way::Socket)
}

#[test]
fn requests_over_http1_carry_many_streams() -> Result {
    carries(Way::Requests1)
}

#[test]
fn requests_over_http2_carry_many_streams() -> Result {
    carries(Way::Requests2)
}

#[test]
fn whoever_shows_nothing_that_is_valid_is_answered_by_the_site() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let door = world.door.clone();
        world.blockade.phone.run(async move || {
            let strange = Token::generate().written();
            let app = App::open(&door, Way::Requests1, true).await;
            let (bearer, known) = (format!("Bearer {strange}"), format!("Bearer {}", app.token));
            let socket = format!("tproxy-v1.{strange}");
            let json = format!(r#"{{"bridge": "{strange}"}}"#);
            let length = strange.len();
            let cases: [(&str, String, Vec<(&str, &str)>, &[u8]); 9] = [
                ("GET", format!("/?bridge={strange}"), vec![], b""),
                ("GET", format!("/?bridge={}&a", door.capability), vec![], b""),
                ("POST", "/api/v1/session".into(), vec![("authorization", &bearer)], b"x"),
                ("POST", "/api/v1/session".into(), vec![("authorization", &known)], b"x"),
                (
                    "POST",
                    "/api/v1/session".into(),
                    vec![("content-type", "application/json")],
                    json.as_bytes(),
                ),
                (
                    "POST",
                    "/api/v1/up".into(),
                    vec![("authorization", &bearer), ("x-up-seq", "1")],
                    b"x",
                ),
                (
                    "POST",
                    "/api/v1/down".into(),
                    vec![("authorization", &bearer), ("x-down-cursor", "0")],
                    b"",
                ),
                ("DELETE", "/api/v1/session".into(), vec![("authorization", &bearer)], b""),
                (
                    "GET",
                    "/api/v1/ws".into(),
                    vec![
                        ("connection", "upgrade"),
                        ("upgrade", "websocket"),
                        ("sec-websocket-version", "13"),
                        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                        ("sec-websocket-protocol", &socket),
                    ],
                    b"",
                ),
            ];
            for is_two in [false, true] {
                for (method, path, headers, body) in &cases {
                    let mut answers = Vec::new();
                    // As long a path that never means anything, in another connection.
                    let plain = match path.split_once('?') {
                        Some((_, query)) => format!("/?{}", "x".repeat(query.len())),
                        None => format!("/{}", "x".repeat(path.len() - 1)),
                    };
                    let is_upgrade = headers.len() > 3;
                    if is_two && is_upgrade {
                        continue;
                    }
                    for path in [path, &plain] {
                        let mut http =
                            if is_two { Http::two(&door).await } else { Http::one(&door).await };
                        let answer = http.ask(method, path, headers, body).await;
                        answers.push(answer.expect("an answer"));
                    }
                    let [ours, site] = &answers[..] else { panic!("two answers") };
                    assert_eq!(ours.without_date(), site.without_date(), "{method} {path}");
                    assert!(ours.status >= 400 || path.starts_with("/?"), "{ours:?}");
                }
            }
            assert_eq!(length, 43);
            Ok(())
        })
    })
}

/// How much comes to a session of four streams that ask for 64 MiB each; and everybody else goes on.
fn held_back(way: Way, reads: bool, grants: bool) -> Result<(u64, bool)> {
    let mut seen = (0, false);
    country(|lab| {
        let world = World::new(lab)?;
        let (door, other) = (world.door.clone(), world.other_door());
        let relay = world.relay.clone();
        seen = world.blockade.phone.run(async move || {
            let app = App::open(&door, way, grants).await;
            let mut streams = Vec::new();
            for _ in 0..4 {
                let mut stream = client::through(&app.link())?.connect().await?;
                stream.ping().await?;
                streams.push(stream);
            }
            app.reads.send_replace(reads);
            for stream in &mut streams {
                stream.ask(64 * MIB).await?;
            }
            let mut before = None;
            // Until it does not grow any more.
            while before != Some(carried(&relay).down) {
                before = Some(carried(&relay).down);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let down = carried(&relay).down;
            let neighbour = App::open(&other, Way::Socket, true).await;
            let mut stream = client::through(&neighbour.link())?.connect().await?;
            stream.download(16 * MIB).await?;
            app.reads.send_replace(true);
            let goes_on = grants && {
                for stream in &mut streams {
                    stream.receive(64 * MIB).await?;
                }
                true
            };
            Ok((down, goes_on))
        })?;
        Ok(())
    })?;
    Ok(seen)
}

#[test]
fn a_websocket_that_is_not_read_holds_nothing_but_what_its_line_holds() -> Result {
    let (down, goes_on) = held_back(Way::Socket, false, true)?;
    assert!(down < 16 * MIB && goes_on, "{down} bytes");
    Ok(())
}

#[test]
fn requests_that_do_not_come_are_not_prepared_for() -> Result {
    let (down, goes_on) = held_back(Way::Requests2, false, true)?;
    assert!(down < 2 * MIB && goes_on, "{down} bytes");
    Ok(())
}

#[test]
fn a_stream_without_credit_gets_no_more_than_its_window() -> Result {
    let (down, _) = held_back(Way::Socket, true, false)?;
    assert!((16 * MIB - 4096..16 * MIB + 4096).contains(&down), "{down} bytes");
    Ok(())
}

#[test]
fn a_revoked_key_ends_its_sessions_at_once_and_no_others() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let (door, other) = (world.door.clone(), world.other_door());
        let relay = world.relay.clone();
        world.blockade.phone.run(async move || {
            let mut apps = Vec::new();
            for way in [Way::Socket, Way::Requests1, Way::Requests2] {
                let app = App::open(&door, way, true).await;
                let mut stream = client::through(&app.link())?.connect().await?;
                stream.ping().await?;
                apps.push((app, stream));
            }
            let stays = App::open(&other, Way::Socket, true).await;
            let mut stream = client::through(&stays.link())?.connect().await?;
            stream.ping().await?;
            relay.set_keys(Keys { telegram: &KEYS[1..], ..Keys::default() });
            for (app, _) in &mut apps {
                assert!(app.ended(LIMIT).await, "on port {}", app.port);
            }
            stream.ping().await?;
            let mut http = Http::one(&door).await;
            let page = format!("/?bridge={}", door.capability);
            let page = http.ask("GET", &page, &[], b"").await.expect("an answer");
            assert!(!String::from_utf8_lossy(&page.body).contains("bootstrap"));
            Ok(())
        })?;
        let open = |visits: &[lab::telegram::Visit]| visits.iter().filter(|v| v.open).count() <= 1;
        assert!(world.blockade.telegram.wait(LIMIT, open), "their connections end too");
        Ok(())
    })
}

#[test]
fn a_stream_that_another_key_would_open_is_closed() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let (door, other) = (world.door.clone(), world.other_door());
        world.blockade.phone.run(async move || {
            let app = App::open(&door, Way::Socket, true).await;
            let others = App::open(&other, Way::Socket, true).await;
            let (_, secret) = others
                .link()
                .split_once("secret=")
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .expect("one");
            let link = format!("tg://proxy?server=127.0.0.1&port={}&secret={secret}", app.port);
            let mut stream = client::through(&link)?.connect().await?;
            assert!(stream.ping().await.is_err());
            let mut good = client::through(&app.link())?.connect().await?;
            good.ping().await
        })
    })
}
