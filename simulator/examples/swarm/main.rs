//! `cargo xtask swarm`: the simulator's campaigns, with their command line, processors and records. It is a
//! program of its own so that it needs nothing of the node.
//!
//! Not in the simulator itself because that reads no clock and no file, and starts no thread.

mod arguments;
mod campaign;
mod line;
mod record;
mod repeat;
mod worst;

use arguments::Arguments;
use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.plan {
        Some(plan) => repeat::run(plan, &arguments),
        None if arguments.worst_mix => worst::run(&arguments),
        None => campaign::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
