//! What can go wrong in a lab.

use std::io;

use tokio::time::error::Elapsed;

/// Why a lab could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine lacks something; a test that needs it is skipped.
    #[error("{0}")]
    Missing(String),
    /// The system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program of the machine ended badly.
    #[error("`{command}` failed: {said}")]
    Command {
        /// The program and what it was given.
        command: String,
        /// What it wrote.
        said: String,
    },
    /// A peer did something else than the protocol, or than the test expects.
    #[error("{0}")]
    Unexpected(String),
}

/// Of everything in a lab, and of a test in it.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self::Io { doing: "in the lab".to_owned(), source }
    }
}

impl From<Elapsed> for Error {
    fn from(_: Elapsed) -> Self {
        Self::Unexpected("nothing happened in time".to_owned())
    }
}

/// Says what was being done when the system refused.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|error| Error::Io { doing: what.into(), source: error.into() })
    }
}
