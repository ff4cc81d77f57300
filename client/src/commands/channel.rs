//! `ledgercast channel`: genesis files, config updates, and which channels a peer or orderer has.

mod edit;
mod update;

use super::output::{hex, moment, short};
use super::session::{Session, wall_time};
use super::{Exit, Failure, Globals, Output, by_name};
use crate::channel_file;
use crate::profile::GENESIS_BYTES_MAX;
use crate::text_file;
use crate::verify::ChainVerifier;
use clap::Subcommand;
use ledgercast_protocol::channel::{ChannelConfig, Genesis};
use ledgercast_protocol::types::ChannelName;
use ledgercast_protocol::wire::proto;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make the genesis file of a new channel (configs/channel.toml explains every key)
    Create {
        /// What the channel starts with
        config: PathBuf,
        /// The genesis file to write; not overwritten
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show what a genesis file says, or the config in force
    Inspect {
        /// The genesis file
        genesis: PathBuf,
        /// Ask the peer or orderer for the configs after block 0, verify them, and show the newest
        #[arg(long)]
        current: bool,
    },
    /// Change a channel's config: a majority of its orgs' admins must sign (role admin)
    Update(update::Update),
    /// Sign a proposed config update, after a look at what it changes (role admin)
    Sign(update::Sign),
    /// Join the peer or orderer to a channel (role admin)
    Join {
        /// The genesis file
        genesis: PathBuf,
        /// The name that it shall have there, instead of the genesis block's
        #[arg(long)]
        name: Option<ChannelName>,
        /// The genesis block does not name the org, a later config does, or will
        #[arg(long)]
        newcomer: bool,
    },
    /// Leave a channel and delete its blocks there (role admin)
    Leave {
        /// Its name there
        name: ChannelName,
    },
    /// Show the channels that the peer or orderer has (role admin)
    List,
}

pub(super) async fn run(verb: Verb, globals: &Globals, output: &mut Output) -> Result<(), Failure> {
    match verb {
        Verb::Create { config, out } => create(&config, &out, output),
        Verb::Inspect { genesis, current } => {
            let genesis = read_genesis(&genesis)?;
            match current {
                true => inspect(&genesis, current_config(&genesis, globals).await?.as_ref(), output),
                false => inspect(&genesis, genesis.config(), output),
            }
        }
        Verb::Update(arguments) => update::update(arguments, globals, output).await,
        Verb::Sign(arguments) => update::sign(arguments, globals, output).await,
        Verb::Join { genesis, name, newcomer } => {
            join(&read_genesis(&genesis)?, name, newcomer, globals, output).await
        }
        Verb::Leave { name } => {
            let connection = Session::load(globals)?.connect().await?;
            let request = proto::LeaveChannelRequest { channel: Some(by_name(&name)) };
            connection.answer(connection.admin().leave_channel(request)).await?;
            output.line(&json!({ "left": name.as_str() }), || format!("left {name}"))
        }
        Verb::List => list(globals, output).await,
    }
}

fn create(config: &Path, out: &Path, output: &mut Output) -> Result<(), Failure> {
    let genesis = channel_file::create_genesis(config, wall_time())?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(out).map_err(|error| {
        Failure::file("write", out, &error).cure("choose a file that does not exist, in a folder that does")
    })?;
    let bytes = genesis.block().to_block().encode();
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .map_err(|error| Failure::file("write", out, &error))?;
    let name = genesis.config().name();
    let (id, hash) = (genesis.channel(), genesis.hash());
    let value =
        json!({ "name": name.as_str(), "id": id.to_string(), "genesis_hash": hash.to_string(), "file": out });
    output.line(&value, || {
        format!("channel {name} in {}\nid            {id}\ngenesis hash  {hash}", out.display())
    })
}

fn read_genesis(file: &Path) -> Result<Genesis, Failure> {
    let bytes = text_file::read(file, GENESIS_BYTES_MAX)?;
    Genesis::decode(bytes.into()).map_err(|error| {
        Failure::new(Exit::Usage, format!("{}: {error}", file.display()))
            .cure("give the file that `ledgercast channel create` wrote")
    })
}

/// The newest config, each one on the way to it verified under the one before.
async fn current_config(genesis: &Genesis, globals: &Globals) -> Result<Arc<ChannelConfig>, Failure> {
    let connection = Session::load(globals)?.connect_for(genesis).await?;
    let mut verifier = ChainVerifier::from_genesis(genesis.clone());
    crate::blocks::learn_configs(&connection, &mut verifier).await?;
    Ok(Arc::clone(verifier.configs().newest()))
}

fn inspect(genesis: &Genesis, config: &ChannelConfig, output: &mut Output) -> Result<(), Failure> {
    let limits = config.limits();
    let orgs: Vec<Value> = config
        .orgs()
        .iter()
        .map(|org| {
            json!({
                "name": org.name,
                "id": org.id.to_string(),
                "anchors": org.anchors.iter().map(|anchor| anchor.as_str()).collect::<Vec<_>>(),
                "reader": org.is_reader,
                "writer": org.is_writer,
            })
        })
        .collect();
    let orderers: Vec<Value> = config
        .orderers()
        .iter()
        .map(|orderer| {
            json!({
                "org": orderer.org,
                "endpoint": orderer.endpoint.as_str(),
                "key": orderer.key.to_string(),
            })
        })
        .collect();
    let followers: Vec<Value> = config
        .followers()
        .iter()
        .map(|follower| json!({ "org": follower.org, "endpoint": follower.endpoint.as_str() }))
        .collect();
    let created = moment(genesis.block().header().header().fields().timestamp.as_millis());
    let value = json!({
        "name": config.name().as_str(),
        "id": genesis.channel().to_string(),
        "genesis_hash": genesis.hash().to_string(),
        "created": created,
        "config_number": config.number(),
        "quorum": config.quorum(),
        "orgs": orgs,
        "orderers": orderers,
        "followers": followers,
        "limits": {
            "envelope_bytes_max": limits.envelope_bytes_max,
            "batch_envelopes_max": limits.batch_envelopes_max,
            "batch_bytes_max": limits.batch_bytes_max,
            "batch_timeout_ms": u64::try_from(limits.batch_timeout.as_millis()).unwrap_or(u64::MAX),
        },
    });
    output.line(&value, || inspect_text(genesis, config, &created))
}

fn inspect_text(genesis: &Genesis, config: &ChannelConfig, created: &str) -> String {
    let mut text = format!(
        "channel       {}\nid            {}\ngenesis hash  {}\ncreated       {created}\n\
         config        {}\nquorum        {} of {}",
        config.name(),
        genesis.channel(),
        genesis.hash(),
        config.number(),
        config.quorum(),
        config.orderers().len(),
    );
    for org in config.orgs() {
        let rights = match (org.is_reader, org.is_writer) {
            (true, true) => "reads and writes",
            (true, false) => "reads",
            (false, true) => "writes",
            (false, false) => "neither reads nor writes",
        };
        let anchors: Vec<&str> = org.anchors.iter().map(|anchor| anchor.as_str()).collect();
        text.push_str(&format!(
            "\norg           {} ({}): {rights}; anchors: {}",
            org.name,
            org.id.short(),
            anchors.join(", ")
        ));
    }
    for orderer in config.orderers() {
        text.push_str(&format!(
            "\norderer       {} of {}, key {}",
            orderer.endpoint, orderer.org, orderer.key
        ));
    }
    for follower in config.followers() {
        text.push_str(&format!("\nfollower      {} of {}", follower.endpoint, follower.org));
    }
    let limits = config.limits();
    text.push_str(&format!(
        "\nblocks        up to {} envelopes or {} bytes, after {:?}; envelopes up to {} bytes",
        limits.batch_envelopes_max, limits.batch_bytes_max, limits.batch_timeout, limits.envelope_bytes_max
    ));
    text
}

async fn join(
    genesis: &Genesis,
    name: Option<ChannelName>,
    newcomer: bool,
    globals: &Globals,
    output: &mut Output,
) -> Result<(), Failure> {
    let connection = Session::load(globals)?.connect().await?;
    let request = proto::JoinChannelRequest {
        name: name.map_or_else(String::new, |name| name.to_string()),
        genesis: Some((&genesis.block().to_block()).into()),
        newcomer,
    };
    let status = connection.answer(connection.admin().join_channel(request)).await?;
    let text = format!("{} joined {} at height {}", connection.endpoint(), status.name, status.height);
    output.line(&describe(&status), || text)
}

async fn list(globals: &Globals, output: &mut Output) -> Result<(), Failure> {
    let connection = Session::load(globals)?.connect().await?;
    let channels =
        connection.answer(connection.admin().list_channels(proto::ListChannelsRequest {})).await?.channels;
    let rows: Vec<Vec<String>> = channels
        .iter()
        .map(|channel| {
            vec![
                channel.name.clone(),
                short(&channel.id),
                channel.height.to_string(),
                channel.proven_height.to_string(),
                short(&channel.tip_hash),
                if channel.is_leader { "me".to_owned() } else { short(&channel.leader) },
                channel.neighbours.to_string(),
                channel.orgs.join(","),
                channel
                    .removed_at
                    .map_or_else(|| channel.failure.clone(), |block| format!("removed at block {block}")),
            ]
        })
        .collect();
    let values: Vec<Value> = channels.iter().map(describe).collect();
    let header = ["name", "id", "height", "proven", "tip", "leader", "neighbours", "orgs", "failure"];
    output.table(&values, &header, &rows)
}

fn describe(channel: &proto::ChannelStatus) -> Value {
    json!({
        "name": channel.name,
        "id": hex(&channel.id),
        "height": channel.height,
        "proven_height": channel.proven_height,
        "first_block": channel.first_block,
        "tip_hash": hex(&channel.tip_hash),
        "genesis_hash": hex(&channel.genesis_hash),
        "config_number": channel.config_number,
        "orgs": channel.orgs,
        "leader": hex(&channel.leader),
        "is_leader": channel.is_leader,
        "neighbours": channel.neighbours,
        "failure": channel.failure,
        "removed_at": channel.removed_at,
    })
}
