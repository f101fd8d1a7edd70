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

/// What comes back from `at` after each of these, all sent at once on connections of their own.
fn heard(host: &Host, at: SocketAddr, said: &[&[u8]]) -> Result<Vec<Heard>> {
    let said: Vec<_> = said.iter().map(|said| said.to_vec()).collect();
    host.run(async move || {
        let listening: Vec<_> = said.into_iter().map(|said| tokio::spawn(hear(at, said))).collect();
        let mut all = Vec::new();
        for one in listening {
            all.push(one.await.expect("a stranger does not panic")?);
        }
        Ok(all)
    })
}

async fn hear(at: SocketAddr, said: Vec<u8>) -> Result<Heard> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(&said).await?;
    let mut heard = Vec::new();
    let listening = stream.read_to_end(&mut heard);
    let end = match timeout(MOMENT, listening).await {
        Ok(Ok(_)) => End::Orderly,
        Ok(Err(_)) => End::Broken,
        Err(_) => End::None,
    };
    Ok((heard, end))
}

/// What a stranger got, and how it ended: in order, in a break, or not within a moment.
type Heard = (Vec<u8>, End);

/// Longer than anything here takes, shorter than any of the relay's own limits.
const MOMENT: Duration = Duration::from_millis(1500);

const NOTHING: Heard = (Vec::new(), End::None);

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
        let real = heard(&world.phone, site.address(), &PROBES)?;
        for port in [443, 8443] {
            let at = SocketAddr::new(world.server.v4(), port);
            let ours = heard(&world.phone, at, &PROBES)?;
            for ((probe, ours), real) in PROBES.iter().zip(ours).zip(&real) {
                assert_eq!(ours, *real, "after {probe:02x?}");
            }
        }
        Ok(())
    })
}

#[test]
fn without_a_mask_strangers_hear_nothing_whatever_they_say() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _relay = Relay::on(&world.server).start()?;
        for port in [443, 8443] {
            let at = SocketAddr::new(world.server.v4(), port);
            for (probe, ours) in PROBES.iter().zip(heard(&world.phone, at, &PROBES)?) {
                assert_eq!(ours, NOTHING, "after {probe:02x?}");
            }
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
        let key = relay.key()?;
        let opening = |form| Ok(client::through(key.link(form)?)?.opening());
        let openings = Form::ALL.map(opening);
        let openings = openings.into_iter().collect::<Result<Vec<_>>>()?;
        let openings: Vec<_> = openings.iter().map(Vec::as_slice).collect();
        for (answer, _) in heard(&world.phone, at, &openings)? {
            assert!(!answer.is_empty(), "the first time it is welcome");
        }
        let again = heard(&world.phone, at, &openings)?;
        assert_eq!(again, [NOTHING, NOTHING, NOTHING]);
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
                timeout(MOMENT, ping).await?
            });
            assert_eq!(outcome.is_ok(), welcome, "{seconds} s: {outcome:?}");
        }
        relay.notice("clock-skew", Duration::from_secs(5))?;
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
                timeout(MOMENT, ping).await?
            });
            assert!(outcome.is_err());
        }
        assert_eq!(world.telegram.visits(), []);
        Ok(())
    })
}

#[test]
fn with_many_keys_and_a_mask_who_gives_no_hint_waits_gets_in_and_strangers_meet_the_website()
-> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let site = Website::https(&world.web, 443, "orchards.example")?;
        let relay = Relay::on(&world.server).mask("orchards.example").ports("quiet").start()?;
        relay.command(&["key", "new", "--count", "400", "--json"])?;
        let key = relay.new_key()?;
        std::thread::sleep(Duration::from_secs(1));
        let at = SocketAddr::new(world.server.v4(), 443);
        for form in Form::ALL {
            // The printed link would lead to the key by its port.
            let link = key.link_to(form, at)?;
            world.phone.run(async move || {
                let ping = async { client::through(&link)?.connect().await?.ping().await };
                timeout(Duration::from_secs(10), ping).await?
            })?;
        }
        let url = "https://orchards.example/";
        let real = website::fetch(&world.phone, url, site.address())?;
        assert!(real.is_ok(), "{real:?}");
        assert_eq!(undated(website::fetch(&world.phone, url, at)?), undated(real));

        // It is written down every few seconds.
        std::thread::sleep(Duration::from_secs(11));
        let shown = relay.command(&["stats", "--json"])?;
        let gauges = &shown[0]["now"]["gauges"];
        let number =
            |name: &str| gauges[name].as_u64().unwrap_or_else(|| panic!("{name} in {gauges}"));
        let seen = [number("waiting_now"), number("waited_found"), number("turned_away")];
        assert_eq!((seen[0], seen[2]), (0, 0), "{gauges}");
        Ok(())
    })
}
