//! What is blocked or gone, and what people's visits say of it.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use wire::derive::RelayId;

use super::{Clerk, Refused, named};
use crate::blocks::Word;
use crate::office::event::MOST_LISTED;
use crate::office::views::{BlockView, Seated};
use crate::office::{Event, Outcome, Scope, Why};
use crate::seats::{EndpointId, PersonId};

/// An endpoint that is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndpointView {
    /// Which.
    pub id: EndpointId,
    /// Whose.
    pub relay: RelayId,
    /// Where.
    pub address: SocketAddr,
    /// How many people sit there.
    pub people: usize,
}

/// Somebody who sits at an endpoint came to the hub another way: they asked again, or said that it does
/// not work. Its relay has no part in that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visit {
    /// Where they sit.
    pub endpoint: EndpointId,
    /// Who, as the seats number them.
    pub person: PersonId,
    /// The number of their network, 0 if nobody said.
    pub network: u32,
}

/// How many visits are remembered between two looks at them; of more, the first ones.
const MOST_VISITS: usize = 65_536;

/// What came between two looks at it.
#[derive(Default)]
pub(super) struct Visits(Mutex<Vec<Visit>>);

impl Visits {
    pub fn note(&self, seated: &Seated<'_>) {
        let Some(endpoint) = seated.endpoint else { return };
        let mut visits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if visits.len() < MOST_VISITS {
            visits.push(Visit { endpoint, person: seated.id, network: seated.network });
        }
    }
}

impl Clerk {
    /// These endpoints are blocked, for one reason, and so says who; how many people were seated
    /// elsewhere for it. Where people inside do not bear it out, nobody is to blame. Without endpoints it
    /// is remembered, and nothing else.
    ///
    /// # Errors
    /// When they are too many, or the hub has stopped.
    pub async fn blocked(
        &self,
        endpoints: &[EndpointId],
        scope: Scope,
        word: Word,
        cause: &str,
    ) -> Result<usize, Refused> {
        if endpoints.len() > MOST_LISTED {
            return Err(Why::Full("endpoints in one block").into());
        }
        let (endpoints, cause) = (endpoints.to_vec(), named(cause)?);
        self.cut(Event::Blocked { endpoints, scope, word, cause }).await
    }

    /// A relay is dead, and not blocked: nobody is to blame. It gets seats again when it is reached
    /// again. How many people were seated elsewhere.
    ///
    /// # Errors
    /// When there is no such relay, or the hub has stopped.
    pub async fn gone(&self, relay: RelayId) -> Result<usize, Refused> {
        let relay = self.place(relay)?;
        self.cut(Event::Gone { relay }).await
    }

    pub(super) async fn cut(&self, event: Event) -> Result<usize, Refused> {
        match self.happens(event).await? {
            Outcome::Cut(people) => Ok(people),
            Outcome::Done | Outcome::Joined(_) | Outcome::Refused(_) => Ok(0),
        }
    }

    /// All endpoints that are open, with people or without.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointView> {
        let state = self.state();
        let view = |(id, relay, slot, people): (_, &crate::office::Relay, _, _)| {
            let keys = state.keys.get(usize::from(state.office.place(relay.id)?))?;
            let address = SocketAddr::new(relay.address, keys.port(relay, slot, || None));
            Some(EndpointView { id, relay: relay.id, address, people })
        };
        state.office.endpoints().filter_map(view).collect()
    }

    /// Who came since this was asked last.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        std::mem::take(&mut *self.0.visits.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The last blocks, the oldest first.
    #[must_use]
    pub fn blocks(&self) -> Vec<BlockView> {
        self.state().office.block_views().cloned().collect()
    }
}
