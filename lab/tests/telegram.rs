//! The lab's datacentres do what the tests of a relay rely on.

use std::time::Duration;

use lab::{Result, Telegram, client, country};
use tokio::time::timeout;
use wire::mtproto::obfuscated::Tag;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_datacentre_answers_on_every_address_and_port_in_every_framing() -> Result {
    country(|lab| {
        let telegram = Telegram::on(lab)?;
        let phone = lab.host("phone", &["5.76.1.10", "2a00:5da0:1::10"])?;
        let endpoints: Vec<_> = [1, 2, 3, 4, 5, 203, 10_001, 10_002, 10_003]
            .into_iter()
            .flat_map(|datacentre| telegram.endpoints(datacentre))
            .collect();
        let framings = [Tag::Abridged, Tag::Intermediate, Tag::Padded];
        phone.run(async move || {
            for (at, tag) in endpoints.into_iter().zip(framings.into_iter().cycle()) {
                client::straight_to(at).framed(tag).connect().await?.ping().await?;
            }
            Ok(())
        })?;
        assert_eq!(telegram.visits().len(), 57);
        assert!(telegram.wait(SECOND, |visits| visits.iter().all(|visit| !visit.open)));
        Ok(())
    })
}

#[test]
fn a_visit_tells_who_came_where_and_for_what() -> Result {
    country(|lab| {
        let telegram = Telegram::on(lab)?;
        let phone = lab.host("phone", &["5.76.1.10"])?;
        let at = telegram.endpoints(4)[1];
        phone.run(async move || {
            let approach = client::straight_to(at).datacentre(-4).framed(Tag::Padded);
            approach.connect().await?.ping().await
        })?;
        let visit = telegram.visits()[0];
        assert_eq!((visit.from.ip(), visit.at), (phone.v4(), at));
        assert_eq!((visit.dc, visit.tag), (-4, Tag::Padded));
        Ok(())
    })
}

#[test]
fn bulk_goes_both_ways_unharmed_in_every_framing() -> Result {
    country(|lab| {
        let telegram = Telegram::on(lab)?;
        let phone = lab.host("phone", &["5.76.1.10", "2a00:5da0:1::10"])?;
        let at = telegram.endpoints(2)[0];
        for tag in [Tag::Abridged, Tag::Intermediate, Tag::Padded] {
            phone.run(async move || {
                let mut client = client::straight_to(at).framed(tag).connect().await?;
                client.download(3_000_004).await?;
                client.upload(3_000_004).await?;
                client.ping().await
            })?;
        }
        Ok(())
    })
}

#[test]
fn an_endpoint_can_refuse_or_hang_alone() -> Result {
    country(|lab| {
        let telegram = Telegram::on(lab)?;
        let phone = lab.host("phone", &["5.76.1.10", "2a00:5da0:1::10"])?;
        let [refused, hanging, fine] = telegram.endpoints(1)[..3] else {
            unreachable!("three ports")
        };
        telegram.refuse(refused);
        telegram.hang(hanging)?;
        let ping = |at| {
            phone.run(async move || {
                let mut client = client::straight_to(at).connect().await?;
                timeout(SECOND, client.ping()).await?
            })
        };
        assert!(ping(refused).is_err());
        assert!(ping(hanging).is_err());
        ping(fine)?;
        telegram.answer(refused)?;
        ping(refused)
    })
}
