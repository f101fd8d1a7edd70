//! What was signed by somebody whom its reader trusts.

use std::ops::Deref;

/// A thing whose signature was checked against the signers that somebody has pinned. There is no other
/// way to have one than to open what was signed: [`crate::bundle::Bundle::open`] and
/// [`crate::receipt::Receipt::open`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trusted<T>(T);

impl<T> Trusted<T> {
    pub(crate) fn vouch(checked: T) -> Self {
        Self(checked)
    }
}

impl<T> Deref for Trusted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
