//! The page on which somebody sets up their apps, on a small phone.

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use front::pages::setup::{Browser, Telegram, WireGuard};
use front::pages::{Openings, Person, SetupLink, Visit, pac};
use lab::{Host, Result, country, http, phone};
use wire::derive::{self, Epoch, FleetKey, RelayId};
use wire::target::Target;

const TG: &str =
    "tg://webproxy?server=relay-a7.example.org&secret=dd8f2c61f0a94be7351d0c92b77e6a4413";

fn person() -> Person {
    let files = "https://relay-a7.example.org/p/8c5d1f0e7b3a4926";
    let telegram =
        |tg: &str| Telegram { tg: tg.to_owned(), https: tg.replace("tg://", "https://t.me/") };
    Person {
        telegram: vec![telegram(TG), telegram(&TG.replace("webproxy?", "proxy?port=443&"))],
        browser: Some(Browser {
            pac: format!("{files}/proxy.pac"),
            log_in: "http://f3k9q2.example.org/".to_owned(),
            user: "sb5rhrbf2m1qx".to_owned(),
            password: "9w3k7f0h2m5n8p1q4r6s7t0v2x".to_owned(),
        }),
        dns: Some(format!("{files}/dns-query")),
        apple: Some(format!("{files}/relay.mobileconfig")),
        outline: Some(
            "ss://Y2hhY2hhMjAtaWV0Zi1wb2x5MTMwNTo5dzNrN2YwaDJt@relay-a7.example.org:443/?outline=1"
                .to_owned(),
        ),
        wireguard: Some(WireGuard {
            file: format!("{files}/wireguard.conf"),
            config: "[Interface]\nPrivateKey = x\n".to_owned(),
        }),
    }
}

/// Serves the page on this host; its address, and what was opened.
fn served(host: &Host) -> Result<(String, Arc<Mutex<Openings>>)> {
    let openings = Arc::new(Mutex::new(Openings::default()));
    let theirs = Arc::clone(&openings);
    let port = host.run(async move || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let openings = Arc::clone(&theirs);
                thread::spawn(move || {
                    let mut buffer = vec![];
                    while let Some(request) = http::read(&mut stream, &mut buffer) {
                        let mut openings = openings.lock().expect("no thread panicked");
                        let answer = answer(&request, &mut openings);
                        let (status, headers, body) = answer.unwrap_or((404, vec![], vec![]));
                        if stream.write_all(&http::answer(status, &headers, &body)).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Ok(port)
    })?;
    Ok((format!("http://127.0.0.1:{port}/k/{}?l=kk", link().token()), openings))
}

fn link() -> SetupLink {
    let (fleet, relay) = (FleetKey::from_bytes([7; 32]), RelayId([1; 16]));
    let id = fleet.pseudonym(&relay, derive::Person(1));
    SetupLink::of(&fleet.relay_key(&relay), id, Epoch(1), 0)
}

type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

fn answer(request: &http::Request, openings: &mut Openings) -> Option<Answer> {
    let (whole, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (request.target.as_str(), None),
    };
    let path = format!("/k/{}", link().token());
    let visit = Visit {
        method: &request.method,
        path: &path,
        rest: whole.strip_prefix(&path)?,
        query,
        accept_language: request.headers.get("accept-language").map(String::as_str),
        body: &request.body,
        now: 1_795_000_000,
    };
    let page = visit.answer(&link(), &person(), openings)?;
    Some((page.status, page.headers, page.body))
}

fn sets_up(scripts: bool) -> Result {
    country(|lab| {
        let host = lab.host("phone", &["5.76.1.10"])?;
        let (url, openings) = served(&host)?;
        // Kept where somebody can look at them, if a folder is named.
        let pictures = std::env::var_os("JARYQ_LAB_PICTURES").map(PathBuf::from);
        let pictures = pictures.map_or_else(|| host.folder(), Ok)?;
        let shown = phone::sets_up(&host, scripts, &url, &pictures)?;
        let steps: Vec<&str> = shown.iter().map(|shown| shown.step.as_str()).collect();
        assert_eq!(steps, ["door", "kk", "ru", "en", "night", "qr"]);
        // A picture alone is fitted into the window by the browser.
        for shown in &shown[..5] {
            assert!(shown.width <= 360, "{} is {} pixels wide", shown.step, shown.width);
        }
        let link = format!("href=\"{}\"", TG.replace('&', "&amp;"));
        assert!(!shown[0].page.contains(&link) && shown[5].page.contains("<svg"));
        for (shown, title) in shown[1..].iter().zip([
            "Байланысты баптау",
            "Настройка связи",
            "Set up your connection",
        ]) {
            assert!(shown.page.contains(&link) && shown.page.contains(title), "{}", shown.step);
        }
        let mut once = Openings::default();
        once.open(1_795_000_000);
        assert_eq!(*openings.lock().expect("no thread panicked"), once);
        Ok(())
    })
}

#[test]
fn a_small_phone_shows_it_all_without_scripts() -> Result {
    sets_up(false)
}

#[test]
fn a_small_phone_shows_it_all_with_scripts() -> Result {
    sets_up(true)
}

#[test]
fn everything_but_the_house_goes_by_the_proxy_of_a_pac_file() -> Result {
    country(|lab| {
        let proxy = Target::read("relay-a7.example.org:8443", None).expect("a proxy");
        let file = String::from_utf8(pac::pac(&proxy).body).expect("text");
        let host = lab.host("phone", &["5.76.1.10"])?;
        let house = [
            "localhost",
            "printer",
            "router.local",
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "172.31.9.9",
            "169.254.1.1",
            "::1",
            "fd00::1",
            "fe80::1",
            // Its website: the proxy leads nobody to itself.
            "relay-a7.example.org",
        ];
        let world = [
            "example.org",
            "10.example.org",
            "127.0.0.1.example.org",
            "172.32.0.1",
            "11.0.0.1",
            "192.1.1.1",
            "2001:db8::1",
            "fc.example.org",
            "localhost.example.org",
        ];
        assert_eq!(phone::finds(&host, &file, &house)?, vec!["DIRECT"; house.len()]);
        assert_eq!(
            phone::finds(&host, &file, &world)?,
            vec![format!("HTTPS {proxy}"); world.len()]
        );
        Ok(())
    })
}
