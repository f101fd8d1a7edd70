//! Whatever a scanner says, a relay behind a mask is a plain TCP forwarder to it: the same bytes, the
//! same end. (How long that takes, `timing` shows: `cargo test -p lab --test probes -- --ignored
//! --nocapture`.)

mod corpus;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use corpus::{Probe, Seen};
use lab::relay::Form;
use lab::{Blockade, Forwarder, Host, Relay, Result, Website, client, country};
use tokio::time::timeout;
use wire::tls::answer;
use wire::tls::hello::{X25519, X25519_MLKEM768};
use wire::tls::offer;

const NAME: &str = "orchards.example";

/// A world with a website in it, a forwarder to that, and a relay that hides behind it.
struct Scene {
    world: Blockade,
    site: Website,
    forwarder: Forwarder,
}

impl Scene {
    fn new(lab: &lab::Lab, site: fn(&Host, u16, &str) -> Result<Website>) -> Result<Self> {
        let world = Blockade::new(lab)?;
        let site = site(&world.web, 443, NAME)?;
        let gate = lab.host("gate", &["116.203.7.9"])?;
        let forwarder = Forwarder::start(&gate, 443, site.address())?;
        Ok(Self { world, site, forwarder })
    }

    fn relay(&self) -> Result<Relay> {
        let relay = Relay::on(&self.world.server).ports("all").mask(NAME).start()?;
        // Somebody has a bundle, so that the relay looks for questions.
        let file = self.world.server.folder()?.join("bundle");
        let file = file.to_str().expect("UTF-8");
        relay.command(&["bundle", "make", "--label", "Aunt", "--output", file, "--json"])?;
        // Four times a second it looks for what is new.
        std::thread::sleep(Duration::from_millis(600));
        Ok(relay)
    }

    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.world.server.v4(), port)
    }

    /// First flights that the relay has answered before.
    fn used(&self, relay: &Relay) -> Result<Vec<Probe>> {
        let mut used = Vec::new();
        for form in Form::ALL {
            let opening = client::through(relay.key()?.link(form)?)?.opening();
            used.push(Probe::new(format!("replayed {form:?}"), &opening));
            used.push(Probe::new(format!("replayed half {form:?}"), &opening[..40]));
        }
        let whole: Vec<Probe> = used.iter().step_by(2).cloned().collect();
        for seen in seen(&self.world.phone, self.at(443), &whole)? {
            assert!(!seen.bytes.is_empty(), "the first time it is welcome: {seen:?}");
        }
        Ok(used)
    }

    /// Every probe gives the same at the relay as at the website itself. Beside what does not, the
    /// forwarder is shown: it does not always.
    fn assert_alike(&self, probes: &[Probe], ports: &[u16]) -> Result {
        let phone = &self.world.phone;
        let real = seen(phone, self.site.address(), probes)?;
        let mut unlike = BTreeMap::new();
        for port in ports {
            let ours = seen(phone, self.at(*port), probes)?;
            for ((probe, ours), real) in probes.iter().zip(ours).zip(&real) {
                if !ours.is_like(real) {
                    let forwarded =
                        seen(phone, self.forwarder.address(), std::slice::from_ref(probe))?;
                    unlike.insert((port, probe.name.clone()), (ours, real.clone(), forwarded));
                }
            }
        }
        assert!(unlike.is_empty(), "{} of {}: {unlike:#?}", unlike.len(), probes.len());
        Ok(())
    }
}

/// What comes of each probe when this host sends it.
fn seen(host: &Host, at: SocketAddr, probes: &[Probe]) -> Result<Vec<Seen>> {
    let probes = probes.to_vec();
    host.run(async move || corpus::seen(at, &probes).await)
}

#[test]
fn every_probe_of_the_corpus_is_answered_as_by_nginx() -> Result {
    country(|lab| {
        let scene = Scene::new(lab, Website::nginx)?;
        let relay = scene.relay()?;
        let probes = [corpus::all(NAME), scene.used(&relay)?].concat();
        scene.assert_alike(&probes, &[443])?;
        let some: Vec<Probe> = probes.into_iter().step_by(7).collect();
        scene.assert_alike(&some, &[80, 31_337])
    })
}

#[test]
fn every_probe_of_the_corpus_is_answered_as_by_a_small_website() -> Result {
    country(|lab| {
        let scene = Scene::new(lab, Website::https)?;
        let relay = scene.relay()?;
        let probes = [corpus::all(NAME), scene.used(&relay)?].concat();
        let some: Vec<Probe> = probes.into_iter().step_by(3).collect();
        scene.assert_alike(&some, &[443])
    })
}

#[test]
fn what_was_seen_before_a_crash_is_the_websites_after_it() -> Result {
    country(|lab| {
        let scene = Scene::new(lab, Website::nginx)?;
        let relay = scene.relay()?;
        let used = scene.used(&relay)?;
        let plan = Relay::on(&scene.world.server).ports("all").mask(NAME);
        let relay = relay.crash_and_restart(&plan)?;
        scene.assert_alike(&used, &[443])?;
        // While what was not seen yet is as welcome as before.
        scene.used(&relay)?;
        Ok(())
    })
}

#[test]
fn who_says_everything_in_two_halves_gets_in_at_the_second_attempt_at_the_latest() -> Result {
    country(|lab| {
        let scene = Scene::new(lab, Website::nginx)?;
        let relay = scene.relay()?;
        let key = relay.key()?;
        let ping = |form, pause| {
            let halves = client::through(key.link(form)?)?
                .in_pieces(if form == Form::FakeTls { 900 } else { 50 }, pause);
            scene.world.phone.run(async move || {
                let ping = async { halves.connect().await?.ping().await };
                timeout(Duration::from_secs(10), ping).await?
            })
        };
        for pause in [50, 150, 300].map(Duration::from_millis) {
            ping(Form::FakeTls, pause)?;
        }
        // It cannot be known from whom to expect that before it has happened once.
        let _ = ping(Form::Padded, Duration::from_millis(300));
        for pause in [50, 150, 300].map(Duration::from_millis) {
            ping(Form::Padded, pause)?;
            ping(Form::Plain, pause)?;
        }
        Ok(())
    })
}

#[test]
fn fake_tls_looks_like_the_websites_own() -> Result {
    country(|lab| {
        let scene = Scene::new(lab, Website::nginx)?;
        let relay = scene.relay()?;
        // The relay asks it as soon as it is up, four times in each way.
        std::thread::sleep(Duration::from_secs(7));
        let opening = client::through(relay.key()?.link(Form::FakeTls)?)?.opening();
        let real = Probe::new("a hello", &offer::record(NAME, X25519_MLKEM768));
        let phone = &scene.world.phone;
        let real = seen(phone, scene.site.address(), &[real])?.remove(0);
        let ours = seen(phone, scene.at(443), &[Probe::new("a key's", &opening)])?.remove(0);
        let read = |seen: &Seen| answer::read(&seen.bytes).expect("TLS 1.3").expect("whole");
        let (real_look, our_look) = (read(&real), read(&ours));
        assert_eq!(ours.bytes.len(), real.bytes.len());
        assert!(real_look.encrypted.len() > 1, "{real_look:?}");
        let one = real_look.encrypted.iter().map(|payload| payload + 5).sum::<usize>() - 5;
        assert_eq!(our_look, answer::Answer { encrypted: vec![one], ..real_look });
        Ok(())
    })
}

#[test]
fn fake_tls_takes_no_less_time_than_the_website_would() -> Result {
    country(|lab| {
        let scene = Scene::new(lab, Website::nginx)?;
        let far = lab.host("far", &["185.98.5.9"])?;
        far.call("far.example")?;
        let delay = Duration::from_millis(100);
        let _far = Forwarder::far(&far, 443, scene.site.address(), delay)?;
        let relay = Relay::on(&scene.world.server).mask("far.example").start()?;
        std::thread::sleep(Duration::from_secs(5));
        let hello = client::through(relay.key()?.link(Form::FakeTls)?)?.opening();
        let at = scene.at(443);
        let took = scene.world.phone.run(async move || corpus::first_byte(at, &hello).await)?;
        assert!(took > 2 * delay - Duration::from_millis(5), "{took:?}");
        Ok(())
    })
}

#[test]
fn a_website_that_fake_tls_cannot_look_like_is_no_good_mask_and_the_volunteer_is_told() -> Result {
    for tls in ["ssl_protocols TLSv1.2;", "ssl_protocols TLSv1.3; ssl_ecdh_curve secp384r1;"] {
        country(|lab| {
            let world = Blockade::new(lab)?;
            let _site = Website::nginx_with(&world.web, 443, NAME, tls)?;
            let relay = Relay::on(&world.server).mask(NAME).start()?;
            relay.notice("mask-unlike", Duration::from_secs(15))?;
            // And what it did before it does still.
            let link = relay.key()?.link(Form::FakeTls)?.to_owned();
            world.phone.run(async move || client::through(&link)?.connect().await?.ping().await)
        })?;
    }
    Ok(())
}

/// How long the first byte of an answer takes, the relay beside the forwarder, in milliseconds: the
/// median and what 95 of 100 stay below.
#[test]
#[ignore = "a measurement: run it alone, and read what it prints"]
fn timing() -> Result {
    country(|lab| {
        let scene = Scene::new(lab, Website::nginx)?;
        let far = lab.host("far", &["185.98.5.9"])?;
        far.call("far.example")?;
        let delay = Duration::from_millis(10);
        let far = Forwarder::far(&far, 443, scene.site.address(), delay)?;
        eprintln!("The website is next door:");
        measure(&scene, scene.site.address(), NAME)?;
        eprintln!("It is 20 ms away:");
        measure(&scene, far.address(), "far.example")
    })
}

fn measure(scene: &Scene, mask: SocketAddr, name: &str) -> Result {
    let relay = Relay::on(&scene.world.server).mask(name).start()?;
    let forwarder = Forwarder::start(&scene.world.server, 9443, mask)?;
    std::thread::sleep(Duration::from_secs(8));
    let link = relay.key()?.link(Form::FakeTls)?.to_owned();
    let keyed = || client::through(&link).expect("a link").opening();
    let today = || offer::record(NAME, X25519_MLKEM768);
    let kinds: [(&str, &dyn Fn() -> Vec<u8>); 9] = [
        ("20 random bytes", &|| corpus::garbage(20)),
        ("63 random bytes", &|| corpus::garbage(63)),
        ("64 random bytes", &|| corpus::garbage(64)),
        ("300 random bytes", &|| corpus::garbage(300)),
        ("HTTP", &|| b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a hello of today", &today),
        ("an older hello", &|| offer::record(NAME, X25519)),
        ("another name", &|| offer::record("example.com", X25519_MLKEM768)),
        ("a key's hello", &keyed),
    ];
    eprintln!("{:20}{:>24}{:>24}{:>24}", "", "forwarder", "relay", "difference");
    for (name, said) in kinds {
        let mut took = [Vec::new(), Vec::new()];
        for turn in 0..400 {
            let (at, said) = match turn % 2 {
                // There, a key's hello is a hello like another.
                0 if name == "a key's hello" => (forwarder.address(), today()),
                0 => (forwarder.address(), said()),
                _ => (scene.at(443), said()),
            };
            let answered =
                scene.world.phone.run(async move || corpus::first_byte(at, &said).await)?;
            took[turn % 2].push(answered.as_secs_f64() * 1000.0);
        }
        let [[a, b], [c, d]] = took.map(|mut took| {
            took.sort_by(f64::total_cmp);
            [50, 95].map(|part| took[took.len() * part / 100])
        });
        let (median, most) = (c - a, d - b);
        eprintln!("{name:20}{a:>12.2}{b:>12.2}{c:>12.2}{d:>12.2}{median:>12.2}{most:>12.2}");
    }
    Ok(())
}
