//! A volunteer's relay joins a fleet with one line, and does as its hub says.

mod hub;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hub::{Hub, LIMIT, Office, RELAY};
use lab::relay::Owner;
use lab::website::curl;
use lab::{Blockade, BlockedSite, Host, Relay, Result, client, country};
use nix::sys::signal::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use wire::derive::{Buckets, Epoch, FleetKey};
use wire::fleet::{Carries, Posture, Standing};
use wire::mtproto::datacentre::HUB;

const EPOCH: Epoch = Epoch(1);

/// The port of one of the relay's buckets.
fn bucket_port(number: usize) -> u16 {
    let key = FleetKey::from_bytes([7; 32]).relay_key(&RELAY);
    Buckets::new(&key, EPOCH).ports()[number]
}

/// Whether somebody with this link reaches Telegram.
fn pings(phone: &Host, link: &str) -> bool {
    let link = link.to_owned();
    let pinged = phone.run(async move || {
        let ping = async { client::through(&link)?.connect().await?.ping().await };
        timeout(Duration::from_secs(5), ping).await?
    });
    pinged.is_ok()
}

/// Tells the relay, and waits until it has done it.
fn told(office: &Office, change: impl FnOnce(&mut wire::fleet::Order)) {
    let number = office.order(change);
    office.hears("it follows", |heartbeat| heartbeat.order == number);
}

fn joined(world: &Blockade, hub: &Hub) -> Result<Relay> {
    Relay::on(&world.server).ports("quiet").arguments(&["--join", &hub.invite()]).start()
}

#[test]
fn one_line_joins_and_people_with_seats_get_through_also_after_a_crash_without_the_hub() -> Result {
    country(|lab| {
        let (world, hub) = (Blockade::new(lab)?, Hub::on(lab)?);
        let (office, server) = (&hub.office, world.server.v4());
        let port = bucket_port(3);
        let link = office.seat(1, server, port, EPOCH);
        let relay = joined(&world, &hub)?;
        let fleet = &relay.ready()["fleet"];
        assert_eq!(
            (fleet["carries"].as_str(), fleet["seats"].as_u64()),
            (Some("telegram"), Some(1))
        );
        assert!(relay.ready()["key"].is_null(), "it gives out no key of its own");
        let open = relay.ready()["bucket_ports"].as_array().expect("ports").clone();
        assert_eq!(open, [port], "the ports of its seats, and no others");
        assert!(pings(&world.phone, &link));
        let counted = office.hears("who came is counted", |it| !it.counted.is_empty());
        let counts: Vec<_> =
            counted.counted.iter().map(|it| (it.port, it.network, it.connections)).collect();
        assert_eq!(counts, [(port, 0, 1)]);
        assert_eq!(counted.face.address, server.to_string());
        office.hears("Telegram is reached", |it| it.health.datacentres == (5, 5));

        let usual = office.seat(2, server, 443, EPOCH);
        office.unseat(1);
        told(office, |order| order.words = vec!["thank you".to_owned()]);
        assert!(pings(&world.phone, &usual) && !pings(&world.phone, &link));
        let said = relay.notice("hub", LIMIT)?;
        assert_eq!(said["text"], "thank you");
        let stats = relay.command(&["stats", "--json"])?;
        assert_eq!(stats[0]["fleet"]["seats"], 1);
        for verb in [&["key", "new"][..], &["bundle", "signer"], &["ports", "all"]] {
            let refused = relay.text(verb).expect_err("the hub does that").to_string();
            assert!(refused.contains("its hub gives out keys"), "{refused}");
        }
        let plan = Relay::on(&world.server).ports("quiet");
        office.away(true);
        let relay = relay.crash_and_restart(&plan)?;
        assert!(pings(&world.phone, &usual), "it goes on with what it was told");
        assert!(!pings(&world.phone, &link), "who has no seat any more has none");
        relay.notice("hub-away", LIMIT)?;
        office.away(false);
        relay.notice("hub-back", LIMIT)?;

        let owner: Owner = relay.owner();
        drop(relay);
        let again = owner.start(&plan.arguments(&["--join", &hub.invite()]))?;
        assert!(pings(&world.phone, &usual), "the same invite again changes nothing");
        drop(again);
        let other = hub.other_invite();
        let plan = Relay::on(&world.server).ports("quiet").arguments(&["--join", &other]);
        assert!(owner.start(&plan).is_err(), "it has joined already");
        Ok(())
    })
}

#[test]
fn a_relay_does_what_its_hub_signs_and_nothing_else() -> Result {
    country(|lab| {
        let (world, hub) = (Blockade::new(lab)?, Hub::on(lab)?);
        let (office, server) = (&hub.office, world.server.v4());
        let link = office.seat(1, server, 443, EPOCH);
        let relay = joined(&world, &hub)?;
        assert!(pings(&world.phone, &link));
        told(office, |order| order.posture = Posture::All);
        let anywhere = office.link(1, server, 40_123, EPOCH);
        assert!(pings(&world.phone, &anywhere), "in a cut, any port will do");
        told(office, |order| order.posture = Posture::Quiet);
        assert!(!pings(&world.phone, &anywhere));

        told(office, |order| order.epoch = Epoch(2));
        assert!(!pings(&world.phone, &link), "its secret is over");
        let next = office.link(1, server, 443, Epoch(2));
        assert!(pings(&world.phone, &next));

        office.forge(true);
        let forged = office.order(|order| order.posture = Posture::All);
        let heard = office.heard().len();
        office.hears("it asks again", |it| {
            it.number > office.heard()[heard.saturating_sub(1)].number
        });
        assert!(!pings(&world.phone, &office.link(1, server, 40_123, Epoch(2))));
        assert!(office.heard().iter().all(|it| it.order < forged), "it does not follow");
        office.forge(false);
        told(office, |order| order.posture = Posture::Quiet);
        assert!(pings(&world.phone, &next));
        drop(relay);
        Ok(())
    })
}

#[test]
fn a_volunteer_pauses_goes_on_and_leaves_and_the_hub_hears_of_it() -> Result {
    country(|lab| {
        let (world, hub) = (Blockade::new(lab)?, Hub::on(lab)?);
        let office = &hub.office;
        let link = office.seat(1, world.server.v4(), 443, EPOCH);
        let mut relay = joined(&world, &hub)?;
        assert!(pings(&world.phone, &link));
        relay.text(&["pause"])?;
        office.hears("it is paused", |it| it.standing == Standing::Paused);
        assert!(!pings(&world.phone, &link));
        let plan = Relay::on(&world.server).ports("quiet");
        relay = relay.crash_and_restart(&plan)?;
        assert!(!pings(&world.phone, &link), "it is paused after a restart too");
        let paused = office.heard().len();
        relay.text(&["resume"])?;
        let goes_on =
            || office.heard()[paused..].iter().any(|it| it.standing == Standing::Carrying);
        office.hears("it goes on", |_| goes_on());
        assert!(pings(&world.phone, &link));

        let said = relay.text(&["leave"])?;
        assert!(said.contains("forgotten") && !said.contains("could not be told"), "{said}");
        office.hears("it leaves", |it| it.standing == Standing::Leaving);
        assert!(relay.ended(LIMIT)?.success());
        assert!(!pings(&world.phone, &link));
        for file in std::fs::read_dir(relay.state()).expect("a folder") {
            let file = file.expect("a file").path();
            let bytes =
                if file.is_file() { std::fs::read(&file).expect("read") } else { Vec::new() };
            let holds = bytes.windows(32).any(|some| some == office.seed());
            assert!(!holds, "the seed is in {}", file.display());
        }
        Ok(())
    })
}

#[test]
fn a_month_that_is_spent_is_over_for_people_and_the_hub_hears_of_it() -> Result {
    country(|lab| {
        let (world, hub) = (Blockade::new(lab)?, Hub::on(lab)?);
        let link = hub.office.seat(1, world.server.v4(), 443, EPOCH);
        // A thousandth of a TB is a cent.
        let money =
            ["--monthly-traffic", "1TB", "--monthly-money", "0.00004", "--price-per-tb", "10"];
        let invite = hub.invite();
        let arguments = [&["--join", &invite][..], &money].concat();
        let mut relay = Relay::on(&world.server).ports("quiet").arguments(&arguments).start()?;
        let capacity = hub.office.hears("how much it may carry", |_| true).capacity;
        assert_eq!(capacity.monthly, 4_000_000, "the smaller bound counts");
        let through = link.clone();
        let person = world.phone.run(async move || {
            let mut client = client::through(&through)?.connect().await?;
            // It ends somewhere on the way, or after it.
            if timeout(LIMIT, client.download(8 << 20)).await?.is_ok() {
                timeout(LIMIT, client.ended()).await??;
            }
            Ok(())
        });
        person?;
        let spent = hub.office.hears("it is spent", |it| it.standing == Standing::Spent);
        assert!(spent.health.carried >= 4_000_000);
        assert!(!pings(&world.phone, &link));
        relay.signal(Signal::SIGTERM)?;
        assert!(relay.ended(LIMIT)?.success());
        let plan = Relay::on(&world.server).ports("quiet").arguments(&money);
        let relay = relay.owner().start(&plan)?;
        assert!(!pings(&world.phone, &link), "it is the same month after a restart");
        drop(relay);
        Ok(())
    })
}

/// What a hub says to a request that comes by way of a relay.
async fn asked(link: &str, hub: (&Path, IpAddr), request: &str) -> Result<String> {
    let (certificate, at) = hub;
    let stream = client::through(link)?.datacentre(HUB.0).connect().await?.into_stream();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).expect("a certificate")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tls =
        TlsConnector::from(Arc::new(config)).connect(ServerName::from(at), stream).await?;
    tls.write_all(request.as_bytes()).await?;
    let mut said = Vec::new();
    // Some end without a farewell.
    let _ = tls.read_to_end(&mut said).await;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn whoever_has_a_link_reaches_the_hub_through_it_in_every_dress() -> Result {
    country(|lab| {
        let (world, hub) = (Blockade::new(lab)?, Hub::on(lab)?);
        world.inside.swallow(hub.host.v4())?;
        let link = hub.office.seat(1, world.server.v4(), 443, EPOCH);
        let relay = joined(&world, &hub)?;
        let (server, secret) = link.rsplit_once("secret=dd").expect("a padded link");
        // As the apps write it: the name in hexadecimal.
        let dressed = format!("{server}secret=ee{secret}6f726368617264732e6578616d706c65");
        for link in [link, dressed] {
            let (certificate, at) = (hub.certificate.clone(), hub.host.v4());
            let said = world.phone.run(async move || {
                let request = "GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n";
                timeout(LIMIT, asked(&link, (&certificate, at), request)).await?
            })?;
            assert!(said.starts_with("HTTP/1.1 404"), "{said}");
        }
        drop(relay);
        Ok(())
    })
}

#[test]
fn of_where_people_are_the_hub_hears_networks_and_one_bit() -> Result {
    country(|lab| {
        let (world, hub) = (Blockade::new(lab)?, Hub::on(lab)?);
        let (office, server) = (&hub.office, world.server.v4());
        let link = office.seat(1, server, 443, EPOCH);
        let networks = world.server.folder()?.join("networks.tsv");
        std::fs::write(&networks, "5.76.0.0\t5.76.255.255\t9198\tKZ\tKT\n").expect("written");
        let networks = networks.to_str().expect("text");
        let arguments = ["--join", &hub.invite(), "--networks", networks];
        let relay = Relay::on(&world.server).ports("quiet").arguments(&arguments).start()?;
        told(office, |order| order.home = vec![9198]);
        assert!(pings(&world.phone, &link));
        let counted = office.hears("who came is counted", |it| !it.counted.is_empty());
        assert_eq!((counted.counted[0].network, counted.abroad.len()), (9198, 0));
        told(office, |order| order.home = vec![29_355]);
        assert!(pings(&world.phone, &link));
        let abroad = office.hears("a key was used abroad", |it| !it.abroad.is_empty());
        assert_eq!(abroad.abroad, [office.key(1)]);
        let phone = [world.phone.v4(), world.phone.v6()].map(|address| address.to_string());
        for file in std::fs::read_dir(relay.state()).expect("a folder") {
            let file = file.expect("a file").path();
            let text =
                String::from_utf8_lossy(&std::fs::read(&file).unwrap_or_default()).into_owned();
            assert!(!phone.iter().any(|address| text.contains(address)), "{}", file.display());
        }
        Ok(())
    })
}

#[test]
fn a_door_inside_asks_a_real_hub_through_a_link_and_the_volunteer_is_heard_by_it() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let office = lab.host("office", &["185.15.56.1"])?;
        world.inside.swallow(office.v4())?;
        let hub = lab::Hub::start(&office, &[])?;
        let invite = hub.invite()?;
        let plan = Relay::on(&world.server).ports("quiet").arguments(&["--join", &invite]);
        let relay = plan.start()?;
        hub.until_reached(1, Duration::from_secs(60))?;
        let link = hub.give()?.remove(0);
        let end = Instant::now() + LIMIT;
        while !pings(&world.phone, &link) {
            assert!(Instant::now() < end, "the relay hears of a seat");
        }
        let door = hub.verb(&["door", "inside"])?;
        let [token, path] = ["token", "path"].map(|name| door[name].as_str().expect("text"));
        let body = r#"{"person": "aigul", "request": "00112233445566778899aabbccddeeff"}"#;
        let request = format!(
            "POST {path}/v1/ask HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {token}\r\nConnection: \
             close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut files = std::fs::read_dir(hub.state().join("tls")).expect("a folder").flatten();
        let is_own = |name: &str| name.starts_with("self-signed");
        let certificate = files.find(|file| is_own(&file.file_name().to_string_lossy()));
        let (certificate, at) = (certificate.expect("a certificate").path(), office.v4());
        let said = world.phone.run(async move || {
            timeout(LIMIT, asked(&link, (&certificate, at), &request)).await?
        })?;
        assert!(said.starts_with("HTTP/1.1 200") && said.contains("tg://proxy?server="), "{said}");

        let stands = |standing: &str| {
            hub.until(&["relays"], LIMIT, |told| told["relays"][0]["standing"] == standing)
        };
        relay.text(&["pause"])?;
        stands("paused")?;
        relay.text(&["resume"])?;
        stands("carrying")?;
        let said = relay.text(&["leave"])?;
        assert!(!said.contains("could not be told"), "{said}");
        hub.until(&["relays"], LIMIT, |told| told["relays"][0]["standing"] != "carrying")?;
        Ok(())
    })
}

#[test]
fn until_somebody_vouches_browsers_reach_the_hub_alone() -> Result {
    country(|lab| {
        let (world, hub) = (Blockade::new(lab)?, Hub::on(lab)?);
        let _site = BlockedSite::new(&world)?;
        let office = &hub.office;
        office.seat(1, world.server.v4(), 443, EPOCH);
        let invite = hub.invite();
        let arguments = ["--join", &invite, "--domain", "relay.example"];
        let relay = Relay::on(&world.server).ports("quiet").arguments(&arguments).start()?;
        let (user, password) = office.web_account(1, EPOCH);
        let proxy = format!("https://{user}:{password}@{}:443", world.server.v4());
        let visit = |to: IpAddr| {
            let url = format!("https://{to}/");
            let arguments = ["--proxy-insecure", "--proxy", &proxy, &url];
            Ok::<_, lab::Error>(curl(&world.phone, &arguments)?.unwrap_or_else(|error| error))
        };
        let [to_hub, elsewhere] = [hub.host.v4(), world.web.v4()];
        let is_there = |said: &str| said.contains(BlockedSite::SAYS);
        assert!(visit(to_hub)?.contains(" 404"), "the hub's own website");
        assert!(visit(elsewhere)?.contains("403"), "nobody vouches for it");
        told(office, |order| order.carries = Carries::Everything);
        assert!(is_there(&visit(elsewhere)?));
        told(office, |order| order.fleet = vec![elsewhere, to_hub]);
        assert!(visit(elsewhere)?.contains("403"), "another machine of the fleet");
        assert!(visit(to_hub)?.contains(" 404"), "the hub is always led to");
        drop(relay);
        Ok(())
    })
}
