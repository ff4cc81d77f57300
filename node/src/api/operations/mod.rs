//! Operations HTTP: health, metrics and the peer's view, read-only; loopback unless configured otherwise.
//!
//! `/healthz` `/livez` `/readyz[?verbose]` `/version` `/metrics` `/channels` `/members` `/peers` `/events`
//! (server-sent events) `/logspec` (GET, PUT). Everything but `/metrics` and the probes is JSON; an unknown
//! path is 404.

mod events;
mod follower;
mod health;
mod json;
mod observed;
mod orderer;
mod peer;
mod server;
#[cfg(test)]
mod tests;
mod views;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Router, middleware};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use follower::ObservedFollower;
pub(crate) use health::duplicate;
pub use health::{Check, Readiness};
pub use observed::Observed;
pub use orderer::ObservedOrderer;
pub use peer::ObservedPeer;

/// Changes the log filter while the process runs; the process's start-up provides it.
pub trait LogSpec: Send + Sync {
    /// The filter in force.
    fn current(&self) -> String;

    /// Replaces the filter.
    ///
    /// # Errors
    /// The text says what is wrong with the new filter; the old one stays.
    fn replace(&self, filter: &str) -> Result<(), String>;
}

/// Why the operations endpoint does not start.
#[derive(Debug, Error)]
#[error("operations HTTP cannot listen on {address}: {source}; choose another [operations] listen address")]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// What the operating system says.
    pub source: io::Error,
}

/// The longest body of a request: log filters are short.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The bounds of operations HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationsLimits {
    /// Connections held at once; further ones wait to be accepted. Default 64 (guess: a scraper, a probe,
    /// some people and the event streams).
    pub connections_max: usize,
    /// A request's header must be there after this time, counted from the connection or from the answer
    /// before, or the connection is closed; its answer must begin after the same time, or it is 503. Default
    /// 10 s (guess: more than any living client takes).
    pub request_timeout: Duration,
}

impl Default for OperationsLimits {
    fn default() -> Self {
        Self { connections_max: 64, request_timeout: Duration::from_secs(10) }
    }
}

/// What the handlers need.
#[derive(Clone)]
struct Shared {
    node: Arc<dyn Observed>,
    log: Arc<dyn LogSpec>,
}

/// Operations HTTP of a node, bound and not yet serving.
pub struct Operations {
    listener: TcpListener,
    router: Router,
    limits: OperationsLimits,
}

impl Operations {
    /// Binds the address; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`ListenError`] when the address is taken or not ours.
    pub async fn bind(
        address: SocketAddr,
        limits: OperationsLimits,
        node: Arc<dyn Observed>,
        log: Arc<dyn LogSpec>,
    ) -> Result<Self, ListenError> {
        let listener = TcpListener::bind(address).await.map_err(|source| ListenError { address, source })?;
        let shared = Shared { node, log };
        let router = Router::new()
            .route("/healthz", get(health::healthz))
            .route("/livez", get(health::livez))
            .route("/readyz", get(health::readyz))
            .route("/version", get(health::version))
            .route("/metrics", get(views::metrics))
            .route("/channels", get(views::channels))
            .route("/members", get(views::members))
            .route("/peers", get(views::peers))
            .route("/events", get(views::events))
            .route("/logspec", get(views::log_spec).put(views::set_log_spec))
            .with_state(shared)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .layer(middleware::from_fn(move |request, next| server::in_time(limits, request, next)));
        Ok(Self { listener, router, limits })
    }

    /// The bound address.
    ///
    /// # Errors
    /// As the operating system answers.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is cancelled; open event streams end then.
    pub async fn serve(self, stop: CancellationToken) {
        server::serve(self.listener, self.router, self.limits, stop).await;
    }
}
