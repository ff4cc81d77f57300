//! A test network on this machine: CAs, identities, configurations and genesis blocks for N orgs with M peers
//! each, one orderer, and the orderers that follow it. Writes files only; starts nothing. The CAs' keys lie
//! beside everything else: for tests, not more.
//!
//! ```text
//! DIR/network.json                     what is where, for programs
//!    /channels/NAME.{toml,block}       genesis files and what they were made of
//!    /ORG/{ca,tlsca}/{cert,key}.pem    the org's CAs
//!        /msp/                         the org's public files
//!        /peers/peerN/{peer.toml,msp,tls}
//!        /users/{admin,client}/{client.toml,msp,tls}
//!    /orderer/…                        the same, with orderers/{orderer0,followerN}/{orderer.toml,msp,tls}
//! ```

mod configs;
mod plan;
mod ports;
mod summary;

pub use plan::{ChannelPlan, ORDERER_ORG, Plan, PlanError};
pub use ports::Ports;
pub use summary::{ChannelSummary, NodeSummary, Summary, UserSummary};

use crate::authority::{AuthorityError, OrgAuthority};
use crate::channel_file::{self, ChannelFileError};
use ledgercast_crypto::issue::IssueError;
use ledgercast_crypto::{Role, SecretKey};
use ledgercast_protocol::time::WallTime;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

const CA_DAYS: u64 = 3650;

/// Why a test network was not, or not wholly, written.
#[derive(Debug, Error)]
pub enum TestnetError {
    /// The folder has something in it.
    #[error("{} is not empty and is not overwritten", .0.display())]
    NotEmpty(PathBuf),
    /// A file or folder cannot be written.
    #[error("cannot write {}: {error}", file.display())]
    Write {
        /// Which.
        file: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// A certificate cannot be issued, or a file not written.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A channel's genesis block cannot be made.
    #[error(transparent)]
    Channel(#[from] ChannelFileError),
    /// No free ports.
    #[error("cannot find free ports on the loopback: {0}")]
    Ports(io::Error),
}

/// Writes a test network into `folder`, which must be empty or absent.
///
/// # Errors
/// [`TestnetError`]; what was written before it stays.
pub fn write(folder: &Path, plan: &Plan, now: WallTime) -> Result<Summary, TestnetError> {
    refuse_used(folder)?;
    let folder = create(folder)?;
    let network_id = format!("testnet-{}", hex(&random_bytes()?[..4]));
    let mut ports = Ports::choose(plan.base_port, plan.ports_needed()).map_err(TestnetError::Ports)?;

    let orderer_org = OrgAuthority::create(&folder.join(ORDERER_ORG), ORDERER_ORG, now, CA_DAYS)?;
    let orderer = configs::orderer(&orderer_org, "orderer0", false, &mut ports, now)?;
    let mut summary = Summary::new(&network_id, orderer);
    for index in 0..plan.followers {
        let follower = configs::orderer(&orderer_org, &format!("follower{index}"), true, &mut ports, now)?;
        summary.followers.push(follower);
    }
    summary.users.push(configs::user(&orderer_org, Role::Admin, &summary.orderers[0].api, &folder, now)?);
    for name in plan.org_names() {
        let org = OrgAuthority::create(&folder.join(&name), &name, now, CA_DAYS)?;
        let peers = configs::peers(&org, plan.peers_per_org, &network_id, &mut ports, now)?;
        for role in [Role::Admin, Role::Client] {
            summary.users.push(configs::user(&org, role, &peers[0].api, &folder, now)?);
        }
        summary.peers.extend(peers);
    }
    for channel in &plan.channels {
        summary.channels.push(write_channel(&folder, channel, &summary, now)?);
    }
    write_file(&folder.join("network.json"), &summary.to_json())?;
    Ok(summary)
}

fn write_channel(
    folder: &Path,
    plan: &ChannelPlan,
    summary: &Summary,
    now: WallTime,
) -> Result<ChannelSummary, TestnetError> {
    let file = folder.join("channels").join(format!("{}.toml", plan.name));
    write_file(&file, &configs::channel(plan, summary))?;
    let genesis = channel_file::create_genesis(&file, now)?;
    let block = file.with_extension("block");
    fs::write(&block, genesis.block().to_block().encode())
        .map_err(|error| TestnetError::Write { file: block.clone(), error })?;
    Ok(ChannelSummary {
        name: plan.name.to_string(),
        id: genesis.channel().to_string(),
        genesis_hash: genesis.hash().to_string(),
        genesis: block,
        orgs: plan.orgs.clone(),
    })
}

fn refuse_used(folder: &Path) -> Result<(), TestnetError> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(false) => Ok(()),
        Ok(true) => Err(TestnetError::NotEmpty(folder.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(TestnetError::Write { file: folder.to_owned(), error }),
    }
}

fn create(folder: &Path) -> Result<PathBuf, TestnetError> {
    let failed = |error| TestnetError::Write { file: folder.to_owned(), error };
    fs::create_dir_all(folder).map_err(failed)?;
    std::path::absolute(folder).map_err(failed)
}

fn write_file(file: &Path, text: &str) -> Result<(), TestnetError> {
    ledgercast_crypto::issue::write_new_public(file, text)?;
    Ok(())
}

fn random_bytes() -> Result<[u8; 32], TestnetError> {
    let key = SecretKey::generate().map_err(IssueError::Key)?;
    Ok(*key.seed_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<IssueError> for TestnetError {
    fn from(error: IssueError) -> Self {
        Self::Authority(error.into())
    }
}
