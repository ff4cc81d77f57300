//! `cargo xtask bench`: builds the program that measures and runs it. It is a program of its own because it
//! links RocksDB, and `cargo devnet` is to start at once.

use crate::network::prepare;
use crate::rocksdb_progress::RocksdbProgress;
use anyhow::Context as _;
use clap::Args;
use ledgercast_tests::binaries::{build_benches, workspace};
use ledgercast_tests::children;
use std::process::{Command, ExitCode};

/// Measures Ledgercast over real sockets in one process, beside gossipsub; `bench --help` says what and how.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// What is measured and with what; `--release` builds with cargo's release profile (RocksDB as well).
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // Everything of the run lies below this folder, which an interrupt removes.
    let (interrupt, folder) = prepare("ledgercast-bench-")?;
    let is_release = arguments.arguments.iter().any(|argument| argument == "--release");
    let passed = arguments.arguments.iter().filter(|argument| *argument != "--release");
    eprintln!("building the program that measures (the first build compiles RocksDB and takes long) …");
    let program = {
        let _progress = RocksdbProgress::watch(workspace());
        build_benches(is_release).map_err(anyhow::Error::msg)?
    };
    let mut command = Command::new(program);
    command.args(passed).env("TMPDIR", folder.path());
    let mut child = children::spawn(&mut command).context("cannot start the program that measures")?;
    let status = child.wait();
    children::forget(child.id());
    interrupt.yield_if_received();
    let code = status.context("cannot wait for the program that measures")?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
