//! A follower as the gRPC services see it: channels and blocks, envelopes passed on, what admins may ask.

use super::{FollowError, FollowerNode, Standing};
use crate::api::grpc::{AdminError, Administration, ChannelDirectory, ChannelTable, Submitted, Submitter};
use bytes::Bytes;
use ledgercast_protocol::channel::{ChannelConfig, Genesis};
use ledgercast_protocol::ledger::Envelope;
use ledgercast_protocol::ordering::{SubmitAnswer, SubmitRefusal};
use ledgercast_protocol::store::BlockStore;
use ledgercast_protocol::types::{ChannelId, ChannelName};
use ledgercast_protocol::wire::{CertificateChain, proto};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use tonic::async_trait;

impl ChannelDirectory for FollowerNode {
    fn channels(&self) -> Arc<ChannelTable> {
        Self::channels(self)
    }

    fn heights(&self) -> watch::Receiver<BTreeMap<ChannelId, u64>> {
        Self::heights(self)
    }

    fn store(&self) -> &Arc<dyn BlockStore> {
        &self.store
    }
}

#[async_trait]
impl Submitter for FollowerNode {
    async fn submit(&self, envelope: Bytes, creator: CertificateChain) -> Submitted {
        let channel = Envelope::decode(envelope.clone()).map(|decoded| decoded.content().channel);
        let table = Self::channels(self);
        match channel.ok().and_then(|channel| table.config(channel)) {
            Some(config) => Submitted::PassedOn(self.relay.pass_on(config, envelope, &creator).await),
            None => {
                let cause = "the channel is not followed here".to_owned();
                SubmitAnswer::Refused(SubmitRefusal::NotPermitted { cause }).into()
            }
        }
    }
}

#[async_trait]
impl Administration for FollowerNode {
    async fn join(&self, name: ChannelName, genesis: Genesis, is_newcomer: bool) -> Result<(), AdminError> {
        Ok(Self::join(self, name, genesis, is_newcomer).await?)
    }

    async fn leave(&self, channel: ChannelId) -> Result<(), AdminError> {
        Ok(Self::leave(self, channel).await?)
    }

    async fn channel_statuses(&self) -> Result<Vec<proto::ChannelStatus>, AdminError> {
        let standings = self.standings().await.map_err(|_| AdminError::Stopping)?;
        let (held, table) = (self.store.channels()?, Self::channels(self));
        let statuses = held.iter().filter_map(|held| {
            let standing = standings.get(&held.genesis.channel())?;
            let config = table.config(held.genesis.channel())?;
            Some(status(standing, &held.name, config, held.genesis.hash()))
        });
        Ok(statuses.collect())
    }

    /// Followers take no part in gossip: they know no members.
    async fn members(&self, _channel: Option<ChannelId>) -> Result<Vec<proto::MemberStatus>, AdminError> {
        Ok(Vec::new())
    }

    async fn sessions(&self) -> Result<Vec<proto::PeerStatus>, AdminError> {
        Ok(Vec::new())
    }

    async fn health(&self) -> proto::HealthReply {
        let checks = match self.standings().await {
            Ok(standings) => {
                let table = Self::channels(self);
                let held = table.iter().filter_map(|(id, name, _)| Some((name, standings.get(&id)?)));
                held.map(|(name, it)| check(format!("channel:{name}"), it.failure.as_deref())).collect()
            }
            Err(stopped) => vec![check("follower".to_owned(), Some(&stopped.to_string()))],
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

fn status(
    standing: &Standing,
    name: &ChannelName,
    config: &ChannelConfig,
    genesis_hash: ledgercast_crypto::Digest,
) -> proto::ChannelStatus {
    proto::ChannelStatus {
        id: Bytes::copy_from_slice(config.channel().as_bytes()),
        name: name.to_string(),
        height: standing.height,
        proven_height: standing.proven_height,
        tip_hash: Bytes::copy_from_slice(standing.tip_hash.as_bytes()),
        genesis_hash: Bytes::copy_from_slice(genesis_hash.as_bytes()),
        config_number: config.number(),
        orgs: config.orgs().iter().map(|org| org.name.clone()).collect(),
        failure: standing.failure.clone().unwrap_or_default(),
        ..proto::ChannelStatus::default()
    }
}

impl From<FollowError> for AdminError {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::TooMany { .. } => Self::TooMany(error.to_string()),
            FollowError::NoPart(_) => Self::NotEntitled(error.to_string()),
            FollowError::Store(error) => Self::Store(error),
            FollowError::NotJoined(channel) => Self::NotJoined(channel),
            FollowError::Stopped(_) | FollowError::Randomness(_) => Self::Stopping,
        }
    }
}
