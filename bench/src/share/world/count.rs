//! Counts the world anew after each step, for tests.

use hub::seats::{Hours, PersonId};

use super::{Person, ROOM, STEP, STEPS, World};

/// Honest people, counted anew.
#[derive(Debug)]
pub(in crate::share) struct Count {
    /// As the world has it in its sum.
    pub(in crate::share) online: f64,
    pub(in crate::share) seated: f64,
    pub(in crate::share) waiting: f64,
    pub(in crate::share) honest: f64,
    /// How many people the fullest relay carries, and how many any may.
    pub(in crate::share) fullest: f64,
    pub(in crate::share) room: f64,
    /// How many the office has elsewhere than the world.
    pub(in crate::share) astray: usize,
}

impl World<'_> {
    /// Runs, and counts anew after every step.
    pub(in crate::share) fn check(mut self, look: impl Fn(Count)) {
        let room = self.cell.fleet.people as f64 / f64::from(self.cell.fleet.relays) * ROOM;
        for step in 0..STEPS {
            self.step(step as Hours * STEP).expect("the thread has a clock");
            let honest = || self.people.iter().filter(|person| !person.informs);
            let seated = honest().filter(|person| person.is_seated()).count() as f64;
            let waiting = honest().filter(|person| !person.is_seated()).count() as f64;
            let mut loads = vec![0.0; self.cell.fleet.relays as usize];
            for at in self.people.iter().flat_map(Person::holds) {
                loads[self.endpoints[at as usize].relay as usize] += 1.0;
            }
            let is_astray = |&(id, person): &(PersonId, &Person)| {
                person.holds().any(|endpoint| !self.office.has_seat(id, endpoint))
            };
            let astray = (0..).zip(&self.people).filter(is_astray).count();
            look(Count {
                online: self.online,
                seated,
                waiting,
                honest: self.tolls.iter().map(|toll| toll.people).sum(),
                fullest: loads.into_iter().fold(0.0, f64::max),
                room,
                astray,
            });
        }
    }
}
