//! Three orgs with real CAs, and a node of one of them that serves gRPC on the loopback.

use super::fake::FakeNode;
use crate::api::grpc::{Audience, GrpcLimits, GrpcServer, Node};
use crate::rpc::admin_client::AdminClient;
use crate::rpc::broadcast_client::BroadcastClient;
use crate::rpc::deliver_client::DeliverClient;
use ledgercast_crypto::issue::{Authority, Enrolment, TlsAuthority, TlsPair};
use ledgercast_crypto::tls::to_certificate_pem;
use ledgercast_crypto::{OrgRoots, Role, TlsFiles};
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::store::suite::{Chain, VALIDITY};
use ledgercast_protocol::types::ChannelId;
use ledgercast_protocol::wire::proto;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// Everything here takes milliseconds; whoever waits longer waits for what does not come.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) fn limits() -> GrpcLimits {
    GrpcLimits { connections_max: 16, streams_max: 8, submissions_in_flight_max: 4, ..GrpcLimits::default() }
}

/// An org with its CAs.
pub(super) struct Org {
    pub(super) name: &'static str,
    pub(super) authority: Authority,
    pub(super) tls: TlsAuthority,
}

impl Org {
    pub(super) fn new(name: &'static str) -> Self {
        let authority = Authority::create(name, VALIDITY).unwrap();
        Self { name, authority, tls: TlsAuthority::create(name, VALIDITY).unwrap() }
    }

    pub(super) fn roots(&self) -> OrgRoots {
        let mut roots = OrgRoots::new(self.name, vec![self.authority.certificate().clone()]);
        roots.tls_roots.push(self.tls.certificate().clone());
        roots
    }

    /// As a reader and writer of a channel.
    pub(super) fn config(&self) -> proto::OrgConfig {
        proto::OrgConfig {
            name: self.name.to_owned(),
            roots: vec![self.authority.certificate().der().clone()],
            tls_roots: vec![self.tls.certificate().clone()],
            reader: true,
            writer: true,
            ..proto::OrgConfig::default()
        }
    }

    pub(super) fn pair(&self, role: Role) -> TlsPair {
        let enrolment = Enrolment { common_name: role.unit(), role, validity: VALIDITY, unit: None };
        self.tls.issue(&enrolment, &["localhost"]).unwrap()
    }

    /// The files of a node's `tls/`.
    pub(super) fn files(&self) -> TlsFiles {
        let TlsPair { certificate_pem, key_pem } = self.pair(Role::Peer);
        TlsFiles { ca_pem: to_certificate_pem(self.tls.certificate()), certificate_pem, key_pem }
    }
}

/// The orgs of most tests: the node is of the first one.
pub(super) struct World {
    pub(super) orgs: [Org; 3],
}

impl World {
    pub(super) fn new() -> Self {
        Self { orgs: ["org1", "org2", "org3"].map(Org::new) }
    }

    /// A channel of these orgs, numbered from 1, all readers and writers.
    pub(super) fn chain(&self, seed: u8, orgs: &[usize]) -> Chain {
        Self::chain_of(seed, orgs.iter().map(|number| self.orgs[number - 1].config()).collect())
    }

    pub(super) fn chain_of(seed: u8, orgs: Vec<proto::OrgConfig>) -> Chain {
        Chain::with(seed, |config| config.orgs = orgs)
    }

    pub(super) async fn serve(&self, node: &Arc<FakeNode>, audience: Audience) -> Served {
        self.serve_with(node, audience, limits()).await
    }

    pub(super) async fn serve_with(
        &self,
        node: &Arc<FakeNode>,
        audience: Audience,
        limits: GrpcLimits,
    ) -> Served {
        let own = &self.orgs[0];
        let served = Node {
            directory: Arc::clone(node) as _,
            administration: Arc::clone(node) as _,
            submitter: matches!(audience, Audience::ReaderOrgs).then(|| Arc::clone(node) as _),
            audience,
        };
        let any_port = (Ipv4Addr::LOCALHOST, 0).into();
        let bound = GrpcServer::bind(any_port, limits, &own.files(), &own.roots(), served).await;
        Served::start(bound.unwrap(), own)
    }
}

/// A server that runs until the test ends, or stops it.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    server_root: String,
    pub(super) stop: CancellationToken,
    pub(super) task: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Served {
    pub(super) fn start(server: GrpcServer, org: &Org) -> Self {
        let (address, stop) = (server.address().unwrap(), CancellationToken::new());
        let task = tokio::spawn(server.serve(stop.clone()));
        Self { address, server_root: to_certificate_pem(org.tls.certificate()), stop, task }
    }

    pub(super) async fn connect(&self, pair: Option<&TlsPair>) -> Result<Channel, tonic::transport::Error> {
        let root = Certificate::from_pem(&self.server_root);
        let mut tls = ClientTlsConfig::new().ca_certificate(root).domain_name("localhost");
        if let Some(pair) = pair {
            tls = tls.identity(Identity::from_pem(&pair.certificate_pem, pair.key_pem.as_bytes()));
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).unwrap();
        endpoint.tls_config(tls).unwrap().timeout(DEADLINE).connect().await
    }

    /// A connection of a caller that must be let in.
    pub(super) async fn channel(&self, org: &Org, role: Role) -> Channel {
        self.connect(Some(&org.pair(role))).await.unwrap()
    }

    pub(super) async fn deliver(&self, org: &Org, role: Role) -> DeliverClient<Channel> {
        let channel = self.channel(org, role).await;
        DeliverClient::new(channel).max_decoding_message_size(usize::MAX)
    }

    pub(super) async fn admin(&self, org: &Org, role: Role) -> AdminClient<Channel> {
        AdminClient::new(self.channel(org, role).await)
    }

    pub(super) async fn broadcast(&self, org: &Org, role: Role) -> BroadcastClient<Channel> {
        BroadcastClient::new(self.channel(org, role).await)
    }

    /// Whether the handshake lets a caller in: TLS 1.3 tells a client only when it first reads.
    pub(super) async fn lets_in(&self, pair: Option<&TlsPair>) -> bool {
        let Ok(channel) = self.connect(pair).await else { return false };
        let answer = DeliverClient::new(channel).blocks(proto::BlocksRequest::default()).await;
        answer.is_err_and(|status| status.code() == tonic::Code::InvalidArgument)
    }
}

pub(super) fn by_id(channel: ChannelId) -> Option<proto::ChannelReference> {
    let id = bytes::Bytes::copy_from_slice(channel.as_bytes());
    Some(proto::ChannelReference { reference: Some(proto::channel_reference::Reference::Id(id)) })
}

pub(super) fn by_name(name: &str) -> Option<proto::ChannelReference> {
    let reference = Some(proto::channel_reference::Reference::Name(name.to_owned()));
    Some(proto::ChannelReference { reference })
}

/// From a number, following.
pub(super) fn following(chain: &Chain, from: u64) -> proto::BlocksRequest {
    proto::BlocksRequest {
        channel: by_id(chain.channel()),
        start: Some(proto::blocks_request::Start::From(from)),
        ..proto::BlocksRequest::default()
    }
}

/// All blocks held now.
pub(super) fn everything(chain: &Chain) -> proto::BlocksRequest {
    proto::BlocksRequest {
        channel: by_id(chain.channel()),
        start: Some(proto::blocks_request::Start::Oldest(proto::Oldest {})),
        stop: Some(proto::blocks_request::Stop::ThroughNewest(proto::Newest {})),
        headers_only: false,
    }
}

pub(super) fn genesis_block(genesis: &Genesis) -> proto::Block {
    (&genesis.block().to_block()).into()
}

/// Everything of a refusal that a caller can see, but the date.
pub(super) fn seen(status: &Status) -> String {
    let mut metadata = status.metadata().clone();
    metadata.remove("date");
    format!("{:?} {:?} {metadata:?} {:?}", status.code(), status.message(), status.details())
}
