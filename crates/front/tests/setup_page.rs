//! The page on which somebody sets up their apps, as its bytes tell.

use std::error::Error;
use std::io::Write;
use std::process::{Command, Stdio};

use front::pages::setup::{Browser, Telegram, WireGuard};
use front::pages::{Language, Openings, Page, Person, SetupLink, Visit};
use wire::derive::{self, Epoch, FleetKey, RelayId};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const NOW: u64 = 1_795_000_000;
const PATH: &str = "/k/00112233445566778899aabbccddeeff";
const HOST: &str = "relay-a7.example.org";
const SECRET: &str = "dd8f2c61f0a94be7351d0c92b77e6a4413";

/// Somebody who is given everything that there is, and more than they ever would be.
fn person() -> Person {
    let link = |kind: &str| Telegram {
        tg: format!("tg://{kind}server={HOST}&port=443&secret={SECRET}"),
        https: format!("https://t.me/{kind}server={HOST}&port=443&secret={SECRET}"),
    };
    let key = "sK8n2bqY3mVxT5wz0fUeJ7rHc1oLpA9iGdBvNtRyXkE=";
    Person {
        telegram: vec![link("webproxy?"), link("proxy?"), link("proxy?"), link("proxy?")],
        browser: Some(Browser {
            pac: format!("https://{HOST}/p/8c5d1f0e7b3a4926/proxy.pac"),
            log_in: "http://f3k9q2.example.org/".to_owned(),
            user: "sb5rhrbf2m1qx".to_owned(),
            password: "9w3k7f0h2m5n8p1q4r6s7t0v2x".to_owned(),
        }),
        dns: Some(format!("https://{HOST}/00112233445566778899aabbccddeeff/dns-query")),
        apple: Some(format!("https://{HOST}/p/8c5d1f0e7b3a4926/relay.mobileconfig")),
        outline: Some(format!(
            "ss://Y2hhY2hhMjAtaWV0Zi1wb2x5MTMwNTo5dzNrN2YwaDJtNW44cDFx@{HOST}:443/?outline=1"
        )),
        wireguard: Some(WireGuard {
            file: format!("https://{HOST}/p/8c5d1f0e7b3a4926/wireguard.conf"),
            config: format!(
                "[Interface]\nPrivateKey = {key}\nAddress = 10.77.0.2/32\nDNS = 10.77.0.1\n\n\
                 [Peer]\nPublicKey = {key}\nEndpoint = {HOST}:443\nAllowedIPs = 0.0.0.0/0, ::/0\n"
            ),
        }),
    }
}

fn link() -> SetupLink {
    let (fleet, relay) = (FleetKey::from_bytes([7; 32]), RelayId([1; 16]));
    let id = fleet.pseudonym(&relay, derive::Person(1));
    SetupLink::of(&fleet.relay_key(&relay), id, Epoch(1), 0)
}

fn visit<'a>(method: &'a str, rest: &'a str, query: Option<&'a str>, body: &'a str) -> Visit<'a> {
    Visit {
        method,
        path: PATH,
        rest,
        query,
        accept_language: None,
        body: body.as_bytes(),
        now: NOW,
    }
}

fn text(page: &Page) -> &str {
    std::str::from_utf8(&page.body).expect("text")
}

fn header<'a>(page: &'a Page, name: &str) -> &'a str {
    let found = page.headers.iter().find(|(header, _)| *header == name);
    found.map_or("", |(_, value)| value)
}

/// The page itself, opened for the first time.
fn opened(language: Language) -> Page {
    let query = format!("l={}", language.code());
    let page =
        visit("POST", "", Some(&query), "").answer(&link(), &person(), &mut Openings::default());
    page.expect("a page")
}

/// Every page with text, in every language.
fn all_pages() -> Vec<Page> {
    let mut pages = Vec::new();
    for language in Language::ALL {
        let query = format!("l={}", language.code());
        let mut openings = Openings::default();
        let get = visit("GET", "", Some(&query), "");
        pages.extend(get.answer(&link(), &person(), &mut openings));
        pages.push(opened(language));
        pages.push(front::pages::ready(language));
        while openings.open(NOW) {}
        pages.extend(get.answer(&link(), &person(), &mut openings));
    }
    assert_eq!(pages.len(), 12);
    pages
}

/// What tidy has to say; `None` without it, unless nothing may be skipped.
fn tidy(page: &[u8]) -> Result<Option<String>> {
    let mut command = Command::new("tidy");
    command.args(["-quiet", "-errors", "-utf8"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(_) if std::env::var_os("JARYQ_LAB").is_none_or(|all| all != "all") => {
            writeln!(std::io::stderr(), "skipped: no tidy")?;
            return Ok(None);
        }
        child => child?,
    };
    child.stdin.take().expect("piped").write_all(page)?;
    Ok(Some(String::from_utf8(child.wait_with_output()?.stderr)?))
}

#[test]
fn whoever_fetches_the_link_learns_nothing_and_opens_nothing() {
    let (link, person) = (link(), person());
    let mut openings = Openings::default();
    for method in ["GET", "HEAD"] {
        for language in Language::ALL {
            let query = format!("l={}", language.code());
            let page = visit(method, "", Some(&query), "").answer(&link, &person, &mut openings);
            let page = page.expect("the neutral page");
            let said = text(&page).to_lowercase();
            for word in [
                HOST,
                SECRET,
                "tg://",
                "t.me",
                "telegram",
                "proxy",
                "прокси",
                "vpn",
                "jaryq",
                "http://",
                "https://",
                "ticket",
                ".svg",
            ] {
                assert!(!said.contains(word), "{word} in {said}");
            }
            assert_eq!(said.matches("<button").count(), 1);
        }
    }
    assert_eq!(openings, Openings::default());
}

#[test]
fn the_page_is_opened_by_a_post_and_five_times() {
    let (link, person) = (link(), person());
    let mut openings = Openings::default();
    let post = visit("POST", "", None, "");
    for _ in 0..5 {
        let page = post.answer(&link, &person, &mut openings).expect("the page");
        assert_eq!(page.status, 200);
        assert!(text(&page).contains(SECRET));
    }
    for method in ["POST", "GET", "HEAD"] {
        let page =
            visit(method, "", None, "").answer(&link, &person, &mut openings).expect("an end");
        assert_eq!(page.status, 410);
        assert!(!text(&page).contains(SECRET) && !text(&page).contains("<form"));
    }
}

#[test]
fn another_language_and_the_pictures_do_not_count_as_opening() {
    let (link, person) = (link(), person());
    let mut openings = Openings::default();
    let first =
        visit("POST", "", None, "").answer(&link, &person, &mut openings).expect("the page");
    let once = openings;
    let (_, rest) = text(&first).split_once("name=\"ticket\" value=\"").expect("a ticket");
    let (ticket, _) = rest.split_once('"').expect("its end");

    let body = format!("ticket={ticket}");
    let again = visit("POST", "", Some("l=ru"), &body).answer(&link, &person, &mut openings);
    assert!(text(&again.expect("the page")).contains("<html lang=\"ru\">"));
    for (name, content) in [
        ("telegram-1", &person.telegram[0].tg),
        ("telegram-4", &person.telegram[3].tg),
        ("outline", person.outline.as_ref().expect("a key")),
        ("wireguard", &person.wireguard.as_ref().expect("a file").config),
    ] {
        let rest = format!("/{ticket}/{name}.svg");
        assert!(text(&first).contains(&format!("href=\"{PATH}{rest}\"")), "{name}");
        let picture = visit("GET", &rest, None, "").answer(&link, &person, &mut openings);
        let picture = picture.expect("a picture");
        assert_eq!(header(&picture, "content-type"), "image/svg+xml");
        assert_eq!(&scanned(text(&picture)), content);
    }
    assert_eq!(openings, once);

    let wrong = format!("/{}/telegram-1.svg", ticket.replace('-', "0-"));
    for rest in [
        wrong.as_str(),
        &format!("/{ticket}/telegram-5.svg"),
        &format!("/{ticket}/telegram-0.svg"),
        "/x",
        "/",
        "//",
    ] {
        assert_eq!(
            visit("GET", rest, None, "").answer(&link, &person, &mut openings),
            None,
            "{rest}"
        );
    }
    let wrong = visit("POST", "", None, "ticket=0-00").answer(&link, &person, &mut openings);
    assert!(wrong.is_some());
    assert_ne!(openings, once, "a wrong ticket is none");
}

/// What a camera reads in one of our pictures.
fn scanned(svg: &str) -> String {
    let after = |text: &str, mark: &str| -> String {
        let rest = text.split_once(mark).expect("the mark").1;
        rest.chars().take_while(char::is_ascii_digit).collect()
    };
    let size: usize = after(svg, "viewBox=\"0 0 ").parse().expect("a size");
    let mut dark = vec![false; size * size];
    let path = svg.split_once("<path d=\"").expect("a path").1.split('"').next().expect("its end");
    for run in path.split('M').skip(1) {
        let (x, rest) = run.split_once(' ').expect("x and y");
        let (y, rest) = rest.split_once('h').expect("y and a length");
        let length = rest.split_once('v').expect("its end").0.parse::<usize>().expect("a length");
        let start = y.parse::<usize>().expect("y") * size + x.parse::<usize>().expect("x");
        dark[start..start + length].fill(true);
    }
    let scale = 4;
    let pixel = |x, y| if dark[y / scale * size + x / scale] { 0 } else { 255 };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(size * scale, size * scale, pixel);
    image.detect_grids()[0].decode().expect("a code").1
}

#[test]
fn nothing_is_kept_and_nothing_comes_from_elsewhere() {
    for page in all_pages() {
        assert_eq!(header(&page, "cache-control"), "no-store");
        assert_eq!(header(&page, "referrer-policy"), "no-referrer");
        assert!(
            header(&page, "content-security-policy")
                .starts_with("default-src 'none'; style-src 'sha256-")
        );
        let html = text(&page);
        for word in ["<script", "src=", "<link", "@import", "url(", "onclick", "og:"] {
            assert!(!html.contains(word), "{word}");
        }
    }
}

#[test]
fn every_page_is_below_14_kb_even_before_it_is_compressed() {
    for page in all_pages() {
        let headers = page.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
        let size = page.body.len() + headers.sum::<usize>();
        assert!(size < 14_000, "{size}");
    }
}

#[test]
fn every_page_is_good_html() -> Result {
    for page in all_pages() {
        assert_eq!(tidy(&page.body)?.unwrap_or_default(), "");
    }
    Ok(())
}

#[test]
fn what_a_link_holds_cannot_become_part_of_the_page() {
    let mut person = person();
    person.telegram[0].https = "\"><script>alert(1)</script>".to_owned();
    person.outline = Some("\" onclick=\"x".to_owned());
    let page = visit("POST", "", None, "").answer(&link(), &person, &mut Openings::default());
    let page = page.expect("a page");
    assert!(!text(&page).contains("<script") && !text(&page).contains("\" onclick"));
}

#[test]
fn colours_are_far_enough_apart_by_day_and_by_night() {
    let style = include_str!("../templates/style.css");
    let themes: Vec<&str> = style.split(":root{").skip(1).collect();
    assert_eq!(themes.len(), 2);
    for theme in themes {
        let light = |name: &str| -> f64 {
            let rest = theme.split_once(&format!("--{name}:#")).expect("the colour").1;
            let hex: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
            let hex = if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex };
            let part = |at: usize| {
                let value =
                    f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("a colour")) / 255.0;
                if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
        };
        // WCAG 2.2, 1.4.3: 4.5 to 1.
        for (front, back) in [("text", "back"), ("text", "soft"), ("link", "back"), ("on", "link")]
        {
            let (a, b) = (light(front), light(back));
            let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast >= 4.5, "{front} on {back}: {contrast:.1}");
        }
    }
}
