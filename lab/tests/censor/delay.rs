use std::time::{Duration, Instant};

use lab::censor::{Delay, Loss, Transport};
use lab::{Result, country};

use crate::world::{Heard, World};

#[test]
fn a_long_way_takes_its_time_and_loses_nothing() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let all = world.echo(443)?;
        let way = Delay::ways(Duration::from_millis(70), Duration::from_millis(30));
        let censor = world.censor(way.jitter(Duration::from_millis(5)))?;
        for at in all {
            let start = Instant::now();
            assert_eq!(world.udp(at, "salem")?, Heard::says("salem"));
            assert!(start.elapsed() >= Duration::from_millis(100));
            assert_eq!(world.tcp(at, "salem")?, Heard::says("salem"));
            assert!(start.elapsed() >= Duration::from_millis(300));
        }
        // What is held when the border changes its mind still comes.
        let (later, now) = (Duration::from_millis(200), Duration::ZERO);
        censor.replace(0, Delay::ways(later, now))?;
        censor.forget();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| world.udp(all[0], "salem"));
            while censor.witness().heard(Transport::Udp).is_empty() {
                std::thread::yield_now();
            }
            censor.replace(0, Loss::ways(1.0, 0.0))?;
            assert_eq!(asked.join().expect("no panic")?, Heard::says("salem"));
            Ok(())
        })
    })
}
