//! `cargo xtask COMMAND`: what developers and newcomers run. One command, one module.

mod bench;
mod bindings;
mod check;
mod devnet;
mod evictions;
mod fuzz;
mod input;
mod interrupt;
mod kill;
mod membership;
mod network;
mod rocksdb_progress;
mod screen;
mod swarm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Commands for developers and newcomers.
#[derive(Parser)]
#[command(name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(bench::Arguments),
    Bindings(bindings::Arguments),
    Check(check::Arguments),
    Devnet(devnet::Arguments),
    Fuzz(fuzz::Arguments),
    Kill(kill::Arguments),
    Membership(membership::Arguments),
    Swarm(swarm::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Bindings(arguments) => bindings::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Check(arguments) => check::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Devnet(arguments) => devnet::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Kill(arguments) => kill::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Membership(arguments) => membership::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Swarm(arguments) => swarm::run(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
