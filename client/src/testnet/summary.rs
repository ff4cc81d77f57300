//! `network.json`: what a test network has and where, for programs that start and watch it.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A test network as it was written; paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What peers of this network have in their configuration.
    pub network_id: String,
    /// The orderers.
    pub orderers: Vec<NodeSummary>,
    /// Orderers that sign nothing.
    pub followers: Vec<NodeSummary>,
    /// The peers, by org.
    pub peers: Vec<NodeSummary>,
    /// Admins and clients.
    pub users: Vec<UserSummary>,
    /// The channels.
    pub channels: Vec<ChannelSummary>,
}

/// A peer or an orderer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSummary {
    /// `peer0.org1`.
    pub name: String,
    /// Its org.
    pub org: String,
    /// Its member id, in hex.
    pub member: String,
    /// Its folder.
    pub home: PathBuf,
    /// Its configuration file.
    pub config: PathBuf,
    /// host:port for other peers; none for orderers.
    pub listen: Option<String>,
    /// host:port of its gRPC.
    pub api: String,
    /// host:port of its operations HTTP.
    pub operations: String,
}

/// An admin or a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSummary {
    /// `admin.org1`.
    pub name: String,
    /// Its org.
    pub org: String,
    /// `admin` or `client`.
    pub role: String,
    /// Its folder.
    pub home: PathBuf,
    /// Its profile.
    pub profile: PathBuf,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelSummary {
    /// Its name.
    pub name: String,
    /// Its id, in hex.
    pub id: String,
    /// Header hash of its block 0, in hex.
    pub genesis_hash: String,
    /// Its genesis file.
    pub genesis: PathBuf,
    /// Its member orgs.
    pub orgs: Vec<String>,
}

impl Summary {
    pub(super) fn new(network_id: &str, orderer: NodeSummary) -> Self {
        Self {
            network_id: network_id.to_owned(),
            orderers: vec![orderer],
            followers: Vec::new(),
            peers: Vec::new(),
            users: Vec::new(),
            channels: Vec::new(),
        }
    }

    /// The peers of an org.
    pub fn peers_of<'a>(&'a self, org: &'a str) -> impl Iterator<Item = &'a NodeSummary> {
        self.peers.iter().filter(move |peer| peer.org == org)
    }

    /// As indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings always serialise")
    }
}
