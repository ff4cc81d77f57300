//! A peer behind the services: its channels, blocks and view.

use super::caller::Audience;
use super::channel_table::ChannelTable;
use super::directory::{AdminError, Administration, ChannelDirectory};
use super::peer_journal::PeerJournal;
use super::peer_status;
use super::server::{GrpcError, GrpcServer, Node};
use crate::api::operations::Readiness;
use crate::config::ApiSection;
use crate::peer::{JoinError, PeerNode};
use ledgercast_crypto::msp::Msp;
use ledgercast_protocol::channel::{ConfigHistory, Genesis};
use ledgercast_protocol::input::Command;
use ledgercast_protocol::peer::Snapshot;
use ledgercast_protocol::store::{BlockStore, MetaKey};
use ledgercast_protocol::types::{ChannelId, ChannelName};
use ledgercast_protocol::wire::proto;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tonic::async_trait;

/// A running peer, as the services see it.
pub struct PeerDirectory {
    node: Arc<PeerNode>,
    /// The common name in my certificate.
    common_name: String,
    readiness: Readiness,
    table: Mutex<Arc<ChannelTable>>,
    journal: Arc<PeerJournal>,
}

/// Binds a peer's gRPC: `Deliver` and `Admin` for its own org.
///
/// # Errors
/// [`GrpcError`] names the cause; nothing is left bound.
pub async fn bind_peer(
    config: &ApiSection,
    msp: &Msp,
    node: Arc<PeerNode>,
    readiness: Readiness,
) -> Result<GrpcServer, GrpcError> {
    let pair = msp.tls.as_ref().ok_or(GrpcError::NoTls)?;
    let common_name = msp.certificate.common_name().to_owned();
    let directory = Arc::new(PeerDirectory::new(node, common_name, readiness));
    let served = Node {
        directory: Arc::clone(&directory) as Arc<dyn ChannelDirectory>,
        administration: directory,
        submitter: None,
        audience: Audience::OwnOrg,
    };
    GrpcServer::bind(config.listen, config.limits(), pair, &msp.org, served).await
}

impl PeerDirectory {
    /// Needs a tokio runtime around it.
    pub fn new(node: Arc<PeerNode>, common_name: String, readiness: Readiness) -> Self {
        let journal = PeerJournal::start(node.core());
        Self { node, common_name, readiness, table: Mutex::default(), journal }
    }

    async fn snapshot(&self) -> Result<Snapshot, AdminError> {
        self.node.core().snapshot().await.map_err(|_| AdminError::Stopping)
    }

    /// The aliases are the store's; a channel that it does not list for now goes by the name in its config.
    fn rebuild(&self, configs: &BTreeMap<ChannelId, ConfigHistory>) -> ChannelTable {
        let stored = self.node.store().channels().unwrap_or_else(|error| {
            tracing::error!(%error, "the channels' names cannot be read; those in their configs are used");
            Vec::new()
        });
        let names: BTreeMap<ChannelId, ChannelName> =
            stored.into_iter().map(|held| (held.genesis.channel(), held.name)).collect();
        ChannelTable::new(configs.iter().map(|(channel, history)| {
            let name = names.get(channel).unwrap_or_else(|| history.current().name());
            (name.clone(), history.clone())
        }))
    }

    async fn check_store(&self) -> proto::HealthCheck {
        let store = Arc::clone(self.node.store());
        let read = tokio::task::spawn_blocking(move || store.meta(MetaKey::Incarnation)).await;
        let failure = match read {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        proto::HealthCheck {
            name: "store".to_owned(),
            is_passing: failure.is_none(),
            detail: failure.unwrap_or_else(|| "answers reads".to_owned()),
        }
    }
}

impl ChannelDirectory for PeerDirectory {
    fn channels(&self) -> Arc<ChannelTable> {
        let configs = self.node.configs().lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let held = configs.iter().map(|(channel, history)| (*channel, history.current().number()));
        if !table.iter().map(|(channel, _, config)| (channel, config.number())).eq(held) {
            *table = Arc::new(self.rebuild(&configs));
        }
        Arc::clone(&table)
    }

    fn heights(&self) -> watch::Receiver<BTreeMap<ChannelId, u64>> {
        self.node.core().heights()
    }

    fn store(&self) -> &Arc<dyn BlockStore> {
        self.node.store()
    }
}

#[async_trait]
impl Administration for PeerDirectory {
    async fn join(&self, name: ChannelName, genesis: Genesis, is_newcomer: bool) -> Result<(), AdminError> {
        Ok(self.node.join(name, genesis, is_newcomer).await?)
    }

    async fn leave(&self, channel: ChannelId) -> Result<(), AdminError> {
        Ok(self.node.leave(channel).await?)
    }

    async fn channel_statuses(&self) -> Result<Vec<proto::ChannelStatus>, AdminError> {
        let view = self.snapshot().await?;
        let table = self.channels();
        let stored = self.node.store().channels()?;
        let genesis_hash = |channel| {
            let held = stored.iter().find(|held| held.genesis.channel() == channel);
            held.map(|held| held.genesis.hash())
        };
        let statuses = view.channels.iter().filter_map(|channel| {
            let config = table.config(channel.channel)?;
            let genesis = genesis_hash(channel.channel)?;
            Some(peer_status::channel(channel, config, genesis))
        });
        Ok(statuses.collect())
    }

    async fn members(&self, channel: Option<ChannelId>) -> Result<Vec<proto::MemberStatus>, AdminError> {
        let view = self.snapshot().await?;
        let of_channel = match channel {
            Some(id) => {
                let found = view.channels.iter().find(|view| view.channel == id);
                Some(found.ok_or(AdminError::NotJoined(id))?)
            }
            None => None,
        };
        Ok(peer_status::members(&view, of_channel, &self.common_name))
    }

    async fn sessions(&self) -> Result<Vec<proto::PeerStatus>, AdminError> {
        let core = self.node.core();
        let remotes = core.remotes().await.map_err(|_| AdminError::Stopping)?;
        let view = self.snapshot().await?;
        let status = |session| {
            let counters = self.node.network().counters(session);
            let remote = remotes.get(&session).copied();
            peer_status::Line { counters, remote, ready_for: self.journal.ready_for(session) }
        };
        Ok(view
            .sessions
            .iter()
            .map(|session| peer_status::session(session, &view, status(session.session)))
            .collect())
    }

    async fn evidence(&self, channel: ChannelId) -> Result<proto::KeptEvidence, AdminError> {
        let kept = self.node.core().evidence(channel).await.map_err(|_| AdminError::Stopping)?;
        Ok(kept.ok_or(AdminError::NotJoined(channel))?.to_wire(channel))
    }

    async fn lift_halt(&self, channel: ChannelId) -> Result<bool, AdminError> {
        let core = self.node.core();
        let before = core.evidence(channel).await.map_err(|_| AdminError::Stopping)?;
        let was_halted = before.ok_or(AdminError::NotJoined(channel))?.halted_at().is_some();
        core.command(Command::LiftHalt { channel }).await.map_err(|_| AdminError::Stopping)?;
        // A fork above the newest block stops nothing yet, so there is nothing to lift.
        let after = core.evidence(channel).await.map_err(|_| AdminError::Stopping)?;
        Ok(was_halted && after.is_some_and(|kept| kept.halted_at().is_none()))
    }

    async fn health(&self) -> proto::HealthReply {
        let mut checks = vec![self.check_store().await];
        match self.snapshot().await {
            Ok(view) => checks.extend(self.readiness.check(&view).into_iter().map(|check| {
                proto::HealthCheck { name: check.name, is_passing: check.is_passing, detail: check.detail }
            })),
            Err(error) => checks.push(proto::HealthCheck {
                name: "core".to_owned(),
                is_passing: false,
                detail: error.to_string(),
            }),
        }
        proto::HealthReply {
            is_ready: checks.iter().all(|check| check.is_passing),
            kind: "peer".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: peer_status::millis(self.journal.uptime()),
            checks,
        }
    }
}

impl From<JoinError> for AdminError {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::NotEntitled { .. } | JoinError::NoReaderUnit { .. } => {
                Self::NotEntitled(error.to_string())
            }
            JoinError::Store(error) => Self::Store(error),
            JoinError::NotJoined(channel) => Self::NotJoined(channel),
            JoinError::Stopped(_) => Self::Stopping,
        }
    }
}
