//! Real processes for tests and for `cargo devnet`: binaries, networks of peers and an orderer, signals, and
//! waiting for conditions. Never sleeps and hopes; every process that it starts ends with it.

pub mod binaries;
pub mod canary;
pub mod chain;
pub mod children;
pub mod client;
pub mod cluster;
pub mod events;
pub mod load;
pub mod malformed;
pub mod operations;
pub mod process;
pub mod proxy;
pub mod reader;
pub mod wait;
