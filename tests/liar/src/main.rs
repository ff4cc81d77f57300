//! `ledgercast-liar`: a member of a network that breaks the rules, for tests with real processes.
//!
//! The protocol's own peer, between whose outputs and the daemon's transport a crime sits; the daemon itself
//! has no misbehaving feature. It has a peer's folder with its key and configuration, keeps blocks in memory,
//! pulls from no orderer, and prints what it did and heard, a JSON object a second, until it is ended.

mod crimes;
mod driver;

use anyhow::Context as _;
use clap::Parser;
use crimes::Kind;
use driver::Driver;
use std::path::PathBuf;

/// A peer that breaks the rules.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder of a peer: its `peer.toml` and `msp`.
    #[arg(long)]
    home: PathBuf,
    /// Genesis files of the channels that it joins.
    #[arg(long)]
    join: Vec<PathBuf>,
    /// Genesis file of the channel that it has no business with, for crimes about one.
    #[arg(long)]
    foreign: Option<PathBuf>,
    /// Key file of the channel's only orderer, for crimes that need one.
    #[arg(long)]
    orderer_key: Option<PathBuf>,
    /// What it does.
    #[arg(long, value_enum)]
    crime: Kind,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let foreign = arguments.foreign.as_deref().map(driver::genesis).transpose()?;
    let orderer = arguments.orderer_key.as_deref().map(ledgercast_crypto::msp::load_key).transpose()?;
    let crime = crimes::new(arguments.crime, foreign.map(|genesis| genesis.channel()), orderer)
        .with_context(|| format!("crime {:?}", arguments.crime))?;
    Driver::start(&arguments.home, &arguments.join, crime)?.run().await
}
