//! A relay with a website and a certificate of its own: people's pages, and what strangers see.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use lab::website::{certificate, curl};
use lab::{Blockade, Host, Relay, Result, Website, Zone, country, need, phone};
use serde_json::{Value, json};

const NAME: &str = "*.orchard.example";
const SITE: &str = "Apple orchards of Almaty";

/// A relay's website: what it is started with.
struct House {
    site: PathBuf,
    files: [PathBuf; 2],
}

impl House {
    fn on(host: &Host) -> Result<Self> {
        let site = host.folder()?;
        fs::write(site.join("index.html"), format!("<h1>{SITE}</h1>")).expect("written");
        Ok(Self {
            site,
            files: certificate(host, NAME, &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])?,
        })
    }

    fn relay<'a>(&self, host: &'a Host) -> lab::relay::Plan<'a> {
        let [certificate, key] = &self.files;
        let text = |path: &Path| path.to_str().expect("text").to_owned();
        let [site, certificate, key] = [&self.site, certificate, key].map(|path| text(path));
        Relay::on(host).arguments(&[
            "--domain",
            NAME,
            "--site",
            &site,
            "--certificate",
            &certificate,
            "--key",
            &key,
        ])
    }
}

/// Makes a key for the web, and its website known by the name that stands in its links.
fn new_web_key(relay: &Relay, host: &Host) -> Result<Value> {
    let made = relay.command(&["key", "new", "--for", "web", "--json"])?.remove(0)["key"].take();
    let named = relay.ready()["house"]["host"].as_str().expect("a host").to_owned();
    host.call(&named)?;
    until_answered(host, text(&made["page"]["url"]), "200")?;
    Ok(made)
}

/// Waits until the relay, which looks four times a second, has taken notice of a change of keys. To
/// look at a page does not open it.
fn until_answered(host: &Host, page: &str, wanted: &str) -> Result {
    for _ in 0..600 {
        if get(host, &[page])?.0 == wanted {
            return Ok(());
        }
        sleep(Duration::from_millis(50));
    }
    panic!("after half a minute {page} does not answer {wanted}");
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// The status and everything else of an answer.
fn get(host: &Host, more: &[&str]) -> Result<(String, String)> {
    let answer = curl(host, more)?.expect("an answer");
    let status = answer.split(' ').nth(1).expect("a status").to_owned();
    Ok((status, answer))
}

#[test]
fn a_page_shows_its_links_five_times_to_whoever_presses_the_button() -> Result {
    country(|lab| {
        let phone = lab.host("phone", &["5.76.1.10"])?;
        let server = lab.host("server", &["116.203.7.7"])?;
        let house = House::on(&server)?;
        let relay = house.relay(&server).start()?;
        let key = new_web_key(&relay, &server)?;
        let (page, link) = (text(&key["page"]["url"]), text(&key["links"]["telegram"]["ee"]["tg"]));
        let link = link.replace('&', "&#38;");
        let press = || get(&phone, &["--data", "ticket=", page]);
        for agent in ["TelegramBot (like TwitterBot)", "WhatsApp/2.23.20.0", "Mozilla/5.0"] {
            let (status, seen) = get(&phone, &["--user-agent", agent, page])?;
            assert_eq!(status, "200", "{agent}");
            assert!(!seen.contains("tg://") && !seen.contains("secret="), "{agent}: {seen}");
        }
        // What is no form of this page's opens nothing.
        let (status, seen) = get(&phone, &["--data", &"x".repeat(2000), page])?;
        assert!(status == "200" && !seen.contains("tg://"), "{seen}");
        for _ in 0..2 {
            let (status, seen) = press()?;
            assert!(status == "200" && seen.contains(&link), "{seen}");
        }
        let relay = relay.crash_and_restart(&house.relay(&server))?;
        for _ in 0..3 {
            let (status, seen) = press()?;
            assert!(status == "200" && seen.contains(&link), "{seen}");
        }
        for (status, seen) in [press()?, get(&phone, &[page])?, press()?] {
            assert!(status == "410" && !seen.contains("tg://"), "{seen}");
        }
        let next = relay.command(&["key", "page", text(&key["id"]), "--json"])?.remove(0);
        until_answered(&phone, text(&next["key"]["page"]["url"]), "200")?;
        let (status, seen) = get(&phone, &["--data", "", text(&next["key"]["page"]["url"])])?;
        assert!(status == "200" && seen.contains(&link), "{seen}");
        // What is not there any more looks like what never was.
        let strange = format!("{}0000", &page[..page.len() - 4]);
        let timeless = |answer: &str| {
            let lines = answer.lines().filter(|line| !line.starts_with("date:"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let (gone, never) = (get(&phone, &[page])?, get(&phone, &[&strange])?);
        assert_eq!(gone.0, "404");
        assert_eq!(timeless(&gone.1), timeless(&never.1));
        relay.command(&["key", "revoke", text(&key["id"]), "--json"])?;
        until_answered(&phone, text(&next["key"]["page"]["url"]), "404")
    })
}

#[test]
fn strangers_see_the_website_and_people_with_a_key_their_files() -> Result {
    country(|lab| {
        let phone = lab.host("phone", &["5.76.1.10"])?;
        let server = lab.host("server", &["116.203.7.7"])?;
        let house = House::on(&server)?;
        let relay = house.relay(&server).start()?;
        let key = new_web_key(&relay, &server)?;
        let named = relay.ready()["house"]["host"].as_str().expect("a host");
        for url in [format!("https://{named}/"), format!("https://{named}:8443/index.html")] {
            let (status, seen) = get(&phone, &[&url])?;
            assert!(status == "200" && seen.contains(SITE), "{url}: {seen}");
        }
        let other =
            relay.command(&["key", "show", text(&key["id"]), "--port", "8443", "--json"])?;
        let link = text(&other[0]["key"]["links"]["telegram"]["dd"]["tg"]);
        assert!(link.contains("&port=8443&"), "{link}");
        let pac = text(&key["links"]["pac"]);
        let (status, seen) = get(&phone, &[pac])?;
        assert!(status == "200" && seen.contains(&format!("HTTPS {named}:443")), "{seen}");
        let token = pac.trim_end_matches("/proxy.pac");
        for strange in
            [token, &format!("{token}/other"), &pac.to_uppercase().replacen("HTTPS", "https", 1)]
        {
            assert_eq!(get(&phone, &[strange])?.0, "404", "{strange}");
        }
        // A website elsewhere would see what a person's address is.
        let page = text(&key["page"]["url"]);
        for (method, url, allowed) in [
            ("PUT", pac, "GET, HEAD"),
            ("OPTIONS", page, "GET, HEAD, POST"),
            ("GET", &format!("{page}/x"), ""),
        ] {
            let (status, seen) = get(&phone, &["--request", method, url])?;
            assert_eq!(status, if allowed.is_empty() { "404" } else { "405" }, "{method} {url}");
            assert!(seen.contains("cache-control: no-store"), "{method} {url}: {seen}");
            assert!(seen.contains(&format!("allow: {allowed}")) || allowed.is_empty(), "{seen}");
        }
        let (_, opened) = get(&phone, &["--data", "", text(&key["page"]["url"])])?;
        let profile = opened.split('"').find(|part| part.ends_with("relay.mobileconfig"));
        let (status, seen) = get(&phone, &[profile.expect("a profile")])?;
        assert!(status == "200" && seen.contains("com.apple.relay.managed"), "{seen}");
        Ok(())
    })
}

fn sets_up(scripts: bool) -> Result {
    country(|lab| {
        let phone = lab.host("phone", &["5.76.1.10"])?;
        let server = lab.host("server", &["116.203.7.7"])?;
        let house = House::on(&server)?;
        let relay = house.relay(&server).start()?;
        let key = new_web_key(&relay, &server)?;
        let (page, links) = (text(&key["page"]["url"]), &key["links"]);
        let shown = phone::sets_up(&phone, scripts, &format!("{page}?l=kk"), &phone.folder()?)?;
        for shown in &shown[..5] {
            assert!(shown.width <= 360, "{} is {} pixels wide", shown.step, shown.width);
        }
        assert!(!shown[0].page.contains("tg://") && shown[5].page.contains("<svg"));
        let telegram = &links["telegram"];
        for link in
            [&telegram["ee"]["tg"], &telegram["web"]["tg"], &links["pac"], &links["password"]]
        {
            let link = text(link).replace('&', "&amp;");
            assert!(shown[1..5].iter().all(|shown| shown.page.contains(&link)), "{link}");
        }
        Ok(())
    })
}

#[test]
fn a_small_phone_shows_the_relays_own_page_without_scripts() -> Result {
    sets_up(false)
}

#[test]
fn a_small_phone_shows_the_relays_own_page_with_scripts() -> Result {
    sets_up(true)
}

#[test]
fn what_only_root_can_read_is_said_at_the_start() -> Result {
    country(|lab| {
        let server = lab.host("server", &["116.203.7.7"])?;
        let house = House::on(&server)?;
        fs::set_permissions(&house.files[1], fs::Permissions::from_mode(0o600)).expect("set");
        let said = match house.relay(&server).start() {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert!(said.contains("cannot read") && said.contains("gives root up"), "{said}");
        Ok(())
    })
}

#[test]
fn the_doctor_sees_what_browsers_would_refuse() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let name = "a.orchard.example";
        world.server.call(name)?;
        let relay =
            Relay::on(&world.server).ports("8443").arguments(&["--domain", name]).start()?;
        let said = relay.doctor(&[])?;
        assert!(said.of("certificate").contains("nobody vouches"), "{}", said.of("certificate"));
        assert!(said.of("website").contains("nothing is found"), "{}", said.of("website"));
        assert_eq!(said.of("port 443"), "", "nobody needs it here");
        let scanner = said.of("scanner");
        assert!(scanner.contains("points here") && !scanner.contains("no mask"), "{scanner}");
        drop(relay);
        let house = House::on(&world.server)?;
        let relay = house.relay(&world.server).ports("8443").start()?;
        new_web_key(&relay, &world.server)?;
        relay.revoke(&relay.key()?)?;
        let said = relay.doctor(&[])?;
        assert_eq!(said.of("keys"), "", "a key for the web has links for Telegram too");
        let certificate = said.of("certificate");
        assert!(certificate.contains("29 days") && certificate.contains("chain"), "{certificate}");
        assert_eq!(said.of("website"), "");
        assert!(said.of("port 443").contains("warning"), "{}", said.of("port 443"));
        Ok(())
    })
}

/// A real certificate authority on this host, which is called so; where it is asked, and whom one has
/// to trust in asking it. Proof in DNS it looks for at the name server of that host.
fn authority(host: &Host, name: &str, dns: Option<&Host>) -> Result<[String; 2]> {
    need("pebble")?;
    host.call(name)?;
    let files = certificate(host, name, &["rsa:2048", "-addext", "basicConstraints=CA:FALSE"])?;
    let [own, key] = files.map(|path| path.display().to_string());
    let config = json!({"pebble": {
        "listenAddress": "0.0.0.0:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": own,
        "privateKey": key,
        "httpPort": 80,
        "tlsPort": 443,
    }});
    let file = host.folder()?.join("pebble.json");
    fs::write(&file, config.to_string()).expect("written");
    let mut command = Command::new("pebble");
    command.arg("-config").arg(&file).env("PEBBLE_VA_NOSLEEP", "1");
    if let Some(dns) = dns {
        command.args(["-dnsserver", &format!("{}:53", dns.v4())]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = host.spawn(command)?;
    let directory = format!("https://{name}:14000/dir");
    for _ in 0..200 {
        if curl(host, &[&directory])?.is_ok() {
            break;
        }
        sleep(Duration::from_millis(50));
    }
    Ok([directory, own])
}

#[test]
fn a_public_certificate_is_issued_to_who_asks_and_what_that_publishes_is_said_before() -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let [directory, roots] = authority(&world.web, "authority.example", None)?;
        let name = "relay.orchard.example";
        world.server.call(name)?;
        let from = ["--acme-directory", &directory, "--acme-roots", &roots];
        let flags = [&["--domain", name, "--certificate", "public"], from.as_slice()].concat();
        let relay = Relay::on(&world.server).arguments(&flags).start()?;
        let said = relay.notice("certificate-public", Duration::ZERO)?;
        assert!(text(&said["text"]).contains(name) && text(&said["text"]).contains("public lists"));
        let said = relay.notice("certificate-awaited", Duration::from_secs(10))?;
        assert!(text(&said["text"]).contains("not issued yet"), "{said}");
        assert_eq!(relay.ready()["key"]["page"]["is_awaited"], true, "nobody sends it yet");
        relay.notice("certificate-issued", Duration::from_secs(60))?;
        let is_good = || {
            let shown =
                relay.command(&["key", "show", text(&relay.ready()["key"]["id"]), "--json"])?;
            Ok::<_, lab::Error>(shown[0]["key"]["page"]["is_awaited"] == false)
        };
        for _ in 0..100 {
            if is_good()? {
                break;
            }
            sleep(Duration::from_millis(50));
        }
        assert!(is_good()?);
        drop(relay);
        // Port 443 is needed for that, and whose it is is said.
        let _other = Website::https(&world.server, 443, "other.example")?;
        let relay = Relay::on(&world.server).ports("all").arguments(&flags).start()?;
        let said = relay.notice("certificate-port", Duration::ZERO)?;
        assert!(text(&said["text"]).contains("python3"), "{said}");
        let page = relay.ready()["key"]["page"]["url"].clone();
        assert!(!text(&page).contains(":443/") && text(&page).contains(":8443/"), "{page}");
        Ok(())
    })
}

#[test]
fn a_star_is_proven_in_dns_by_signed_updates_and_by_a_program() -> Result {
    country(|lab| {
        let server = lab.host("server", &["116.203.7.7"])?;
        let web = lab.host("web", &["185.98.5.5"])?;
        let dns = lab.host("dns", &["185.98.5.53"])?;
        let zone = Zone::on(&dns, "orchard.example", &server)?;
        let [directory, roots] = authority(&web, "authority.example", Some(&dns))?;
        let at = dns.v4().to_string();
        let [key, hook] = [zone.key(), zone.hook()?].map(|path| path.display().to_string());
        let by_updates = ["--dns-server", &at, "--dns-key", &key];
        for proof in [by_updates.as_slice(), &["--dns-hook", &hook]] {
            let from = ["--domain", NAME, "--acme-directory", &directory, "--acme-roots", &roots];
            // It needs no port that an authority could dial.
            let plan = Relay::on(&server).ports("8443").arguments(&from).arguments(proof);
            let relay = plan.as_service().start()?;
            let said = relay.notice("certificate-public", Duration::ZERO)?;
            assert!(text(&said["text"]).contains("no host"), "{said}");
            // Sooner than where nobody asks when the record is there.
            let said = relay.notice("certificate-issued", Duration::from_secs(60))?;
            assert!(text(&said["text"]).contains(NAME), "{proof:?}: {said}");
            let shown = get(&web, &["-w", "%{certs}", "https://any.orchard.example:8443/"])?;
            assert!(shown.1.contains("Pebble Intermediate CA"), "{proof:?}: {}", shown.1);
        }
        Ok(())
    })
}

#[test]
fn a_changed_domain_waits_for_the_next_start_and_the_relay_says_so() -> Result {
    country(|lab| {
        let server = lab.host("server", &["116.203.7.7"])?;
        let file = server.folder()?.join("jaryq.toml");
        let written = |domain: &str| {
            let text = format!("ports = \"443,8443\"\ndomain = [\"{domain}\"]\n");
            fs::write(&file, text).expect("written");
        };
        written("a.orchard.example");
        let relay = Relay::on(&server).settings(&file).start()?;
        assert_eq!(relay.ready()["house"]["host"], "a.orchard.example");
        written("b.orchard.example");
        let said = relay.notice("needs-restart", Duration::from_secs(10))?;
        assert!(text(&said["text"]).contains("domain"), "{said}");
        let key = relay.new_key()?;
        assert!(key.link(lab::relay::Form::FakeTls)?.contains(&hex("a.orchard.example")));
        // With what the next start would fail at, nothing changes, and it is said now.
        fs::write(&file, "domain = \"a.orchard.example\"\ncertificate = \"c.pem\"\n")
            .expect("written");
        let said = relay.notice("settings", Duration::from_secs(10))?;
        assert!(text(&said["text"]).contains("--key FILE"), "{said}");
        Ok(())
    })
}

fn hex(name: &str) -> String {
    name.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_copied_state_shows_the_same_certificate_elsewhere() -> Result {
    country(|lab| {
        let server = lab.host("server", &["116.203.7.7"])?;
        let plan = || Relay::on(&server).arguments(&["--domain", "a.orchard.example"]);
        let relay = plan().start()?;
        let shown = relay.ready()["house"]["fingerprint"].clone();
        assert!(shown.is_string());
        let state = relay.state().to_owned();
        drop(relay);
        // As root, whose everything is then.
        let copy = server.folder()?.join("copy");
        let copied = Command::new("cp").arg("-r").args([&state, &copy]).status();
        assert!(copied.expect("cp runs").success());
        let relay = plan().state(&copy).start()?;
        assert_eq!(relay.ready()["house"]["fingerprint"], shown);
        Ok(())
    })
}
