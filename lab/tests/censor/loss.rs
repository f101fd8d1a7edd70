use lab::censor::{Loss, Way};
use lab::{Result, country};
use tokio::net::UdpSocket;

use crate::world::World;

#[test]
fn a_bad_line_loses_the_share_that_it_should_and_the_same_ones_again() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let to = world.server.v4();
        let censor = world.censor(Loss::ways(0.3, 0.0))?;
        let mut passed = Vec::new();
        for _ in 0..2 {
            censor.replace(0, Loss::ways(0.3, 0.0))?;
            censor.forget();
            world.phone.run(async move || {
                let socket = UdpSocket::bind("0.0.0.0:0").await?;
                for port in 1..=1000 {
                    socket.send_to(b"?", (to, port)).await?;
                }
                Ok(())
            })?;
            while censor.witness().came(Way::Out).packets < 1000 {
                std::thread::yield_now();
            }
            let left = censor.witness().left(Way::Out).packets;
            assert!((640..760).contains(&left), "{left}");
            passed.push(left);
        }
        assert_eq!(passed[0], passed[1]);
        Ok(())
    })
}
