//! Borders that are slow.

use std::time::{Duration, Instant};

use lab::censor::{Policer, Shaper};
use lab::{Result, country};

use crate::world::World;

/// A datagram of the volley, with its headers.
const ONE: u32 = 1028;

#[test]
fn what_is_too_fast_for_a_policer_is_lost() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let [at, _] = world.echo(443)?;
        // So slow that nothing more passes during the test.
        let censor = world.censor(Policer::of(1).burst(10 * ONE))?;
        assert_eq!(world.volley(at, 30, 10)?, 10);
        assert_eq!(world.volley(at, 30, 0)?, 0);
        censor.replace(0, Policer::of(1).burst(10 * ONE).each())?;
        assert_eq!(world.volley(at, 30, 10)?, 10);
        assert_eq!(world.volley(at, 30, 10)?, 10);
        // A connection slows down, and loses nothing.
        censor.replace(0, Policer::of(5_000_000))?;
        assert_eq!(world.returned(at, 100_000, 100_000)?, 100_000);
        assert!(censor.counts()[0].harmed > 0);
        Ok(())
    })
}

#[test]
fn what_is_too_fast_for_a_shaper_waits_as_long_as_there_is_room() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let [at, _] = world.echo(443)?;
        let censor = world.censor(Shaper::of(50 * ONE).queue(10 * ONE))?;
        let start = Instant::now();
        assert_eq!(world.volley(at, 30, 10)?, 10);
        assert!(start.elapsed() >= Duration::from_millis(10 * 1000 / 50));
        // A connection slows down: this takes half a second.
        censor.replace(0, Shaper::of(200_000))?;
        let start = Instant::now();
        assert_eq!(world.returned(at, 100_000, 100_000)?, 100_000);
        assert!(start.elapsed() >= Duration::from_millis(500));
        Ok(())
    })
}
