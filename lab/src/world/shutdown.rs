//! What a provider does to its people: a gate in its kernel, and pieces of a censor.

use std::fmt;

use super::gate::Gate;
use super::provider::Provider;
use crate::censor::{Censor, Piece};
use crate::error::Result;

/// A gate, pieces, or both. For those that there really were, see [`shutdowns`](super::shutdowns).
///
/// ```no_run
/// # use std::time::Duration;
/// # use lab::{Provider, censor::Delay, world::shutdowns};
/// # fn example(landline: &Provider) -> lab::Result {
/// // January 2022, and the world is 200 ms away and back.
/// let away = Delay::of(Duration::from_millis(100));
/// let shutdown = shutdowns::january_2022().piece(away).on(landline)?;
/// // ... and when it is dropped, it is over.
/// # drop(shutdown);
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct Shutdown {
    gate: Option<Gate>,
    pieces: Vec<Box<dyn Piece>>,
}

impl Shutdown {
    /// One that changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets out only what this gate does.
    #[must_use]
    pub fn gate(self, gate: Gate) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// Puts one more piece between the others and the world; the gate stands behind them all.
    #[must_use]
    pub fn piece(mut self, piece: impl Piece) -> Self {
        self.pieces.push(Box::new(piece));
        self
    }

    /// Begins it on a provider's border. Without a piece all of it is the kernel's, and as fast.
    ///
    /// # Errors
    /// When the provider has a censor already, and when the system refuses.
    pub fn on(self, provider: &Provider) -> Result<Imposed> {
        let censor = if self.pieces.is_empty() {
            None
        } else {
            Some(Censor::on(provider).pieces(self.pieces).start()?)
        };
        if let Some(gate) = &self.gate {
            provider.set_gate(gate)?;
        }
        Ok(Imposed { censor, gated: self.gate.map(|_| provider.clone()) })
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pieces = self.pieces.len();
        f.debug_struct("Shutdown").field("gate", &self.gate).field("pieces", &pieces).finish()
    }
}

/// A shutdown that goes on until this is dropped.
#[derive(Debug)]
pub struct Imposed {
    censor: Option<Censor>,
    gated: Option<Provider>,
}

impl Imposed {
    /// Its censor, if it has pieces.
    #[must_use]
    pub fn censor(&self) -> Option<&Censor> {
        self.censor.as_ref()
    }
}

impl Drop for Imposed {
    fn drop(&mut self) {
        if let Some(provider) = &self.gated {
            // A lab that is ending has no gates either.
            let _ = provider.remove_gate();
        }
    }
}
