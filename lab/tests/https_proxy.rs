//! Browsers go by way of a relay with a website of its own, as its links tell people to.

use std::thread::sleep;
use std::time::Duration;

use lab::browser::{self, Browser, ProxyVisit};
use lab::website::curl;
use lab::{Authority, Blockade, BlockedSite, Error, Relay, Result, country};

const NAME: &str = "relay.example";

/// Whether this answer has status 200.
fn is_found(answer: &str) -> bool {
    answer.split(' ').nth(1) == Some("200")
}

/// Sets the browser up by the PAC file and the address for the log-in, and nothing else.
fn opens(browser: Browser, http2: bool) -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = BlockedSite::new(&world)?;
        world.server.call(NAME)?;
        let authority = Authority::new(&world.server)?;
        let [certificate, key] = authority.vouch(NAME, "first")?;
        let [new_certificate, new_key] = authority.vouch(NAME, "second")?;
        let relay = Relay::on(&world.server)
            .arguments(&["--domain", NAME, "--certificate", &certificate.display().to_string()])
            .arguments(&["--key", &key.display().to_string()])
            .start()?;
        let printed = relay.command(&["key", "new", "--for", "web", "--json"])?;
        let made = printed.iter().find_map(|value| value.get("key"));
        let made = made.ok_or_else(|| Error::Unexpected(format!("{printed:?}")))?;
        let links = &made["links"];
        let link = |name: &str| links[name].as_str().unwrap_or_default();
        // The relay looks four times a second whether there are new keys.
        let page = made["page"]["url"].as_str().unwrap_or_default();
        let is_known =
            || Ok::<_, Error>(curl(&world.phone, &[page])?.is_ok_and(|answer| is_found(&answer)));
        let mut looks = 0;
        while !is_known()? {
            looks += 1;
            assert!(looks < 600, "after half a minute {page} is not there");
            sleep(Duration::from_millis(50));
        }

        let visit = ProxyVisit {
            http2,
            pac: link("pac"),
            log_in: link("log_in"),
            login: (link("user"), link("password")),
            authority: &authority.certificate,
            relay: NAME,
            renewal: [(&new_key, &key), (&new_certificate, &certificate)],
        };
        let steps = browser::open_by_https(&world.phone, browser, &visit, &BlockedSite::URLS)?;
        let told = |wanted: &str| -> Vec<&str> {
            let here = steps.iter().filter(|(step, _)| step == wanted);
            here.map(|(_, page)| page.as_str()).collect()
        };
        for step in ["before", "after", "renewed"] {
            let pages = told(step);
            assert_eq!(pages.len(), BlockedSite::URLS.len());
            for (url, page) in BlockedSite::URLS.iter().zip(pages) {
                assert_eq!(
                    page.contains(BlockedSite::SAYS),
                    step != "before",
                    "{step}, {url}: {page}"
                );
            }
        }
        assert_eq!(told("asked before"), ["0"]);
        let ready = ["дайын", "готов", "ready"];
        let page = told("log-in").concat();
        assert!(ready.iter().any(|word| page.contains(word)), "{page}");
        assert_eq!(told("asked after"), ["0"]);
        Ok(())
    })
}

#[test]
fn chromium_logs_in_once_and_opens_websites_by_http1() -> Result {
    opens(Browser::Chromium, false)
}

#[test]
fn chromium_logs_in_once_and_opens_websites_by_http2() -> Result {
    opens(Browser::Chromium, true)
}

#[test]
fn firefox_logs_in_once_and_opens_websites_by_http1() -> Result {
    opens(Browser::Firefox, false)
}

#[test]
fn firefox_logs_in_once_and_opens_websites_by_http2() -> Result {
    opens(Browser::Firefox, true)
}
