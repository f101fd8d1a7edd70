//! What the volunteer is told of the fleet.

use serde_json::{Value, json};
use store::{Membership, Store};
use wire::fleet::{Carries, Order, Posture, Standing};

use super::member::{Member, Stands};
use super::since;
use crate::chart::count;

/// In a word.
pub(super) fn of_standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Carrying => "carrying",
        Standing::Paused => "paused",
        Standing::Spent => "spent",
        Standing::Leaving => "leaving",
    }
}

/// When it begins.
pub(super) fn on_standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Carrying => "the relay carries again",
        Standing::Paused => "the relay is paused and carries nobody; go on with: jaryq resume",
        Standing::Spent => {
            "what may be carried in this month is carried: nobody is carried until it ends"
        }
        Standing::Leaving => "the relay leaves its fleet",
    }
}

fn carries(order: &Order) -> &'static str {
    match order.carries {
        Carries::Telegram => "Telegram alone, until its organisers vouch for this relay",
        Carries::Everything => "everything that its keys open",
    }
}

fn reached(order: &Order) -> String {
    let address = order.address.map(|address| format!(" at {address}")).unwrap_or_default();
    match order.is_reached {
        None => format!("the hub has not tried yet whether people reach this relay{address}"),
        Some(true) => format!("people reach this relay{address}"),
        Some(false) => format!(
            "the hub does not reach this relay{address}, so it sends nobody here: does a firewall of the \
             provider's keep people out? (jaryq doctor)"
        ),
    }
}

/// What an order says that the one before it did not say, and that matters to the volunteer.
pub(super) fn news(before: &Order, now: &Order) -> Vec<String> {
    let mut news = Vec::new();
    if now.carries != before.carries {
        news.push(format!("the relay carries {}", carries(now)));
    }
    if now.posture != before.posture {
        news.push(match now.posture {
            Posture::All => {
                "the relay answers on every port that is free: there is a cut".to_owned()
            }
            Posture::Quiet => {
                "the relay answers on the usual ports and those of its people".to_owned()
            }
        });
    }
    if now.is_reached != before.is_reached && now.is_reached.is_some() {
        news.push(reached(now));
    }
    news.extend(now.words.iter().filter(|word| !before.words.contains(word)).cloned());
    news
}

/// At the start.
pub(crate) fn at_start(membership: &Membership, seats: usize) -> Vec<String> {
    let order = &membership.order;
    let mut lines = vec![
        format!("  fleet       of {}; carries {}", membership.invite.hub[0], carries(order)),
        format!("              {}", reached(order)),
        format!("  people      {}; {} helped so far", has_seats(seats), count(order.helped.into())),
    ];
    lines.extend(order.words.iter().map(|word| format!("  the hub     {word}")));
    lines
}

fn has_seats(seats: usize) -> String {
    match seats {
        0 => "nobody has a place here yet: the hub sends them".to_owned(),
        1 => "1 place given".to_owned(),
        some => format!("{} places given", count(some as u64)),
    }
}

/// The same for programs.
pub(crate) fn object(membership: &Membership, seats: usize) -> Value {
    let order = &membership.order;
    json!({
        "hub": membership.invite.hub.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "order": order.number,
        "posture": order.posture.name(),
        "carries": match order.carries { Carries::Telegram => "telegram", Carries::Everything => "everything" },
        "epoch": order.epoch.0,
        "address": order.address,
        "is_reached": order.is_reached,
        "seats": seats,
        "bundles": order.bundles.len(),
        "people_helped": order.helped,
        "words": order.words,
    })
}

/// An order that was followed.
pub(super) fn event(member: &Member) -> Value {
    let mut event = json!({ "event": "order" });
    event["fleet"] = object(&member.membership, member.seated.len());
    event
}

/// For `jaryq stats`, if the relay has joined a fleet: as lines, and for programs.
pub(crate) async fn of_stats(store: &Store) -> anyhow::Result<Option<(Vec<String>, Value)>> {
    let Some(membership) = store.membership().await? else { return Ok(None) };
    let seats = store.seated().await?.len();
    let mut object = object(&membership, seats);
    let mut lines = at_start(&membership, seats);
    if let Some(stands) = Stands::load(store).await? {
        object["standing"] = json!(stands.standing);
        object["hub_answers"] = json!(stands.is_heard);
        let heard = if stands.is_heard { "" } else { "; the hub does not answer" };
        lines.push(format!("  now         {}{heard}", stands.standing));
    }
    let minutes = since(membership.order.given) / 60;
    lines.push(format!("  last word   {} minutes ago", count(minutes)));
    Ok(Some((lines, object)))
}
