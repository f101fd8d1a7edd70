//! `jaryq hub`: the office of a fleet, and the verbs by which its organisers speak to it.
//!
//! | module | what is in it |
//! |---|---|
//! | `args` | the command line |
//! | `run` | the hub itself |
//! | `answers` | what it answers to the verbs |
//! | `talk` | how they speak: lines of JSON over a socket in the state directory |
//! | `show` | the same for people |
//! | `sealed`, `passphrase` | the fleet key at rest |
//! | `cloud_init` | a text that makes a relay of a new server |

mod answers;
mod args;
mod cloud_init;
mod passphrase;
mod run;
mod sealed;
mod show;
mod talk;

use std::path::Path;

use anyhow::{Context, bail};

pub(crate) use args::HubArgs;
use args::HubVerb;
use cloud_init::CloudInit;
pub(crate) use sealed::KEY_FILE;
pub(crate) use talk::SOCKET;
use talk::{Ask, Told};

use crate::args::{Place, Service};
use crate::bundle::Draft;
use crate::config::Asked;
use crate::print::Printer;
use crate::root;

pub(crate) fn run(place: Place, asked: HubArgs, printer: &Printer) -> anyhow::Result<()> {
    let HubArgs { verb, service } = asked;
    let Some(verb) = verb else { return run::run(place, service, printer) };
    let state = Asked::of_hub(place, Service::default()).gather()?.state;
    ask(verb, &state, printer)
}

/// Asks the hub that runs, and shows what it says.
fn ask(verb: HubVerb, state: &Path, printer: &Printer) -> anyhow::Result<()> {
    let mut download = None;
    let mut draft = None;
    let asked = match verb {
        HubVerb::Invite { owner, cloud_init, binary_url } => {
            download = cloud_init.then_some(binary_url);
            Ask::Invite { owner }
        }
        HubVerb::Vouch { id } => Ask::Vouch { relay: id, is_vouched: true },
        HubVerb::Unvouch { id } => Ask::Vouch { relay: id, is_vouched: false },
        HubVerb::Ports { posture, relay } => Ask::Ports { relay, all: posture == "all" },
        HubVerb::Relays => Ask::Relays,
        HubVerb::People => Ask::People,
        HubVerb::Blocks => Ask::Blocks,
        HubVerb::Give { .. } if !printer.may_show_links() => {
            bail!("links are printed on a terminal only, or with --json")
        }
        HubVerb::Give { network, door } => Ask::Give { door, network },
        HubVerb::Bundle { network, door, output } => {
            draft = output.map(Draft::open).transpose()?;
            Ask::Bundle { door, network }
        }
        HubVerb::Door { name } => Ask::Door { name },
        HubVerb::Signer => Ask::Signer,
    };
    root::become_owner(state)?;
    let told = talk::ask(state, &asked)?;
    if let (Told::Bundle { bundle, .. }, Some(draft)) = (&told, draft) {
        draft.write(bundle)?;
    }
    let text = match (&told, download) {
        (Told::Invite { invite, program, .. }, Some(from)) => {
            Some(CloudInit::new(invite, program, from)?.to_string())
        }
        _ => None,
    };
    match text {
        _ if printer.is_json() => {
            let mut object = serde_json::to_value(&told).context("an answer")?;
            if let Some(text) = text {
                object["cloud_init"] = text.into();
            }
            printer.object(&object);
        }
        Some(text) => printer.line(text.trim_end()),
        None => show::show(&told, printer),
    }
    Ok(())
}
