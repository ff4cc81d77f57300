//! Keys, certificates, configurations and block 0 of the network that is measured, in a folder of its own.

use crate::arguments::Shared;
use anyhow::{Context as _, ensure};
use ledgercast_client::testnet::{self, ChannelPlan, Plan, Summary};
use ledgercast_node::clock::Clock;
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::types::ChannelName;
use std::path::PathBuf;
use tempfile::TempDir;

/// The channel that all peers are on.
const CHANNEL: &str = "bench";

/// A network's files; dropped, they are removed.
pub(crate) struct Setup {
    pub(crate) summary: Summary,
    pub(crate) genesis: Genesis,
    pub(crate) channel: ChannelName,
    folder: TempDir,
}

impl Setup {
    /// Writes them.
    ///
    /// # Errors
    /// The folder cannot be written, or the numbers make no network.
    pub(crate) fn write(shared: &Shared) -> anyhow::Result<Self> {
        ensure!(
            shared.peers >= 2,
            "{} peers cannot send each other anything; take two or more",
            shared.peers
        );
        ensure!(
            shared.orgs > 0 && shared.peers.is_multiple_of(shared.orgs),
            "{} peers cannot be divided evenly among {} organisations",
            shared.peers,
            shared.orgs
        );
        let folder = match &shared.folder {
            Some(parent) => tempfile::Builder::new().prefix("ledgercast-bench-").tempdir_in(parent),
            None => tempfile::Builder::new().prefix("ledgercast-bench-").tempdir(),
        };
        let folder = folder.context("cannot create a temporary folder")?;
        let channel: ChannelName = CHANNEL.parse()?;
        let plan = Plan {
            followers: 0,
            orgs: shared.orgs,
            peers_per_org: shared.peers / shared.orgs,
            channels: vec![ChannelPlan {
                name: channel.clone(),
                orgs: (1..=shared.orgs).map(|number| format!("org{number}")).collect(),
            }],
            base_port: None,
        };
        plan.check()?;
        let summary = testnet::write(&folder.path().join("network"), &plan, Clock::start().now().wall)?;
        let file = &summary.channels[0].genesis;
        let block = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self { genesis: Genesis::decode(block.into())?, summary, channel, folder })
    }

    /// Where a peer of a round keeps its blocks.
    pub(crate) fn store(&self, round: usize, peer: &str) -> PathBuf {
        self.stores(round).join(peer)
    }

    fn stores(&self, round: usize) -> PathBuf {
        self.folder.path().join(format!("stores-{round}"))
    }

    /// Removes what the peers of a round kept; what cannot be removed goes with the folder.
    pub(crate) fn forget(&self, round: usize) {
        let _ = std::fs::remove_dir_all(self.stores(round));
    }
}
