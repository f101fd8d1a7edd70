//! Browsers open websites through the proxies that a relay prints.

use std::thread::sleep;
use std::time::Duration;

use lab::browser::{self, Browser};
use lab::{Blockade, BlockedSite, Relay, Result, country};

/// Opens both pages in a browser, by way of the HTTP proxy or else the SOCKS5 proxy.
fn opens(browser: Browser, by_http: bool) -> Result {
    country(|lab| {
        let world = Blockade::new(lab)?;
        let _site = BlockedSite::new(&world)?;
        let relay = Relay::on(&world.server).start()?;
        let key = relay.new_web_key()?;
        sleep(Duration::from_secs(1));
        let proxy = if by_http { &key.http } else { &key.socks5 };
        let pages = browser::open(&world.phone, browser, proxy, &BlockedSite::URLS)?;
        assert_eq!(pages.len(), BlockedSite::URLS.len());
        for (url, page) in BlockedSite::URLS.iter().zip(pages) {
            assert!(page.contains(BlockedSite::SAYS), "{url}: {page}");
        }
        Ok(())
    })
}

#[test]
fn chromium_opens_websites_by_http() -> Result {
    opens(Browser::Chromium, true)
}

#[test]
fn firefox_opens_websites_by_http() -> Result {
    opens(Browser::Firefox, true)
}

#[test]
fn firefox_opens_websites_by_socks() -> Result {
    opens(Browser::Firefox, false)
}
