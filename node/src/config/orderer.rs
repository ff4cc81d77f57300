//! `orderer.toml`.

use super::check::{self, WrongValue};
use super::peer::FeedSection;
use super::section::section;
use super::sections::{self, LogSection, StoreSection, VerificationSection};
use super::{ConfigFile, HumanDuration};
use crate::api::grpc::GrpcLimits;
use crate::api::operations::OperationsLimits;
use crate::orderer::CoreLimits;
use ledgercast_protocol::ordering;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

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

    fn check(&self) -> Result<(), WrongValue> {
        let interval = self.orderer.revocation_check_interval.get();
        check::timeout("orderer", "revocation_check_interval", interval)?;
        self.verification.check()?;
        self.api.check()?;
        sections::operations(&self.operations.limits())?;
        self.feed.check()?;
        self.store.check()
    }
}

/// `[orderer]`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct OrdererSection {
    /// Folder of the identity; its key signs headers.
    pub msp: PathBuf,
    /// Folder of revocation lists of the channels' orgs, beside its own in the identity's folder.
    pub revocations: PathBuf,
    /// How often both folders are looked at for new lists.
    pub revocation_check_interval: HumanDuration,
    /// Whether it only follows.
    pub follow: bool,
}

impl Default for OrdererSection {
    fn default() -> Self {
        Self {
            msp: "msp".into(),
            revocations: "crls".into(),
            revocation_check_interval: HumanDuration::from(Duration::from_secs(10)),
            follow: false,
        }
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
    /// Envelopes that may wait to be looked at for the first time.
    pub submissions_waiting_max: usize,
    /// Calls that one connection may have open.
    pub calls_per_connection_max: u32,
    /// Connections past their handshake that wait to be served.
    pub accepted_waiting_max: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout: HumanDuration,
    /// Requests of admins and metrics that may wait for the orderer's core.
    pub requests_waiting_max: usize,
}

impl OrdererApiSection {
    /// The bounds of gRPC.
    pub fn limits(&self) -> GrpcLimits {
        GrpcLimits {
            connections_max: self.connections_max,
            streams_max: self.streams_max,
            submissions_in_flight_max: self.submissions_in_flight_max,
            calls_per_connection_max: self.calls_per_connection_max,
            accepted_waiting_max: self.accepted_waiting_max,
            handshake_timeout: self.handshake_timeout.get(),
        }
    }

    /// What may wait for the orderer's core.
    pub fn core_limits(&self) -> CoreLimits {
        CoreLimits {
            submissions_waiting_max: self.submissions_waiting_max,
            requests_waiting_max: self.requests_waiting_max,
        }
    }

    fn check(&self) -> Result<(), WrongValue> {
        sections::grpc(&self.limits())?;
        check::places(
            "api",
            &[
                ("submissions_in_flight_max", self.submissions_in_flight_max),
                ("submissions_waiting_max", self.submissions_waiting_max),
                ("requests_waiting_max", self.requests_waiting_max),
            ],
        )
    }
}

impl Default for OrdererApiSection {
    fn default() -> Self {
        let (limits, core) = (GrpcLimits::default(), CoreLimits::default());
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 7050).into(),
            connections_max: limits.connections_max,
            streams_max: limits.streams_max,
            submissions_in_flight_max: limits.submissions_in_flight_max,
            submissions_waiting_max: core.submissions_waiting_max,
            calls_per_connection_max: limits.calls_per_connection_max,
            accepted_waiting_max: limits.accepted_waiting_max,
            handshake_timeout: limits.handshake_timeout.into(),
            requests_waiting_max: core.requests_waiting_max,
        }
    }
}

/// `[operations]` of an orderer.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct OrdererOperationsSection {
    /// Where operations HTTP is served.
    pub listen: SocketAddr,
    /// Connections held at once.
    pub connections_max: usize,
    /// How long a request may take to arrive, and its answer to begin.
    pub request_timeout: HumanDuration,
}

impl OrdererOperationsSection {
    /// The bounds of operations HTTP.
    pub fn limits(&self) -> OperationsLimits {
        OperationsLimits {
            connections_max: self.connections_max,
            request_timeout: self.request_timeout.get(),
        }
    }
}

impl Default for OrdererOperationsSection {
    fn default() -> Self {
        let OperationsLimits { connections_max, request_timeout } = OperationsLimits::default();
        let listen = (Ipv4Addr::LOCALHOST, 8443).into();
        Self { listen, connections_max, request_timeout: request_timeout.into() }
    }
}
