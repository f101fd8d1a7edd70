//! The API for doors and people, beside its description.

use std::collections::BTreeMap;

use ::hub::api;
use ::hub::clerk::Clerk;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use wire::bundle::Bundle;
use wire::crack::{Hour, Network, Passage};
use wire::echo::{Shape, Transport};
use wire::receipt::{Certificate, Receipt, Rung, Statement, Witness};
use wire::tally::Day;

use crate::hub::{FLEET, Hub, START, join};

const DESCRIPTION: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/hub-api.yaml"));
const NOW: u64 = START / 1000;

async fn say(
    clerk: &Clerk,
    line: &str,
    bearer: &str,
    body: impl ToString,
) -> Option<Response<Bytes>> {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {bearer}"))
        .body(Bytes::from(body.to_string()))
        .expect("a request");
    api::answer(clerk, &request).await
}

fn read(response: &Response<Bytes>) -> Value {
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_slice(response.body()).expect("JSON")
}

/// The methods and paths of the description: as much of YAML as it uses.
fn described() -> Vec<String> {
    let mut path = "";
    let mut lines = Vec::new();
    for line in DESCRIPTION.lines() {
        if let Some(name) = line.strip_prefix("  /") {
            path = name.trim_end_matches(':');
        } else if let Some(method) = line.strip_prefix("    ").and_then(|it| it.strip_suffix(':'))
            && ["get", "post"].contains(&method)
        {
            lines.push(format!("{} /{path}", method.to_uppercase()));
        }
    }
    lines
}

/// The fields of each schema.
fn fields() -> BTreeMap<String, Vec<String>> {
    let (_, schemas) = DESCRIPTION.split_once("\n  schemas:\n").expect("schemas");
    let mut fields = BTreeMap::<String, Vec<String>>::new();
    let mut schema = String::new();
    for line in schemas.lines() {
        let depth = line.len() - line.trim_start().len();
        let name = line.trim().strip_suffix(':').unwrap_or_default();
        match depth {
            4 => schema = name.to_owned(),
            8 if !name.is_empty() => fields.entry(schema.clone()).or_default().push(name.into()),
            _ => {}
        }
    }
    fields
}

fn has_exactly(schema: &str, value: &Value) {
    let object = value.as_object().expect("an object");
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    let mut described: Vec<String> = fields()[schema].clone();
    names.sort_unstable();
    described.sort();
    assert_eq!(names, described, "{schema}");
}

#[tokio::test]
async fn what_is_described_is_served_with_these_fields_and_nothing_else_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::open(dir.path()).await;
    let relay = join(&hub.clerk, 1).await;
    let door = hub.clerk.door("bot").await.expect("a door");
    let ask = json!({ "person": "aliya", "request": "00".repeat(16), "network": "AS9198" });
    has_exactly("Ask", &ask);
    let asked = say(&hub.clerk, "POST /v1/ask", &door, &ask).await.expect("served");
    assert_eq!(asked.status(), StatusCode::OK);
    let tag = asked.headers()["etag"].clone();
    let asked = read(&asked);
    has_exactly("Seats", &asked);
    has_exactly("Link", &asked["links"][0]);
    let ticket = asked["ticket"].as_str().expect("a ticket");

    let seats = say(&hub.clerk, "GET /v1/seats", ticket, "").await.expect("served");
    assert_eq!((read(&seats), &seats.headers()["etag"]), (asked.clone(), &tag));
    let again = Request::get("/v1/seats")
        .header("authorization", format!("Bearer {ticket}"))
        .header("if-none-match", tag)
        .body(Bytes::new())
        .expect("a request");
    let same = api::answer(&hub.clerk, &again).await.expect("served");
    assert_eq!((same.status(), same.body().len()), (StatusCode::NOT_MODIFIED, 0));

    let report = json!({ "works": true });
    has_exactly("Report", &report);
    let works = say(&hub.clerk, "POST /v1/report", ticket, &report).await.expect("served");
    assert_eq!(read(&works), asked);

    let receipts = receipt_of(relay.id, 4784);
    let counted = say(&hub.clerk, "POST /v1/receipts", ticket, &receipts).await.expect("served");
    let counted = read(&counted);
    has_exactly("Counted", &counted);
    assert_eq!(counted["counted"], 1);
    let twice = say(&hub.clerk, "POST /v1/receipts", ticket, &receipts).await.expect("served");
    assert_eq!(read(&twice)["counted"], 0, "it counts once");

    let bundle = say(&hub.clerk, "GET /v1/bundle", ticket, "").await.expect("served");
    let text = std::str::from_utf8(bundle.body()).expect("text");
    let bundle = Bundle::open(text, &[hub.clerk.signer()], NOW).expect("a bundle");
    assert_eq!(bundle.cracks.len(), 1, "with what is known to pass");

    let bad = say(&hub.clerk, "POST /v1/ask", &door, "{}").await.expect("served");
    assert_eq!(bad.status(), StatusCode::BAD_REQUEST);
    has_exactly("Problem", &read(&bad));
    let other = json!({ "person": "berik", "request": "00".repeat(16) });
    let taken = say(&hub.clerk, "POST /v1/ask", &door, &other).await.expect("served");
    assert_eq!(taken.status(), StatusCode::CONFLICT);

    let described = described();
    assert_eq!(described.len(), 5);
    for line in &described {
        let bearer = if line.ends_with("ask") { &door } else { ticket };
        assert!(say(&hub.clerk, line, bearer, "").await.is_some(), "{line} is not served");
    }
    for other in ["GET /v1/ask", "POST /v1/seats", "GET /", "GET /v1/people"] {
        assert!(say(&hub.clerk, other, &door, "").await.is_none(), "{other}");
        assert!(say(&hub.clerk, other, ticket, "").await.is_none(), "{other}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn without_a_tokens_or_a_tickets_right_nobody_is_here() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::open(dir.path()).await;
    let door = hub.clerk.door("bot").await.expect("a door");
    let ask = json!({ "request": "11".repeat(16) });
    let asked = say(&hub.clerk, "POST /v1/ask", &door, &ask).await.expect("served");
    let ticket = read(&asked)["ticket"].as_str().expect("a ticket").to_owned();
    for line in described() {
        // A door is nobody's person, and a person is no door.
        let wrong = if line.ends_with("ask") { &ticket } else { &door };
        for bearer in ["", "x", &"A".repeat(32), wrong] {
            let body = json!({ "works": true, "request": "22".repeat(16) });
            assert!(say(&hub.clerk, &line, bearer, body).await.is_none(), "{line}, {bearer}");
        }
    }
    let renewed = hub.clerk.door("bot").await.expect("a door");
    assert!(say(&hub.clerk, "POST /v1/ask", &door, &ask).await.is_none(), "the old one ended");
    assert!(say(&hub.clerk, "POST /v1/ask", &renewed, &ask).await.is_some());
    hub.stop().await;
}

#[tokio::test]
async fn a_port_that_passes_in_a_network_is_handed_out_there_when_any_will_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::open(dir.path()).await;
    let relay = join(&hub.clerk, 1).await;
    hub.clerk.posture(None, wire::fleet::Posture::All).await.expect("done");
    let door = hub.clerk.door("bot").await.expect("a door");
    let ask = |person: &str, network: &str| json!({ "person": person, "request": format!("{person:0>32}"), "network": network });
    let port = async |person: &str, network: &str| {
        let asked = say(&hub.clerk, "POST /v1/ask", &door, ask(person, network)).await;
        let asked = read(&asked.expect("served"));
        let link = asked["links"][0]["tg"].as_str().expect("a link").to_owned();
        (asked["ticket"].as_str().expect("a ticket").to_owned(), link)
    };
    // Of a network where nothing is known, and what is known of none.
    let (ticket, link) = port("1", "AS1").await;
    assert!(link.contains("port=443"), "{link}");
    let receipts = receipt_of(relay.id, 4784);
    say(&hub.clerk, "POST /v1/receipts", &ticket, &receipts).await.expect("served");
    let (_, link) = port("2", "AS9198").await;
    assert!(link.contains("port=4784"), "{link}");
    hub.stop().await;
}

/// That 64 KiB passed to a port of this relay, in AS9198.
fn receipt_of(relay: wire::derive::RelayId, port: u16) -> String {
    let key = FLEET.relay_key(&relay);
    let signs = key.receipt_key();
    let until = Day::at(NOW + 86_400);
    let certificate = Certificate::issue(&FLEET.signer(), signs.public(), &key.mask_key(), until);
    let witness = Witness::new(signs, certificate).expect("its own");
    let passage = Passage {
        network: Network::As(9198),
        transport: Transport::Tcp,
        port: port.try_into().expect("not 0"),
        shape: Shape::Random,
    };
    let said = Statement { passage, is_told: false, hour: Hour::at(NOW), rung: Rung::Through };
    Receipt::text(&witness.sign(&said))
}
