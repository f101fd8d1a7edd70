//! What an Apple device does that has the profile, as far as Apple's documents tell. None was here.

#[path = "house_proxy/line.rs"]
mod line;
// The rest of it is for other tests.
#[expect(dead_code)]
#[path = "house_proxy/world.rs"]
mod world;

use std::sync::Arc;

use front::pages::profile::{Profile, profile};
use http::{Method, Request, StatusCode, Uri};
use lab::{Result, country};
use world::{NAME, World, http2};

/// What stands after a key in a property list.
fn after<'a>(file: &'a str, key: &str) -> &'a str {
    let (_, rest) = file.split_once(&format!("<key>{key}</key>")).expect("the key");
    let (_, rest) = rest.split_once("<string>").expect("a text");
    rest.split_once("</string>").expect("its end").0
}

#[test]
fn a_connect_of_http2_with_what_the_profile_says_and_no_more_is_a_tunnel() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let (user, password) = (world.id.to_string(), world.password());
        let relay = format!("https://{NAME}:{}/", world.at().port());
        let account = Profile { name: NAME, relay: &relay, user: &user, password: &password };
        let file = String::from_utf8(profile(&account).body).expect("text");
        let url: Uri = after(&file, "HTTP2RelayURL").parse().expect("a URL");
        assert_eq!((url.host(), url.port_u16()), (Some(NAME), Some(world.at().port())));
        let header = after(&file, "Proxy-Authorization").to_owned();
        assert_eq!(after(&file, "ExcludedDomains"), NAME);

        let (tls, at) = (world.tls("h2"), world.at());
        world.lab.phone.run(async move || {
            let client = http2(tls, at, Arc::default()).await?;
            for (header, status) in [(header.as_str(), StatusCode::OK), ("", StatusCode::NOT_FOUND)]
            {
                let mut client = client.clone().ready().await.expect("ready");
                let mut request = Request::builder().method(Method::CONNECT);
                if !header.is_empty() {
                    request = request.header("proxy-authorization", header);
                }
                let request = request.uri("orchards.example:80").body(()).expect("a request");
                let (answer, mut up) = client.send_request(request, false).expect("sent");
                let answer = answer.await.expect("an answer");
                assert_eq!(answer.status(), status);
                if status != StatusCode::OK {
                    continue;
                }
                let get = "GET / HTTP/1.1\r\nHost: orchards.example\r\nConnection: close\r\n\r\n";
                up.send_data(get.into(), false).expect("sent");
                let (mut down, mut heard) = (answer.into_body(), Vec::new());
                while let Some(bytes) = down.data().await {
                    heard.extend(bytes.expect("bytes"));
                }
                let heard = String::from_utf8_lossy(&heard).into_owned();
                assert!(heard.contains("Apple orchards of Almaty"), "{heard}");
            }
            Ok(())
        })
    })
}
