//! A seeded world in virtual time: real [`Peer`](ledgercast_protocol::peer::Peer) state machines over
//! simulated links, disks, clocks and orderers. No IO, no thread, no clock; the same seed gives the same
//! trace hash.
//!
//! ```text
//!           ┌────────── World: event queue by (time, sequence) ──────────────┐
//! builder ─►│ nodes: Peer + Disk + Clock  connections, links  orderer feeds  │─► checks at every event
//!           │ verifier (remembers)        faults              trace, traffic │─► Failure { seed, at, … }
//!           └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Reading order: `world`, `builder`, `node`, `step`; `connections` with `links`; `disk`, `feeds`;
//! `checks`; `liars`; `swarm`.

pub mod builder;
mod certificates;
mod chain;
pub mod checks;
mod clock;
mod connections;
mod dials;
mod disk;
mod faults;
mod feeds;
mod identities;
pub mod liars;
mod links;
pub mod membership_figures;
mod node;
mod outputs;
mod peek;
mod queue;
mod random;
mod step;
pub mod swarm;
mod trace;
mod traffic;
mod updates;
mod verifier;
mod view;
pub mod world;

pub use builder::WorldBuilder;
pub use chain::SourceChain;
pub use checks::{Failure, Violation};
pub use disk::DiskSettings;
pub use feeds::SourceFault;
pub use links::LinkSettings;
pub use node::NodeId;
pub use peek::Peek;
pub use traffic::{Count, SentFrame, Traffic};
pub use world::World;
