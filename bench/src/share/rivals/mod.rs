//! Other ways to hand out endpoints, as their papers and sources have them, in our own few lines each.
//! None is told more or less than ours: newcomers, blocks, fresh endpoints.

mod bridgedb;
mod by_hand;
mod lox;
mod nasr;
mod rbridge;
mod salmon;
mod supply;
#[cfg(test)]
mod tests;
mod uniform;

pub(super) use bridgedb::BridgeDb;
pub(super) use by_hand::ByHand;
pub(super) use lox::Lox;
pub(super) use nasr::Nasr;
pub(super) use rbridge::RBridge;
pub(super) use salmon::Salmon;
pub(super) use uniform::Uniform;
