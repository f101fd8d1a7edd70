//! A hub and its relays: volunteers join, people get their ways in, and strangers see a website.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::relay::program;
use lab::website::curl;
use lab::{Blockade, Host, Hub, Relay, Result, country, need, tdlib};

/// A relay is to have joined by then, and to be reached.
const JOINED: Duration = Duration::from_secs(60);
/// A relay is to know of a new seat by then.
const SEATED: Duration = Duration::from_secs(20);
const SITE: &str = "Apple orchards of Almaty";

/// A hub with a website on this host.
fn start(host: &Host, more: &[&str]) -> Result<Hub> {
    let site = host.folder()?;
    fs::write(site.join("index.html"), format!("<h1>{SITE}</h1>"))?;
    let site = site.to_str().expect("text");
    Hub::start(host, &[&["--site", site], more].concat())
}

/// Opens links that a relay hears of within some seconds.
fn until_opened(phone: &Host, links: &[String]) -> Result {
    let end = Instant::now() + SEATED;
    while Instant::now() < end {
        if tdlib::ping(phone, links)?.iter().all(tdlib::Ping::is_ok) {
            return Ok(());
        }
    }
    tdlib::ping_all(phone, links)
}

#[test]
fn volunteers_join_with_a_line_and_what_the_hub_gives_opens_telegram_also_when_it_is_killed()
-> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let office = lab.host("office", &["185.15.56.1"])?;
        let second = lab.host("second", &["95.216.8.8"])?;
        let hub = start(&office, &[])?;
        let early = hub.verb(&["give"]).expect_err("no relay yet").to_string();
        assert!(early.contains("jaryq hub invite"), "{early}");
        let invite = hub.invite()?;
        let _relays = [
            Relay::on(&world.server).arguments(&["--join", &invite]).start()?,
            Relay::on(&second).arguments(&["--join", &hub.invite()?]).start()?,
        ];
        let again = Relay::on(&world.web).arguments(&["--join", &invite]).start();
        assert!(again.is_err(), "a line is good once");
        let relays = hub.until_reached(2, JOINED)?;
        let relays = relays["relays"].as_array().expect("relays");
        assert_eq!(relays.len(), 2);
        assert!(relays.iter().all(|relay| relay["is_vouched"] == false), "{relays:?}");

        let id = relays[0]["id"].as_str().expect("an id");
        hub.verb(&["vouch", &id[..6]])?;
        let vouched = hub.verb(&["relays"])?;
        assert_eq!(vouched["relays"][0]["is_vouched"], true);
        hub.verb(&["unvouch", id])?;
        assert!(hub.verb(&["vouch", "zz"]).is_err(), "there is no such relay");

        let links = hub.give()?;
        until_opened(&world.phone, &links)?;
        let people = hub.verb(&["people"])?;
        assert_eq!((&people["seated"], &people["waiting"]), (&1.into(), &0.into()));

        let left = hub.crash();
        tdlib::ping_all(&world.phone, links.clone())?;
        let hub = left.restart()?;
        assert_eq!(hub.verb(&["people"])?["seated"], 1);
        hub.until_reached(2, JOINED)?;
        let another = hub.give()?;
        assert_ne!(another, links, "each person has links of their own");
        until_opened(&world.phone, &another)?;
        hub.stop(Duration::from_secs(10))
    })
}

/// What somebody on this host is answered, but for the time of day.
fn ask(from: &Host, arguments: &[&str]) -> Result<String> {
    let answer = curl(from, arguments)?.expect("an answer");
    let lines = answer.lines().filter(|line| !line.to_lowercase().starts_with("date:"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn strangers_see_the_website_of_a_hub_and_nothing_else_whatever_they_ask_for() -> Result {
    country(|lab| {
        let office = lab.host("office", &["185.15.56.1"])?;
        let stranger = lab.host("stranger", &["5.76.1.10"])?;
        let hub = start(&office, &[])?;
        let asked = |method: &str, path: &str| {
            let at = format!("https://{}{path}", office.v4());
            ask(&stranger, &["-X", method, "--data-binary", "{}", &at])
        };
        assert!(asked("GET", "/")?.contains(SITE));
        let room = hub.ready()["path"].as_str().expect("its room").to_owned();
        let wrong = format!("/{}", "0".repeat(room.len() - 1));
        for (method, path) in
            [("GET", "/"), ("GET", "/jaryq"), ("POST", "/enrol"), ("POST", "/v1/ask")]
        {
            let nowhere = asked(method, &format!("/nowhere{path}"))?;
            assert_eq!(asked(method, &format!("{wrong}{path}"))?, nowhere, "{method} {path}");
        }
        // Who knows the room and has no key is told nothing either.
        let enrol = asked("POST", &format!("{room}/enrol"))?;
        assert!(enrol.contains(" 403"), "{enrol}");
        let nowhere = asked("POST", "/nowhere/v1/ask")?;
        assert_eq!(asked("POST", &format!("{room}/v1/ask"))?, nowhere, "without a token");
        Ok(())
    })
}

#[test]
fn a_text_for_any_providers_form_is_yaml_and_installs_the_very_program_that_wrote_it() -> Result {
    need("python3")?;
    country(|lab| {
        let office = lab.host("office", &["185.15.56.1"])?;
        let server = lab.host("server", &["116.203.7.7"])?;
        let hub = start(&office, &[])?;
        let text = hub.text(&["invite", "--cloud-init"])?;
        let script = script(&text)?;
        let machine = server.folder()?;
        let installed = |script: &str| -> Result<(bool, String)> {
            let below = format!("jaryq install --root '{}'", machine.display());
            let mut sh = Command::new("sh");
            sh.args(["-c", &script.replace("jaryq install", &below)]);
            sh.env("TMPDIR", &machine).stdin(Stdio::null());
            let output = server.output({
                sh.stdout(Stdio::piped()).stderr(Stdio::piped());
                sh
            })?;
            let said = [output.stdout, output.stderr].concat();
            Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
        };
        let settings = machine.join("etc/jaryq.toml");
        // One letter of what was promised is another one.
        let at = script.find("  jaryq\" | sha256sum").expect("a promise") - 1;
        let mut other = script.clone();
        other.replace_range(at..=at, if &script[at..=at] == "0" { "1" } else { "0" });
        let (done, said) = installed(&other)?;
        assert!(!done && said.contains("not the program that was promised"), "{said}");
        assert!(!settings.exists(), "nothing is done");

        let (done, said) = installed(&script)?;
        assert!(done, "{said}");
        let settings = fs::read_to_string(settings)?;
        assert!(settings.contains("join = \"jaryq-invite."), "{settings}");
        assert_eq!(fs::read(machine.join("usr/local/bin/jaryq"))?, fs::read(program()?)?);
        Ok(())
    })
}

/// The script that a cloud-config has its machine run, as a reader of YAML sees it.
fn script(text: &str) -> Result<String> {
    let read = "import sys, yaml\n\
                read = yaml.safe_load(sys.argv[1])\n\
                [file], [run] = read['write_files'], read['runcmd']\n\
                assert run == ['sh', file['path']] and file['permissions'] == '0700'\n\
                print(file['content'])";
    let output = Command::new("python3").args(["-c", read, text]).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("#cloud-config\n"));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn doors_ask_on_the_hubs_own_machine_and_nobody_starts_a_fleet_without_its_passphrase() -> Result {
    country(|lab| {
        let office = lab.host("office", &["185.15.56.1"])?;
        let hub = start(&office, &["--local", "8081"])?;
        let signer = hub.verb(&["signer"])?;
        assert_eq!(signer["words"], hub.ready()["signer"]["words"]);
        let door = hub.verb(&["door", "bot"])?;
        let token = door["token"].as_str().expect("a token");
        let asked = |token: &str| {
            let bearer = format!("Authorization: Bearer {token}");
            let said = r#"{"person":"aliya","request":"000102030405060708090a0b0c0d0e0f"}"#;
            ask(&office, &["-H", &bearer, "-d", said, "http://127.0.0.1:8081/v1/ask"])
        };
        let answer = asked(token)?;
        assert!(answer.contains(" 200") && answer.contains("\"ticket\""), "{answer}");
        assert!(asked("AAAAAAAAAAAAAAAAAAAAAA")?.contains(" 404"), "another token");
        let people = hub.verb(&["people"])?;
        assert_eq!((&people["seated"], &people["waiting"]), (&0.into(), &1.into()));
        let new = hub.verb(&["door", "bot"])?;
        assert!(asked(token)?.contains(" 404"), "the old one has ended");
        assert!(asked(new["token"].as_str().expect("a token"))?.contains(" 200"));

        let left = hub.crash();
        let none = left.verb(&["people"]).expect_err("nobody runs").to_string();
        assert!(none.contains("no hub runs"), "{none}");
        let nobody = left.verb(&["--listen", "8443"]).expect_err("no passphrase").to_string();
        assert!(nobody.contains("--passphrase-file"), "{nobody}");
        let wrong = office.folder()?.join("wrong");
        fs::write(&wrong, "pears and apples of Astana\n")?;
        let wrong = wrong.to_str().expect("text");
        let refused = left.verb(&["--passphrase-file", wrong]).expect_err("another passphrase");
        assert!(refused.to_string().contains("passphrase is wrong"), "{refused}");
        let hub = left.restart()?;
        assert_eq!(hub.verb(&["people"])?["waiting"], 1);
        Ok(())
    })
}
