//! Who has a key uses a relay with a website as an HTTPS proxy; who has none cannot tell that it is
//! one.

mod line;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, StatusCode};
use lab::{BlockedSite, Result, country};
use line::Line;
use relay::{Counter, Keys};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use wire::tally::{Day, Protocol};
use world::{ECHO, NAME, World, basic, connect, http2};

const SOON: Duration = Duration::from_secs(20);

/// A request of HTTP/2 with a whole URL, or with `host:port`.
fn asks(method: Method, uri: &str, credentials: &str) -> Request<()> {
    let mut request = Request::builder().method(method).uri(uri);
    if !credentials.is_empty() {
        request = request.header("proxy-authorization", credentials);
    }
    request.body(()).expect("a request")
}

/// The status and all of the body.
async fn hear(client: &SendRequest<Bytes>, request: Request<()>) -> (StatusCode, String, String) {
    let mut client = client.clone().ready().await.expect("ready");
    let (answer, _) = client.send_request(request, true).expect("sent");
    let answer = answer.await.expect("an answer");
    let mut headers = format!("{:?}", {
        let mut headers = answer.headers().clone();
        headers.remove("date");
        headers
    });
    headers.push_str(&format!("{:?}", answer.version()));
    let (status, mut body, mut text) = (answer.status(), answer.into_body(), Vec::new());
    while let Some(bytes) = body.data().await {
        let bytes = bytes.expect("bytes");
        body.flow_control().release_capacity(bytes.len()).expect("released");
        text.extend(bytes);
    }
    (status, headers, String::from_utf8_lossy(&text).into_owned())
}

/// What comes back over HTTP/1.1 until the end, without the date.
fn hear1(world: &World, to: SocketAddr, said: String) -> Result<String> {
    let tls = world.tls("http/1.1");
    world.lab.phone.run(async move || {
        let mut stream = connect(tls, to).await?;
        stream.write_all(said.as_bytes()).await?;
        let mut heard = Vec::new();
        let all = stream.read_to_end(&mut heard);
        let end = timeout(SOON, all).await.expect("it ends").map_err(|error| error.kind());
        let text = format!("{}{end:?}", String::from_utf8_lossy(&heard));
        let lines = text.split("\r\n").filter(|line| !line.to_lowercase().starts_with("date:"));
        Ok(lines.collect::<Vec<_>>().join("\r\n"))
    })
}

#[test]
fn curl_opens_sites_with_tls_and_without() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        for url in ["https://orchards.example/", "http://orchards.example/"] {
            let said = world.curl(&world.user(), &[url])?;
            assert!(said.contains(BlockedSite::SAYS), "{url}: {said}");
        }
        let tally = world.relay.take_tally(Day(1)).cells;
        for protocol in [Protocol::HttpsConnect, Protocol::Https] {
            let (cell, amounts) =
                tally.iter().find(|(cell, _)| cell.protocol == protocol).expect("counted");
            assert_eq!((cell.key, cell.port), (Some(world.id), 443));
            assert!(
                amounts.connections == 1 && amounts.up > 50 && amounts.down > 100,
                "{amounts:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn one_connection_of_http2_has_room_for_many_tunnels_and_whole_urls() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let (tls, at, credentials) = (world.tls("h2"), world.at(), world.credentials());
        let echo = format!("{}:{ECHO}", world.lab.web.v4());
        world.lab.phone.run(async move || {
            let client = http2(tls, at, Arc::default()).await?;
            let mut tunnels = Vec::new();
            for _ in 0..100 {
                let mut client = client.clone().ready().await.expect("ready");
                let request = asks(Method::CONNECT, &echo, &credentials);
                let (answer, up) = client.send_request(request, false).expect("sent");
                let answer = answer.await.expect("an answer");
                assert_eq!(answer.status(), StatusCode::OK);
                tunnels.push((up, answer.into_body()));
            }
            for (number, (up, down)) in tunnels.iter_mut().enumerate() {
                let said = format!("tunnel {number} ").repeat(5_000);
                up.send_data(said.clone().into(), true).expect("sent");
                let mut heard = Vec::new();
                while let Some(bytes) = down.data().await {
                    let bytes = bytes.expect("bytes");
                    down.flow_control().release_capacity(bytes.len()).expect("released");
                    heard.extend(bytes);
                }
                assert!(heard == said.as_bytes(), "{} bytes of {}", heard.len(), said.len());
            }
            let get = asks(Method::GET, "http://orchards.example/", &credentials);
            let (status, _, page) = hear(&client, get).await;
            assert!(
                status == StatusCode::OK && page.contains(BlockedSite::SAYS),
                "{status} {page}"
            );
            Ok(())
        })?;
        let tally = world.relay.take_tally(Day(1)).cells;
        let tunnels = tally.iter().find(|(cell, _)| cell.protocol == Protocol::HttpsConnect);
        let (_, amounts) = tunnels.expect("counted");
        let bytes: usize = (0..100).map(|n| format!("tunnel {n} ").len() * 5_000).sum();
        assert_eq!(
            (amounts.connections, amounts.up, amounts.down),
            (100, bytes as u64, bytes as u64)
        );
        Ok(())
    })
}

#[test]
fn without_the_password_there_is_only_the_site() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let wrong = [
            String::new(),
            basic("visitor:sesame"),
            basic(&format!("{}:{}", world.id, "0".repeat(26))),
            "Basic !".to_owned(),
            "Bearer x".to_owned(),
        ];
        let wishes = [
            (Method::CONNECT, "orchards.example:443".to_owned()),
            (Method::CONNECT, format!("{}.{NAME}:443", "0".repeat(32))),
            (Method::CONNECT, "127.0.0.1:22".to_owned()),
            (Method::GET, "http://orchards.example/".to_owned()),
            (Method::GET, format!("http://{NAME}/")),
            (Method::POST, "http://orchards.example/a?b".to_owned()),
        ];
        for (method, uri) in &wishes {
            for credentials in &wrong {
                let mut head = format!(
                    "{method} {uri} HTTP/1.1\r\nHost: orchards.example\r\nConnection: close\r\n"
                );
                if !credentials.is_empty() {
                    head.push_str(&format!("Proxy-Authorization: {credentials}\r\n"));
                }
                head.push_str("\r\n");
                let ours = hear1(&world, world.at(), head.clone())?;
                let bare = hear1(&world, world.bare(), head.clone())?;
                assert!(ours.starts_with("HTTP/1.1 4") && !ours.contains("407"), "{ours}");
                assert_eq!(ours, bare, "{head}");
            }
        }
        let (tls, at, bare) = (world.tls("h2"), world.at(), world.bare());
        world.lab.phone.run(async move || {
            let ours = http2(tls.clone(), at, Arc::default()).await?;
            let bare = http2(tls, bare, Arc::default()).await?;
            for (method, uri) in wishes {
                for credentials in &wrong {
                    let ask = || asks(method.clone(), &uri, credentials);
                    let heard = hear(&ours, ask()).await;
                    assert_ne!(heard.0, StatusCode::PROXY_AUTHENTICATION_REQUIRED);
                    assert_eq!(heard, hear(&bare, ask()).await, "{method} {uri} {credentials}");
                }
            }
            Ok(())
        })?;
        let counters = world.relay.totals().counters;
        // Two of the five are log-ins, for five wishes that are not for the site itself.
        assert!(counters.contains(&(Counter::WrongPasswords, 2 * 5 * 2)), "{counters:?}");
        Ok(())
    })
}

#[test]
fn a_browser_is_asked_for_its_password_at_its_own_host_and_nowhere_else() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let host = world.log_in_host();
        let (plain, secure) = (format!("http://{host}/"), format!("https://{host}/"));
        let wrong = format!("{}:{}", world.id, "0".repeat(26));
        for user in ["", &wrong] {
            let asked = world.curl(user, &[&plain])?;
            assert!(asked.starts_with("HTTP/1.1 407 "), "{asked}");
            assert!(asked.to_lowercase().contains("proxy-authenticate: basic realm="), "{asked}");
            let asked = world.curl(user, &[&secure])?;
            assert!(asked.starts_with("HTTP/1.1 407 "), "{asked}");
        }
        // Whatever comes after the first label.
        let elsewhere =
            format!("http://{}.orchards.example/", host.split('.').next().unwrap_or(""));
        assert!(world.curl("", &[&elsewhere])?.starts_with("HTTP/1.1 407 "));
        for (language, word) in [("kk", "дайын"), ("ru", "готов"), ("en", "ready")] {
            let accept = format!("Accept-Language: {language}");
            let page = world.curl(&world.user(), &["-H", &accept, &plain])?;
            assert!(page.starts_with("HTTP/1.1 200 ") && page.contains(word), "{page}");
            assert!(page.to_lowercase().contains("cache-control: no-store"), "{page}");
        }
        let refused = world.curl(&world.user(), &[&secure])?;
        assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");

        let (tls, at, credentials) = (world.tls("h2"), world.at(), world.credentials());
        world.lab.phone.run(async move || {
            let client = http2(tls, at, Arc::default()).await?;
            for (method, uri) in [(Method::GET, &plain), (Method::CONNECT, &format!("{host}:443"))]
            {
                let (status, headers, _) = hear(&client, asks(method, uri, "")).await;
                assert_eq!(status, StatusCode::PROXY_AUTHENTICATION_REQUIRED);
                assert!(headers.contains("proxy-authenticate"), "{headers}");
            }
            let (status, _, page) = hear(&client, asks(Method::GET, &plain, &credentials)).await;
            assert!(status == StatusCode::OK && page.contains("дайын"), "{page}");
            Ok(())
        })
    })
}

#[test]
fn revoking_a_key_ends_its_tunnels_and_answers() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let (at, credentials) = (world.at(), world.credentials());
        let echo = format!("{}:{ECHO}", world.lab.web.v4());
        let (tls1, tls2) = (world.tls("http/1.1"), world.tls("h2"));
        let relay = world.relay.clone();
        world.lab.phone.run(async move || {
            let mut one = connect(tls1, at).await?;
            let head = format!(
                "CONNECT {echo} HTTP/1.1\r\nHost: {echo}\r\nProxy-Authorization: {credentials}\r\n\r\nhey"
            );
            one.write_all(head.as_bytes()).await?;
            let mut heard = Vec::new();
            while !heard.ends_with(b"hey") {
                assert!(one.read_buf(&mut heard).await? > 0);
            }
            let client = http2(tls2, at, Arc::default()).await?;
            let mut client = client.ready().await.expect("ready");
            let request = asks(Method::CONNECT, &echo, &credentials);
            let (answer, mut up) = client.send_request(request, false).expect("sent");
            let mut down = answer.await.expect("an answer").into_body();
            up.send_data("hey".into(), false).expect("sent");
            assert_eq!(down.data().await.expect("open").expect("bytes"), "hey");
            assert_eq!(relay.totals().open.values().sum::<u64>(), 2);

            relay.set_keys(Keys::default());
            let rest = async {
                while let Ok(1..) = one.read_buf(&mut heard).await {}
                while let Some(Ok(_)) = down.data().await {}
            };
            timeout(SOON, rest).await.expect("they end");
            // The same connection is a stranger's from now on.
            let request = asks(Method::CONNECT, &echo, &credentials);
            let client = client.ready().await.expect("ready");
            assert_eq!(hear(&client, request).await.0, StatusCode::NOT_FOUND);
            Ok(())
        })
    })
}

#[test]
fn who_has_a_key_is_told_why_they_are_not_taken_somewhere() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let web = world.lab.web.v4();
        let own = world.lab.server.v4();
        for (url, status, why) in [
            ("https://10.0.0.1/".to_owned(), "403", "private address"),
            (format!("http://{web}:25/"), "403", "port 25"),
            (format!("https://{own}/"), "403", "itself"),
            ("https://nobody.example/".to_owned(), "502", "no such host"),
            (format!("http://{web}:8080/"), "502", "refuses"),
            (format!("http://{web}:{ECHO}/"), "502", "no proper answer"),
        ] {
            let said = world.curl(&world.user(), &[&url, "-v"])?;
            assert!(said.contains(&format!("HTTP/1.1 {status} ")), "{url}: {said}");
            // curl shows no body of an answer to CONNECT.
            assert!(url.starts_with("https:") || said.contains(why), "{url}: {said}");
        }
        assert!(world.relay.totals().counters.contains(&(Counter::EgressRefused, 3)));
        Ok(())
    })
}

#[test]
fn a_tunnel_ends_each_way_by_itself_over_http1() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let (at, credentials, tls) = (world.at(), world.credentials(), world.tls("http/1.1"));
        let echo = format!("{}:{ECHO}", world.lab.web.v4());
        world.lab.phone.run(async move || {
            let stream = connect(tls, at).await?;
            let (mut down, mut up) = tokio::io::split(stream);
            let head = format!(
                "CONNECT {echo} HTTP/1.1\r\nHost: {echo}\r\nProxy-Authorization: {credentials}\r\n\r\n"
            );
            up.write_all(head.as_bytes()).await?;
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                assert!(down.read_buf(&mut heard).await? > 0);
            }
            const ALL: usize = 20 << 20;
            let saying = async {
                let said: Vec<u8> = (0..=250).cycle().take(ALL).collect();
                up.write_all(&said).await?;
                up.shutdown().await
            };
            let hearing = async {
                let mut back = Vec::new();
                down.read_to_end(&mut back).await.map(|_| back)
            };
            let (said, back) = timeout(SOON * 3, async { tokio::join!(saying, hearing) })
                .await
                .expect("it ends");
            said?;
            let back = back?;
            assert_eq!(back.len(), ALL);
            assert!(back.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251));
            Ok(())
        })
    })
}

#[test]
fn a_tunnel_that_nobody_reads_holds_little_and_keeps_nobody_else_waiting() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let (tls1, tls2) = (world.tls("http/1.1"), world.tls("h2"));
        let (at, credentials, relay) = (world.at(), world.credentials(), world.relay.clone());
        let echo = format!("{}:{ECHO}", world.lab.web.v4());
        world.lab.phone.run(async move || {
            // What the visitor lets come: over HTTP/2 a window of 16 MiB.
            const WINDOW: u64 = 16 << 20;
            let client = http2(tls2, at, Arc::default()).await?;
            let mut client = client.ready().await.expect("ready");
            let request = asks(Method::CONNECT, &echo, &credentials);
            let (answer, mut up) = client.send_request(request, false).expect("sent");
            let down = answer.await.expect("an answer").into_body();
            up.send_data("endless".into(), false).expect("sent");
            let taken = || relay.totals().carried.values().map(|amounts| amounts.down).sum::<u64>();
            let mut last = 0;
            while taken() == 0 || taken() != last {
                last = taken();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            assert!((WINDOW..WINDOW + (512 << 10)).contains(&last), "{last} bytes");

            let get = asks(Method::GET, "http://orchards.example/", &credentials);
            let (_, _, page) = timeout(SOON, hear(&client, get)).await.expect("an answer");
            assert!(page.contains(BlockedSite::SAYS), "{page}");
            let mut one = connect(tls1, at).await?;
            let head = format!(
                "CONNECT {echo} HTTP/1.1\r\nHost: {echo}\r\nProxy-Authorization: {credentials}\r\n\r\nhey"
            );
            one.write_all(head.as_bytes()).await?;
            let mut heard = Vec::new();
            while !heard.ends_with(b"hey") {
                assert!(timeout(SOON, one.read_buf(&mut heard)).await.expect("an answer")? > 0);
            }
            drop(down);
            Ok(())
        })
    })
}

#[test]
fn an_upload_that_nobody_reads_keeps_no_other_tunnel_waiting() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let (tls, at, credentials) = (world.tls("h2"), world.at(), world.credentials());
        let relay = world.relay.clone();
        let echo = format!("{}:{ECHO}", world.lab.web.v4());
        world.lab.phone.run(async move || {
            let client = http2(tls, at, Arc::default()).await?;
            let open = async || {
                let mut client = client.clone().ready().await.expect("ready");
                let request = asks(Method::CONNECT, &echo, &credentials);
                let (answer, up) = client.send_request(request, false).expect("sent");
                (up, answer.await.expect("an answer").into_body())
            };
            let (mut stalled, _down) = open().await;
            let mut others = Vec::new();
            for _ in 0..99 {
                others.push(open().await);
            }
            stalled.send_data("deaf".into(), false).expect("sent");
            let mut sent = 4;
            loop {
                stalled.reserve_capacity(64 << 10);
                let room = std::future::poll_fn(|cx| stalled.poll_capacity(cx));
                let Ok(room) = timeout(Duration::from_secs(2), room).await else { break };
                let room = room.expect("open").expect("a window");
                stalled.send_data(vec![7; room].into(), false).expect("sent");
                sent += room as u64;
            }
            // What the relay holds itself; the rest is in the kernel's buffers.
            let taken = relay.totals().carried.values().map(|amounts| amounts.up).sum::<u64>();
            let held = sent - taken;
            assert!((1 << 20..=(4 << 20) + (64 << 10)).contains(&held), "{held} bytes of {sent}");

            let said = Bytes::from("both ways ".repeat(20_000));
            let talks = others.into_iter().map(|(mut up, mut down)| {
                let said = said.clone();
                tokio::spawn(async move {
                    up.send_data(said.clone(), true).expect("sent");
                    let mut heard = Vec::new();
                    while let Some(bytes) = down.data().await {
                        let bytes = bytes.expect("bytes");
                        down.flow_control().release_capacity(bytes.len()).expect("released");
                        heard.extend(bytes);
                    }
                    assert!(heard == said, "{} bytes of {}", heard.len(), said.len());
                })
            });
            let all = async {
                for talk in talks.collect::<Vec<_>>() {
                    talk.await.expect("all of it");
                }
            };
            timeout(SOON, all).await.expect("they do not wait for it");
            drop(stalled);
            Ok(())
        })
    })
}

#[test]
fn a_download_from_far_away_fills_more_than_a_mebibyte_of_line() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let (tls, at, credentials) = (world.tls("h2"), world.at(), world.credentials());
        let echo = format!("{}:{ECHO}", world.lab.web.v4());
        world.lab.phone.run(async move || {
            let line = Arc::new(Line { delay: Duration::from_millis(100), ..Line::default() });
            let client = http2(tls, at, Arc::clone(&line)).await?;
            let mut client = client.ready().await.expect("ready");
            let request = asks(Method::CONNECT, &echo, &credentials);
            let (answer, mut up) = client.send_request(request, false).expect("sent");
            let mut down = answer.await.expect("an answer").into_body();
            up.send_data("endless".into(), false).expect("sent");
            let mut heard = 0;
            while heard < 48 << 20 {
                let bytes = down.data().await.expect("open").expect("bytes");
                down.flow_control().release_capacity(bytes.len()).expect("released");
                heard += bytes.len();
            }
            let most = line.most.load(Ordering::Relaxed);
            assert!(most > 1 << 20, "{most} bytes were on the way at the same time");
            Ok(())
        })
    })
}
