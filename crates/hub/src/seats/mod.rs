//! Seats: who gets which endpoint, so that most people stay online although some among them tell the
//! censor where they sit.
//!
//! Whoever informs cannot be told from whoever does not, except by what happens: an endpoint that is
//! blocked was known to somebody. So people sit in groups, one group to an endpoint, and each block
//! is a test of a group, as is each hour without one (group testing: Dorfman 1943):
//!
//! ```text
//! newcomers ─┐                       ┌─ lives on ─> each is trusted a little more ─> merged with others
//! cut people ┴> sorted by risk ─> group on a fresh endpoint
//!                                    └─ blocked  ─> each is suspected more ─> sorted again, smaller groups
//! for whom there is no test: the open pool, which takes all; those who nearly certainly inform: one
//! last endpoint
//! ```
//!
//! Nobody is ever banned, and who sits with the suspects is tried again after some days. A newcomer
//! never joins people who have lived through something, since each newcomer may be the one who
//! informs; only in the pool anybody may meet anybody. An endpoint whose people were put together with
//! others is not blocked, so it is used again; that they know it is remembered.
//!
//! # What is believed
//!
//! Of each person, the *risk* `r`: the probability that they inform. Of the censor, `F(a)`: the share
//! of informers whose endpoint is blocked within `a` hours of sitting down. All of it is Bayes' rule:
//!
//! | what happens | what follows |
//! |---|---|
//! | somebody comes | `r` = the share of informers among all of whom something is known |
//! | an hour without a block | `r·q / (1 − r + r·q)`, where `q = 1 − F(a)`, and at least the share of sleepers |
//! | a block | `(h + (r − h)·o) / P`: `h = r · P(speaks just now)`, `P = 1 − Π(1 − h)` over all who knew it, `o` the same without this person |
//! | the only one at an endpoint says that it is blocked | the same with `P + 0.05·Π(1 − h)`: it may be their own line |
//! | two owners of relays say "from abroad" | the odds are doubled, once, and nobody waits longer for it |
//! | a relay dies | nothing |
//!
//! Whoever was shown an endpoint counts as knowing it, and so does its relay, as one more person: one
//! that the censor runs is found out as people are. Tests on it fail, where those on the middle one of
//! all relays do not; then it is used only where nobody would have a seat otherwise. `F` is learned
//! from when groups are blocked and how long others lived (Nelson 1969, Aalen 1978), so that a
//! censor who takes 1 h, 6 h, or its time is met alike.
//!
//! # How many sit together
//!
//! A group of the risk `d` (the sum of its people's) lives on with probability `e^−d`. A test that
//! fails costs an endpoint, one that does not costs nothing: so `d` is chosen so that as many fail as
//! come fresh, `1 − e^−d = fresh endpoints an hour · hours a test takes / slots`, between 0.1 and 0.8.
//! (At `d = 1` most people are cleared for each test, at small `d` for each endpoint: up to `1/r`.)
//! With endpoints to spare, `d` is smaller still. Where endpoints are so scarce that the pool would eat
//! them all, the pool waits: what counts is hours online for each endpoint that is lost,
//! `n·(e^−d·24 h + a) / (1 − e^−d)` for a test and `n·a` for the pool.
//!
//! The pool's endpoints are as good as lost when they are opened. If as many come fresh as that uses
//! up, its people are moved *before* the censor is as far. Who waits for the block instead is online
//! for two hours of three, where blocks take an hour and coming back half an hour.
//!
//! # What it takes and gives
//!
//! Nothing here asks for the time, draws from the machine's randomness or touches a network: events
//! come in with their time ([`Event`], or the call of the same name), moves come out of
//! [`Seats::settle`]. The same seed and events give the same moves, so a hub writes events down before
//! it applies them, and a [`Seats::snapshot`] now and then.
//!
//! A person takes 28 bytes, and four or eight for each endpoint that they know. Ids that mean nothing (any more) are passed over quietly.
//!
//! ```
//! use hub::seats::{Rule, Seats};
//!
//! let mut seats = Seats::new(Rule::default(), 42);
//! let relay = seats.relay(8, 500); // eight ports, room for 500
//! let person = seats.arrive(0.0);
//! let moves = seats.settle(0.0);
//! assert_eq!(moves[0].person, person);
//! let seat = seats.seat(person).expect("there was room");
//! assert_eq!(seats.place(seat).expect("it is open").relay, relay);
//!
//! seats.blocked(seat, 1.0);
//! seats.settle(1.0);
//! assert_ne!(seats.seat(person), Some(seat));
//! ```
//!
//! What it cannot see: whether a block that it is told of is one. That is judged elsewhere, and never
//! by a relay's lone word. Somebody who informs on few of the endpoints that they see is found late.
//!
//! | module | what is in it |
//! |---|---|
//! | `state` | who sits where |
//! | `people` | people come, are heard of, are shown a second link, leave |
//! | `relays` | what relays offer, what becomes of them, what their tests say |
//! | `blame` | what a block says of those who knew the endpoint |
//! | `plan` | who of those that wait goes where |
//! | `groups` | how many sit together |
//! | `merge` | room for new tests, and the pool's moves in time |
//! | `pool` | seats for everybody else |
//! | `risk` | Bayes' rule, and what blocks have taught of the censor |
//! | `event`, `snapshot`, `codec` | the journal, and everything as bytes |
//! | `chance` | order among equals |

mod blame;
mod chance;
mod codec;
mod event;
mod groups;
mod merge;
mod people;
mod plan;
mod pool;
mod relays;
mod risk;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod welcome;

pub use chance::Chance;
pub use event::{Event, Outcome};
pub use people::Origin;
pub use relays::{Mode, Status, Terms, Unit};
pub use state::{EndpointId, Move, PersonId, Place, RelayId, Rule, Seats};

/// Hours since some moment that the caller chooses. Within eleven years of it they are exact to half a
/// minute.
pub type Hours = f32;
