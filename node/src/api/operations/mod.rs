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
mod views;

use axum::Router;
use axum::routing::get;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
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
}

impl Operations {
    /// Binds the address; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`ListenError`] when the address is taken or not ours.
    pub async fn bind(
        address: SocketAddr,
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
            .with_state(shared);
        Ok(Self { listener, router })
    }

    /// The bound address.
    ///
    /// # Errors
    /// As the operating system answers.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is cancelled; open event streams end then.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(self, stop: CancellationToken) -> io::Result<()> {
        let graceful = axum::serve(self.listener, self.router)
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .into_future();
        // A client that reads slowly must not hold the process: after a grace its connection is dropped.
        tokio::select! {
            served = graceful => served,
            () = async { stop.cancelled().await; tokio::time::sleep(SHUTDOWN_GRACE).await } => Ok(()),
        }
    }
}

/// How long open responses may go on after the stop.
const SHUTDOWN_GRACE: std::time::Duration = std::time::Duration::from_secs(1);
