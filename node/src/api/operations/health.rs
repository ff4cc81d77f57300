//! Probes: alive when the process answers, ready when every joined channel is close to the best proven
//! height.

use super::Shared;
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ledgercast_protocol::membership::Endpoints;
use ledgercast_protocol::peer::{ChannelSnapshot, Snapshot};
use serde::Serialize;

/// When a peer counts as ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// A channel may be this many blocks behind the best proven height. Default 5 (the design's "a few").
    pub blocks_behind_max: u64,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { blocks_behind_max: 5 }
    }
}

/// One check of readiness.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What is checked.
    pub name: String,
    /// Whether it passes.
    pub is_passing: bool,
    /// The figures behind it.
    pub detail: String,
}

impl Readiness {
    /// Checks a view: the peer itself where something is wrong with it, then channel by channel.
    pub fn check(&self, view: &Snapshot) -> Vec<Check> {
        let channels = view.channels.iter();
        alarms(view)
            .into_iter()
            .chain(channels.map(|channel| {
                let behind = channel.proven_height.saturating_sub(channel.height);
                Check {
                    name: format!("channel:{}", channel.name),
                    is_passing: channel.failure.is_none() && behind <= self.blocks_behind_max,
                    detail: channel.failure.clone().unwrap_or_else(|| detail(channel)),
                }
            }))
            .collect()
    }
}

fn detail(channel: &ChannelSnapshot) -> String {
    let height = format!("height {} of {} proven", channel.height, channel.proven_height);
    match channel.removed_at {
        Some(block) => format!("removed at block {block}; {height}"),
        None if channel.is_newcomer => format!("no config so far names this org as reader; {height}"),
        None => height,
    }
}

/// What only an operator can mend.
fn alarms(view: &Snapshot) -> Vec<Check> {
    let clock = view.is_clock_suspect.then(|| Check {
        name: "clock".to_owned(),
        is_passing: false,
        detail: "most members of most orgs have another time than this host; nobody is evicted".to_owned(),
    });
    let identity = view.duplicate.as_ref().map(|endpoints| Check {
        name: "identity".to_owned(),
        is_passing: false,
        detail: duplicate(endpoints),
    });
    clock.into_iter().chain(identity).collect()
}

/// Says where the two processes of one identity are.
pub(crate) fn duplicate(endpoints: &Endpoints) -> String {
    let [one, other] = endpoints.each_ref().map(|endpoint| match endpoint {
        Some(endpoint) => endpoint.as_str(),
        None => "an unknown endpoint",
    });
    format!("its identity is in use twice, at {one} and at {other}")
}

/// The process answers.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// The node's task answers: it is not stuck.
pub(super) async fn healthz(State(shared): State<Shared>) -> Response {
    match shared.node.checks().await {
        Ok(_) => Json(serde_json::json!({ "status": "OK" })).into_response(),
        Err(error) => unavailable(&error.to_string()),
    }
}

pub(super) async fn readyz(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let checks = match shared.node.checks().await {
        Ok(checks) => checks,
        Err(error) => return unavailable(&error.to_string()),
    };
    let is_ready = checks.iter().all(|check| check.is_passing);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let is_verbose = query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("verbose")));
    match is_verbose {
        true => (status, Json(serde_json::json!({ "is_ready": is_ready, "checks": checks }))).into_response(),
        false => (status, if is_ready { "ok\n" } else { "not ready; see /readyz?verbose\n" }).into_response(),
    }
}

pub(super) async fn version(State(shared): State<Shared>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "kind": shared.node.kind() }))
}

pub(super) fn unavailable(cause: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Json(serde_json::json!({ "error": cause }))).into_response()
}
