//! The pages that come out.

mod relay;
mod table;
mod telegram;
mod tls;

pub(crate) use table::{Goal, Limit, goals};

use std::collections::BTreeMap;
use std::fmt::{self, Formatter};

use crate::figures::{Figures, Summary};
use crate::machine;
use crate::subject::Subject;
use crate::visit::ATTEMPTS;

/// Everything that a page says; which page it is follows from what was asked for.
pub(crate) struct Report<'a, Options> {
    pub(crate) options: &'a Options,
    pub(crate) subjects: &'a [Subject],
    pub(crate) figures: &'a Figures,
    /// The rivals that were not to be had.
    pub(crate) missing: Vec<&'static str>,
    pub(crate) failures: Vec<String>,
    /// The machine's load before and after.
    pub(crate) load: (String, String),
}

/// What was measured, where and when.
pub(crate) fn head(
    f: &mut Formatter<'_>,
    title: &str,
    command: &str,
    load: &(String, String),
) -> fmt::Result {
    writeln!(f, "# {title}\n")?;
    writeln!(f, "Made by `cargo run --release -p bench -- {command}` on {}.\n", machine::today())?;
    let (before, after) = load;
    writeln!(
        f,
        "- Machine: {}; its load was {before} before and {after} after.",
        machine::describe(),
    )
}

/// Who was measured, and who was not.
fn subjects(f: &mut Formatter<'_>, subjects: &[Subject], missing: &[&str]) -> fmt::Result {
    for Subject { name, version, .. } in subjects {
        writeln!(f, "- **{name}**: {version}.")?;
    }
    missing.iter().try_for_each(|name| {
        writeln!(f, "- {name} is not installed, or was not given, and is left out.")
    })
}

/// What everybody was told.
fn settings(f: &mut Formatter<'_>, subjects: &[Subject]) -> fmt::Result {
    writeln!(f, "\n## What they were told\n\nThe rest is as each has it by default.\n\n```")?;
    for Subject { settings, .. } in subjects {
        writeln!(f, "{}\n", settings.trim_end())?;
    }
    writeln!(f, "```")
}

fn failures(f: &mut Formatter<'_>, failures: &[String]) -> fmt::Result {
    if failures.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "\n## What failed\n\nA transfer fails when nothing comes for ten seconds or other bytes come \
         than were sent. It is begun anew, up to {ATTEMPTS} times, and only those that got through \
         are in the tables.\n"
    )?;
    let mut times = BTreeMap::<_, usize>::new();
    for failure in failures {
        *times.entry(failure).or_default() += 1;
    }
    times.iter().try_for_each(|(what, times)| writeln!(f, "- {what} ({times}×)"))
}

fn cell(summary: Summary) -> String {
    format!("{}{}", short(summary.median), if summary.is_wide() { "\\*" } else { "" })
}

/// The median and its interval.
pub(crate) fn interval(summary: Summary) -> String {
    let (low, high) = summary.interval;
    format!("{} ({}–{})", short(summary.median), short(low), short(high))
}

/// Three digits that count.
pub(crate) fn short(number: f64) -> String {
    match number.abs() {
        10.0.. if number.abs() >= 100.0 => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        1.0.. => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}
