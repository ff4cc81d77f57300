//! Ledgercast's node: the peer and orderer processes around the pure protocol.
//!
//! Reading order: `peer` (what is put together), `core` (the one task that owns the protocol), `network`
//! (libp2p), `store` (RocksDB), `feed` (pulling from orderers), `api` (gRPC and HTTP).

pub mod api;
pub mod cli;
pub mod clock;
pub mod committer;
pub mod config;
pub mod core;
mod daemon;
mod db;
mod failure;
pub mod feed;
pub mod follower;
mod log;
mod logging;
pub mod memory;
pub mod metrics;
pub mod network;
pub mod orderer;
pub mod peer;
mod rpc;
mod saver;
pub mod store;
mod thinning;
mod timers;
mod verify_pool;
