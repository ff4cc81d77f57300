//! `ledgercast health`: whether a process is well, over gRPC (role admin) or over its operations HTTP (no
//! identity).

use super::output::duration;
use super::session::Session;
use super::{Exit, Failure, Globals, Output};
use crate::connection::CallError;
use clap::Args;
use ledgercast_protocol::types::Endpoint;
use ledgercast_protocol::wire::proto::{HealthReply, HealthRequest};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
const HTTP_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Ask the operations HTTP (/readyz?verbose) there instead of gRPC; needs no profile
    #[arg(long, value_name = "HOST:PORT")]
    operations: Option<Endpoint>,
}

pub(super) async fn run(arguments: Arguments, globals: &Globals, output: &mut Output) -> Result<(), Failure> {
    match arguments.operations {
        Some(endpoint) => over_http(&endpoint, output).await,
        None => over_grpc(globals, output).await,
    }
}

async fn over_grpc(globals: &Globals, output: &mut Output) -> Result<(), Failure> {
    let connection = Session::load(globals)?.connect().await?;
    let health = connection.answer(connection.admin().health(HealthRequest {})).await?;
    output.line(&describe(&health), || text(&health))?;
    let failing: Vec<&str> =
        health.checks.iter().filter(|check| !check.is_passing).map(|check| check.name.as_str()).collect();
    match health.is_ready {
        true => Ok(()),
        false => Err(not_ready(connection.endpoint(), &failing.join(", "))),
    }
}

fn not_ready(endpoint: &Endpoint, failing: &str) -> Failure {
    Failure::new(Exit::Failed, format!("{endpoint} is not ready: {failing}"))
}

fn text(health: &HealthReply) -> String {
    let state = if health.is_ready { "ready" } else { "not ready" };
    let mut text =
        format!("{} {}: {state}, up for {}", health.kind, health.version, duration(health.uptime_ms));
    for check in &health.checks {
        let mark = if check.is_passing { "ok  " } else { "FAIL" };
        text.push_str(&format!("\n  {mark} {}  {}", check.name, check.detail));
    }
    text
}

fn describe(health: &HealthReply) -> Value {
    let checks: Vec<Value> = health
        .checks
        .iter()
        .map(|check| json!({ "name": check.name, "is_passing": check.is_passing, "detail": check.detail }))
        .collect();
    json!({
        "is_ready": health.is_ready,
        "kind": health.kind,
        "version": health.version,
        "uptime_ms": health.uptime_ms,
        "checks": checks,
    })
}

async fn over_http(endpoint: &Endpoint, output: &mut Output) -> Result<(), Failure> {
    let unavailable = |cause: String| CallError::Unavailable { endpoint: endpoint.clone(), cause };
    let asked = tokio::time::timeout(HTTP_TIMEOUT, ask(endpoint, "/readyz?verbose")).await;
    let answer = asked
        .map_err(|_| unavailable(format!("no answer within {HTTP_TIMEOUT:?}")))?
        .map_err(|error| unavailable(error.to_string()))?;
    let (status, body) =
        parse(&answer).ok_or_else(|| unavailable("the answer is no HTTP response".to_owned()))?;
    let value = serde_json::from_str::<Value>(body).unwrap_or_else(|_| json!(body.trim()));
    output.line(&json!({ "is_ready": status == 200, "status": status, "answer": value }), || {
        body.trim().to_owned()
    })?;
    match status {
        200 => Ok(()),
        _ => Err(not_ready(endpoint, &format!("HTTP status {status}"))),
    }
}

/// One bounded HTTP/1.0 exchange: the server closes after its answer, so no length needs to be believed.
async fn ask(endpoint: &Endpoint, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(endpoint.as_str()).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {endpoint}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(HTTP_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_and_body_of_an_answer() {
        assert_eq!(parse("HTTP/1.0 503 Service Unavailable\r\nx: y\r\n\r\nno"), Some((503, "no")));
        assert_eq!(parse("SSH-2.0-OpenSSH\r\n"), None);
    }
}
