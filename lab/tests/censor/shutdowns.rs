use std::time::Duration;

use lab::world::{Shutdown, shutdowns};
use lab::{Clock, Network, Provider, Result, country};

use crate::world::{Heard, World};

/// The beginnings of a ClientHello and a ServerHello.
const HELLO: [u8; 8] = [22, 3, 1, 0, 2, 1, 0, 0];
const ANSWER: [u8; 8] = [22, 3, 3, 0, 2, 2, 0, 0];

#[test]
fn the_shutdowns_that_there_were_drop_what_they_say() -> Result {
    country(|lab| {
        let provider = Provider::on(lab, "landline").ipv6().start()?;
        let world = World {
            inside: Network::clone(&provider),
            phone: provider.phone("phone")?,
            server: lab.host("server", &["116.203.7.7", "2a01:4f8:7::7"])?,
        };
        let mut at = Vec::new();
        for port in [53, 179, 443, 4784] {
            at.push(world.echo(port)?);
        }
        let [[dns, _], [bgp, _], [web, web6], [bfd, _]] = at[..] else { unreachable!("four") };
        let list = world.server.addresses();
        let salem = || Heard::says("salem");
        let begin = |shutdown: Shutdown| shutdown.on(&provider);

        let shutdown = begin(shutdowns::january_2022())?;
        assert_eq!([world.tcp(bgp, "salem")?, world.tcp(bfd, "salem")?], [salem(), salem()]);
        assert_eq!(world.udp(dns, "salem")?, salem());
        assert_eq!(world.tcp_briefly(web, "salem")?, Heard::Nothing);
        assert_eq!(world.tcp_briefly(web6, "salem")?, Heard::Nothing);
        assert_eq!(world.udp_briefly(web, "salem")?, Heard::Nothing);
        drop(shutdown);
        assert_eq!(world.tcp(web, "salem")?, salem());

        let clock = Clock::faster(0);
        let shutdown = begin(shutdowns::january_2022_by_the_hour(&clock))?;
        // On 5 January, and on 11 January at 3:00.
        for (hours, minutes) in [(12, 0), (22, 1)] {
            clock.set(Duration::from_secs((hours * 60 + minutes) * 60));
            assert_eq!(world.tcp_briefly(web, "salem")?, Heard::Nothing, "{hours}:{minutes}");
            assert_eq!(world.tcp(bgp, "salem")?, salem());
        }
        for hours in [10, 18, 147] {
            clock.set(Duration::from_secs(hours * 3600));
            assert_eq!(world.tcp(web, "salem")?, salem(), "{hours}:00");
        }
        drop(shutdown);

        let shutdown = begin(shutdowns::iran_2022(&clock))?;
        for day in [0, 1] {
            clock.set(Duration::from_secs((day * 24 + 12) * 3600));
            assert_eq!(world.tcp(web, "salem")?, salem());
            clock.set(Duration::from_secs((day * 24 + 20) * 3600));
            assert_eq!(world.tcp_briefly(web, "salem")?, Heard::Nothing);
        }
        drop(shutdown);

        let shutdown = begin(shutdowns::belarus_2020())?;
        assert_eq!(world.tcp(web, "salem")?, salem());
        assert_eq!(world.tcp_half(web, HELLO)?, Heard::Mute);
        drop(shutdown);

        let shutdown = begin(shutdowns::iran_2025())?;
        assert_eq!([world.tcp(web, "salem")?, world.udp(dns, "salem")?], [salem(), salem()]);
        assert_ne!(world.tcp(web, HELLO)?, Heard::Mute);
        assert_eq!(world.tcp_half(web, ANSWER)?, Heard::Mute);
        assert_eq!(world.udp_briefly(web, "salem")?, Heard::Nothing);
        assert_eq!(world.tcp_briefly(web6, "salem")?, Heard::Nothing);
        drop(shutdown);

        let shutdown = begin(shutdowns::iran_2026([]))?;
        assert_eq!(world.tcp_half(web, "salem")?, Heard::Mute);
        drop(shutdown);
        let shutdown = begin(shutdowns::iran_2026(list.iter().copied()))?;
        assert_eq!(world.tcp(web, "salem")?, salem());
        drop(shutdown);

        let shutdown = begin(shutdowns::russia_16k())?;
        assert_eq!(world.returned(web, 10_000, 10_000)?, 10_000);
        let returned = world.returned(web, 100_000, 10_000)?;
        assert!((10_000..=16 << 10).contains(&returned), "{returned}");
        drop(shutdown);

        let shutdown = begin(shutdowns::russia_mobile_2025([]))?;
        assert_eq!(world.tcp_half(web, "salem")?, Heard::Mute);
        assert_eq!(world.udp(dns, "salem")?, salem());
        assert_eq!(world.udp_briefly(web, "salem")?, Heard::Nothing);
        drop(shutdown);
        let _shutdown = begin(shutdowns::russia_mobile_2025(list.iter().copied()))?;
        assert_eq!([world.tcp(web, "salem")?, world.udp(web, "salem")?], [salem(), salem()]);
        Ok(())
    })
}
