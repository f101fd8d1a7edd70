//! A network's border, and every harm that it can do: each piece of a censor is seen censoring.

mod content;
mod delay;
mod gate;
mod half_open;
mod liars;
mod loss;
mod only;
mod rates;
mod shutdowns;
mod some;
mod sweep;
mod world;
