use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lab::censor::{Flow, Only, SYN, Segment, Transport, Way, forge};
use lab::{Result, country};
use socket2::{Domain, Protocol, Socket, Type};

use crate::world::World;

/// The protocol of a socket that takes packets with their headers.
const WITH_HEADERS: i32 = 255;

#[test]
fn a_sweep_of_all_ports_crosses_a_border_and_every_knock_is_seen_once() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let censor = world.censor(Only::tcp([179, 646, 3784, 3785, 4784]))?;
        let (from, to) = (world.phone.v4(), world.server.v4());
        world.phone.run(async move || {
            let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(WITH_HEADERS)))?;
            let [inside, mut outside] = [from, to].map(|ip| SocketAddr::new(ip, 40_000));
            for port in 1..=u16::MAX {
                outside.set_port(port);
                let flow = Flow { transport: Transport::Tcp, inside, outside };
                let header = Segment { flags: SYN, sequence: 1, acknowledged: 0, next: 2 };
                raw.send_to(&forge::segment(flow, Way::Out, header, &[]), &outside.into())?;
            }
            Ok(())
        })?;
        // The server refuses the five that reach it.
        let start = Instant::now();
        while censor.counts()[0].seen < 65_535 + 5 && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let witness = censor.witness();
        let heard = witness.heard(Transport::Tcp);
        assert_eq!(heard.len(), 65_535);
        assert!(heard.values().all(|&knocks| knocks == 1));
        for way in [Way::Out, Way::In] {
            assert_eq!(witness.left(way).packets, 5);
        }
        Ok(())
    })
}
