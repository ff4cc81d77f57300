//! The command `ledgercast` and the library, run against files and against scripted servers.

// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

mod command_line;
mod scripted_server;
mod servers;
mod stopping;
mod support;
mod testnet;
