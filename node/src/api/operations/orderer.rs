//! An orderer, observed. It takes no part in gossip: it has no members, sessions or events.

use super::health::Check;
use super::observed::Observed;
use crate::core::Stopped;
use crate::orderer::{OrdererNode, Snapshot};
use axum::response::Response;
use ledgercast_protocol::types::ChannelId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::async_trait;

/// A running orderer.
pub struct ObservedOrderer(pub Arc<OrdererNode>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByChannel {
    channel: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAnswer {
    answer: &'static str,
}

impl ObservedOrderer {
    async fn snapshot(&self) -> Result<Snapshot, Stopped> {
        self.0.snapshot().await.map_err(|_| Stopped)
    }

    fn names(&self) -> BTreeMap<ChannelId, String> {
        self.0.channels().iter().map(|(id, name, _)| (id, name.to_string())).collect()
    }
}

#[async_trait]
impl Observed for ObservedOrderer {
    fn kind(&self) -> &'static str {
        "orderer"
    }

    async fn checks(&self) -> Result<Vec<Check>, Stopped> {
        let (snapshot, names) = (self.snapshot().await?, self.names());
        let checks = snapshot.channels.iter().map(|(id, status)| Check {
            name: format!("channel:{}", names.get(id).cloned().unwrap_or_else(|| id.to_string())),
            is_passing: status.halted.is_none(),
            detail: status.halted.clone().unwrap_or_else(|| format!("height {}", status.height)),
        });
        Ok(checks.collect())
    }

    async fn metrics(&self) -> Result<String, Stopped> {
        Ok(render(&self.snapshot().await?, &self.names()))
    }

    async fn channels(&self) -> Result<Value, Stopped> {
        let (snapshot, names) = (self.snapshot().await?, self.names());
        let channels = snapshot.channels.iter().map(|(id, status)| {
            json!({
                "channel": id.to_string(),
                "name": names.get(id),
                "height": status.height.as_u64(),
                "waiting_submissions": status.load.submissions,
                "waiting_bytes": status.load.bytes,
                "failure": status.halted,
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

fn render(snapshot: &Snapshot, names: &BTreeMap<ChannelId, String>) -> String {
    let mut registry = Registry::default();
    let (height, waiting) = (Family::<ByChannel, Gauge>::default(), Family::<ByChannel, Gauge>::default());
    let answers = Family::<ByAnswer, Counter>::default();
    for (id, status) in &snapshot.channels {
        let label = ByChannel { channel: names.get(id).cloned().unwrap_or_else(|| id.to_string()) };
        height.get_or_create(&label).set(i64::try_from(status.height.as_u64()).unwrap_or(i64::MAX));
        waiting.get_or_create(&label).set(i64::try_from(status.load.bytes).unwrap_or(i64::MAX));
    }
    for (answer, count) in &snapshot.counters.answers {
        answers.get_or_create(&ByAnswer { answer }).inc_by(*count);
    }
    registry.register("ledger_blockchain_height", "Number of durable blocks", height);
    registry.register("ledgercast_orderer_waiting_bytes", "Bytes of envelopes that wait", waiting);
    registry.register("ledgercast_orderer_answers", "Answers to submissions, by their kind", answers);
    let (blocks, bytes) = (snapshot.counters.blocks, snapshot.counters.body_bytes);
    registry.register("ledgercast_orderer_blocks", "Blocks made", ConstCounter::new(blocks));
    registry.register("ledgercast_orderer_body_bytes", "Bytes of their bodies", ConstCounter::new(bytes));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}
