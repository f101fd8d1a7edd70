//! What came of a look at something, for people and for programs.

use std::fmt::Write;

use serde::Serialize;

use crate::print::Printer;

/// How it is with something.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Debug)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Ok,
    /// People get through, but something is not as it should be.
    Warning,
    /// Some people, or all, do not get through.
    Fault,
}

/// One thing that was looked at.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct Check {
    pub name: String,
    pub state: State,
    /// What was seen.
    pub seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    fn new(state: State, name: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { name: name.into(), state, seen: seen.into(), cause: None, remedy: None }
    }

    pub(crate) fn ok(name: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(State::Ok, name, seen)
    }

    pub(crate) fn warning(name: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(State::Warning, name, seen)
    }

    pub(crate) fn fault(name: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(State::Fault, name, seen)
    }

    pub(crate) fn cause(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    pub(crate) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// A few lines for people: one of what was seen, one of the cause, one of the remedy.
    fn text(&self, color: bool) -> String {
        let (word, paint) = match self.state {
            State::Ok => ("ok", "\x1b[32m"),
            State::Warning => ("warning", "\x1b[33m"),
            State::Fault => ("FAULT", "\x1b[1;31m"),
        };
        let (paint, end) = if color { (paint, "\x1b[0m") } else { ("", "") };
        let mut text = format!("{paint}{word:<9}{end}{:<15}{}", self.name, self.seen);
        for (what, said) in [("cause", &self.cause), ("remedy", &self.remedy)] {
            if let Some(said) = said {
                // Writing to a string does not fail.
                let _ = write!(text, "\n{:9}{what:<15}{said}", "");
            }
        }
        text
    }
}

/// Prints them, one after the other, and what they come to; whether there is no fault.
pub(crate) fn print(checks: &[Check], printer: &Printer) -> bool {
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let (faults, warnings) = (count(State::Fault), count(State::Warning));
    if printer.is_json() {
        printer.object(&serde_json::json!({
            "event": "diagnosis", "faults": faults, "warnings": warnings, "checks": checks,
        }));
        return faults == 0;
    }
    for check in checks {
        printer.line(check.text(printer.may_color()));
    }
    let plural = |count, word: &str| match count {
        0 => format!("no {word}"),
        1 => format!("1 {word}"),
        more => format!("{more} {word}s"),
    };
    printer.line(format!("\n{}, {}.", plural(faults, "fault"), plural(warnings, "warning")));
    faults == 0
}

#[cfg(test)]
mod tests {
    use super::Check;

    #[test]
    fn what_was_seen_stands_beside_its_cause_and_remedy() {
        let check = Check::fault("port 443", "closed").cause("a firewall").remedy("open it");
        let lines: Vec<String> = check.text(false).lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "FAULT    port 443       closed");
        assert_eq!(lines[1], "         cause          a firewall");
        assert_eq!(lines[2], "         remedy         open it");
        assert!(check.text(true).starts_with("\x1b[1;31mFAULT"));
    }
}
