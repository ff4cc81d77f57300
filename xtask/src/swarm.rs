//! `cargo xtask swarm`: builds and runs the simulator's campaigns, which are a program of their own
//! (`simulator/examples/swarm`): it needs nothing of the node.

use anyhow::Context as _;
use clap::Args;
use ledgercast_tests::{binaries, children};
use std::process::ExitCode;

/// What is built and run.
const PROGRAM: [&str; 6] = ["run", "--locked", "--package", "ledgercast-simulator", "--example", "swarm"];

/// Runs seeds of simulated networks with faults and liars; `swarm --help` says what and how.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// What is passed on.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // Paths are relative to where the user is, not to the workspace.
    let folder = std::env::current_dir().context("cannot tell the current folder")?;
    let mut command = binaries::cargo();
    let manifest = binaries::workspace().join("Cargo.toml");
    command.current_dir(folder).args(PROGRAM).arg("--manifest-path").arg(manifest);
    command.arg("--").args(&arguments.arguments);
    let mut child = children::spawn(&mut command).context("cannot start cargo")?;
    let status = child.wait();
    children::forget(child.id());
    let code = status.context("cannot wait for the campaign")?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
