use std::time::Duration;

use lab::world::shutdowns;
use lab::{Clock, Host, Provider, Result, country};

use crate::world::{Heard, echo, tcp, udp};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(10);
/// The beginning of a ClientHello.
const HELLO: &str = "\u{16}\u{3}\u{1}\u{0}salem";

/// What a phone says to a server, and whether it hears it again.
struct Line<'a>(&'a Host, &'a Host);

impl Line<'_> {
    fn hears(&self, port: u16, words: &str) -> Result<bool> {
        let heard = tcp(self.0, (self.1.v4(), port).into(), words.into(), LONG)?;
        Ok(heard == Heard::says(words))
    }

    fn briefly(&self, port: u16, words: &str) -> Result<Heard> {
        tcp(self.0, (self.1.v4(), port).into(), words.into(), SHORT)
    }

    fn hears_udp(&self, port: u16) -> Result<bool> {
        let heard = udp(self.0, (self.1.v4(), port).into(), "salem", SHORT)?;
        Ok(heard == Heard::says("salem"))
    }
}

#[test]
fn the_shutdowns_that_there_were_drop_what_they_say() -> Result {
    country(|lab| {
        let provider = Provider::on(lab, "landline").start()?;
        let phone = provider.phone("phone")?;
        let server = lab.host("server", &["116.203.7.7"])?;
        for port in [53, 179, 443, 4784] {
            echo(&server, port)?;
        }
        let line = Line(&phone, &server);

        let shutdown = shutdowns::january_2022().on(&provider)?;
        assert!(line.hears(179, "salem")? && line.hears(4784, "salem")? && line.hears_udp(53)?);
        assert_eq!(line.briefly(443, "salem")?, Heard::Nothing);
        assert!(!line.hears_udp(443)?);
        drop(shutdown);
        assert!(line.hears(443, "salem")?);

        let clock = Clock::faster(0);
        let shutdown = shutdowns::january_2022_by_the_hour(&clock).on(&provider)?;
        // 5 January, 12:00, 18:00 and 22:01; 11 January, 03:00.
        for (minutes, passes) in [(12 * 60, false), (18 * 60, true), (1321, false), (8820, true)] {
            clock.set(Duration::from_secs(minutes * 60));
            assert!(line.hears(179, "salem")?);
            assert_eq!(line.briefly(443, "salem")? != Heard::Nothing, passes, "{minutes}");
        }
        drop(shutdown);

        let shutdown = shutdowns::iran_2022(&clock).on(&provider)?;
        for (hour, passes) in [(12, true), (20, false), (36, true), (44, false)] {
            clock.set(Duration::from_secs(hour * 3600));
            assert_eq!(line.briefly(443, "salem")? != Heard::Nothing, passes, "{hour}");
        }
        drop(shutdown);

        let shutdown = shutdowns::belarus_2020().on(&provider)?;
        assert!(line.hears(443, "salem")?);
        assert_eq!(line.briefly(443, HELLO)?, Heard::Mute);
        drop(shutdown);

        let shutdown = shutdowns::russia_mobile_2025([]).on(&provider)?;
        assert_eq!(line.briefly(443, "salem")?, Heard::Mute);
        assert!(line.hears_udp(53)? && !line.hears_udp(443)?);
        drop(shutdown);
        let _shutdown = shutdowns::russia_mobile_2025([server.v4()]).on(&provider)?;
        assert!(line.hears(443, HELLO)? && line.hears_udp(443)?);
        Ok(())
    })
}
