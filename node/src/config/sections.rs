//! The sections that peers and orderers share.

use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// `[verification]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct VerificationSection {
    /// Threads; 0: one a processor, at most four.
    pub threads: usize,
    /// Checks that may wait.
    pub queue_max: usize,
}

impl VerificationSection {
    /// The number of threads to start.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, |count| count.get().min(4)),
            count => count,
        }
    }
}

impl Default for VerificationSection {
    fn default() -> Self {
        Self { threads: 0, queue_max: 4096 }
    }
}

/// `[api]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSection {
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Connections held at once.
    pub connections_max: usize,
    /// Block streams served at once.
    pub streams_max: usize,
}

impl Default for ApiSection {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::UNSPECIFIED, 7053).into(), connections_max: 256, streams_max: 128 }
    }
}

/// `[operations]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct OperationsSection {
    /// Where operations HTTP is served.
    pub listen: SocketAddr,
    /// Event streams served at once.
    pub event_streams_max: usize,
    /// Events that a slow reader may lag behind.
    pub event_backlog_max: usize,
    /// Blocks behind the best proven height at which a peer is no longer ready.
    pub ready_lag_blocks: u64,
}

impl Default for OperationsSection {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 9443).into(),
            event_streams_max: 16,
            event_backlog_max: 1024,
            ready_lag_blocks: 5,
        }
    }
}

/// `[store]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// Folder of the blocks, relative to the configuration's.
    pub path: PathBuf,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self { path: "data".into() }
    }
}

/// `[log]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// A level or directives.
    pub level: String,
    /// For people or collectors.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}
