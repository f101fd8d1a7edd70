//! Browsers and other apps, through SOCKS5 and HTTP as a relay prints them.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use lab::relay::WebKey;
use lab::socks::{self, Datagrams, To};
use lab::website::fetch_by;
use lab::{Blockade, Host, NameServer, Relay, Result, Website, country, tdlib};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

/// Longer than a relay takes to notice that its keys have changed.
const NOTICED: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(10);
/// Longer than an answer takes that comes at all.
const MOMENT: Duration = Duration::from_millis(700);

fn web_key(relay: &Relay) -> Result<WebKey> {
    let key = relay.new_web_key()?;
    sleep(NOTICED);
    Ok(key)
}

fn socks_code(host: &Host, proxy: &str, to: To) -> Result<u8> {
    let proxy = proxy.to_owned();
    host.run(async move || {
        let answer = timeout(LIMIT, socks::connect(&proxy, &to)).await??;
        Ok(answer.err().unwrap_or(0))
    })
}

#[test]
fn curl_opens_websites_through_every_printed_proxy() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _plain = Website::http(&world.web, 80, "orchards.example")?;
        let _secure = Website::https(&world.web, 443, "orchards.example")?;
        let relay = Relay::on(&world.server).start()?;
        let key = web_key(&relay)?;
        for proxy in [&key.socks5, &key.http] {
            for (url, more) in [
                ("http://orchards.example/", &[][..]),
                ("http://orchards.example/", &["--proxytunnel"][..]),
                ("https://orchards.example/", &[][..]),
                ("https://185.98.5.5/", &[][..]),
            ] {
                let page = fetch_by(&world.phone, proxy, url, more)?;
                let page = page.unwrap_or_else(|error| panic!("{url} by {proxy}: {error}"));
                assert!(page.contains("Apple orchards of Almaty"), "{url} by {proxy}: {page}");
            }
            let lost = fetch_by(&world.phone, proxy, "http://orchards.example/nowhere", &[])?;
            assert!(lost.is_ok_and(|page| page.starts_with("HTTP/1.1 404")));
        }
        Ok(())
    })
}

#[test]
fn telegrams_own_library_opens_the_socks_links_as_printed() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let key = web_key(&relay)?;
        tdlib::ping_all(&world.phone, [key.tg, key.https])
    })
}

#[test]
fn what_goes_on_to_a_server_is_one_request_without_a_word_about_the_proxy() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let key = web_key(&relay)?;
        let (listening, wait) = std::sync::mpsc::channel();
        let at = SocketAddr::new(world.web.v4(), 8080);
        let server = world.web.start(async move || {
            let listener = TcpListener::bind(at).await?;
            let _ = listening.send(());
            let (mut stream, _) = timeout(LIMIT, listener.accept()).await??;
            let mut heard = vec![0; 4096];
            let mut length = 0;
            while !heard[..length].ends_with(b"12345") {
                length += timeout(LIMIT, stream.read(&mut heard[length..])).await??;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await?;
            // Nothing more comes, and no end of what the client says before it has its answer.
            let more = timeout(MOMENT, stream.read(&mut heard[length..])).await;
            heard.truncate(length);
            let heard = String::from_utf8_lossy(&heard).into_owned();
            Ok((heard, more.is_ok_and(|read| read.is_ok_and(|count| count > 0))))
        })?;
        let _ = wait.recv();
        let basic = data(&key.http);
        let proxy = SocketAddr::new(world.server.v4(), 1080);
        let answer = world.phone.run(async move || {
            let mut stream = TcpStream::connect(proxy).await?;
            let head = format!(
                "POST http://{at}/x HTTP/1.1\r\nHost: other\r\nProxy-Authorization: Basic {basic}\r\n\
                 Proxy-Connection: keep-alive\r\nContent-Length: 5\r\n\r\n12345"
            );
            let next = format!(
                "GET http://{at}/ HTTP/1.1\r\nProxy-Authorization: Basic {basic}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(next.as_bytes()).await?;
            let mut answer = vec![0; 100];
            let length = timeout(LIMIT, stream.read(&mut answer)).await??;
            Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
        })?;
        let (heard, more) = server.join()?;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        let asked = "POST /x HTTP/1.1\r\nHost: 185.98.5.5:8080\r\nContent-Length: 5\r\n\
                     Connection: close\r\n\r\n12345";
        assert_eq!((heard.as_str(), more), (asked, false));
        Ok(())
    })
}

/// The credentials of a proxy's address, as `Basic` has them.
fn data(proxy: &str) -> String {
    let login = proxy.trim_start_matches("http://").split('@').next().unwrap_or_default();
    lab::website::base64(login.as_bytes())
}

#[test]
fn without_the_password_there_is_a_clear_refusal_and_no_way() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = Website::http(&world.web, 80, "orchards.example")?;
        let relay = Relay::on(&world.server).start()?;
        let key = web_key(&relay)?;
        let url = "http://orchards.example/";
        let password = key.socks5.split([':', '@']).nth(2).unwrap_or_default().to_owned();
        for (wrong, socks) in [(&key.http, false), (&key.socks5, true)] {
            let wrong = wrong.replace(&password, &"0".repeat(password.len()));
            match fetch_by(&world.phone, &wrong, url, &[])? {
                Ok(page) => assert!(!socks && page.starts_with("HTTP/1.1 407"), "{page}"),
                Err(error) => assert!(socks && error.contains("rejected"), "{error}"),
            }
        }
        let nobody = format!("http://{}:1080", world.server.v4());
        let page = fetch_by(&world.phone, &nobody, url, &[])?;
        assert!(page.is_ok_and(|page| page.contains("Proxy-Authenticate: Basic")));
        Ok(())
    })
}

#[test]
fn the_port_is_open_only_while_there_is_a_key_and_a_revoked_key_ends_its_connections() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = Website::http(&world.web, 80, "orchards.example")?;
        let relay = Relay::on(&world.server).start()?;
        let port = SocketAddr::new(world.server.v4(), 1080);
        let is_open = || {
            let connect = async move || Ok(TcpStream::connect(port).await.is_ok());
            world.phone.run(connect)
        };
        assert!(!is_open()?, "before there is a key");
        let (goes, stays) = (web_key(&relay)?, web_key(&relay)?);
        assert!(is_open()?);
        let site = To::Address(SocketAddr::new(world.web.v4(), 80));
        let (connected, wait) = std::sync::mpsc::channel();
        let proxy = goes.socks5.clone();
        let held = world.phone.start(async move || {
            let stream = timeout(LIMIT, socks::connect(&proxy, &site)).await??;
            let _ = connected.send(());
            let mut stream = stream.expect("the site is there");
            let read = timeout(LIMIT, stream.read(&mut [0])).await?;
            Ok(read.unwrap_or(0))
        })?;
        let _ = wait.recv();
        relay.command(&["key", "revoke", &goes.id, "--json"])?;
        assert_eq!(held.join()?, 0, "the connection has ended");
        let url = "http://orchards.example/";
        let refused = fetch_by(&world.phone, &goes.http, url, &[])?;
        assert!(refused.is_ok_and(|page| page.starts_with("HTTP/1.1 407")));
        assert!(fetch_by(&world.phone, &stays.http, url, &[])?.is_ok());
        relay.command(&["key", "revoke", &stays.id, "--json"])?;
        sleep(NOTICED);
        assert!(!is_open()?, "after the last key has gone");
        Ok(())
    })
}

#[test]
fn a_port_that_another_program_holds_is_named_and_had_when_it_is_free() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let at = SocketAddr::new(world.server.v4(), 1080);
        let other =
            world.server.run(async move || Ok(TcpListener::bind(at).await?.into_std()?))?;
        let relay = Relay::on(&world.server).start()?;
        let key = web_key(&relay)?;
        let notice = relay.notice("cleartext-port", LIMIT)?;
        assert!(notice["text"].as_str().is_some_and(|text| text.contains("port 1080")));
        // Whoever makes a key is told so too.
        let told = relay.command(&["key", "new", "--for", "web", "--cleartext", "--json"])?;
        assert_eq!(told[1]["kind"], "cleartext-port", "{told:?}");
        assert_eq!(told[1]["text"], notice["text"]);
        drop(other);
        sleep(NOTICED);
        let to = To::Name("127.0.0.1".into(), 80);
        assert_eq!(socks_code(&world.phone, &key.socks5, to)?, NOT_ALLOWED);
        Ok(())
    })
}

#[test]
fn on_telegrams_ports_socks_and_http_are_a_strangers_bytes_even_with_the_password() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let key = web_key(&relay)?;
        let basic = data(&key.http);
        let tunnel =
            format!("CONNECT 185.98.5.5:80 HTTP/1.1\r\nProxy-Authorization: Basic {basic}\r\n\r\n");
        for said in [b"\x05\x02\x00\x02".to_vec(), tunnel.into_bytes()] {
            for port in [443, 8443] {
                let (at, said) = (SocketAddr::new(world.server.v4(), port), said.clone());
                let heard = world.phone.run(async move || {
                    let mut stream = TcpStream::connect(at).await?;
                    stream.write_all(&said).await?;
                    Ok(timeout(MOMENT, stream.read(&mut [0])).await.is_ok())
                })?;
                assert!(!heard, "port {port}");
            }
        }
        Ok(())
    })
}

#[test]
fn bulk_goes_both_ways_unharmed() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let key = web_key(&relay)?;
        let (listening, wait) = std::sync::mpsc::channel();
        let at = SocketAddr::new(world.web.v6(), 8443);
        let echo = world.web.start(async move || {
            let listener = TcpListener::bind(at).await?;
            let _ = listening.send(());
            let (mut stream, _) = timeout(LIMIT, listener.accept()).await??;
            let (mut from, mut to) = stream.split();
            Ok(tokio::io::copy(&mut from, &mut to).await?)
        })?;
        let _ = wait.recv();
        let said: Vec<u8> = (0u32..4 << 20).flat_map(u32::to_le_bytes).collect();
        let length = said.len() as u64;
        let heard = world.phone.run(async move || {
            let tunnel = socks::connect(&key.socks5, &at.into()).await?;
            let (mut from, mut to) = tunnel.expect("it listens").into_split();
            let words = said.clone();
            let saying = tokio::spawn(async move {
                let said = to.write_all(&words).await;
                // The end goes through as well.
                said.and(to.shutdown().await)
            });
            let mut heard = Vec::new();
            timeout(6 * LIMIT, from.read_to_end(&mut heard)).await??;
            saying.await.expect("no panic")?;
            Ok(heard == said)
        })?;
        assert!(heard, "what came back is not what was sent");
        assert_eq!(echo.join()?, length);
        Ok(())
    })
}

/// What nobody is taken to, as addresses; the relay's own are added.
const REFUSED: [&str; 44] = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.1.2.3",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "100::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::10.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::168.63.129.16",
    "64:ff9b:1::10.0.0.1",
    "64:ff9b:1:a00:0:100::",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "2001:0:808:808::f5ff:fffe",
    "2001:0:7f00:1::1",
    "::ffff:0:127.0.0.1",
    "::ffff:116.203.7.7",
];

/// SOCKS5's word for "the rules forbid it".
const NOT_ALLOWED: u8 = 2;

#[test]
fn nobody_is_taken_to_what_is_not_the_publics_literal_or_by_name() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let names = NameServer::on(&world.web)?;
        let relay = Relay::on(&world.server).start()?;
        let key = web_key(&relay)?;
        let refused = REFUSED.iter().map(|text| text.parse().expect("an address"));
        let mut asked = Vec::new();
        for (number, address) in refused.chain(world.server.addresses().to_vec()).enumerate() {
            let name = format!("n{number}.bad.example");
            names.say(&name, &[address]);
            asked.push(To::Address(SocketAddr::new(address, 80)));
            asked.push(To::Name(address.to_string(), 80));
            asked.push(To::Name(name, 80));
        }
        for port in [22, 25, 53, 445, 6881] {
            asked.push(To::Address(SocketAddr::new(world.web.v4(), port)));
        }
        let proxy = key.socks5.clone();
        let answers = world.phone.run(async move || {
            let mut answers = Vec::new();
            for to in asked {
                let answer = timeout(LIMIT, socks::connect(&proxy, &to)).await??;
                answers.push((to, answer.map(|_| ())));
            }
            Ok(answers)
        })?;
        for (to, answer) in answers {
            assert_eq!(answer, Err(NOT_ALLOWED), "{to:?}");
        }
        let page = fetch_by(&world.phone, &key.http, "http://n4.bad.example/", &[])?;
        assert!(page.is_ok_and(|page| page.starts_with("HTTP/1.1 403")));
        let tunnel = fetch_by(&world.phone, &key.http, "https://169.254.169.254/", &[])?;
        assert!(tunnel.is_err_and(|error| error.contains("403")));
        Ok(())
    })
}

#[test]
fn an_address_that_the_relay_has_by_its_name_alone_is_its_own() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let names = NameServer::on(&world.web)?;
        let _site = Website::http(&world.web, 80, "orchards.example")?;
        // As behind a provider's translation: no interface of the server has what the name says.
        names.say("relay.example", &[world.web.v4()]);
        let site = SocketAddr::new(world.web.v4(), 80);
        let reaches = |own: &str| {
            let relay = Relay::on(&world.server).arguments(&["--address", own]).start()?;
            let proxy = web_key(&relay)?.socks5;
            // Its link names what nobody can resolve here; the port is what matters.
            let (_, port) = proxy.rsplit_once(':').expect("a port");
            let (login, _) = proxy.split_once('@').expect("a login");
            let proxy = format!("{login}@{}:{port}", world.server.v4());
            socks_code(&world.phone, &proxy, To::Address(site))
        };
        assert_eq!(reaches(&world.server.v4().to_string())?, 0);
        assert_eq!(reaches("relay.example")?, NOT_ALLOWED);
        Ok(())
    })
}

#[test]
fn a_name_that_changes_its_mind_leads_to_what_was_checked_or_nowhere() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let names = NameServer::on(&world.web)?;
        let _site = Website::http(&world.web, 80, "orchards.example")?;
        let relay = Relay::on(&world.server).start()?;
        let key = web_key(&relay)?;
        // What the name would like to lead to: something on the relay's own machine.
        let (listening, wait) = std::sync::mpsc::channel();
        let inside = world.server.start(async move || {
            let listener = TcpListener::bind("127.0.0.1:80").await?;
            let _ = listening.send(());
            Ok(timeout(4 * MOMENT, listener.accept()).await.is_ok())
        })?;
        let _ = wait.recv();
        let (good, bad) = (world.web.v4(), [127, 0, 0, 1].into());
        let mut codes = Vec::new();
        for round in 0..4 {
            let name = format!("turncoat{round}.example");
            names.say_in_turn(&name, &[&[good], &[bad], &[good], &[bad]]);
            for _ in 0..3 {
                codes.push(socks_code(&world.phone, &key.socks5, To::Name(name.clone(), 80))?);
            }
        }
        assert_eq!(codes, [0, NOT_ALLOWED, 0].repeat(4));
        names.say("both.example", &[bad, good]);
        assert_eq!(socks_code(&world.phone, &key.socks5, To::Name("both.example".into(), 80))?, 0);
        assert!(!inside.join()?, "somebody came in by the back door");
        Ok(())
    })
}

#[test]
fn what_went_wrong_is_told_in_the_protocols_own_terms() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _names = NameServer::on(&world.web)?;
        let relay = Relay::on(&world.server).start()?;
        let key = web_key(&relay)?;
        let at = |address: &str| To::Address(address.parse().expect("an address"));
        for (to, code) in [
            (at("185.98.5.5:443"), 5),
            (at("[2a00:5da0:98::5]:443"), 5),
            (To::Name("nowhere.example".into(), 443), 4),
            (To::Name("0x7f.1".into(), 443), 4),
        ] {
            assert_eq!(socks_code(&world.phone, &key.socks5, to.clone())?, code, "{to:?}");
        }
        for url in ["http://185.98.5.5/", "http://nowhere.example/"] {
            let page = fetch_by(&world.phone, &key.http, url, &[])?;
            assert!(page.is_ok_and(|page| page.starts_with("HTTP/1.1 502")), "{url}");
        }
        Ok(())
    })
}

#[test]
fn datagrams_go_both_ways_in_both_families_and_nobody_elses_come_in() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let names = NameServer::on(&world.web)?;
        names.say("echo.example", &[world.web.v4()]);
        names.say("inside.example", &[[127, 0, 0, 1].into()]);
        let relay = Relay::on(&world.server).start()?;
        let key = web_key(&relay)?;
        let mut echoes = Vec::new();
        for (host, at) in [
            (&world.web, SocketAddr::new(world.web.v4(), 443)),
            (&world.web, SocketAddr::new(world.web.v6(), 443)),
            // These must hear nothing.
            (&world.web, SocketAddr::new(world.web.v4(), 161)),
            (&world.server, "127.0.0.1:443".parse().expect("an address")),
        ] {
            let (listening, wait) = std::sync::mpsc::channel();
            echoes.push(host.start(async move || {
                let socket = UdpSocket::bind(at).await?;
                let uninvited = UdpSocket::bind(SocketAddr::new(at.ip(), 0)).await?;
                let _ = listening.send(());
                let (mut heard, mut buffer) = (0, [0; 1500]);
                while let Ok(said) = timeout(5 * MOMENT, socket.recv_from(&mut buffer)).await {
                    let (length, from) = said?;
                    uninvited.send_to(b"uninvited", from).await?;
                    socket.send_to(&buffer[..length], from).await?;
                    heard += 1;
                }
                Ok(heard)
            })?);
            let _ = wait.recv();
        }
        let (four, six) = (world.web.v4(), world.web.v6());
        let proxy = key.socks5.clone();
        let inner = world.phone.run(async move || {
            let datagrams = Datagrams::open(&proxy).await?;
            let named = |name: &str| To::Name(name.to_owned(), 443);
            for to in [
                SocketAddr::new(four, 443).into(),
                SocketAddr::new(six, 443).into(),
                named("echo.example"),
            ] {
                let said = format!("to {to:?}").into_bytes();
                datagrams.send(&to, &said).await?;
                let (_, heard) = timeout(LIMIT, datagrams.receive()).await??;
                assert_eq!(heard, said);
            }
            for to in [
                SocketAddr::new(four, 161).into(),
                "127.0.0.1:443".parse::<SocketAddr>().expect("an address").into(),
                "[::ffff:127.0.0.1]:443".parse::<SocketAddr>().expect("an address").into(),
                named("inside.example"),
                named("127.0.0.1"),
            ] {
                datagrams.send(&to, b"in").await?;
            }
            assert!(timeout(MOMENT, datagrams.receive()).await.is_err());
            datagrams.inner()
        })?;
        // The way is closed with the connection that held it.
        assert_eq!(inner.ip(), world.server.v4());
        let heard: Vec<i32> = echoes.into_iter().map(lab::Task::join).collect::<Result<_>>()?;
        assert_eq!(heard, [2, 1, 0, 0]);
        Ok(())
    })
}

#[test]
fn revoking_a_key_ends_its_way_for_datagrams() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let key = web_key(&relay)?;
        let at = SocketAddr::new(world.web.v4(), 443);
        let (listening, wait) = std::sync::mpsc::channel();
        let echo = world.web.start(async move || {
            let socket = UdpSocket::bind(at).await?;
            let _ = listening.send(());
            let (mut heard, mut buffer) = (0, [0; 1500]);
            while let Ok(said) = timeout(6 * MOMENT, socket.recv_from(&mut buffer)).await {
                let (length, from) = said?;
                socket.send_to(&buffer[..length], from).await?;
                heard += 1;
            }
            Ok(heard)
        })?;
        let _ = wait.recv();
        let (begun, wait) = std::sync::mpsc::channel();
        let (go_on, told) = tokio::sync::oneshot::channel();
        let proxy = key.socks5.clone();
        let person = world.phone.start(async move || {
            let datagrams = Datagrams::open(&proxy).await?;
            datagrams.send(&at.into(), b"before").await?;
            timeout(LIMIT, datagrams.receive()).await??;
            let _ = begun.send(());
            let _ = told.await;
            // Nobody has that port any more, which the system may say at once.
            let _ = datagrams.send(&at.into(), b"after").await;
            Ok(matches!(timeout(MOMENT, datagrams.receive()).await, Ok(Ok(_))))
        })?;
        wait.recv().expect("it works before");
        relay.command(&["key", "revoke", &key.id, "--json"])?;
        sleep(NOTICED);
        let _ = go_on.send(());
        assert!(!person.join()?, "an answer came to a key that was revoked");
        assert_eq!(echo.join()?, 1);
        Ok(())
    })
}
