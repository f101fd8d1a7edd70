//! Bundles, as an organiser makes them and a person with a computer opens them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use lab::relay::{Form, program};
use lab::{Blockade, Relay, Result, client, country};
use serde_json::Value;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(15);

/// A person's own `jaryq`, whose settings are in a directory of theirs.
fn person(home: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(program()?);
    command.args(arguments).env("XDG_CONFIG_HOME", home).stdin(Stdio::null());
    Ok(command.output().expect("it starts"))
}

/// What they were told, good or bad.
fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

#[test]
fn a_bundle_is_refused_until_its_signer_is_trusted_and_then_it_opens_telegram() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).ports("443,8443").start()?;
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
        let (file, svg) = (path("aunt"), path("aunt.svg"));
        let make = ["bundle", "make", "--label", "Aunt", "--days", "7", "--json", "--minisig"];
        let make = [&make[..], &["--output", &file, "--svg", &svg]].concat();
        let made = &relay.command(&make)?[0];
        let words = text_of(&made["signer"]["words"]);
        assert_eq!(relay.command(&["bundle", "signer", "--json"])?[0]["signer"], made["signer"]);
        assert!(made["text"].is_null(), "it is in the file alone");
        assert_eq!(made["key_ends"], made["expires"]);
        for name in [&file, &svg, &path("aunt.minisig")] {
            let mode = fs::metadata(name).expect("written").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        }
        assert!(fs::read_to_string(&svg).expect("written").contains("<svg"));
        assert!(relay.command(&make).is_err(), "no file is written over");

        // Another program believes its signature.
        let key = text_of(&made["signer"]["key"]);
        let verified = Command::new("minisign").args(["-VH", "-P", &key, "-m", &file]).output();
        let verified = verified.expect("minisign starts");
        assert!(verified.status.success(), "{}", said(&verified));

        // Nobody is trusted yet, and nobody is trusted unasked.
        let verify = ["bundle", "verify", &file];
        for arguments in [&verify[..], &["trust", &file]] {
            let refused = person(dir.path(), arguments)?;
            assert!(!refused.status.success() && said(&refused).contains(&words));
        }
        let shown = json(&person(dir.path(), &["bundle", "show", &file, "--json"])?);
        assert_eq!(shown["trusted"], false);
        assert!(
            !shown.to_string().contains("key\":\"0") && shown["endpoints"][0]["link"].is_null()
        );
        json(&person(dir.path(), &["trust", &file, "--yes", "--name", "Aigül", "--json"])?);
        let verified = json(&person(dir.path(), &[&verify[..], &["--json"]].concat())?);
        assert_eq!(verified["endpoints"], 1);

        let show = ["bundle", "show", &file, "--secrets", "--json"];
        let shown = json(&person(dir.path(), &show)?);
        let endpoint = &shown["endpoints"][0];
        assert_eq!((&shown["trusted"], &shown["expired"]), (&true.into(), &false.into()));
        assert_eq!(endpoint["ports"], serde_json::json!([443, 8443]));
        assert_eq!(
            (&endpoint["in_a_cut_all_ports"], &endpoint["udp"]),
            (&false.into(), &"too".into())
        );
        let addresses: Vec<String> =
            world.server.addresses().iter().map(ToString::to_string).collect();
        assert_eq!(endpoint["addresses"], serde_json::json!(addresses));
        // A key that was made is let in within a second.
        std::thread::sleep(Duration::from_secs(1));
        let link = text_of(&endpoint["link"]);
        world.phone.run(async move || {
            let ping = async { client::through(&link)?.connect().await?.ping().await };
            timeout(LIMIT, ping).await?
        })?;

        // As it comes by a messenger, and as it does not.
        let bundle = fs::read_to_string(&file).expect("written");
        let message = format!("Hi! Keep this:\n> {}\n> {}", &bundle[..70], &bundle[70..]);
        fs::write(path("message"), &message).expect("written");
        json(&person(dir.path(), &["bundle", "verify", &path("message"), "--json"])?);
        fs::write(path("changed"), message.replacen('A', "B", 3)).expect("written");
        assert!(!person(dir.path(), &["bundle", "verify", &path("changed")])?.status.success());

        let listed = json(&person(dir.path(), &["trust", "list", "--json"])?);
        assert_eq!(listed["signers"][0]["name"], "Aigül");
        json(&person(dir.path(), &["trust", "remove", &words[..20], "--json"])?);
        assert!(!person(dir.path(), &verify)?.status.success(), "nobody is trusted again");
        Ok(())
    })
}

#[test]
fn a_bundle_is_of_a_key_that_is_valid_and_of_no_other() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let relay = Relay::on(&world.server).ports("quiet").start()?;
        let (first, ended) = (relay.key()?, relay.new_key()?);
        let make = |key: &str| relay.command(&["bundle", "make", "--for", key, "--json"]);
        let made = &make(&first.id)?[0];
        assert_eq!(made["key"], first.id);
        let home = tempfile::tempdir().expect("a directory");
        let text = text_of(&made["text"]);
        let show = ["bundle", "show", &text, "--secrets", "--json"];
        let endpoint = &json(&person(home.path(), &show)?)["endpoints"][0];
        assert_eq!(endpoint["ports"], "quiet");
        assert_eq!(endpoint["in_a_cut_all_ports"], true);
        assert!(made["key_ends"].is_null(), "the person had the key before");
        let (ours, theirs) = (text_of(&endpoint["link"]), first.link(Form::Padded)?.to_owned());
        let secret = |link: &str| link.rsplit_once('=').expect("a link").1.to_owned();
        assert_eq!(secret(&ours), secret(&theirs));
        relay.revoke(&ended)?;
        let refused = make(&ended.id).expect_err("it was revoked").to_string();
        assert!(refused.contains("was revoked"), "{refused}");
        // Where it may be a log.
        let refused = relay.text(&["bundle", "make"]).expect_err("no terminal").to_string();
        assert!(refused.contains("--output"), "{refused}");
        Ok(())
    })
}

#[test]
fn a_bundle_takes_in_other_relays_of_trusted_signers_and_is_good_for_as_long_as_all_are() -> Result
{
    country(|lab| {
        let world = Blockade::new(lab)?;
        let (here, there) = (Relay::on(&world.server).start()?, Relay::on(&world.web).start()?);
        let home = tempfile::tempdir().expect("a directory");
        let days = ["--days", "3", "--json"];
        let other = text_of(&there.command(&[&["bundle", "make"], &days[..]].concat())?[0]["text"]);
        // As the relay's owner would, but trusting in a directory of the test's own.
        let (svg, state) = (home.path().join("svg"), here.state().to_str().expect("UTF-8"));
        let svg = svg.to_str().expect("UTF-8");
        let make = ["bundle", "make", "--state", state, "--with", &other, "--svg", svg, "--json"];
        let refused = person(home.path(), &make)?;
        assert!(said(&refused).contains("do not trust"), "{}", said(&refused));
        json(&person(home.path(), &["trust", &other, "--yes", "--json"])?);
        let made = json(&person(home.path(), &make)?);
        assert_eq!(made["endpoints"], 2);
        let show = |text: &str| {
            person(home.path(), &["bundle", "show", text, "--secrets", "--json"])
                .map(|out| json(&out))
        };
        let (both, one) = (show(&text_of(&made["text"]))?, show(&other)?);
        assert_eq!(both["endpoints"][1], one["endpoints"][0]);
        assert_eq!(both["expires"], one["expires"]);
        assert_ne!(both["signer"], one["signer"]);

        let twice = format!("{other},{other}");
        let make = ["bundle", "make", "--state", state, "--with", &twice, "--json"];
        let keys = here.command(&["key", "list", "--json"])?;
        let refused = person(home.path(), &make)?;
        assert!(said(&refused).contains("is in the new bundle already"), "{}", said(&refused));

        // Another person gets other keys of all relays; the same one may have a bundle again.
        let again = ["bundle", "make", "--state", state, "--with", &other, "--json"];
        let refused = person(home.path(), &again)?;
        let owner = text_of(&made["key"]);
        assert!(said(&refused).contains(&owner[..8]), "{}", said(&refused));
        assert!(!said(&refused).contains(&other[..40]), "what opens relays is not repeated");
        assert_eq!(here.command(&["key", "list", "--json"])?, keys, "no key was made for nothing");
        json(&person(home.path(), &[&again[..], &["--for", &owner]].concat())?);
        Ok(())
    })
}

#[test]
fn whoever_is_asked_whether_the_words_are_right_decides() -> Result {
    let home = tempfile::tempdir().expect("a directory");
    let key = wire::signer::Signer::from_seed(&[1; 32]).public();
    let program = program()?;
    let ask = |answer: &str| {
        // A terminal of its own.
        let command = format!("'{}' trust {key}", program.display());
        let mut asked = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("XDG_CONFIG_HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("script starts");
        asked.stdin.take().expect("piped").write_all(answer.as_bytes()).expect("it listens");
        asked.wait_with_output().expect("it ends")
    };
    let words = key.fingerprint().to_string();
    let first: Vec<&str> = words.split(' ').take(4).collect();
    for (answer, is_trusted) in [("no\n", false), ("\n", false), ("yes\n", true)] {
        let asked = ask(answer);
        assert!(said(&asked).contains(&first.join(" ")), "{}", said(&asked));
        assert_eq!(asked.status.success(), is_trusted, "{answer}");
        let listed = json(&person(home.path(), &["trust", "list", "--json"])?);
        assert_eq!(listed["signers"].as_array().map(Vec::len), Some(is_trusted.into()));
    }
    Ok(())
}
