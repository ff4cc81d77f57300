//! Facts about the block flow of one channel, in a small network of channels in virtual time.

mod attacks;
mod bounds;
mod catching_up;
mod dissemination;
mod feeding;
mod forks;
mod messages;
mod network;
mod reconfiguring;
mod repairing;
mod serving;

use super::Settings;
use network::{Fate, Net};
