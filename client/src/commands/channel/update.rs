//! `ledgercast channel update` and `sign`: the next config is proposed, signed by further admins, submitted.

use super::edit::{self, Edits};
use super::{Exit, Failure, Globals, Output};
use crate::commands::session::Session;
use crate::commands::submit::until_committed;
use crate::profile::GENESIS_BYTES_MAX;
use crate::submit::{SubmitOutcome, Submitter, Target};
use crate::text_file;
use crate::verify::ChainVerifier;
use bytes::Bytes;
use clap::Args;
use ledgercast_crypto::{Role, SecretKey};
use ledgercast_protocol::channel::{ChannelConfig, ConfigUpdate, Genesis, UpdateError};
use ledgercast_protocol::ledger::{Envelope, EnvelopeContent, EnvelopeKind};
use ledgercast_protocol::types::ChannelName;
use ledgercast_protocol::wire::CertificateChain;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Args)]
pub(in crate::commands) struct Update {
    /// The channel, whose genesis file the profile has
    channel: ChannelName,
    #[command(flatten)]
    edits: Edits,
    /// Write the proposal, signed by me, for further admins to sign; submit nothing
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Then wait until the own org's peer (`endpoint`) has committed the config block
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Sign {
    /// The channel, whose genesis file the profile has
    channel: ChannelName,
    /// The proposal that `channel update --out` wrote
    proposal: PathBuf,
    /// Submit it once enough orgs have signed
    #[arg(long)]
    submit: bool,
    /// Then wait until the own org's peer (`endpoint`) has committed the config block
    #[arg(long, requires = "submit")]
    wait: bool,
}

/// What both verbs work on: the channel and the config in force, verified from the genesis file on.
struct Bench {
    session: Session,
    genesis: Genesis,
    in_force: Arc<ChannelConfig>,
}

impl Bench {
    async fn open(channel: &ChannelName, globals: &Globals) -> Result<Self, Failure> {
        let session = Session::load(globals)?;
        if session.msp.certificate.role() != Some(Role::Admin) {
            return Err(Failure::new(Exit::Usage, "config updates are signed by admins".to_owned())
                .cure("use the profile of a user with the organisational unit `admin`"));
        }
        let genesis = session.genesis(channel)?;
        let connection = session.connect_for(&genesis).await?;
        let mut verifier = ChainVerifier::from_genesis(genesis.clone());
        crate::blocks::learn_configs(&connection, &mut verifier).await?;
        let in_force = Arc::clone(verifier.configs().newest());
        Ok(Self { session, genesis, in_force })
    }

    fn sign(&self, update: &mut ConfigUpdate) {
        let msp = &self.session.msp;
        let chain =
            CertificateChain { certificate: msp.certificate.clone(), intermediates: msp.chain.clone() };
        update.sign(self.genesis.channel(), chain, &msp.key);
    }

    /// How many orgs have signed and how many must.
    fn votes(&self, update: &ConfigUpdate) -> Result<(usize, usize), Failure> {
        let orgs = update.signing_orgs(&self.in_force).map_err(|error| refused(&error))?;
        Ok((orgs.len(), ConfigUpdate::majority_of(&self.in_force)))
    }

    async fn submit(&self, update: &ConfigUpdate, wait: bool, output: &mut Output) -> Result<(), Failure> {
        let next = update.judge(&self.in_force).map_err(|error| refused(&error))?;
        let Session { connector, profile, msp, .. } = &self.session;
        let targets = Target::of(&self.in_force, &profile.orderers);
        let submitter = Submitter::new(connector.clone(), targets, msp, profile.submit.clone())?;
        let content = EnvelopeContent {
            channel: self.genesis.channel(),
            creator: msp.certificate.fingerprint(),
            nonce: nonce()?,
            payload: update.encode(),
            kind: EnvelopeKind::Config,
        };
        let envelope = Envelope::sign(content, &msp.key);
        let id = envelope.id();
        let (block, index) = match submitter.submit(envelope).await? {
            SubmitOutcome::Accepted { block, index } => (block, index),
            SubmitOutcome::Refused { message, .. } => {
                return Err(Failure::new(Exit::Failed, format!("the orderer refuses the update: {message}"))
                    .cure("make it anew on top of the config that is in force now"));
            }
        };
        if wait {
            let accepted = [((block, index), id)].into();
            until_committed(&self.session, &self.genesis, Some(&accepted), Duration::from_secs(60)).await?;
        }
        let number = next.number();
        let value = json!({ "config_number": number, "block": block.as_u64() });
        output.line(&value, || format!("config {number} stands in block {block}, in force from the next one"))
    }
}

pub(in crate::commands) async fn update(
    arguments: Update,
    globals: &Globals,
    output: &mut Output,
) -> Result<(), Failure> {
    let bench = Bench::open(&arguments.channel, globals).await?;
    let next = arguments.edits.apply(&bench.in_force)?;
    let mut update = ConfigUpdate::propose(&next);
    show(&bench, &update, output)?;
    bench.sign(&mut update);
    if let Some(out) = &arguments.out {
        return write(&bench, &update, out, output);
    }
    let (found, needed) = bench.votes(&update)?;
    if found < needed {
        return Err(Failure::new(
            Exit::Usage,
            format!("admins of {needed} orgs must sign this update, you are one"),
        )
        .cure("write it with --out FILE; the others run `ledgercast channel sign`"));
    }
    bench.submit(&update, arguments.wait, output).await
}

pub(in crate::commands) async fn sign(
    arguments: Sign,
    globals: &Globals,
    output: &mut Output,
) -> Result<(), Failure> {
    let bench = Bench::open(&arguments.channel, globals).await?;
    let bytes = text_file::read(&arguments.proposal, GENESIS_BYTES_MAX)?;
    let mut update = ConfigUpdate::decode(bytes.into()).map_err(|error| refused(&error))?;
    show(&bench, &update, output)?;
    bench.sign(&mut update);
    write(&bench, &update, &arguments.proposal, output)?;
    match arguments.submit {
        true => bench.submit(&update, arguments.wait, output).await,
        false => Ok(()),
    }
}

fn nonce() -> Result<Bytes, Failure> {
    let key = SecretKey::generate().map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    Ok(Bytes::copy_from_slice(&key.seed_bytes()[..16]))
}

/// Shows what the update changes, and refuses what orderers would refuse whoever signs.
fn show(bench: &Bench, update: &ConfigUpdate, output: &mut Output) -> Result<(), Failure> {
    let next = ChannelConfig::decode(bench.genesis.channel(), update.config().clone())
        .map_err(|error| refused(&error.into()))?;
    let expected = bench.in_force.number() + 1;
    if next.number() != expected || next.previous_hash() != bench.in_force.hash() {
        return Err(Failure::new(
            Exit::Failed,
            format!("the proposal is config {}, the next one is {expected}", next.number()),
        )
        .cure("another update came first: make this one anew"));
    }
    let changes = edit::difference(&bench.in_force, &next);
    output.line(&json!({ "config_number": next.number(), "changes": changes }), || changes.join("\n"))
}

fn write(bench: &Bench, update: &ConfigUpdate, file: &Path, output: &mut Output) -> Result<(), Failure> {
    let (found, needed) = bench.votes(update)?;
    std::fs::write(file, update.encode()).map_err(|error| Failure::file("write", file, &error))?;
    let value = json!({ "file": file, "signed_by_orgs": found, "needed": needed });
    output.line(&value, || format!("{} is signed by {found} of {needed} orgs", file.display()))
}

fn refused(error: &UpdateError) -> Failure {
    Failure::new(Exit::Failed, error.to_string())
}
