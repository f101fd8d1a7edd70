//! `jaryq bundle`: relays, keys and known cracks, in one signed file.

mod cracks;
mod make;
mod show;

use std::path::{Path, PathBuf};

use serde_json::json;
use wire::bundle::{Bundle, Sealed};

use crate::args::BundleVerb;
use crate::key::{day, open};
use crate::ledger::unix;
use crate::print::Printer;
use crate::trust;
pub(crate) use make::Draft;

/// `state` is asked for by those alone who need a relay's state: most people have none.
pub(crate) fn run(
    verb: BundleVerb,
    state: impl FnOnce() -> anyhow::Result<PathBuf>,
    printer: &Printer,
) -> anyhow::Result<()> {
    match verb {
        BundleVerb::Make(wish) => make::run(&wish, &state()?, printer),
        BundleVerb::Show { from, secrets } => show::run(&from, secrets, printer),
        BundleVerb::Verify { from } => verify(&from, printer),
        BundleVerb::Signer => signer(&state()?, printer),
    }
}

/// Fails, and says why, if the bundle would not be used.
fn verify(from: &str, printer: &Printer) -> anyhow::Result<()> {
    let text = trust::read(from)?;
    let bundle = Bundle::open(&text, &trust::pinned()?, unix())?;
    let signer = Sealed::read(&text)?.signer();
    let until = day(bundle.expires.start());
    if printer.is_json() {
        printer.object(&json!({
            "event": "verified",
            "signer": trust::key_object(&signer),
            "endpoints": bundle.endpoints.len(),
            "cracks": bundle.cracks.len(),
            "expires": until,
        }));
    } else {
        let relays = counted(bundle.endpoints.len(), "relay");
        printer.line(format!(
            "This bundle is as it was signed, by somebody whom you trust; it leads to {relays} and is \
             good until {until}."
        ));
    }
    Ok(())
}

/// Whose words people who get a bundle of this relay should compare.
fn signer(state: &Path, printer: &Printer) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let key = runtime.block_on(async {
        let store = open(state).await?;
        anyhow::Ok(store.identity().await?.signer()?.public())
    })?;
    if printer.is_json() {
        printer.object(&json!({ "event": "signer", "signer": trust::key_object(&key) }));
    } else {
        printer.line("This relay signs its bundles itself. Its words, for people to compare:\n");
        printer.line(trust::written(&key));
        printer.line(format!("\nIts key: {key}"));
    }
    Ok(())
}

/// As in "1 relay" and "2 relays".
fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
