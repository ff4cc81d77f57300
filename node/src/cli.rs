//! The command line of `ledgercastd`.

use crate::daemon;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs Ledgercast's daemons.
///
/// Exit codes: 0 stopped as asked; 1 failed while running; 2 the configuration, the identity or the store was
/// refused at the start, and nothing was changed.
#[derive(Debug, Parser)]
#[command(name = "ledgercastd", version, max_term_width = 110)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a peer: member of channels, keeps their ledgers, gossips, serves its organisation's applications.
    Peer(Home),
    /// Run the orderer stub: takes envelopes, cuts and signs blocks, serves them to leader peers.
    Orderer(Home),
    /// Look into a store while no process has it open.
    Db(Db),
}

#[derive(Args, Debug)]
pub(crate) struct Home {
    /// Folder with peer.toml or orderer.toml, msp/ and tls/; relative paths in the file start here.
    #[arg(long, env = "LEDGERCAST_HOME", value_name = "DIR")]
    pub(crate) home: PathBuf,
    /// Configuration file, if not peer.toml or orderer.toml in the home folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Only check configuration and identity, and exit.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Args, Debug)]
struct Db {
    #[command(subcommand)]
    command: DbCommand,
}

#[derive(Debug, Subcommand)]
enum DbCommand {
    /// List channels with their heights.
    List {
        /// Folder of the store (the key `path` of the section `[store]`).
        #[arg(value_name = "DIR")]
        store: PathBuf,
    },
    /// Read every block of every channel and check hashes, roots and links.
    Verify {
        /// Folder of the store (the key `path` of the section `[store]`).
        #[arg(value_name = "DIR")]
        store: PathBuf,
    },
}

/// Carries out a command line.
pub fn run(arguments: Arguments) -> ExitCode {
    let result = match arguments.command {
        Command::Peer(home) => daemon::peer(&home),
        Command::Orderer(home) => daemon::orderer(&home),
        Command::Db(Db { command: DbCommand::List { store } }) => crate::db::list(&store),
        Command::Db(Db { command: DbCommand::Verify { store } }) => crate::db::verify(&store),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ledgercastd: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
