//! A peer, observed.

use super::health::{Check, Readiness};
use super::observed::Observed;
use super::{events, json};
use crate::core::Stopped;
use crate::peer::PeerNode;
use axum::response::Response;
use ledgercast_protocol::types::Lane;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tonic::async_trait;

/// A running peer with what observing it needs.
pub struct ObservedPeer {
    node: Arc<PeerNode>,
    readiness: Readiness,
    event_streams: Arc<Semaphore>,
}

impl ObservedPeer {
    /// Observes a peer; at most so many event streams at once.
    pub fn new(node: Arc<PeerNode>, readiness: Readiness, event_streams_max: usize) -> Self {
        Self { node, readiness, event_streams: Arc::new(Semaphore::new(event_streams_max)) }
    }
}

#[async_trait]
impl Observed for ObservedPeer {
    fn kind(&self) -> &'static str {
        "peer"
    }

    async fn checks(&self) -> Result<Vec<Check>, Stopped> {
        Ok(self.readiness.check(&self.node.core().snapshot().await?))
    }

    async fn metrics(&self) -> Result<String, Stopped> {
        let view = self.node.core().snapshot().await?;
        // Writing to a string does not fail.
        Ok(self.node.metrics().render(&view).unwrap_or_default())
    }

    async fn channels(&self) -> Result<Value, Stopped> {
        Ok(self.node.core().snapshot().await?.channels.iter().map(json::channel).collect())
    }

    async fn members(&self) -> Result<Value, Stopped> {
        let view = self.node.core().snapshot().await?;
        Ok(view.members.iter().map(|member| json::member(member, &view)).collect())
    }

    async fn peers(&self) -> Result<Value, Stopped> {
        let view = self.node.core().snapshot().await?;
        let remotes = self.node.core().remotes().await?;
        let sessions = view.sessions.iter().map(|session| {
            let counters = self.node.network().counters(session.session);
            let lane = |lane| {
                counters.map(|counters| {
                    let lane = counters.lane(lane);
                    serde_json::json!({ "bytes_in": lane.bytes_in, "bytes_out": lane.bytes_out })
                })
            };
            serde_json::json!({
                "session": session.session.0,
                "member": session.member.map(|member| member.to_string()),
                "address": remotes.get(&session.session).map(ToString::to_string),
                "is_dialed": session.is_dialed,
                "channels": session.channels.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "control": lane(Lane::Control),
                "data": lane(Lane::Data),
                "pull": lane(Lane::Pull),
            })
        });
        Ok(sessions.collect())
    }

    fn events(&self) -> Option<Response> {
        Some(events::stream(self.node.core().events(), &self.event_streams))
    }
}
