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
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use wire::mtproto::Datacentre;
use wire::tally::{Amounts, Protocol};
use wire::webproxy::Token;
use wire::webproxy::frame::{Kind, StreamId, put};
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

/// A request that shows nothing valid.
struct Stranger<'a> {
    method: &'a str,
    path: String,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
}

impl<'a> Stranger<'a> {
    fn new(method: &'a str, path: &str, headers: &[(&'a str, &'a str)], body: &'a [u8]) -> Self {
        Self { method, path: path.to_owned(), headers: headers.to_vec(), body }
    }

    /// Where nobody ever finds anything, in as many letters.
    fn nowhere(&self) -> String {
        match self.path.split_once('?') {
            Some((_, query)) => format!("/?{}", "x".repeat(query.len())),
            None => format!("/{}", "x".repeat(self.path.len() - 1)),
        }
    }
}

#[test]
fn whoever_shows_nothing_that_is_valid_is_answered_by_the_site() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let door = world.door.clone();
        world.blockade.phone.run(async move || {
            let app = App::open(&door, Way::Requests1, true).await;
            let strange = Token::generate().written();
            let (bearer, known) = (format!("Bearer {strange}"), format!("Bearer {}", app.token));
            let protocol = format!("tproxy-v1.{strange}");
            let upgrade = app::upgrade(&protocol);
            let json = format!(r#"{{"bridge": "{strange}"}}"#);
            let authorization = ("authorization", bearer.as_str());
            let session = "/api/v1/session";
            let strangers = [
                Stranger::new("GET", &format!("/?bridge={strange}"), &[], b""),
                Stranger::new("POST", session, &[authorization], b"x"),
                Stranger::new("POST", session, &[("authorization", &known)], b"x"),
                Stranger::new(
                    "POST",
                    session,
                    &[("content-type", "application/json")],
                    json.as_bytes(),
                ),
                Stranger::new("POST", "/api/v1/up", &[authorization, ("x-up-seq", "1")], b"x"),
                Stranger::new(
                    "POST",
                    "/api/v1/down",
                    &[authorization, ("x-down-cursor", "0")],
                    b"",
                ),
                Stranger::new("DELETE", session, &[authorization], b""),
                Stranger::new("GET", "/api/v1/ws", &upgrade, b""),
            ];
            for is_two in [false, true] {
                for stranger in &strangers {
                    if is_two && stranger.path.ends_with("ws") {
                        // There is no upgrade in HTTP/2.
                        continue;
                    }
                    let mut answers = Vec::new();
                    for path in [stranger.path.clone(), stranger.nowhere()] {
                        let mut http =
                            if is_two { Http::two(&door).await } else { Http::one(&door).await };
                        let Stranger { method, headers, body, .. } = stranger;
                        let answer = http.ask(method, &path, headers, body).await;
                        answers.push(answer.expect("an answer"));
                    }
                    let [ours, sites] = &answers[..] else { panic!("two answers") };
                    assert_eq!(ours.status, sites.status, "{}", stranger.path);
                    assert_eq!(ours.without_date(), sites.without_date(), "{}", stranger.path);
                }
            }
            Ok(())
        })
    })
}

#[test]
fn an_address_that_shows_something_valid_is_never_the_websites() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let door = world.door.clone();
        world.blockade.phone.run(async move || {
            let app = App::open(&door, Way::Requests1, true).await;
            let page = format!("/?bridge={}", door.capability);
            let session = format!("/api/v1/session/{}", app.token);
            for (method, path, allowed) in [
                ("POST", page.clone(), Some("GET")),
                ("OPTIONS", page.clone(), Some("GET")),
                ("GET", format!("{page}&a"), None),
                ("PUT", format!("{session}/up?seq=1"), Some("GET, POST, DELETE")),
                ("GET", format!("{session}/else"), None),
            ] {
                let answer = Http::one(&door).await.ask(method, &path, &[], b"").await;
                let answer = answer.expect("an answer");
                let status = if allowed.is_some() { 405 } else { 404 };
                assert_eq!((answer.status, answer.header("allow")), (status, allowed), "{path}");
                assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {path}");
            }
            Ok(())
        })
    })
}

#[test]
fn an_upload_that_is_stuck_gives_way_to_the_next() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let door = world.door.clone();
        world.blockade.phone.run(async move || {
            let app = App::open(&door, Way::Requests1, true).await;
            let mut frames = Vec::new();
            put(&mut frames, Kind::Open, StreamId::new(1).expect("an id"), b"");
            let bearer = format!("Bearer {}", app.token);
            let headers = [("Authorization", bearer.as_str()), ("X-Up-Seq", "1")];
            let mut stuck = door.tls("http/1.1").await;
            stuck.write_all(&http::head("POST", "/api/v1/up", &headers, frames.len())).await?;
            stuck.write_all(&frames[..5]).await?;
            stuck.flush().await?;
            // Its head has come before the next one's, and if it has not, nothing is in the way.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let mut http = Http::two(&door).await;
            let next = http.ask("POST", "/api/v1/up", &headers, &frames);
            let answer = timeout(LIMIT, next).await?.expect("an answer");
            assert_eq!((answer.status, answer.header("x-up-ack")), (204, Some("1")));
            let answer = http::read(&mut stuck).await.expect("an answer");
            assert_eq!(answer.status, 503);
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
            let link = others.link().replace(&others.port.to_string(), &app.port.to_string());
            let mut stream = client::through(&link)?.connect().await?;
            assert!(stream.ping().await.is_err());
            let mut good = client::through(&app.link())?.connect().await?;
            good.ping().await
        })
    })
}
