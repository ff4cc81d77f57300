//! A server over mutual TLS that says what a test scripts: blocks that may be altered, answers that may be
//! refusals, streams that may break.

use ledgercast_crypto::Msp;
use ledgercast_protocol::ledger::Envelope;
use ledgercast_protocol::wire::proto;
use ledgercast_protocol::wire::proto::submit_reply::Outcome;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

mod generated {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/servers/ledgercast.v1.rs"));
}

/// What the server does.
#[derive(Clone, Default)]
pub(crate) struct Script {
    /// The blocks that `Deliver` gives, whatever was asked.
    pub(crate) blocks: Vec<proto::Block>,
    /// `Deliver` answers with this status instead.
    pub(crate) deliver_status: Option<Status>,
    /// So many requests are answered "overloaded" first.
    pub(crate) overloaded: usize,
    /// Each submission stream breaks after so many answers, the last of them swallowed; 0: it never breaks.
    pub(crate) breaks_after: usize,
}

/// What the server was asked.
#[derive(Default)]
pub(crate) struct Seen {
    /// How often each envelope came, by its id in hex.
    pub(crate) envelopes: BTreeMap<String, usize>,
    /// How many submission streams were opened.
    pub(crate) streams: usize,
    overloaded: usize,
}

/// A running server.
pub(crate) struct ScriptedServer {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ScriptedServer {
    /// Serves with the TLS pair of a member's home.
    pub(crate) async fn start(home: &Path, script: Script) -> Self {
        let tls = Msp::load(&home.join("msp")).unwrap().tls.unwrap();
        let config = ServerTlsConfig::new()
            .identity(Identity::from_pem(&tls.certificate_pem, tls.key_pem.as_bytes()))
            .client_ca_root(Certificate::from_pem(&tls.ca_pem));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let service = Service { script, seen: Arc::clone(&seen) };
        let serving = Server::builder()
            .tls_config(config)
            .unwrap()
            .add_service(generated::deliver_server::DeliverServer::new(service.clone()))
            .add_service(generated::broadcast_server::BroadcastServer::new(service))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let task = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, seen, task }
    }
}

#[derive(Clone)]
struct Service {
    script: Script,
    seen: Arc<Mutex<Seen>>,
}

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl generated::deliver_server::Deliver for Service {
    type ConfigsStream = Replies<proto::Block>;

    async fn configs(
        &self,
        _request: Request<proto::ConfigsRequest>,
    ) -> Result<Response<Self::ConfigsStream>, Status> {
        match &self.script.deliver_status {
            Some(status) => Err(status.clone()),
            None => Ok(Response::new(Box::pin(tokio_stream::empty()))),
        }
    }

    type BlocksStream = Replies<proto::Block>;

    async fn blocks(
        &self,
        _request: Request<proto::BlocksRequest>,
    ) -> Result<Response<Self::BlocksStream>, Status> {
        match &self.script.deliver_status {
            Some(status) => Err(status.clone()),
            None => {
                let blocks = self.script.blocks.clone().into_iter().map(Ok);
                Ok(Response::new(Box::pin(tokio_stream::iter(blocks))))
            }
        }
    }
}

#[tonic::async_trait]
impl generated::broadcast_server::Broadcast for Service {
    type SubmitStreamStream = Replies<proto::SubmitReply>;

    async fn submit(
        &self,
        request: Request<proto::SubmitRequest>,
    ) -> Result<Response<proto::SubmitReply>, Status> {
        Ok(Response::new(self.answer(request.get_ref())))
    }

    async fn submit_stream(
        &self,
        request: Request<Streaming<proto::SubmitRequest>>,
    ) -> Result<Response<Self::SubmitStreamStream>, Status> {
        self.seen.lock().unwrap().streams += 1;
        let mut requests = request.into_inner();
        let service = self.clone();
        let (replies, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut answered = 0;
            while let Some(Ok(request)) = requests.next().await {
                let reply = service.answer(&request);
                answered += 1;
                if answered == service.script.breaks_after {
                    let _ = replies.send(Err(Status::unavailable("scripted break"))).await;
                    return;
                }
                if replies.send(Ok(reply)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

impl Service {
    /// Accepts into block 1, in the order of first arrival; the same envelope gets the same place.
    fn answer(&self, request: &proto::SubmitRequest) -> proto::SubmitReply {
        let id = Envelope::decode(request.envelope.clone()).unwrap().id();
        let mut seen = self.seen.lock().unwrap();
        *seen.envelopes.entry(id.to_string()).or_insert(0) += 1;
        let outcome = if seen.overloaded < self.script.overloaded {
            seen.overloaded += 1;
            Outcome::Refused(proto::SubmitRefused {
                reason: proto::SubmitRefusal::Overloaded.into(),
                message: "scripted".to_owned(),
            })
        } else {
            let envelope_id = bytes::Bytes::copy_from_slice(id.0.as_bytes());
            Outcome::Accepted(proto::SubmitAccepted { envelope_id, block: 1, index: 0 })
        };
        proto::SubmitReply { ticket: request.ticket, outcome: Some(outcome) }
    }
}
