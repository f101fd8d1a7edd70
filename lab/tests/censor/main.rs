//! A network's border, and every harm that it can do: each piece of a censor is seen censoring.

mod delay;
mod gate;
mod loss;
mod only;
mod sweep;
mod world;
