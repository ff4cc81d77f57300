//! `ledgercast submit`: files, folders or lines become signed envelopes; each gets its place in the chain.

mod input;
mod report;
mod stop;
mod wait;

pub(super) use wait::until_committed;

use super::session::Session;
use super::{Exit, Failure, Globals, Output};
use crate::submit::{Submission, Submitter, Target};
use bytes::Bytes;
use clap::Args;
use input::{Inputs, Item};
use ledgercast_crypto::{Digest, KeyError, Msp, SecretKey};
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::ledger::{Envelope, EnvelopeContent, EnvelopeKind};
use ledgercast_protocol::types::ChannelName;
use report::Report;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use stop::{Cause, Stop};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The channel; its genesis file CHANNEL.block names the orderers
    channel: ChannelName,
    /// Files and folders (all files below, without hidden ones); `-` is standard input, and means --lines
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Each line that is not blank is an envelope's payload; otherwise each file is
    #[arg(long)]
    lines: bool,
    /// Lines (or files) are hex; the payload is what they decode to
    #[arg(long)]
    hex: bool,
    /// Leave out what is over the channel's envelope limit, instead of failing before anything is sent
    #[arg(long)]
    skip_large: bool,
    /// Derive nonces from contents, so that running again submits only what has not been accepted yet
    #[arg(long)]
    resume: bool,
    /// Then wait until the own org's peer (`endpoint`) has committed all of it, and check that it has
    #[arg(long)]
    wait: bool,
    /// How many seconds to wait for the peer at most
    #[arg(long, default_value_t = 60, value_name = "SECONDS", requires = "wait")]
    wait_timeout: u64,
}

pub(super) async fn run(arguments: Arguments, globals: &Globals, output: &mut Output) -> Result<(), Failure> {
    let session = Session::load(globals)?;
    let genesis = session.genesis(&arguments.channel)?;
    let inputs =
        Inputs::collect(&arguments.paths, arguments.lines, arguments.hex, payload_bytes_max(&genesis))?;
    let inputs = if arguments.skip_large { inputs.without_large() } else { inputs.refuse_large()? };
    let targets = Target::of(genesis.config(), &session.profile.orderers);
    let config = session.profile.submit.clone();
    let submitter = Submitter::new(session.connector.clone(), targets, &session.msp, config)?;

    let mut signer = Signer::new(&session.msp, &genesis, arguments.resume);
    let stop = Stop::new();
    stop.on_interrupt(!globals.json);
    let mut report = Report::new(&inputs, arguments.wait, output);
    let items = stop.limit(ReceiverStream::new(read_ahead(inputs))).map(|item| {
        let item = item?;
        let envelope = signer.sign(item.payload.clone()).map_err(|error| error.to_string())?;
        Ok(Submission { tag: item, envelope })
    });
    let on_answer = |item: Item, id, outcome| {
        if !report.answer(&item, id, outcome) {
            stop.because(Cause::Unread);
        }
    };
    let done = submitter.submit_stream(items, on_answer).await;
    report.finish_submission();
    if done.is_err() || stop.cause().is_some() {
        return Err(report.broken_off(done.err().map(Failure::from), stop.cause()));
    }
    if arguments.wait {
        wait::until_committed(
            &session,
            &genesis,
            report.accepted(),
            Duration::from_secs(arguments.wait_timeout),
        )
        .await?;
    }
    report.summarise(arguments.wait)
}

/// Reads on a thread of its own: a pipe that gives nothing for a while holds up no answer.
fn read_ahead(inputs: Inputs) -> mpsc::Receiver<Result<Item, String>> {
    /// Payloads read before they can be sent; each is at most the channel's limit long.
    const READ_AHEAD_MAX: usize = 16;
    let (items, receiver) = mpsc::channel(READ_AHEAD_MAX);
    std::thread::spawn(move || {
        for item in inputs.read() {
            if items.blocking_send(item).is_err() {
                // Nobody submits any more.
                return;
            }
        }
    });
    receiver
}

/// The longest payload whose envelope is within the channel's limit.
fn payload_bytes_max(genesis: &Genesis) -> u64 {
    /// Ids, nonce, signature, and protobuf's tags and lengths.
    const ENVELOPE_OVERHEAD_BYTES: u64 = 256;
    u64::from(genesis.config().limits().envelope_bytes_max).saturating_sub(ENVELOPE_OVERHEAD_BYTES)
}

/// Signs payloads as one creator for one channel.
struct Signer<'a> {
    msp: &'a Msp,
    genesis: &'a Genesis,
    /// With nonces from contents: how often each payload was seen, so that equal lines stay different
    /// envelopes.
    seen: Option<BTreeMap<Digest, u64>>,
}

impl<'a> Signer<'a> {
    fn new(msp: &'a Msp, genesis: &'a Genesis, is_resumable: bool) -> Self {
        Self { msp, genesis, seen: is_resumable.then(BTreeMap::new) }
    }

    fn sign(&mut self, payload: Bytes) -> Result<Envelope, KeyError> {
        let content = EnvelopeContent {
            channel: self.genesis.channel(),
            creator: self.msp.certificate.fingerprint(),
            nonce: self.nonce(&payload)?,
            payload,
            kind: EnvelopeKind::Transaction,
        };
        Ok(Envelope::sign(content, &self.msp.key))
    }

    fn nonce(&mut self, payload: &[u8]) -> Result<Bytes, KeyError> {
        let Some(seen) = &mut self.seen else {
            return Ok(Bytes::copy_from_slice(&SecretKey::generate()?.seed_bytes()[..16]));
        };
        let digest = Digest::of(payload);
        let count = seen.entry(digest).or_insert(0);
        *count += 1;
        let nonce = Digest::of_parts(&[b"ledgercast submit", digest.as_bytes(), &count.to_be_bytes()]);
        Ok(Bytes::copy_from_slice(nonce.as_bytes()))
    }
}
