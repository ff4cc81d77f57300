//! What operations HTTP asks of a node; a peer and an orderer each answer for themselves.

use super::health::Check;
use crate::core::Stopped;
use axum::response::Response;
use serde_json::Value;
use tonic::async_trait;

/// A node as operators see it.
#[async_trait]
pub trait Observed: Send + Sync + 'static {
    /// `peer` or `orderer`.
    fn kind(&self) -> &'static str;

    /// What readiness depends on; an error when the node's task does not answer.
    async fn checks(&self) -> Result<Vec<Check>, Stopped>;

    /// Everything counted, in OpenMetrics text form.
    async fn metrics(&self) -> Result<String, Stopped>;

    /// The joined channels.
    async fn channels(&self) -> Result<Value, Stopped>;

    /// The members that it knows.
    async fn members(&self) -> Result<Value, Stopped>;

    /// The sessions that it has.
    async fn peers(&self) -> Result<Value, Stopped>;

    /// What happens from now on, as server-sent events; `None`: it tells none.
    fn events(&self) -> Option<Response>;
}
