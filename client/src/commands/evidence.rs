//! `ledgercast evidence`: what proves that orderers signed two headers of one number.
//!
//! An exported file holds the two headers and the config blocks that lead to their config: whoever has the
//! channel's genesis file checks it without any server.

use super::session::Session;
use super::{Exit, Failure, Globals, Output, by_name};
use crate::connection::Connection;
use crate::profile::GENESIS_BYTES_MAX;
use crate::text_file;
use clap::Subcommand;
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::evidence::{EVIDENCE_BYTES_MAX, Evidence, Kept, Proof, Verdict, verify};
use ledgercast_protocol::types::{ChannelId, ChannelName};
use ledgercast_protocol::wire::proto;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show the evidence that a peer keeps of a channel (role admin)
    List {
        /// The channel's name there
        #[arg(long, value_name = "NAME")]
        channel: ChannelName,
    },
    /// Write each proof that a peer keeps of a channel to a file that anybody can check (role admin)
    Export {
        /// The channel's name there
        #[arg(long, value_name = "NAME")]
        channel: ChannelName,
        /// The folder to write to; files there are not overwritten
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Check an exported file with nothing but the channel's genesis file; asks no server
    Verify {
        /// The channel's genesis file
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
        /// The exported file
        evidence: PathBuf,
    },
    /// Let a channel go on that stands still because two headers of one block are certified (role admin)
    Lift {
        /// The channel's name there
        #[arg(long, value_name = "NAME")]
        channel: ChannelName,
    },
}

pub(super) async fn run(verb: Verb, globals: &Globals, output: &mut Output) -> Result<(), Failure> {
    match verb {
        Verb::List { channel } => list(&channel, globals, output).await,
        Verb::Export { channel, out } => export(&channel, &out, globals, output).await,
        Verb::Verify { genesis, evidence } => verify_file(&genesis, &evidence, output),
        Verb::Lift { channel } => lift(&channel, globals, output).await,
    }
}

/// What a peer keeps of a channel.
async fn kept(connection: &Connection, channel: &ChannelName) -> Result<Option<(ChannelId, Kept)>, Failure> {
    let request = proto::EvidenceRequest { channel: Some(by_name(channel)) };
    let reply = connection.answer(connection.admin().evidence(request)).await?;
    // Orderers keep none, and do not name the channel.
    let Some(evidence) = reply.evidence.filter(|evidence| !evidence.channel.is_empty()) else {
        return Ok(None);
    };
    let kept = Kept::from_wire(evidence);
    kept.map(Some).ok_or_else(|| Failure::new(Exit::Failed, "the peer's answer is no evidence"))
}

async fn list(channel: &ChannelName, globals: &Globals, output: &mut Output) -> Result<(), Failure> {
    let connection = Session::load(globals)?.connect().await?;
    let kept = kept(&connection, channel).await?;
    let proofs: Vec<&Proof> = kept.iter().flat_map(|(_, kept)| kept.proofs()).collect();
    let halted_at = kept.as_ref().and_then(|(_, kept)| kept.halted_at());
    let values: Vec<Value> = proofs.iter().map(|proof| describe(&proof.verdict)).collect();
    let row = |proof: &&Proof| {
        let number = proof.verdict.number();
        let stops = if halted_at == Some(number) { "yes" } else { "-" };
        vec![number.to_string(), proof.verdict.name().to_owned(), guilty(&proof.verdict), stops.to_owned()]
    };
    let rows: Vec<Vec<String>> = proofs.iter().map(row).collect();
    output.table(&values, &["block", "proves", "guilty", "stops the channel"], &rows)
}

async fn export(
    channel: &ChannelName,
    out: &Path,
    globals: &Globals,
    output: &mut Output,
) -> Result<(), Failure> {
    let session = Session::load(globals)?;
    let genesis = session.genesis(channel)?;
    let connection = session.connect().await?;
    let Some((_, kept)) = kept(&connection, channel).await? else {
        return Err(Failure::new(Exit::NotFound, format!("there is no evidence on {channel}")));
    };
    let needed = |proof: &Proof| usize::try_from(proof.equivocation.config_number()).unwrap_or(usize::MAX);
    let most = kept.proofs().map(needed).max().unwrap_or_default();
    let configs = crate::blocks::config_blocks(&connection, genesis.channel(), most).await?;
    let mut failures = Vec::new();
    for proof in kept.proofs() {
        let (equivocation, needed) = (proof.equivocation.clone(), needed(proof));
        let evidence = Evidence { configs: configs.iter().take(needed).cloned().collect(), equivocation };
        let file = out.join(file_name(channel, proof));
        if let Err(error) = verify(&genesis, &evidence) {
            failures.push(format!("{} is not written: {error}", file.display()));
            continue;
        }
        if file.exists() {
            let value = json!({ "file": file, "skipped": true });
            output.line(&value, || format!("{} exists already", file.display()))?;
            continue;
        }
        if let Err(failure) = write(&file, &evidence.encode()) {
            failures.push(failure.cause().to_owned());
            continue;
        }
        let value = json!({ "file": file, "evidence": describe(&proof.verdict) });
        output.line(&value, || format!("wrote {}", file.display()))?;
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failed, failures.join("; "))),
    }
}

/// Names a proof by what it proves: a double signature of the same two headers may have been exported before.
fn file_name(channel: &ChannelName, proof: &Proof) -> String {
    let id = proof.equivocation.id().to_string();
    let fork = if proof.is_fork() { "-fork" } else { "" };
    format!("{channel}-{}-{}{fork}.evidence", proof.verdict.number(), &id[..8])
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    let written = opened.and_then(|mut opened| opened.write_all(bytes).and_then(|()| opened.sync_all()));
    written.map_err(|error| Failure::file("write", file, &error))
}

fn verify_file(genesis: &Path, file: &Path, output: &mut Output) -> Result<(), Failure> {
    let genesis = text_file::read(genesis, GENESIS_BYTES_MAX)?;
    let genesis = Genesis::decode(genesis.into()).map_err(|error| Failure::new(Exit::Usage, error))?;
    let bytes = text_file::read(file, EVIDENCE_BYTES_MAX as u64)?;
    let verdict = Evidence::decode(bytes.into()).and_then(|evidence| verify(&genesis, &evidence));
    let verdict = verdict
        .map_err(|error| Failure::new(Exit::Failed, format!("{} proves nothing: {error}", file.display())))?;
    output.line(&describe(&verdict), || match &verdict {
        Verdict::Fork { number, .. } => {
            format!("two headers of block {number} are certified; signed both: {}", guilty(&verdict))
        }
        Verdict::DoubleSignature { number, .. } => {
            format!("signed two headers of block {number}: {}", guilty(&verdict))
        }
    })
}

async fn lift(channel: &ChannelName, globals: &Globals, output: &mut Output) -> Result<(), Failure> {
    let connection = Session::load(globals)?.connect().await?;
    let request = proto::LiftHaltRequest { channel: Some(by_name(channel)) };
    let reply = connection.answer(connection.admin().lift_halt(request)).await?;
    let value = json!({ "channel": channel.as_str(), "was_halted": reply.was_halted });
    output.line(&value, || match reply.was_halted {
        true => format!("{channel} goes on, on the branch that is there"),
        false => format!("{channel} did not stand still for a fork"),
    })
}

fn guilty(verdict: &Verdict) -> String {
    let keys: Vec<String> = verdict.guilty().iter().map(ToString::to_string).collect();
    if keys.is_empty() { "-".to_owned() } else { keys.join(", ") }
}

fn describe(verdict: &Verdict) -> Value {
    json!({
        "block": verdict.number().as_u64(),
        "proves": verdict.name(),
        "guilty": verdict.guilty().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::Digest;
    use ledgercast_protocol::evidence::Equivocation;
    use ledgercast_protocol::ledger::{CertifiedHeader, Header, HeaderFields, QuorumCertificate};
    use ledgercast_protocol::store::suite::Chain;

    #[test]
    fn an_exported_fork_verifies_with_the_genesis_file_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut chain = Chain::new(7);
        let block = chain.extend(1).remove(0);
        let fields = block.header().header().fields().clone();
        let rival = Header::new(HeaderFields { body_root: Digest::of(b"another body"), ..fields });
        let certificate = QuorumCertificate::sign(chain.channel(), rival.hash(), 0, chain.orderer());
        let rival = CertifiedHeader { header: rival, certificate: Some(certificate) };
        let equivocation = Equivocation::try_new(block.header().certified().clone(), rival);
        let evidence = Evidence { configs: Vec::new(), equivocation: equivocation.expect("they differ") };
        let [genesis, other, file] = ["a.block", "b.block", "x.evidence"].map(|it| folder.path().join(it));
        write(&genesis, &chain.genesis().block().to_block().encode()).expect("it is written");
        write(&other, &Chain::new(8).genesis().block().to_block().encode()).expect("it is written");
        write(&file, &evidence.encode()).expect("it is written");

        assert_eq!(verify_file(&genesis, &file, &mut Output::new(true)), Ok(()));
        assert!(verify_file(&other, &file, &mut Output::new(true)).is_err(), "it is of another channel");
    }

    #[test]
    fn a_file_that_is_no_evidence_fails_and_proves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let chain = Chain::new(7);
        let (genesis, evidence) = (folder.path().join("trade.block"), folder.path().join("x.evidence"));
        write(&genesis, &chain.genesis().block().to_block().encode()).expect("it is written");
        write(&evidence, b"no evidence").expect("it is written");

        let refused =
            verify_file(&genesis, &evidence, &mut Output::new(true)).expect_err("it proves nothing");

        assert_eq!(refused.exit(), Exit::Failed);
        assert!(refused.cause().contains("proves nothing"), "{}", refused.cause());
        assert!(write(&evidence, b"again").is_err(), "files are not overwritten");
    }
}
