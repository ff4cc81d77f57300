//! The command line: flags that all verbs share, one file a verb, and one place that turns failures into exit
//! codes.

mod blocks;
mod channel;
mod crypto;
mod evidence;
mod failure;
mod health;
mod members;
mod output;
mod peers;
mod session;
mod submit;
mod testnet;

pub use failure::{Exit, Failure};

use clap::{Args, Parser, Subcommand};
use ledgercast_protocol::types::{ChannelName, Endpoint};
use output::Output;
use std::path::PathBuf;
use std::process::ExitCode;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage or configuration
  3  not found, or not permitted (servers do not say which)
  4  not available: trying again may help
  130  interrupted by Ctrl-C";

/// Ledgercast's client: submit envelopes, read verified blocks, run channels, and make test networks.
#[derive(Debug, Parser)]
#[command(name = "ledgercast", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "For every verb")]
struct Globals {
    /// The profile: identity, servers, genesis files (configs/client.toml explains every key)
    #[arg(
        long,
        global = true,
        env = "LEDGERCAST_PROFILE",
        default_value = "client.toml",
        value_name = "FILE"
    )]
    profile: PathBuf,
    /// The peer or orderer to ask, instead of the profile's `endpoint`
    #[arg(long, global = true, env = "LEDGERCAST_ENDPOINT", value_name = "HOST:PORT")]
    at: Option<Endpoint>,
    /// Folder of the identity, instead of the profile's `msp`
    #[arg(long, global = true, env = "LEDGERCAST_MSP", value_name = "DIR")]
    msp: Option<PathBuf>,
    /// Orderers that get envelopes, instead of the profile's and the genesis block's
    #[arg(
        long,
        global = true,
        env = "LEDGERCAST_ORDERERS",
        value_delimiter = ',',
        value_name = "HOST:PORT,…"
    )]
    orderers: Option<Vec<Endpoint>>,
    /// Folder of genesis files NAME.block, instead of the profile's `channels`
    #[arg(long, global = true, env = "LEDGERCAST_CHANNELS", value_name = "DIR")]
    channels: Option<PathBuf>,
    /// Print JSON: one document, or one line for each thing
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write keys, certificates, configurations and genesis files of a test network
    Testnet(testnet::Arguments),
    /// Create CAs, enrol members, look into certificates
    #[command(subcommand)]
    Crypto(crypto::Verb),
    /// Create, inspect, join, leave and list channels
    #[command(subcommand)]
    Channel(channel::Verb),
    /// Submit files, folders or lines as envelopes
    Submit(submit::Arguments),
    /// Fetch or follow a channel's blocks; every block is verified
    Blocks(blocks::Arguments),
    /// Show the members that a peer knows (role admin)
    Members(members::Arguments),
    /// Show the sessions that a peer has (role admin)
    Peers,
    /// List, export and verify what proves that orderers lied; let a channel go on after a fork
    #[command(subcommand)]
    Evidence(evidence::Verb),
    /// Ask whether a process is well; exits with 1 if it is not
    Health(health::Arguments),
}

/// Runs one verb and reports its failure, if any.
pub async fn run(cli: Cli) -> ExitCode {
    let Cli { globals, verb } = cli;
    let mut output = Output::new(globals.json);
    let done = match verb {
        Verb::Testnet(arguments) => testnet::run(arguments, &mut output),
        Verb::Crypto(verb) => crypto::run(verb, &mut output),
        Verb::Channel(verb) => channel::run(verb, &globals, &mut output).await,
        Verb::Submit(arguments) => submit::run(arguments, &globals, &mut output).await,
        Verb::Blocks(arguments) => blocks::run(arguments, &globals, &mut output).await,
        Verb::Members(arguments) => members::run(arguments, &globals, &mut output).await,
        Verb::Peers => peers::run(&globals, &mut output).await,
        Verb::Evidence(verb) => evidence::run(verb, &globals, &mut output).await,
        Verb::Health(arguments) => health::run(arguments, &globals, &mut output).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit().into()
        }
    }
}

/// A channel on a server: its alias there.
fn by_name(name: &ChannelName) -> ledgercast_protocol::wire::proto::ChannelReference {
    use ledgercast_protocol::wire::proto::{ChannelReference, channel_reference::Reference};
    ChannelReference { reference: Some(Reference::Name(name.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn flags_and_verbs_fit_together() {
        Cli::command().debug_assert();
    }
}
