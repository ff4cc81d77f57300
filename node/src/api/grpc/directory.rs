//! What the services need of a node, so that they are written once for peers and orderers.

use super::channel_table::ChannelTable;
use bytes::Bytes;
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::ordering::SubmitAnswer;
use ledgercast_protocol::store::{BlockStore, StoreError};
use ledgercast_protocol::types::{ChannelId, ChannelName};
use ledgercast_protocol::wire::{CertificateChain, proto};
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::watch;
use tonic::async_trait;

/// The channels of a node and their blocks.
pub trait ChannelDirectory: Send + Sync + 'static {
    /// The channels held now. The same table is handed out until a channel is joined or left.
    fn channels(&self) -> Arc<ChannelTable>;

    /// Durable blocks by channel, as they grow; joining and leaving is a change as well.
    fn heights(&self) -> watch::Receiver<BTreeMap<ChannelId, u64>>;

    /// Where the blocks are.
    fn store(&self) -> &Arc<dyn BlockStore>;
}

/// What admins of the node's org may do.
#[async_trait]
pub trait Administration: Send + Sync + 'static {
    /// Joins a channel; joining it again under the same name changes nothing.
    /// A newcomer joins although block 0 does not name its org.
    async fn join(&self, name: ChannelName, genesis: Genesis, is_newcomer: bool) -> Result<(), AdminError>;

    /// Leaves a channel and deletes its blocks.
    async fn leave(&self, channel: ChannelId) -> Result<(), AdminError>;

    /// How every channel stands.
    async fn channel_statuses(&self) -> Result<Vec<proto::ChannelStatus>, AdminError>;

    /// The members that the node knows; of one channel, if one is given.
    async fn members(&self, channel: Option<ChannelId>) -> Result<Vec<proto::MemberStatus>, AdminError>;

    /// The sessions with other peers.
    async fn sessions(&self) -> Result<Vec<proto::PeerStatus>, AdminError>;

    /// The evidence kept of a channel; who keeps none shows none.
    async fn evidence(&self, _channel: ChannelId) -> Result<proto::KeptEvidence, AdminError> {
        Ok(proto::KeptEvidence::default())
    }

    /// Lets a channel go on that stands still for a fork; says whether it did.
    async fn lift_halt(&self, _channel: ChannelId) -> Result<bool, AdminError> {
        Ok(false)
    }

    /// Whether all is well, check by check.
    async fn health(&self) -> proto::HealthReply;
}

/// Takes envelopes to be ordered.
#[async_trait]
pub trait Submitter: Send + Sync + 'static {
    /// Answers when the envelope's block is durable, or when the envelope is refused.
    async fn submit(&self, envelope: Bytes, creator: CertificateChain) -> Submitted;
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// This node's own answer.
    Answered(SubmitAnswer),
    /// It was passed on, and this was the answer there.
    PassedOn(proto::submit_reply::Outcome),
}

impl From<SubmitAnswer> for Submitted {
    fn from(answer: SubmitAnswer) -> Self {
        Self::Answered(answer)
    }
}

/// Why an admin's wish was not fulfilled; nothing has changed.
#[derive(Debug, Error)]
pub enum AdminError {
    /// The channel's config leaves this node out.
    #[error("{0}")]
    NotEntitled(String),
    /// The channel is not held.
    #[error("channel {0} is not joined")]
    NotJoined(ChannelId),
    /// The node holds as many channels as it may.
    #[error("{0}")]
    TooMany(String),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node stops.
    #[error("this node is stopping: ask another one")]
    Stopping,
}
