//! The sections that peers and orderers share.

use super::HumanDuration;
use super::check::{self, WrongValue};
use crate::api::grpc::GrpcLimits;
use crate::api::operations::OperationsLimits;
use crate::committer::WriteLimits;
use crate::core::CoreLimits;
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

    pub(super) fn check(&self) -> Result<(), WrongValue> {
        const THREADS_MAX: usize = 1024;
        check::places("verification", &[("queue_max", self.queue_max)])?;
        match self.threads <= THREADS_MAX {
            true => Ok(()),
            false => {
                let error = format!("{} is not possible; set 0 to {THREADS_MAX}", self.threads);
                Err(WrongValue::new("verification", "threads", error))
            }
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
    /// Calls that one connection may have open.
    pub calls_per_connection_max: u32,
    /// Connections past their handshake that wait to be served.
    pub accepted_waiting_max: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout: HumanDuration,
    /// Requests that may wait for the peer's core.
    pub requests_waiting_max: usize,
}

impl ApiSection {
    /// The bounds of gRPC.
    pub fn limits(&self) -> GrpcLimits {
        GrpcLimits {
            connections_max: self.connections_max,
            streams_max: self.streams_max,
            // A peer takes no submissions.
            submissions_in_flight_max: 0,
            calls_per_connection_max: self.calls_per_connection_max,
            accepted_waiting_max: self.accepted_waiting_max,
            handshake_timeout: self.handshake_timeout.get(),
        }
    }

    pub(super) fn check(&self) -> Result<(), WrongValue> {
        grpc(&self.limits())?;
        check::places("api", &[("requests_waiting_max", self.requests_waiting_max)])
    }
}

/// Checks what peers and orderers have in common.
pub(super) fn grpc(limits: &GrpcLimits) -> Result<(), WrongValue> {
    check::places(
        "api",
        &[
            ("connections_max", limits.connections_max),
            ("streams_max", limits.streams_max),
            ("calls_per_connection_max", limits.calls_per_connection_max as usize),
            ("accepted_waiting_max", limits.accepted_waiting_max),
        ],
    )?;
    check::timeout("api", "handshake_timeout", limits.handshake_timeout)
}

impl Default for ApiSection {
    fn default() -> Self {
        let limits = GrpcLimits::default();
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 7053).into(),
            connections_max: limits.connections_max,
            streams_max: limits.streams_max,
            calls_per_connection_max: limits.calls_per_connection_max,
            accepted_waiting_max: limits.accepted_waiting_max,
            handshake_timeout: limits.handshake_timeout.into(),
            requests_waiting_max: CoreLimits::default().requests_waiting_max,
        }
    }
}

/// `[operations]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct OperationsSection {
    /// Where operations HTTP is served.
    pub listen: SocketAddr,
    /// Connections held at once.
    pub connections_max: usize,
    /// How long a request may take to arrive, and its answer to begin.
    pub request_timeout: HumanDuration,
    /// Event streams served at once.
    pub event_streams_max: usize,
    /// Events that a slow reader may lag behind.
    pub event_backlog_max: usize,
    /// Blocks behind the best proven height at which a peer is no longer ready.
    pub ready_lag_blocks: u64,
}

impl OperationsSection {
    /// The bounds of operations HTTP.
    pub fn limits(&self) -> OperationsLimits {
        OperationsLimits {
            connections_max: self.connections_max,
            request_timeout: self.request_timeout.get(),
        }
    }

    pub(super) fn check(&self) -> Result<(), WrongValue> {
        operations(&self.limits())?;
        let (streams, connections) = (self.event_streams_max, self.connections_max);
        check::places("operations", &[("event_backlog_max", self.event_backlog_max)])?;
        match streams < connections {
            true => Ok(()),
            false => {
                let error = format!("{streams} streams would take all {connections} connections; set fewer");
                Err(WrongValue::new("operations", "event_streams_max", error))
            }
        }
    }
}

/// Checks what peers and orderers have in common.
pub(super) fn operations(limits: &OperationsLimits) -> Result<(), WrongValue> {
    check::places("operations", &[("connections_max", limits.connections_max)])?;
    check::timeout("operations", "request_timeout", limits.request_timeout)
}

impl Default for OperationsSection {
    fn default() -> Self {
        let limits = OperationsLimits::default();
        Self {
            listen: (Ipv4Addr::LOCALHOST, 9443).into(),
            connections_max: limits.connections_max,
            request_timeout: limits.request_timeout.into(),
            event_streams_max: 16,
            event_backlog_max: CoreLimits::default().events_max,
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
    /// Blocks in one durable write.
    pub write_blocks_max: usize,
    /// Bytes of bodies in one durable write of several blocks.
    pub write_bytes_max: usize,
}

impl StoreSection {
    /// The bounds of one durable write.
    pub fn limits(&self) -> WriteLimits {
        WriteLimits { write_blocks_max: self.write_blocks_max, write_bytes_max: self.write_bytes_max }
    }

    pub(super) fn check(&self) -> Result<(), WrongValue> {
        check::places("store", &[("write_blocks_max", self.write_blocks_max)])
    }
}

impl Default for StoreSection {
    fn default() -> Self {
        let WriteLimits { write_blocks_max, write_bytes_max } = WriteLimits::default();
        Self { path: "data".into(), write_blocks_max, write_bytes_max }
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
