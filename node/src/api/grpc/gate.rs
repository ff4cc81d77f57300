//! What is decided before a request's body is read: whether the caller may call at all, and how long the body
//! may be.

use super::admin;
use super::broadcast::BroadcastService;
use super::directory::ChannelDirectory;
use super::status::too_many;
use crate::rpc::broadcast_server::BroadcastServer;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Lets admins of the node's own org pass.
#[derive(Clone)]
pub(super) struct AdminGate;

impl Interceptor for AdminGate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        admin::admin(&request)?;
        Ok(request)
    }
}

/// Lets so many calls pass at once.
#[derive(Clone)]
pub(super) struct CallGate(Arc<Semaphore>);

/// A call under way; comes with the request, and the service holds it until the call is over.
#[derive(Clone)]
pub(super) struct Passage(#[expect(dead_code, reason = "held for its drop")] Arc<OwnedSemaphorePermit>);

impl Passage {
    pub(super) fn of<T>(request: &Request<T>) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }
}

impl CallGate {
    pub(super) fn new(calls_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(calls_max)))
    }
}

impl Interceptor for CallGate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let permit = Arc::clone(&self.0).try_acquire_owned().map_err(|_| too_many("submissions"))?;
        request.extensions_mut().insert(Passage(Arc::new(permit)));
        Ok(request)
    }
}

/// `Broadcast` with the message limit that the channels held now ask for.
#[derive(Clone)]
pub(super) struct SizedBroadcast {
    pub(super) service: Arc<BroadcastService>,
    pub(super) directory: Arc<dyn ChannelDirectory>,
}

impl NamedService for SizedBroadcast {
    const NAME: &'static str = BroadcastServer::<BroadcastService>::NAME;
}

impl Service<http::Request<Body>> for SizedBroadcast {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let limit = BroadcastService::message_bytes_max(self.directory.as_ref());
        let server = BroadcastServer::from_arc(Arc::clone(&self.service));
        server.max_decoding_message_size(limit).call(request)
    }
}
