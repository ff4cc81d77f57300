//! A follower, observed: its channels, and the orderers that it follows on each.

use super::health::Check;
use super::json;
use super::observed::Observed;
use crate::core::Stopped;
use crate::follower::{FollowerNode, Standings};
use axum::response::Response;
use ledgercast_protocol::types::ChannelId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::async_trait;

/// A running follower.
pub struct ObservedFollower(pub Arc<FollowerNode>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByChannel {
    channel: String,
}

impl ObservedFollower {
    async fn standings(&self) -> Result<Standings, Stopped> {
        self.0.standings().await.map_err(|_| Stopped)
    }

    fn names(&self) -> BTreeMap<ChannelId, String> {
        self.0.channels().iter().map(|(id, name, _)| (id, name.to_string())).collect()
    }
}

#[async_trait]
impl Observed for ObservedFollower {
    fn kind(&self) -> &'static str {
        "orderer"
    }

    async fn checks(&self) -> Result<Vec<Check>, Stopped> {
        let (standings, names) = (self.standings().await?, self.names());
        let checks = standings.iter().map(|(id, standing)| Check {
            name: format!("channel:{}", name(&names, *id)),
            is_passing: standing.failure.is_none(),
            detail: standing.failure.clone().unwrap_or_else(|| format!("height {}", standing.height)),
        });
        Ok(checks.collect())
    }

    async fn metrics(&self) -> Result<String, Stopped> {
        let (standings, names) = (self.standings().await?, self.names());
        let heights = Family::<ByChannel, Gauge>::default();
        for (id, standing) in &standings {
            let label = ByChannel { channel: name(&names, *id) };
            heights.get_or_create(&label).set(i64::try_from(standing.height).unwrap_or(i64::MAX));
        }
        let mut registry = Registry::default();
        registry.register("ledger_blockchain_height", "Number of durable blocks", heights);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &registry);
        Ok(text)
    }

    async fn channels(&self) -> Result<Value, Stopped> {
        let (standings, names) = (self.standings().await?, self.names());
        let channels = standings.iter().map(|(id, standing)| {
            json!({
                "channel": id.to_string(),
                "name": names.get(id),
                "height": standing.height,
                "proven_height": standing.proven_height,
                "tip_hash": standing.tip_hash.to_string(),
                "sources": standing.sources.iter().map(json::source_view).collect::<Vec<_>>(),
                "failure": standing.failure,
                "config_number": standing.config_number,
            })
        });
        Ok(channels.collect())
    }

    async fn members(&self) -> Result<Value, Stopped> {
        Ok(json!([]))
    }

    async fn peers(&self) -> Result<Value, Stopped> {
        Ok(json!([]))
    }

    fn events(&self) -> Option<Response> {
        None
    }
}

fn name(names: &BTreeMap<ChannelId, String>, id: ChannelId) -> String {
    names.get(&id).cloned().unwrap_or_else(|| id.to_string())
}
