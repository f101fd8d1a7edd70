//! What `jaryq doctor` said.

use serde_json::Value;

use crate::error::{Error, Result};

/// A diagnosis, as it was printed for programs.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// Whether the command ended well, which it does without a fault.
    pub healthy: bool,
    checks: Vec<Value>,
}

impl Diagnosis {
    pub(super) fn read(printed: &str, healthy: bool) -> Result<Self> {
        let bad = || Error::Unexpected(format!("jaryq doctor printed {printed}"));
        let object: Value = serde_json::from_str(printed).map_err(|_| bad())?;
        let checks = object["checks"].as_array().ok_or_else(bad)?.clone();
        Ok(Self { healthy, checks })
    }

    /// What was said of this, as `state: seen; cause; remedy`, a line for each time.
    #[must_use]
    pub fn of(&self, name: &str) -> String {
        let said = |check: &Value| {
            let part = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
            let [state, seen, cause, remedy] = ["state", "seen", "cause", "remedy"].map(part);
            format!("{state}: {seen}; {cause}; {remedy}")
        };
        let of_it = self.checks.iter().filter(|check| check["name"] == name);
        of_it.map(said).collect::<Vec<_>>().join("\n")
    }

    /// The names of all that is in this state, `ok`, `warning` or `fault`.
    #[must_use]
    pub fn all(&self, state: &str) -> Vec<&str> {
        let in_it = self.checks.iter().filter(|check| check["state"] == state);
        in_it.filter_map(|check| check["name"].as_str()).collect()
    }
}
