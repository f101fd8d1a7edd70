//! DNS over HTTPS: whoever has a key asks, with programs that everybody has, and nobody else can tell
//! that there is anything to ask.

mod world;

use std::fs;
use std::net::IpAddr;
use std::process::Child;
use std::thread;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use lab::{Error, Host, NameServer, Result, Website, country};
use tokio::net::TcpStream;
use wire::doorway::Doorway;
use wire::tally::{Day, Protocol};
use world::{Housed, PORT, World, command, curl, says};

/// A zone with everything that is asked for below.
const ZONE: &str = "
example.org.       3600 SOA   ns.example.org. x.example.org. 1 3600 600 86400 70
example.org.       3600 NS    ns.example.org.
example.org.       600  MX    10 mail.example.org.
ns.example.org.    60   A     185.98.5.53
www.example.org.   300  A     185.98.5.5
www.example.org.   300  A     185.98.5.6
www.example.org.   300  AAAA  2a00:5da0:98::5
www.example.org.   300  HTTPS 1 . alpn=h2,h3 ipv4hint=185.98.5.5 ipv6hint=2a00:5da0:98::5
_svc.example.org.  300  SVCB  1 www.example.org. port=8443
_xmpp._tcp.example.org. 300 SRV 0 5 5222 www.example.org.
also.example.org.  200  CNAME www.example.org.
caa.example.org.   300  CAA   0 issue \"ca.example.net\"
odd.example.org.   300  TYPE65280 \\# 4 01020304
self.example.org.  300  A     116.203.7.7
mixed.example.org. 300  A     185.98.5.5
mixed.example.org. 100  A     10.0.0.1
home.example.org.  300  A     192.168.1.1
home.example.org.  300  A     127.0.0.1
home.example.org.  300  AAAA  fd00::1
home.example.org.  300  HTTPS 1 . ipv4hint=10.0.0.1
away.example.org.  300  CNAME home.example.org.
5.5.98.185.in-addr.arpa. 300 PTR www.example.org.
";

/// A real name server (Knot) that has the zones above, on a host, for as long as the lab is there.
fn knot(host: &Host) -> Result<Child> {
    let folder = host.folder()?;
    let (at, dir) = (host.v4(), folder.display());
    let (reverse, forward): (Vec<&str>, Vec<&str>) =
        ZONE.lines().partition(|line| line.contains("arpa."));
    let long = (0..40).map(|n| format!("long.example.org. 300 TXT \"{n} {}\"\n", "x".repeat(200)));
    let zone = format!("{}\n{}", forward.join("\n"), long.collect::<String>());
    fs::write(folder.join("zone"), zone)?;
    let soa = "98.185.in-addr.arpa. 60 SOA ns.example.org. x.example.org. 1 3600 600 86400 1\n\
               98.185.in-addr.arpa. 60 NS ns.example.org.\n";
    let private = "10.in-addr.arpa. 60 SOA ns.example.org. x.example.org. 1 3600 600 86400 1\n\
                   10.in-addr.arpa. 60 NS ns.example.org.\n\
                   1.0.0.10.in-addr.arpa. 60 PTR vault.example.org.\n";
    fs::write(folder.join("reverse"), format!("{soa}{}\n", reverse.join("\n")))?;
    fs::write(folder.join("private"), private)?;
    let zones = [("example.org", "zone"), ("98.185.in-addr.arpa", "reverse")];
    let zones = zones.into_iter().chain([("10.in-addr.arpa", "private")]);
    let zone = |(name, file)| format!("  - domain: {name}\n    storage: {dir}\n    file: {file}\n");
    let config = format!(
        "server:\n  rundir: {dir}\n  listen: {at}@53\ndatabase:\n  storage: {dir}\nzone:\n{}",
        zones.map(zone).collect::<String>()
    );
    let file = folder.join("knot.conf");
    fs::write(&file, config)?;
    let server = host.spawn(command("knotd", &["-c", file.to_str().expect("a path")])?)?;
    for _ in 0..500 {
        if host.run(async move || Ok(TcpStream::connect((at, 53)).await?)).is_ok() {
            host.name_server(at)?;
            return Ok(server);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(Error::Unexpected("knotd does not answer".to_owned()))
}

/// What kdig prints on a host.
fn kdig(host: &Host, arguments: &[&str]) -> Result<String> {
    let ordinary = ["+timeout=30", "+retry=0"];
    let (said, _) = says(host, "kdig", &[&ordinary[..], arguments].concat())?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// What kdig prints that asks the relay.
fn asks(phone: &Host, relay: &Housed, arguments: &[&str]) -> Result<String> {
    let at = format!("@{}", relay.address);
    let path = format!("+https=/{}/dns-query", relay.token(Doorway::Dns, 0));
    kdig(phone, &[&[&at, path.as_str()], arguments].concat())
}

/// The lines of a program's words, in one order.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines
}

/// A question for one name, with this id.
fn question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("short"));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

const A: u16 = 1;

/// An answer's head and body.
fn parts(answer: &[u8]) -> (String, &[u8]) {
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    (String::from_utf8_lossy(&answer[..at]).into_owned(), &answer[at..])
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or("none")
}

/// What curl gets for bytes that it posts as a DNS message.
fn post(host: &Host, url: &str, bytes: &[u8], more: &[&str]) -> Result<Vec<u8>> {
    let file = host.folder()?.join("question");
    fs::write(&file, bytes)?;
    let data = format!("@{}", file.display());
    let kind = "content-type: application/dns-message";
    curl(host, &[&["--data-binary", &data, "-H", kind, url], more].concat())
}

#[test]
fn curl_finds_a_site_by_way_of_the_relay() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let names = NameServer::on(&world.names)?;
        names.say("site.example.org", &[world.web.v4()]);
        let _site = Website::http(&world.web, 80, "web.test")?;
        let relay = Housed::on(&world.server)?;
        let url = "http://site.example.org/";
        let by = relay.dns(0);
        let page = curl(&world.phone, &["--doh-insecure", "--doh-url", &by, url])?;
        assert_eq!(status(&parts(&page).0), "200");
        let wrong = by.replacen(&relay.token(Doorway::Dns, 0), &"0".repeat(32), 1);
        let nowhere = curl(&world.phone, &["--doh-insecure", "--doh-url", &wrong, url]);
        assert!(nowhere.is_err(), "the country has no other way to names");

        let tallied = relay.relay.take_tally(Day(0));
        let [(cell, amounts)] = &tallied.cells[..] else { panic!("{tallied:?}") };
        assert_eq!((cell.key, cell.port), (Some(relay.ids[0]), PORT));
        assert_eq!(cell.protocol, Protocol::Doh);
        assert!(amounts.connections >= 1 && amounts.up > 0 && amounts.down > amounts.up);
        Ok(())
    })
}

#[test]
fn every_type_is_answered_as_the_name_server_answers_it() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let _knot = knot(&world.names)?;
        let relay = Housed::on(&world.server)?;
        let direct = format!("@{}", world.names.v4());
        for (name, kind) in [
            ("www.example.org", "A"),
            ("www.example.org", "AAAA"),
            ("www.example.org", "HTTPS"),
            ("also.example.org", "A"),
            ("also.example.org", "CNAME"),
            ("_svc.example.org", "SVCB"),
            ("_xmpp._tcp.example.org", "SRV"),
            ("example.org", "MX"),
            ("example.org", "SOA"),
            ("example.org", "NS"),
            ("caa.example.org", "CAA"),
            ("odd.example.org", "TYPE65280"),
            ("5.5.98.185.in-addr.arpa", "PTR"),
            // The public internet's, whoever else has it.
            ("self.example.org", "A"),
            // Longer than a datagram.
            ("long.example.org", "TXT"),
        ] {
            let wanted = kdig(&world.server, &["+tcp", "+short", &direct, name, kind])?;
            assert!(!wanted.trim().is_empty() && !wanted.contains(";;"), "{name} {kind}: {wanted}");
            for more in ["+nohttps-get", "+https-get", "+padding", "+noedns"] {
                let said = asks(&world.phone, &relay, &["+short", more, name, kind])?;
                assert_eq!(sorted(&said), sorted(&wanted), "{name} {kind} {more}");
            }
        }
        for (name, kind, more, status) in [
            ("none.example.org", "A", "", "NXDOMAIN"),
            ("www.example.org", "TXT", "", "NOERROR"),
            ("elsewhere.test", "A", "", "SERVFAIL"),
            ("example.org", "ANY", "", "NOTIMPL"),
            ("www.example.org", "A", "+edns=1", "BADVERS"),
        ] {
            let arguments: Vec<&str> =
                [more, name, kind].into_iter().filter(|text| !text.is_empty()).collect();
            let said = asks(&world.phone, &relay, &arguments)?;
            assert!(said.contains(&format!("status: {status};")), "{name} {kind}: {said}");
            assert!(said.contains("ANSWER: 0;"), "{name} {kind}: {said}");
            let has_zone = said.contains("SOA\tns.example.org.");
            assert_eq!(has_zone, ["NXDOMAIN", "NOERROR"].contains(&status), "{said}");
        }
        let said = asks(&world.phone, &relay, &["+padding", "www.example.org", "A"])?;
        assert!(said.contains("Received 468 B"), "{said}");
        Ok(())
    })
}

#[test]
fn an_answer_is_wrapped_as_http_wants_it() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let _knot = knot(&world.names)?;
        let relay = Housed::on(&world.server)?;
        let (phone, url) = (&world.phone, relay.dns(0));
        let asked = question(0xbeef, "aLSo.eXample.org", A);
        let get = format!("{url}?x=y&dns={}", BASE64URL_NOPAD.encode(&asked));
        for version in ["--http1.1", "--http2"] {
            for answer in [curl(phone, &[version, &get])?, post(phone, &url, &asked, &[version])?] {
                let (head, body) = parts(&answer);
                assert!(head.contains("content-type: application/dns-message\r\n"), "{head}");
                assert_eq!(body[..2], asked[..2], "the same id");
                assert_eq!(body[12..asked.len()], asked[12..], "the same question");
                let age = head.split_once("cache-control: max-age=").expect("an age").1;
                let age: u32 = age.lines().next().expect("a line").parse().expect("a number");
                // The alias is good for 200 s, what it stands for longer.
                assert!((100..=200).contains(&age), "{age}");
            }
        }
        for (name, most) in [("none.example.org", 70), ("elsewhere.test", 0)] {
            let answer = post(phone, &url, &question(0, name, A), &[])?;
            let (head, body) = parts(&answer);
            let is_empty = body[6..8] == [0, 0];
            let ages: Vec<String> = (0..=most).map(|age| format!("max-age={age}\r\n")).collect();
            assert!(is_empty && ages.iter().any(|age| head.contains(age)), "{head}");
        }

        let two = [&[0, 7, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0][..], &asked[12..], &asked[12..]].concat();
        let cut = &asked[..asked.len() - 3];
        let mut notify = asked.clone();
        notify[2] = 0x20;
        let mut chaos = asked.clone();
        *chaos.last_mut().expect("a class") = 3;
        for (bytes, code) in [(&two[..], 1), (cut, 1), (&notify, 4), (&chaos, 5)] {
            let answer = post(phone, &url, bytes, &[])?;
            let (head, body) = parts(&answer);
            assert_eq!((status(&head), body[3] & 0xf, &body[..2]), ("200", code, &bytes[..2]));
        }
        let kind = "content-type: text/plain";
        for (answer, code) in [
            (post(phone, &url, b"too short", &[])?, "400"),
            (post(phone, &url, &[0; 4097], &[])?, "413"),
            (curl(phone, &["--data-binary", "x", "-H", kind, &url])?, "415"),
            (curl(phone, &[&url])?, "400"),
            (curl(phone, &[&format!("{url}?dns=*")])?, "400"),
            (curl(phone, &[&format!("{url}?dns={}", "A".repeat(5500))])?, "414"),
        ] {
            assert_eq!(status(&parts(&answer).0), code);
        }
        let _ = relay.relay.take_tally(Day(0));
        curl(phone, &["--http2", &get, &get, &get])?;
        let tallied = relay.relay.take_tally(Day(0));
        let [(_, amounts)] = &tallied.cells[..] else { panic!("{tallied:?}") };
        assert_eq!((amounts.connections, amounts.up), (1, 3 * asked.len() as u64));
        Ok(())
    })
}

#[test]
fn without_the_token_there_is_nothing_but_the_website() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let _knot = knot(&world.names)?;
        let relay = Housed::on(&world.server)?;
        let origin = format!("https://{}:{}", relay.address, PORT);
        let right = relay.token(Doorway::Dns, 0);
        let asked = question(0, "www.example.org", A);
        let query = format!("?dns={}", BASE64URL_NOPAD.encode(&asked));
        let without_date = |answer: Vec<u8>| {
            let text = String::from_utf8_lossy(&answer).into_owned();
            let is_kept = |line: &&str| !line.to_lowercase().starts_with("date:");
            text.split_inclusive("\r\n").filter(is_kept).collect::<String>()
        };
        let visit = |method: &str, path: &str| {
            let url = format!("{origin}/{path}");
            let answer = match method {
                "POST" => post(&world.phone, &url, &asked, &[])?,
                "HEAD" => curl(&world.phone, &["-I", &url])?,
                method => curl(&world.phone, &["-X", method, &url])?,
            };
            Ok::<_, Error>(without_date(answer))
        };
        let pac = relay.token(Doorway::Pac, 0);
        for method in ["GET", "POST"] {
            let nothing = visit(method, &format!("no{}/such-page{query}", "0".repeat(30)))?;
            assert!(nothing.starts_with("HTTP/2 404"), "{nothing}");
            for path in [
                format!("{}/dns-query{query}", "0".repeat(32)),
                format!("{pac}/dns-query{query}"),
                format!("{}/dns-query{query}", right.to_uppercase().replace(char::is_numeric, "A")),
                format!("/{right}/dns-query{query}"),
                format!("dns-query{query}"),
            ] {
                assert_eq!(visit(method, &path)?, nothing, "{method} {path}");
            }
        }
        let path = format!("{right}/dns-query{query}");
        assert!(visit("GET", &path)?.starts_with("HTTP/2 200"));
        let keys = relay::Keys { web: &relay.ids[1..], ..relay::Keys::default() };
        relay.relay.set_keys(keys);
        assert_eq!(visit("GET", &path)?, visit("GET", "no-such-page")?, "the key is revoked");
        Ok(())
    })
}

#[test]
fn an_address_with_a_token_is_never_the_websites_whose_log_is_somebody_elses() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let relay = Housed::on(&world.server)?;
        let right = relay.token(Doorway::Dns, 0);
        let visit = |method: &str, rest: &str| {
            let url = format!("https://{}:{PORT}/{right}{rest}", relay.address);
            let way: &[&str] = if method == "HEAD" { &["-I"] } else { &["-X", method] };
            let answer = curl(&world.phone, &[way, &[&url]].concat())?;
            Ok::<_, Error>(parts(&answer).0.to_lowercase())
        };
        for method in ["HEAD", "PUT", "OPTIONS", "DELETE"] {
            let head = visit(method, "/dns-query?dns=AAAA")?;
            assert_eq!(status(&head), "405", "{method}");
            assert!(head.contains("allow: get, post\r\n"), "{method}: {head}");
        }
        for (method, rest) in [("GET", ""), ("POST", "/dns-query/"), ("PUT", "/DNS-query?a")] {
            let head = visit(method, rest)?;
            assert_eq!(status(&head), "404", "{method} {rest}");
            // The website says nothing about caches.
            assert!(head.contains("cache-control: no-store\r\n"), "{method} {rest}: {head}");
        }
        Ok(())
    })
}

#[test]
fn what_is_the_relays_own_networks_is_not_told() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let _knot = knot(&world.names)?;
        let relay = Housed::on(&world.server)?;
        // Of the machine's own names, the lab's are an example.
        world.web.call("machine.example.org")?;
        let direct = format!("@{}", world.names.v4());
        for (name, kind, told) in [
            ("mixed.example.org", "A", &["185.98.5.5"][..]),
            ("home.example.org", "A", &[]),
            ("home.example.org", "AAAA", &[]),
            ("home.example.org", "HTTPS", &[]),
            ("away.example.org", "A", &["home.example.org."]),
            ("1.0.0.10.in-addr.arpa", "PTR", &[]),
        ] {
            let all = kdig(&world.server, &["+short", &direct, name, kind])?;
            assert!(sorted(&all).len() > told.len(), "{name} {kind}: {all}");
            let said = asks(&world.phone, &relay, &["+short", name, kind])?;
            assert_eq!(sorted(&said), told, "{name} {kind}");
        }
        for (name, status) in [
            ("home.example.org", "NOERROR"),
            ("localhost", "NXDOMAIN"),
            ("machine.example.org", "NXDOMAIN"),
            ("metadata.google.internal", "NXDOMAIN"),
            ("1.0.0.10.in-addr.arpa", "NXDOMAIN"),
        ] {
            let said = asks(&world.phone, &relay, &[name])?;
            assert!(said.contains(&format!("status: {status};")), "{name}: {said}");
        }
        Ok(())
    })
}

#[test]
fn who_asks_from_where_is_not_passed_on() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let names = NameServer::on(&world.names)?;
        let site: IpAddr = world.web.v4();
        names.say("site.example.org", &[site]);
        let relay = Housed::on(&world.server)?;
        let subnet = "+subnet=77.88.99.0/24";
        let said = asks(&world.phone, &relay, &["+short", subnet, "site.example.org"])?;
        assert_eq!(said.trim(), site.to_string());
        let heard = names.heard();
        assert!(!heard.is_empty());
        let tells = |question: &Vec<u8>| question.windows(3).any(|three| three == [77, 88, 99]);
        assert!(!heard.iter().any(tells), "{heard:?}");
        Ok(())
    })
}

#[test]
fn a_name_server_that_is_silent_is_waited_for_in_so_many_places_and_not_by_others() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let names = NameServer::on(&world.names)?;
        names.say_nothing("slow.example.org");
        names.say("site.example.org", &[world.web.v4()]);
        let relay = Housed::on(&world.server)?;
        let asked = question(0, "slow.example.org", A);
        let slow = format!("{}?dns={}", relay.dns(0), BASE64URL_NOPAD.encode(&asked));
        let many = format!("{slow}&n=[1-65]");
        let form = ["-w", "%{http_code}\\n", "-o", "/dev/null"];
        let all = ["-sSk", "--parallel", "--parallel-max", "65", "--max-time", "60", &many];
        let flood = world.phone.spawn(command("curl", &[&form[..], &all].concat())?)?;
        while names.heard().is_empty() {
            thread::sleep(Duration::from_millis(20));
        }
        let asked = question(0, "site.example.org", A);
        let other = post(&world.phone, &relay.dns(1), &asked, &[])?;
        let (head, body) = parts(&other);
        assert_eq!((status(&head), &body[6..8]), ("200", &[0, 1][..]));

        let said = String::from_utf8(flood.wait_with_output()?.stdout).expect("text");
        let count = |code| said.lines().filter(|line| *line == code).count();
        assert_eq!((count("200"), count("429")), (64, 1), "{said}");
        let said = asks(&world.phone, &relay, &["slow.example.org"])?;
        assert!(said.contains("status: SERVFAIL;"), "{said}");
        let said = asks(&world.phone, &relay, &["+short", "site.example.org"])?;
        assert_eq!(said.trim(), world.web.v4().to_string());
        Ok(())
    })
}
