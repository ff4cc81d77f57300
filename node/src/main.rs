//! `ledgercastd`: starts a peer or an orderer, or looks into a store.

use clap::Parser as _;
use ledgercast_node::cli::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    ledgercast_node::memory::give_back();
    ledgercast_node::cli::run(arguments)
}
