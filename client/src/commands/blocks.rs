//! `ledgercast blocks`: a channel's chain as far as asked, verified block by block.

mod decode;
mod span;

use super::output::{bytes, moment};
use super::session::Session;
use super::{Exit, Failure, Globals, Output};
use crate::blocks::{BlockStream, Range, Start, Stop, StreamError};
use crate::checkpoint::Checkpoint;
use crate::connection::{CallError, Connection};
use crate::verify::ChainVerifier;
use clap::Args;
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::ledger::{VerifiedBlock, VerifiedHeader};
use ledgercast_protocol::types::ChannelName;
use serde_json::{Value, json};
use span::Span;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The channel; its genesis file CHANNEL.block is the trust anchor
    channel: ChannelName,
    /// Which blocks: `oldest`, `newest`, `all`, N, N..M (both included), or N.. (to the newest)
    #[arg(default_value = "newest")]
    span: Span,
    /// Do not stop: go on with each new block, through failures of the server
    #[arg(long)]
    follow: bool,
    /// Show each envelope too
    #[arg(long)]
    decode: bool,
    /// Fetch headers and certificates only
    #[arg(long, conflicts_with_all = ["decode", "out"])]
    headers: bool,
    /// Write each block to DIR/NUMBER.block
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on after the block in this file, if it exists, and keep it up to date
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments, globals: &Globals, output: &mut Output) -> Result<(), Failure> {
    let session = Session::load(globals)?;
    let genesis = session.genesis(&arguments.channel)?;
    if let Some(folder) = &arguments.out {
        fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, &error))?;
    }
    let (mut verifier, mut range) = plan(&arguments, &genesis)?;
    let mut backoff = BACKOFF_MIN;
    let mut is_first = true;
    loop {
        let connected = session.connect_for(&genesis).await;
        let connection = match connected {
            Ok(connection) => connection,
            Err(failure) if is_first || failure.exit() != Exit::Unavailable => return Err(failure),
            Err(failure) => {
                pause(&failure, &mut backoff).await;
                continue;
            }
        };
        if is_first && !arguments.follow {
            require_existing(&connection, &genesis, range).await?;
        }
        is_first = false;
        let before = verifier.next_number();
        let ended = fetch(&connection, &mut verifier, range, &arguments, output).await;
        let failure = match ended {
            Ok(()) => return Ok(()),
            Err(Ended::Failure(failure)) => return Err(failure),
            Err(Ended::Lost(call)) if !arguments.follow => return Err(call.into()),
            Err(Ended::Lost(call)) => Failure::from(call),
        };
        if verifier.next_number() != before {
            backoff = BACKOFF_MIN;
        }
        if let Some(next) = verifier.next_number() {
            range.start = Start::At(next);
        }
        pause(&failure, &mut backoff).await;
    }
}

/// Without `--follow` nobody wants to wait for blocks that do not exist yet.
async fn require_existing(connection: &Connection, genesis: &Genesis, range: Range) -> Result<(), Failure> {
    let Stop::At(last) = range.stop else { return Ok(()) };
    let newest = Range { start: Start::Newest, stop: Stop::Newest };
    let verifier = ChainVerifier::from_anywhere(genesis.clone());
    let mut stream =
        BlockStream::open_headers(connection, verifier, newest).await.map_err(StreamError::Call)?;
    match stream.next_header().await?.map(|header| header.number()) {
        Some(newest) if newest < last => {
            let endpoint = connection.endpoint();
            let cause = format!("{endpoint} has no block {last} yet: its newest is {newest}");
            Err(Failure::new(Exit::NotFound, cause).cure("wait for it with --follow"))
        }
        _ => Ok(()),
    }
}

async fn pause(failure: &Failure, backoff: &mut Duration) {
    eprintln!("{}; trying again in {:?}", failure.cause(), *backoff);
    tokio::time::sleep(*backoff).await;
    *backoff = backoff.saturating_mul(2).min(BACKOFF_MAX);
}

/// What is asked for, and how the first block is checked.
fn plan(arguments: &Arguments, genesis: &Genesis) -> Result<(ChainVerifier, Range), Failure> {
    let mut range = arguments.span.range();
    if arguments.follow {
        range.stop = Stop::Never;
    }
    let stored = arguments.checkpoint.as_deref().map(Checkpoint::load).transpose()?.flatten();
    let verifier = match (stored, range.start) {
        (Some(checkpoint), _) => {
            let verifier = ChainVerifier::after(genesis.clone(), &checkpoint)?;
            range.start = Start::At(checkpoint.number.next());
            verifier
        }
        (None, Start::At(number)) => ChainVerifier::from_number(genesis.clone(), number),
        (None, Start::Oldest | Start::Newest) => ChainVerifier::from_anywhere(genesis.clone()),
    };
    Ok((verifier, range))
}

/// Why a stream did not reach its end.
enum Ended {
    /// For good.
    Failure(Failure),
    /// The server is lost; another try may go on.
    Lost(CallError),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<StreamError> for Ended {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Call(call @ CallError::Unavailable { .. }) => Self::Lost(call),
            other => Self::Failure(other.into()),
        }
    }
}

async fn fetch(
    connection: &Connection,
    verifier: &mut ChainVerifier,
    range: Range,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<(), Ended> {
    let mut stream = match arguments.headers {
        true => BlockStream::open_headers(connection, verifier.clone(), range).await,
        false => BlockStream::open(connection, verifier.clone(), range).await,
    }
    .map_err(StreamError::Call)?;
    loop {
        let header = match arguments.headers {
            true => stream.next_header().await?.inspect(|_| *verifier = stream.verifier().clone()),
            false => match stream.next().await? {
                Some(block) => {
                    *verifier = stream.verifier().clone();
                    keep(&block, arguments)?;
                    show_block(&block, arguments, output)?;
                    Some(block.header().clone())
                }
                None => None,
            },
        };
        let Some(header) = header else { return Ok(()) };
        if arguments.headers {
            output.line(&describe(&header), || text(&header))?;
        }
        if let Some(file) = &arguments.checkpoint {
            Checkpoint::at(&header).save(file).map_err(Failure::from)?;
        }
    }
}

fn keep(block: &VerifiedBlock, arguments: &Arguments) -> Result<(), Failure> {
    let Some(folder) = &arguments.out else { return Ok(()) };
    let file = folder.join(format!("{}.block", block.number()));
    fs::write(&file, block.to_block().encode()).map_err(|error| Failure::file("write", &file, &error))
}

fn show_block(block: &VerifiedBlock, arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let header = block.header();
    if !arguments.decode {
        return output.line(&describe(header), || text(header));
    }
    let envelopes = decode::envelopes(block);
    let mut value = describe(header);
    value["envelopes"] = envelopes.iter().map(decode::Decoded::to_json).collect();
    output.line(&value, || {
        let lines = envelopes.iter().map(|envelope| format!("\n  {}", envelope.to_text()));
        text(header) + &lines.collect::<String>()
    })
}

fn text(header: &VerifiedHeader) -> String {
    let fields = header.header().fields();
    format!(
        "block {}  {}  {} envelopes  {}  {}",
        fields.number,
        header.hash().short(),
        fields.envelope_count,
        bytes(fields.body_bytes),
        moment(fields.timestamp.as_millis()),
    )
}

fn describe(header: &VerifiedHeader) -> Value {
    let fields = header.header().fields();
    let signers: Vec<usize> =
        header.certified().certificate.iter().flat_map(|certificate| certificate.signers()).collect();
    json!({
        "number": fields.number.as_u64(),
        "hash": header.hash().to_string(),
        "previous_hash": fields.previous_hash.to_string(),
        "body_root": fields.body_root.to_string(),
        "body_bytes": fields.body_bytes,
        "envelope_count": fields.envelope_count,
        "config_number": fields.config_number,
        "timestamp": moment(fields.timestamp.as_millis()),
        "signers": signers,
    })
}
