//! What every decoder of foreign bytes must hold to: it gives a verdict on any bytes without a panic, within
//! a stated bound on memory, and what it takes is what its owner would say. One module a decoder; [`TARGETS`]
//! lists them. The fuzz targets of `fuzz/` and the replay of their corpora in `cargo test` call the same.
//!
//! ```text
//!  fuzz/fuzz_targets/X.rs ─► Target::run(bytes) ◄─ tests/replay.rs over fuzz/corpus/X/*
//!                            └─ Trial::decode: the decoder alone, its allocations counted
//! ```

pub mod block;
pub mod body;
pub mod certificate;
pub mod config;
pub mod config_update;
pub mod envelope;
pub mod equivocation;
pub mod evidence;
pub mod frame;
pub mod genesis;
pub mod header;
pub mod kept_evidence;
pub mod meter;
pub mod pem;
pub mod revocation_list;
pub mod saved_marks;
pub mod saved_revocations;
pub mod statement;
mod target;
pub mod values;

pub use meter::Meter;
pub use target::{Bound, PARSER_FACTOR, Target, Trial};

/// Every decoder, by name.
pub const TARGETS: [&Target; 18] = [
    &block::TARGET,
    &body::TARGET,
    &certificate::TARGET,
    &config::TARGET,
    &config_update::TARGET,
    &envelope::TARGET,
    &equivocation::TARGET,
    &evidence::TARGET,
    &frame::TARGET,
    &genesis::TARGET,
    &header::TARGET,
    &kept_evidence::TARGET,
    &pem::TARGET,
    &revocation_list::TARGET,
    &saved_marks::TARGET,
    &saved_revocations::TARGET,
    &statement::TARGET,
    &values::TARGET,
];
