//! The bridge page of the WEB proxy in a real browser, with the app's side played by a script, and
//! a server that echoes every stream.

mod server;

use lab::{Result, bridge, country};
use server::{Faults, Server};

const EVERYTHING: &str = "all came back";

/// What comes of it when the page is opened so; how the page said that it went.
fn opens(way: bridge::Way, faults: Faults) -> Result<Vec<String>> {
    let mut states = Vec::new();
    country(|lab| {
        let phone = lab.host("phone", &["5.76.1.10"])?;
        let server = Server::on(&phone, faults)?;
        let told = bridge::open(&phone, way, &server.url)?;
        assert_eq!(told.outcome, EVERYTHING, "{told:?}");
        assert!(!told.address.contains("bridge="), "the address bar shows {}", told.address);
        server.is_content(faults);
        states = told.states;
        Ok(())
    })?;
    Ok(states)
}

#[test]
fn a_web_view_gets_through_by_websocket() -> Result {
    opens(bridge::Way::WebView, Faults::default()).map(drop)
}

#[test]
fn a_parent_page_gets_through_by_websocket() -> Result {
    opens(bridge::Way::Parent, Faults::default()).map(drop)
}

#[test]
fn where_websockets_fail_plain_requests_carry_everything() -> Result {
    opens(bridge::Way::WebView, Faults { no_websocket: true, ..Faults::default() }).map(drop)
}

#[test]
fn answers_that_are_lost_are_asked_for_again() -> Result {
    let states =
        opens(bridge::Way::Parent, Faults { no_websocket: true, lose: 3, ..Faults::default() })?;
    assert!(states.is_empty() || states.iter().any(|state| state == "reconnecting"), "{states:?}");
    Ok(())
}

#[test]
fn a_websocket_that_is_cut_ends_the_session_and_the_app_is_told() -> Result {
    country(|lab| {
        let phone = lab.host("phone", &["5.76.1.10"])?;
        let server = Server::on(&phone, Faults { cut: 5, ..Faults::default() })?;
        let told = bridge::open(&phone, bridge::Way::WebView, &server.url)?;
        assert_eq!(told.outcome, "closed");
        assert_eq!(told.states, ["connecting", "connected", "failed"]);
        Ok(())
    })
}

#[test]
fn an_app_without_a_browser_gets_through_in_its_own_dialect() -> Result {
    country(|lab| {
        let phone = lab.host("phone", &["5.76.1.10"])?;
        let faults = Faults { no_websocket: true, ..Faults::default() };
        let server = Server::on(&phone, faults)?;
        let told = bridge::kurigram(&phone, server::HOST, server::SECRET, server.port)?;
        assert_eq!(told.trim(), EVERYTHING);
        server.is_content(faults);
        Ok(())
    })
}
