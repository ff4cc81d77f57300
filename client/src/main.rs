//! The command `ledgercast`: reads the command line, runs one verb, and exits with its code.

use clap::Parser;
use ledgercast_client::commands::{self, Cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(commands::run(cli)),
        Err(error) => {
            eprintln!("error: the operating system gives no threads: {error}");
            ExitCode::FAILURE
        }
    }
}
