//! The doctor finds what was broken on purpose, and nothing where nothing was.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use lab::relay::Diagnosis;
use lab::{Blockade, Host, Lab, NameServer, Relay, Result, Website, country};
use nix::sys::signal::Signal;
use tokio::net::TcpListener;

/// Whether a line was said in this state, with all of these words.
fn says(diagnosis: &Diagnosis, name: &str, state: &str, words: &[&str]) -> bool {
    let said = diagnosis.of(name);
    said.lines().any(|line| {
        line.starts_with(&format!("{state}: ")) && words.iter().all(|word| line.contains(word))
    })
}

/// A program that has this port until the test ends.
fn program_on(host: &Host, port: u16) -> Result {
    let at = (host.v4(), port);
    let (ready, up) = mpsc::channel();
    let _ = host.start(async move || {
        let listener = TcpListener::bind(at).await?;
        let _ = ready.send(());
        while listener.accept().await.is_ok() {}
        Ok(())
    })?;
    up.recv().expect("it listens");
    Ok(())
}

/// Somebody else's relay, in another place, and the link of a key for it.
fn second_relay(lab: &Lab) -> Result<(Relay, lab::relay::WebKey)> {
    let host = lab.host("second", &["95.216.1.1", "2a01:4f9:1::1"])?;
    let relay = Relay::on(&host).start()?;
    let key = relay.new_web_key()?;
    std::thread::sleep(Duration::from_secs(1));
    Ok((relay, key))
}

#[test]
fn a_healthy_relay_is_found_healthy_from_here_and_from_there() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = Website::https(&world.server, 4443, "orchards.example")?;
        let relay = Relay::on(&world.server).mask("orchards.example:4443").start()?;
        relay.new_web_key()?;
        std::thread::sleep(Duration::from_secs(1));
        let (_second, key) = second_relay(lab)?;
        for link in [&key.socks5, &key.tg, &key.https] {
            let found = relay.doctor(&["--from", link])?;
            assert!(found.healthy, "{found:#?}");
            for name in ["relay", "ports", "clock", "datacentres", "mask", "from there"] {
                assert!(says(&found, name, "ok", &[]), "{name}: {found:#?}");
            }
            let v4 = world.server.v4().to_string();
            let v6 = world.server.v6().to_string();
            for form in ["plain", "dd", "ee"] {
                assert!(says(&found, form, "ok", &[&v4, &v6]), "{form}: {found:#?}");
                assert!(says(&found, "from there", "ok", &[&v4, &v6, form]), "{found:#?}");
            }
            for form in ["SOCKS5", "HTTP"] {
                assert!(says(&found, form, "ok", &["1080"]), "{form}: {found:#?}");
            }
            assert!(says(&found, "scanner", "ok", &["orchards.example", "points here"]));
            assert!(says(&found, "scanner", "warning", &["1080", "in clear"]));
        }
        Ok(())
    })
}

#[test]
fn what_it_prints_for_people_has_no_secret_in_it() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let web = relay.new_web_key()?;
        std::thread::sleep(Duration::from_secs(1));
        let password = web.socks5.split(['/', ':', '@']).nth(4).expect("a password").to_owned();
        let key = relay.key()?;
        let link = key.link(lab::relay::Form::Plain)?;
        let secret = link.split_once("secret=").expect("a secret").1;
        let said = relay.text(&["doctor"])?;
        assert!(said.contains("no fault") && said.contains("\nok       clock"), "{said}");
        assert!(!said.contains(secret) && !said.contains(&password), "{said}");
        assert!(!said.contains('\x1b'), "no colours where there is no terminal");
        Ok(())
    })
}

#[test]
fn a_clock_that_is_wrong_is_told_by_telegrams() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        for (ahead, state, word) in [(900, "fault", "15 min behind"), (-100, "warning", "ahead of")]
        {
            world.telegram.set_clock_ahead(ahead);
            let found = relay.doctor(&[])?;
            assert_eq!(found.healthy, state != "fault", "{found:#?}");
            assert!(says(&found, "clock", state, &[word, "clock is wrong", "timedatectl"]));
        }
        Ok(())
    })
}

#[test]
fn a_port_that_another_program_has_is_named_with_the_program() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = Website::https(&world.server, 443, "orchards.example")?;
        let relay = Relay::on(&world.server).ports("443,8443,8080").start()?;
        let found = relay.doctor(&[])?;
        // Links carry the next one, so people get through.
        assert!(found.healthy, "{found:#?}");
        assert!(says(&found, "port 443", "warning", &["python3", "another program's"]));
        assert!(says(&found, "dd", "ok", &[":8443"]), "{found:#?}");

        program_on(&world.server, 8443)?;
        let found = relay.doctor(&[])?;
        assert!(!found.healthy);
        assert!(says(&found, "port 8443", "fault", &["since the relay was started"]), "{found:#?}");
        assert!(says(&found, "dd", "fault", &["has the port"]), "{found:#?}");

        program_on(&world.server, 1080)?;
        relay.new_web_key()?;
        let found = relay.doctor(&[])?;
        assert!(says(&found, "SOCKS5, HTTP", "fault", &["another program holds port 1080"]));
        Ok(())
    })
}

#[test]
fn a_datacentre_that_is_blocked_is_told_from_one_address_and_from_a_family() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let addresses = |dc| {
            let mut addresses: Vec<_> =
                world.telegram.endpoints(dc).iter().map(SocketAddr::ip).collect();
            addresses.dedup();
            addresses
        };
        world.telegram.unplug(addresses(2)[0])?;
        for address in addresses(4) {
            world.telegram.unplug(address)?;
        }
        let found = relay.doctor(&[])?;
        assert!(!found.healthy);
        assert!(says(&found, "datacentre 4", "fault", &["no address answers", "blocks it"]));
        assert!(says(&found, "datacentre 2", "warning", &[&addresses(2)[0].to_string()]));
        assert!(says(&found, "datacentres", "ok", &["1, 2, 3, 5, 203"]), "{found:#?}");
        assert_eq!(found.all("fault"), ["datacentre 4"]);

        for address in addresses(4) {
            world.telegram.plug(address)?;
        }
        for address in world.telegram.addresses().iter().filter(|ip| ip.is_ipv6()) {
            world.telegram.unplug(*address)?;
        }
        let found = relay.doctor(&[])?;
        assert!(found.healthy, "{found:#?}");
        assert!(says(&found, "datacentres", "warning", &["none answers over IPv6"]), "{found:#?}");

        for address in world.telegram.addresses() {
            world.telegram.unplug(*address)?;
        }
        let found = relay.doctor(&[])?;
        assert!(says(&found, "datacentres", "fault", &["none answers", "blocks Telegram"]));
        assert!(says(&found, "clock", "warning", &["not compared"]), "{found:#?}");
        assert!(says(&found, "dd", "fault", &["see 'datacentres'"]), "{found:#?}");
        Ok(())
    })
}

#[test]
fn a_mask_that_is_down_lost_or_the_relay_itself_is_named() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        world.web.call("down.example")?;
        world.server.call("itself.example")?;
        // Nobody to ask, and then somebody who knows no names.
        let relay = Relay::on(&world.server).mask("nowhere.example").start()?;
        let found = relay.doctor(&[])?;
        assert!(says(&found, "mask", "fault", &["name servers do not answer"]), "{found:#?}");
        drop(relay);
        let _names = NameServer::on(&world.web)?;
        for (mask, words) in [
            ("down.example", ["does not answer", "the web server is down"]),
            ("nowhere.example", ["no such name", "mistyped"]),
            ("itself.example:8443", ["this relay itself", "points here"]),
        ] {
            let relay = Relay::on(&world.server).mask(mask).start()?;
            let found = relay.doctor(&[])?;
            assert!(says(&found, "mask", "fault", &words), "{mask}: {found:#?}");
            assert!(!found.healthy);
        }
        let _plain = Website::http(&world.web, 80, "plain.example")?;
        let relay = Relay::on(&world.server).mask("plain.example:80").start()?;
        let found = relay.doctor(&[])?;
        assert!(says(&found, "mask", "warning", &["no TLS"]), "{found:#?}");
        Ok(())
    })
}

#[test]
fn a_mask_whose_name_points_elsewhere_is_what_a_scanner_sees() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = Website::https(&world.web, 443, "orchards.example")?;
        let relay = Relay::on(&world.server).mask("orchards.example").ports("all").start()?;
        let found = relay.doctor(&[])?;
        assert!(found.healthy, "{found:#?}");
        let elsewhere = world.web.v4().to_string();
        assert!(says(&found, "scanner", "warning", &["orchards.example", &elsewhere]));
        assert!(says(&found, "scanner", "warning", &["every port answers", "jaryq ports quiet"]));
        Ok(())
    })
}

#[test]
fn without_a_mask_it_says_what_that_shows() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let found = relay.doctor(&[])?;
        assert!(found.healthy, "{found:#?}");
        assert!(says(&found, "scanner", "warning", &["ever says anything", "no mask"]));
        assert!(says(&found, "scanner", "warning", &["'ee' links name", "not here"]));
        Ok(())
    })
}

#[test]
fn a_firewall_on_the_server_is_told_from_the_providers() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).start()?;
        let (_second, key) = second_relay(lab)?;
        lab.firewall(world.server.v4(), &[8443])?;
        let found = relay.doctor(&["--from", &key.socks5])?;
        let at = |port| format!("{}:{port}", world.server.v4());
        assert!(says(&found, "dd", "ok", &[&at(443)]), "{found:#?}");
        assert!(says(&found, "from there", "ok", &[&at(443)]), "{found:#?}");
        assert!(says(&found, "from there", "fault", &[&at(8443), "provider's firewall"]));
        assert!(!says(&found, "from there", "fault", &[&at(443)]), "{found:#?}");
        assert_eq!(found.all("fault"), ["from there"]);

        world.server.firewall(&[443])?;
        let found = relay.doctor(&[])?;
        assert!(says(&found, "dd", "fault", &[&at(443), "firewall on this server"]), "{found:#?}");
        Ok(())
    })
}

#[test]
fn what_a_second_relay_may_not_do_is_told_from_what_is_broken() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).ports("443,3784").start()?;
        let (second, key) = second_relay(lab)?;
        let found = relay.doctor(&["--from", &key.socks5])?;
        assert!(found.healthy, "{found:#?}");
        assert!(says(&found, "from there", "ok", &[":3784", "may not dial"]), "{found:#?}");
        assert!(says(&found, "from there", "ok", &["through to Telegram", ":443"]));

        let own = relay.new_web_key()?;
        let found = relay.doctor(&["--from", &own.socks5])?;
        assert!(says(&found, "from there", "fault", &["this relay's own key"]), "{found:#?}");

        second.command(&["key", "revoke", &key.id, "--json"])?;
        // With its last such key, the port closes.
        let last = second.new_web_key()?;
        std::thread::sleep(Duration::from_secs(1));
        let found = relay.doctor(&["--from", &key.socks5])?;
        assert!(says(&found, "from there", "fault", &["user name and password", "revoked"]));
        drop(second);
        let found = relay.doctor(&["--from", &last.socks5])?;
        assert!(says(&found, "from there", "fault", &["cannot be reached", "down"]), "{found:#?}");
        Ok(())
    })
}

#[test]
fn a_relay_that_does_not_run_is_missed() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let mut relay = Relay::on(&world.server).start()?;
        relay.signal(Signal::SIGKILL)?;
        relay.ended(Duration::from_secs(3))?;
        let found = relay.doctor(&[])?;
        assert_eq!(found.all("fault"), ["relay"], "{found:#?}");
        assert!(says(&found, "relay", "fault", &["does not run", "jaryq up"]));
        Ok(())
    })
}
