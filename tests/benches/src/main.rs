//! `ledgercast-benches`: Ledgercast over real sockets in one process, beside rust-libp2p's gossipsub. Usually
//! run as `cargo xtask bench`.

mod arguments;
mod catch_up;
mod chain;
mod figures;
mod gossipsub;
mod idle;
mod machine;
mod measure;
mod network;
mod peers;
mod quantiles;
mod report;
mod setup;
mod source;
mod spread;

use arguments::{Arguments, Command};
use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // As the daemon runs: the same settings of the C library's allocator.
    ledgercast_node::memory::give_back();
    let outcome = machine::raise_file_limit().and_then(|()| match &arguments.command {
        Command::Spread(load) => spread::run(&arguments.shared, load, spread::Kind::Paced),
        Command::Flood(load) => spread::run(&arguments.shared, load, spread::Kind::AtOnce),
        Command::Idle(idle) => idle::run(&arguments.shared, idle),
        Command::CatchUp(history) => catch_up::run(&arguments.shared, history),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
