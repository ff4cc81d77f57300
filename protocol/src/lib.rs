//! Ledgercast's protocol as pure state machines: `(now, input) → outputs`.
//!
//! Nothing here performs IO, reads a clock, spawns, or depends on hash-map order; randomness comes from a
//! seed. The same inputs give the same outputs, bit for bit, in a process and in the simulator.

pub mod announce;
mod asked;
pub mod budget;
pub mod channel;
pub mod dissemination;
pub mod event;
pub mod evidence;
pub mod feed;
pub mod input;
pub mod job;
pub mod leadership;
pub mod ledger;
pub mod membership;
pub mod offence;
pub mod ordering;
pub mod output;
pub mod peer;
pub mod range_sync;
pub mod refusal;
pub mod repair;
pub mod sampling;
pub mod session;
pub mod standing;
pub mod state_info;
pub mod store;
pub mod time;
pub mod timer;
pub mod types;
pub mod wire;

pub use event::Event;
pub use input::{Command, Input};
pub use job::{Job, Verdict};
pub use output::Output;
pub use time::{Monotonic, Now, WallTime};
pub use timer::Timer;
