//! Who has no key learns nothing.

use std::net::SocketAddr;
use std::time::Duration;

use lab::relay::{Form, forged};
use lab::{Blockade, Host, Relay, Result, Website, client, country, website};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[test]
fn behind_a_mask_a_browser_meets_the_website_on_every_port() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let site = Website::https(&world.web, 443, "orchards.example")?;
        let _relay = Relay::on(&world.server).mask("orchards.example").start()?;
        for path in ["", "nowhere"] {
            let url = format!("https://orchards.example/{path}");
            let real = website::fetch(&world.phone, &url, site.address())?;
            assert!(real.is_ok(), "{real:?}");
            for port in [443, 8443] {
                let at = SocketAddr::new(world.server.v4(), port);
                assert_eq!(undated(website::fetch(&world.phone, &url, at)?), undated(real.clone()));
            }
        }
        Ok(())
    })
}

/// Without the line that changes every second.
fn undated(page: Result<String, String>) -> Result<String, String> {
    page.map(|page| {
        let lines = page.lines().filter(|line| !line.starts_with("Date:"));
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// What comes back from `at`, and how it ends: in order, in a break, or not within a moment.
fn heard(host: &Host, at: SocketAddr, said: &[u8]) -> Result<(Vec<u8>, End)> {
    let said = said.to_vec();
    host.run(async move || {
        let mut stream = TcpStream::connect(at).await?;
        stream.write_all(&said).await?;
        let mut heard = Vec::new();
        let listening = stream.read_to_end(&mut heard);
        let end = match timeout(Duration::from_millis(1500), listening).await {
            Ok(Ok(_)) => End::Orderly,
            Ok(Err(_)) => End::Broken,
            Err(_) => End::None,
        };
        Ok((heard, end))
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Orderly,
    Broken,
    None,
}

/// What strangers have been seen to say.
const PROBES: [&[u8]; 6] = [
    b"",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"SSH-2.0-probe\r\n",
    &[0x16, 3, 1, 0, 5, 9, 9],
    &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 9],
    &[0x55; 300],
];

#[test]
fn behind_a_mask_every_probe_is_answered_as_by_the_website() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let site = Website::https(&world.web, 443, "orchards.example")?;
        let _relay = Relay::on(&world.server).mask("orchards.example").start()?;
        let mut different = Vec::new();
        for (probe, port) in PROBES.into_iter().zip([443, 8443].into_iter().cycle()) {
            let real = heard(&world.phone, site.address(), probe)?;
            let at = SocketAddr::new(world.server.v4(), port);
            let ours = heard(&world.phone, at, probe)?;
            if ours != real {
                different.push(format!("{probe:02x?}: {ours:?} instead of {real:?}"));
            }
        }
        assert!(different.is_empty(), "{different:#?}");
        Ok(())
    })
}

#[test]
fn without_a_mask_strangers_hear_nothing_whatever_they_say() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _relay = Relay::on(&world.server).start()?;
        for (probe, port) in PROBES.into_iter().zip([443, 8443].into_iter().cycle()) {
            let at = SocketAddr::new(world.server.v4(), port);
            let ours = heard(&world.phone, at, probe)?;
            assert_eq!(ours, (Vec::new(), End::None), "after {probe:02x?}");
        }
        Ok(())
    })
}

#[test]
fn what_a_client_sent_once_opens_nothing_when_it_is_sent_again() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let at = SocketAddr::new(world.server.v4(), 443);
        for form in Form::ALL {
            let opening = client::through(relay.key()?.link(form)?)?.opening();
            let (answer, _) = heard(&world.phone, at, &opening)?;
            assert!(!answer.is_empty(), "{form:?} is welcome once");
            let again = heard(&world.phone, at, &opening)?;
            assert_eq!(again, (Vec::new(), End::None), "{form:?}");
        }
        Ok(())
    })
}

#[test]
fn a_clock_that_is_minutes_off_is_let_in_and_one_that_is_hours_off_is_not() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let link = relay.key()?.link(Form::FakeTls)?.to_owned();
        for (seconds, welcome) in [(-480, true), (480, true), (-7200, false), (7200, false)] {
            let approach = client::through(&link)?.with_clock_off_by(seconds);
            let outcome = world.phone.run(async move || {
                let ping = async { approach.connect().await?.ping().await };
                timeout(Duration::from_secs(2), ping).await?
            });
            assert_eq!(outcome.is_ok(), welcome, "{seconds} s: {outcome:?}");
        }
        Ok(())
    })
}

#[test]
fn a_forged_secret_reaches_no_datacentre() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        for form in Form::ALL {
            let link = forged(relay.key()?.link(form)?)?;
            let outcome = world.phone.run(async move || {
                let ping = async { client::through(&link)?.connect().await?.ping().await };
                timeout(Duration::from_secs(1), ping).await?
            });
            assert!(outcome.is_err());
        }
        assert_eq!(world.telegram.visits(), []);
        Ok(())
    })
}
