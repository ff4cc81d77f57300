//! An orderer as the gRPC services see it: channels and blocks, submissions, what admins may ask.

use super::{JoinError, OrdererNode, blocking};
use crate::api::grpc::{AdminError, Administration, ChannelDirectory, ChannelTable, Submitted, Submitter};
use bytes::Bytes;
use ledgercast_protocol::channel::{ChannelConfig, Genesis};
use ledgercast_protocol::ledger::CertifiedHeader;
use ledgercast_protocol::ordering::{OpenError, Status, SubmitAnswer, SubmitRefusal};
use ledgercast_protocol::store::{BlockStore, StoreError};
use ledgercast_protocol::types::{BlockNumber, ChannelId, ChannelName};
use ledgercast_protocol::wire::{CertificateChain, proto};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use tonic::async_trait;

impl ChannelDirectory for OrdererNode {
    fn channels(&self) -> Arc<ChannelTable> {
        Self::channels(self)
    }

    fn heights(&self) -> watch::Receiver<BTreeMap<ChannelId, u64>> {
        Self::heights(self)
    }

    fn store(&self) -> &Arc<dyn BlockStore> {
        Self::store(self)
    }
}

#[async_trait]
impl Submitter for OrdererNode {
    async fn submit(&self, envelope: Bytes, creator: CertificateChain) -> Submitted {
        let stopped = |error: super::Stopped| {
            SubmitAnswer::Refused(SubmitRefusal::Unavailable { cause: error.to_string() })
        };
        Self::submit(self, envelope, creator).await.unwrap_or_else(stopped).into()
    }
}

#[async_trait]
impl Administration for OrdererNode {
    /// An orderer is named by key, not by org: newcomers are joined like others.
    async fn join(&self, name: ChannelName, genesis: Genesis, _is_newcomer: bool) -> Result<(), AdminError> {
        Ok(Self::join(self, name, genesis).await?)
    }

    async fn leave(&self, channel: ChannelId) -> Result<(), AdminError> {
        Ok(Self::leave(self, channel).await?)
    }

    async fn channel_statuses(&self) -> Result<Vec<proto::ChannelStatus>, AdminError> {
        let statuses = self.snapshot().await.map_err(|_| AdminError::Stopping)?.channels;
        let (table, store) = (Self::channels(self), Arc::clone(Self::store(self)));
        let answer = blocking(move || {
            let held = table.iter().filter_map(|(id, name, config)| Some((statuses.get(&id)?, name, config)));
            held.map(|(status, name, config)| channel_status(store.as_ref(), status, name, config)).collect()
        });
        let statuses: Result<_, StoreError> = answer.await;
        Ok(statuses?)
    }

    /// Orderers take no part in gossip: they know no members.
    async fn members(&self, _channel: Option<ChannelId>) -> Result<Vec<proto::MemberStatus>, AdminError> {
        Ok(Vec::new())
    }

    async fn sessions(&self) -> Result<Vec<proto::PeerStatus>, AdminError> {
        Ok(Vec::new())
    }

    async fn health(&self) -> proto::HealthReply {
        let checks = match self.snapshot().await {
            Ok(snapshot) => {
                let table = Self::channels(self);
                let held = table.iter().filter_map(|(id, name, _)| Some((name, snapshot.channels.get(&id)?)));
                held.map(|(name, status)| check(format!("channel:{name}"), status.halted.as_deref()))
                    .collect()
            }
            Err(stopped) => vec![check("sequencer".to_owned(), Some(&stopped.to_string()))],
        };
        proto::HealthReply {
            is_ready: checks.iter().all(|check| check.is_passing),
            kind: "orderer".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            checks,
        }
    }
}

fn check(name: String, failure: Option<&str>) -> proto::HealthCheck {
    proto::HealthCheck { name, is_passing: failure.is_none(), detail: failure.unwrap_or_default().to_owned() }
}

fn channel_status(
    store: &dyn BlockStore,
    status: &Status,
    name: &ChannelName,
    config: &ChannelConfig,
) -> Result<proto::ChannelStatus, StoreError> {
    let channel = config.channel();
    let hash = |number| header_hash(store, channel, number);
    let height = status.height.as_u64();
    Ok(proto::ChannelStatus {
        id: Bytes::copy_from_slice(channel.as_bytes()),
        name: name.to_string(),
        height,
        proven_height: height,
        first_block: 0,
        tip_hash: status.height.tip().map(hash).transpose()?.unwrap_or_default(),
        genesis_hash: hash(BlockNumber::GENESIS)?,
        config_number: config.number(),
        orgs: config.orgs().iter().map(|org| org.name.clone()).collect(),
        leader: Bytes::new(),
        is_leader: false,
        neighbours: 0,
        failure: status.halted.clone().unwrap_or_default(),
        removed_at: None,
    })
}

fn header_hash(store: &dyn BlockStore, channel: ChannelId, number: BlockNumber) -> Result<Bytes, StoreError> {
    let damaged = |cause: String| StoreError::Damaged { channel, number, cause };
    let bytes = store.read_header(channel, number)?;
    let bytes = bytes.ok_or_else(|| damaged("its header is missing".to_owned()))?;
    let header = CertifiedHeader::decode(bytes).map_err(|error| damaged(error.to_string()))?;
    Ok(Bytes::copy_from_slice(header.hash().as_bytes()))
}

impl From<JoinError> for AdminError {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Open(error @ OpenError::TooMany { .. }) => Self::TooMany(error.to_string()),
            JoinError::Open(error) => Self::NotEntitled(error.to_string()),
            JoinError::Store(error) => Self::Store(error),
            JoinError::NotJoined(channel) => Self::NotJoined(channel),
            JoinError::Stopped(_) => Self::Stopping,
        }
    }
}
