//! `orderer.toml`.

use super::ConfigFile;
use super::peer::FeedSection;
use super::section::section;
use super::sections::{LogSection, StoreSection, VerificationSection};
use ledgercast_protocol::ordering;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct OrdererFile {
    /// `[orderer]`.
    pub orderer: OrdererSection,
    /// `[ordering]`.
    pub ordering: OrderingSection,
    /// `[feed]`, of a follower.
    pub feed: FeedSection,
    /// `[verification]`.
    pub verification: VerificationSection,
    /// `[api]`.
    pub api: OrdererApiSection,
    /// `[operations]`.
    pub operations: OrdererOperationsSection,
    /// `[store]`.
    pub store: StoreSection,
    /// `[log]`.
    pub log: LogSection,
}

impl ConfigFile for OrdererFile {
    const SECTIONS: &'static [&'static str] =
        &["orderer", "ordering", "feed", "verification", "api", "operations", "store", "log"];
}

/// `[orderer]`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct OrdererSection {
    /// Folder of the identity; its key signs headers.
    pub msp: PathBuf,
    /// Whether it only follows.
    pub follow: bool,
}

impl Default for OrdererSection {
    fn default() -> Self {
        Self { msp: "msp".into(), follow: false }
    }
}

section! {
    /// `[ordering]`.
    OrderingSection => ordering::Config {
        times {}
        counts {
            pending_envelopes_max: usize,
            pending_bytes_max: usize,
            pending_bytes_total_max: usize,
            commits_in_flight_max: usize,
            nonces_max: usize,
            channels_max: usize,
        }
    }
}

/// `[api]` of an orderer.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct OrdererApiSection {
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Connections held at once.
    pub connections_max: usize,
    /// Block streams served at once.
    pub streams_max: usize,
    /// Envelopes in flight on one submission stream.
    pub submissions_in_flight_max: usize,
}

impl Default for OrdererApiSection {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 7050).into(),
            connections_max: 256,
            streams_max: 128,
            submissions_in_flight_max: 1024,
        }
    }
}

/// `[operations]` of an orderer.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct OrdererOperationsSection {
    /// Where operations HTTP is served.
    pub listen: SocketAddr,
}

impl Default for OrdererOperationsSection {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 8443).into() }
    }
}
