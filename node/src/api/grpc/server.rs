//! The gRPC server of a node: binds, serves the services that the node has, and stops in bounded time.

use super::accept::Acceptor;
use super::admin::AdminService;
use super::broadcast::BroadcastService;
use super::caller::{Access, Audience};
use super::deliver::DeliverService;
use super::directory::{Administration, ChannelDirectory, Submitter};
use super::gate::{AdminGate, CallGate, SizedBroadcast};
use super::slots::Slots;
use super::tls::{self, TlsError};
use crate::rpc::admin_server::AdminServer;
use crate::rpc::deliver_server::DeliverServer;
use ledgercast_crypto::{OrgRoots, Roster, RosterError, TlsFiles};
use ledgercast_protocol::channel::BLOCK_MESSAGE_BYTES_MAX;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::Router;

/// The longest request of `Deliver`: a channel's name of the longest kind and some numbers fit many times.
const QUESTION_BYTES_MAX: usize = 4 * 1024;

/// What a caller may have on its way to us, by call and by connection: a round trip of 20 ms at 100 MB/s.
const CALL_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// A connection that is silent for this long is pinged, and ended without an answer. The reference system's
/// are 2 h and 20 s; a dead caller should not hold a place for that long.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long calls may go on after the stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// The bounds of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcLimits {
    /// Connections held at once, handshakes included; further ones wait to be accepted.
    pub connections_max: usize,
    /// Block streams served at once, and as many submission streams; further ones are answered
    /// `RESOURCE_EXHAUSTED`. On orderers one org gets half of them at most.
    pub streams_max: usize,
    /// Envelopes in flight on one submission stream, where at the bound the stream is not read; and single
    /// submissions in flight in all, where further ones are answered `RESOURCE_EXHAUSTED`.
    pub submissions_in_flight_max: usize,
    /// Calls that one connection may have open; a further one waits at the caller, as HTTP/2 has it. Default
    /// 128 (guess: an application has a few, a gateway some dozens).
    pub calls_per_connection_max: u32,
    /// Connections past their handshake that wait for the HTTP server; at the bound handshakes wait. Default
    /// 16 (guess: they are taken at once unless the machine is overloaded).
    pub accepted_waiting_max: usize,
    /// A TLS handshake must be done after this time. Default 5 s (derived: a peer's
    /// `network.handshake_timeout`).
    pub handshake_timeout: Duration,
}

impl Default for GrpcLimits {
    /// The first three are guesses.
    fn default() -> Self {
        Self {
            connections_max: 256,
            streams_max: 128,
            submissions_in_flight_max: 1024,
            calls_per_connection_max: 128,
            accepted_waiting_max: 16,
            handshake_timeout: Duration::from_secs(5),
        }
    }
}

/// What is served.
pub struct Node {
    /// The channels and their blocks.
    pub directory: Arc<dyn ChannelDirectory>,
    /// What admins may do.
    pub administration: Arc<dyn Administration>,
    /// Takes envelopes; `None`: the node has no `Broadcast`, as peers do not.
    pub submitter: Option<Arc<dyn Submitter>>,
    /// Whose clients get blocks.
    pub audience: Audience,
}

/// Why gRPC does not start.
#[derive(Debug, Error)]
pub enum GrpcError {
    /// The address is taken or not ours.
    #[error("gRPC cannot listen on {address}: {source}; choose another [api] listen address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no TLS pair.
    #[error("no TLS pair: put ca.crt, server.crt and server.key into the folder tls/ beside msp/")]
    NoTls,
    /// The TLS pair cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The org's roots do not fit together.
    #[error(transparent)]
    Roster(#[from] RosterError),
}

/// gRPC, bound and not yet serving.
pub struct GrpcServer {
    listener: TcpListener,
    tls: TlsAcceptor,
    access: Arc<Access>,
    limits: GrpcLimits,
    node: Node,
}

impl GrpcServer {
    /// Binds the address with mutual TLS; port 0 lets the system choose. `own` is the node's own org, whose
    /// admins it obeys.
    ///
    /// # Errors
    /// [`GrpcError`] names the cause; nothing is left bound.
    pub async fn bind(
        address: SocketAddr,
        limits: GrpcLimits,
        pair: &TlsFiles,
        own: &OrgRoots,
        node: Node,
    ) -> Result<Self, GrpcError> {
        let access = Arc::new(Access {
            directory: Arc::clone(&node.directory),
            own: Roster::try_new([own.clone()])?,
            audience: node.audience,
            algorithms: tls::provider().signature_verification_algorithms,
        });
        let tls = tls::acceptor(pair, Arc::clone(&access))?;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| GrpcError::Listen { address, source })?;
        Ok(Self { listener, tls, access, limits, node })
    }

    /// The bound address.
    ///
    /// # Errors
    /// As the operating system answers.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is cancelled. Block streams end then; calls under way have two seconds, after
    /// which their connections are cut.
    ///
    /// # Errors
    /// The server failed.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), tonic::transport::Error> {
        let Self { listener, tls, access, limits, node } = self;
        let cut = CancellationToken::new();
        let routes = routes(limits, node, &stop);
        let acceptor = Acceptor { listener, tls, access, limits, cut: cut.clone() };
        let connections = ReceiverStream::new(acceptor.start());
        let mut serving =
            pin!(routes.serve_with_incoming_shutdown(connections, stop.clone().cancelled_owned()));
        tokio::select! {
            served = &mut serving => return served,
            () = async { stop.cancelled().await; tokio::time::sleep(SHUTDOWN_GRACE).await } => {}
        }
        tracing::debug!(?SHUTDOWN_GRACE, "gRPC calls did not end in time; their connections are cut");
        cut.cancel();
        serving.await
    }
}

fn routes(limits: GrpcLimits, node: Node, stop: &CancellationToken) -> Router {
    let Node { directory, administration, submitter, audience } = node;
    let places = || {
        let of_one_org = match audience {
            Audience::OwnOrg => limits.streams_max,
            Audience::ReaderOrgs => limits.streams_max.div_ceil(2),
        };
        Slots::new(limits.streams_max, of_one_org)
    };
    let deliver = DeliverService { directory: Arc::clone(&directory), streams: places(), stop: stop.clone() };
    let deliver = DeliverServer::new(deliver)
        .max_decoding_message_size(QUESTION_BYTES_MAX)
        .max_encoding_message_size(BLOCK_MESSAGE_BYTES_MAX);
    let admin = AdminService { directory: Arc::clone(&directory), administration };
    let admin = AdminServer::new(admin).max_decoding_message_size(BLOCK_MESSAGE_BYTES_MAX);
    let broadcast = submitter.map(|submitter| {
        let in_flight_max = limits.submissions_in_flight_max;
        let service = BroadcastService::new(submitter, places(), in_flight_max, stop.clone());
        let sized = SizedBroadcast { service: Arc::new(service), directory };
        InterceptedService::new(sized, CallGate::new(in_flight_max))
    });
    let router = Server::builder()
        .initial_stream_window_size(CALL_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits.calls_per_connection_max)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(deliver)
        .add_service(InterceptedService::new(admin, AdminGate));
    match broadcast {
        Some(broadcast) => router.add_service(broadcast),
        None => router,
    }
}
