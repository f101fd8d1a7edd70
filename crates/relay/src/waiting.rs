//! What a caller meets who waits for the trial of all keys: what they would meet if nobody looked for
//! their key.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::arrival::Arrival;
use crate::connection::{is_new, leave_unjudged};
use crate::decoy::{Caller, Timing};
use crate::pump;
use crate::search::{Found, Wait};
use crate::tally::Counter;

/// How long the mask host's answer is kept back while a caller waits. A stranger sees no more of the
/// trial than that, and nothing of it where the mask host takes longer to answer than the trial takes.
const HOLD: Duration = Duration::from_millis(100);

/// Waits until the trial is over, the time for a first flight is, the caller has hung up or has to make
/// room at the door; without a mask, in silence.
///
/// With a mask, the mask host hears at once what was said, and its answer ends the wait, though not
/// within [`HOLD`]: so a stranger's answer is late by that at most. The next attempt's trial goes on
/// where this one stopped.
pub(crate) async fn wait(arrival: &mut Arrival<'_>, mut wait: Wait) -> Option<Found> {
    let until = arrival.accepted + arrival.shared.limits.first_flight;
    let lost = arrival.place.lost();
    let found = tokio::select! {
        biased;
        () = lost => {
            arrival.shared.counters.count(Counter::Crowded);
            None
        }
        found = timeout_at(until, wait_in_company(arrival, &mut wait)) => found.ok().flatten(),
    };
    if found.is_none() {
        leave_unjudged(arrival.shared, &arrival.first);
    }
    found
}

/// Goes on with the trial while the website in this process has the caller: visitors must not wait for
/// it, nor notice it. Somebody with a key whose link has no hint gets through with the next attempt,
/// which apps make by themselves; what they said this time is noise from now on, whether their key was
/// found in time or not.
pub(crate) fn look_on(arrival: &Arrival<'_>, mut wait: Wait) {
    let shared = Arc::clone(arrival.shared);
    let (source, source_port) = (arrival.source, arrival.source_port);
    let (first, until) = (arrival.first.clone(), arrival.accepted + shared.limits.first_flight);
    tokio::spawn(async move {
        let found = timeout_at(until, wait.end()).await.ok().flatten();
        match found {
            None => leave_unjudged(&shared, &first),
            Some(found) if is_new(&shared, &first, &found.entry.secret) => {
                shared.finder.welcome(source, source_port, found);
            }
            Some(_) => {}
        }
    });
}

async fn wait_in_company(arrival: &mut Arrival<'_>, wait: &mut Wait) -> Option<Found> {
    let Arrival { shared, source, dialled, stream, first, shadow, .. } = arrival;
    let caller = Caller { shared, source: *source, dialled: *dialled };
    let now = Instant::now();
    let timing = Timing { from: now, counts: now + HOLD, held: HOLD };
    tokio::select! {
        biased;
        found = wait.end() => found,
        () = shadow.listen(caller, first, timing), if shared.has_mask() => None,
        _ = pump::end_of(stream) => None,
    }
}
