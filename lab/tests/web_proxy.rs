//! Telegram's WEB proxy of a real relay, with clients that others have written, by the link that it
//! prints.

use std::path::PathBuf;

use lab::{Blockade, Lab, Relay, Result, bridge, country, website};
use serde_json::Value;
use wire::webproxy::{Capability, WebLink, WebSecret};

const DOMAIN: &str = "web.example.org";

/// A relay with a name of its own, what its owner is given to send, and its certificate.
struct Scene {
    world: Blockade,
    relay: Relay,
    link: String,
    certificate: PathBuf,
}

impl Scene {
    fn new(lab: &Lab) -> Result<Self> {
        let world = Blockade::new(lab)?;
        world.server.call(DOMAIN)?;
        let [certificate, key] = website::self_signed(&world.server, DOMAIN)?;
        let [shown, hidden] = [&certificate, &key].map(|file| file.to_string_lossy());
        let arguments = ["--domain", DOMAIN, "--certificate", &shown, "--key", &hidden];
        let relay = Relay::on(&world.server).arguments(&arguments).start()?;
        let link = web_link(relay.ready()).expect("it prints one").to_owned();
        Ok(Self { world, relay, link, certificate })
    }

    /// The bridge page's address, as an app derives it from the link.
    fn page(&self) -> (String, WebLink) {
        let link: WebLink = self.link.parse().expect("a link");
        let capability = Capability::of(&link.address, &link.secret).written();
        (format!("https://{}/?bridge={capability}", link.address), link)
    }
}

/// The first link to a WEB proxy in what a relay printed.
fn web_link(printed: &Value) -> Option<&str> {
    match printed {
        Value::String(text) => text.starts_with("tg://webproxy?").then_some(text),
        Value::Array(inner) => inner.iter().find_map(web_link),
        Value::Object(inner) => inner.values().find_map(web_link),
        _ => None,
    }
}

#[test]
fn kurigram_gets_through_to_every_kind_of_datacentre() -> Result {
    country(|lab| {
        let scene = Scene::new(lab)?;
        for datacentre in [2, -4, 203, 10_001] {
            bridge::kurigram_pings(
                &scene.world.phone,
                &scene.link,
                &scene.certificate,
                datacentre,
            )?;
        }
        let visits = scene.world.telegram.visits();
        let asked: Vec<i16> = visits.iter().map(|visit| visit.dc).collect();
        assert_eq!(asked, [2, -4, 203, 10_001]);
        let key = scene.relay.key()?;
        scene.relay.revoke(&key)?;
        let after = bridge::kurigram_pings(&scene.world.phone, &scene.link, &scene.certificate, 2);
        assert!(after.is_err(), "a revoked key opens nothing");
        Ok(())
    })
}

fn chromium(way: bridge::Way) -> Result {
    country(|lab| {
        let scene = Scene::new(lab)?;
        let (url, link) = scene.page();
        let (WebSecret::Plain(key) | WebSecret::Padded(key)) = link.secret;
        let states = bridge::ping(&scene.world.phone, way, &url, &key)?;
        assert_eq!(states, ["connecting", "connected"]);
        let visits = scene.world.telegram.visits();
        assert!(matches!(visits[..], [visit] if visit.dc == 2), "{visits:?}");
        Ok(())
    })
}

#[test]
fn a_web_view_gets_through() -> Result {
    chromium(bridge::Way::WebView)
}

#[test]
fn a_frame_in_a_browser_gets_through() -> Result {
    chromium(bridge::Way::Parent)
}
