//! The first word, at the start.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use store::{Membership, Store};
use wire::fleet::{Capacity, Enrolment, Face, Invite};

use super::hub::Hub;

/// How long the hub is tried.
const PATIENCE: Duration = Duration::from_secs(50);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_secs(2);

/// This relay's place in the fleet of an invite, which it joins now if it has not before; without an
/// invite, its place in the fleet that it has joined.
pub(crate) async fn join(
    store: &Store,
    invite: Option<&Invite>,
    about: (Capacity, Face),
) -> anyhow::Result<Option<Membership>> {
    let found = store.membership().await?;
    let Some(invite) = invite else { return Ok(found) };
    match found {
        Some(found) if found.invite == *invite => return Ok(Some(found)),
        Some(found) => bail!(
            "this relay has joined the fleet of {} already; to join another: jaryq leave",
            found.invite.hub[0]
        ),
        None => {}
    }
    let keys = store.keys().await?;
    let own = keys.iter().filter(|key| key.revoked.is_none()).count();
    if own > 0 {
        bail!(
            "this relay has {own} valid keys of its own, whose links would stop working in a fleet; \
             revoke them (jaryq key list, jaryq key revoke ID), or join from another place: --state DIR"
        );
    }
    let (capacity, face) = about;
    let enrolment = Enrolment {
        token: invite.token,
        attempt: store.attempt(invite).await?,
        capacity,
        face,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let hub = Hub::of(invite)?;
    let end = Instant::now() + PATIENCE;
    let enrolled = loop {
        match hub.enrol(&enrolment, ANSWER).await {
            Ok(Ok(enrolled)) => break enrolled,
            Ok(Err(why)) => bail!("the hub does not take this invite: {why}; ask for another"),
            Err(error) if Instant::now() + PAUSE >= end => {
                return Err(error.context("the hub cannot be reached"));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    };
    let order = enrolled.order.open(&invite.signer, enrolled.id);
    let order = order.context("what answers there is not the hub of this invite")?;
    store.join(&enrolled, &order).await?;
    store.membership().await.map_err(Into::into)
}
