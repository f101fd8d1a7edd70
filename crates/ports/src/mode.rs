//! On which ports a relay is to answer, as people write it: `quiet`, `all`, or a list.

use std::fmt;
use std::str::FromStr;

use crate::{BadPortList, PortList};

/// On which ports to answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// On those of [`Settings::quiet`](crate::Settings::quiet): what a server may well have open.
    #[default]
    Quiet,
    /// On every port that nobody else has. For a cut: a machine that answers on all ports can be
    /// recognised by that.
    All,
    /// On these.
    List(PortList),
}

impl FromStr for Mode {
    type Err = BadPortList;

    fn from_str(text: &str) -> Result<Self, BadPortList> {
        match text {
            "quiet" => Ok(Self::Quiet),
            "all" => Ok(Self::All),
            list => list.parse().map(Self::List),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quiet => f.write_str("quiet"),
            Self::All => f.write_str("all"),
            Self::List(list) => list.fmt(f),
        }
    }
}
