//! The node's view for people and scrapers.

use super::Shared;
use super::health::unavailable;
use crate::core::Stopped;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

fn answer(view: Result<Value, Stopped>) -> Response {
    match view {
        Ok(view) => Json(view).into_response(),
        Err(error) => unavailable(&error.to_string()),
    }
}

pub(super) async fn channels(State(shared): State<Shared>) -> Response {
    answer(shared.node.channels().await)
}

pub(super) async fn members(State(shared): State<Shared>) -> Response {
    answer(shared.node.members().await)
}

pub(super) async fn peers(State(shared): State<Shared>) -> Response {
    answer(shared.node.peers().await)
}

pub(super) async fn metrics(State(shared): State<Shared>) -> Response {
    match shared.node.metrics().await {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => unavailable(&error.to_string()),
    }
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn events(State(shared): State<Shared>) -> Response {
    let none = || (StatusCode::NOT_FOUND, "this node tells no events\n").into_response();
    shared.node.events().unwrap_or_else(none)
}

pub(super) async fn log_spec(State(shared): State<Shared>) -> Json<Value> {
    Json(serde_json::json!({ "spec": shared.log.current() }))
}

/// Takes `{"spec": "info,ledgercast_node=debug"}`, as the reference system does.
pub(super) async fn set_log_spec(State(shared): State<Shared>, Json(body): Json<Value>) -> Response {
    let Some(spec) = body.get("spec").and_then(Value::as_str) else {
        let message = "expected a JSON object with the text field \"spec\"";
        return (StatusCode::BAD_REQUEST, Json(serde_json::json!({ "error": message }))).into_response();
    };
    match shared.log.replace(spec) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, Json(serde_json::json!({ "error": error }))).into_response(),
    }
}
