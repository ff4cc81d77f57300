//! Membership among a few peers in virtual time, messages delivered by hand.

mod attacks;
mod duplicates;
mod eviction;
mod rules;
mod spread;
mod ticks;
mod world;
