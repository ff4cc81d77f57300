//! Two real peers of one org behind the services: what their admins and clients see.

use super::world::{DEADLINE, Org, Served, World, by_id, by_name, everything, genesis_block};
use crate::api::grpc::bind_peer;
use crate::api::operations::Readiness;
use crate::committer::WriteLimits;
use crate::config::ApiSection;
use crate::core::CoreLimits;
use crate::feed::FeedConfig;
use crate::network::Limits;
use crate::peer::{PeerNode, PeerSettings};
use crate::rpc::admin_client::AdminClient;
use ledgercast_crypto::Role;
use ledgercast_crypto::msp::Msp;
use ledgercast_protocol::peer::{PeerConfig, channel};
use ledgercast_protocol::store::MemoryStore;
use ledgercast_protocol::store::suite::Creator;
use ledgercast_protocol::types::Endpoint;
use ledgercast_protocol::wire::proto;
use ledgercast_protocol::{leadership, membership, session, standing, state_info};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;
use tonic::transport::Channel;

/// A port that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn msp(org: &Org, name: &str, seed: u8) -> Msp {
    let Creator { certificate, key } = Creator::enrol(&org.authority, name, Role::Peer, [seed; 32]);
    Msp {
        org: org.roots(),
        certificate,
        chain: Vec::new(),
        key,
        other_keys: Vec::new(),
        tls: Some(org.files()),
    }
}

fn protocol(address: SocketAddr, bootstrap: Option<SocketAddr>) -> PeerConfig {
    let endpoint = |address: SocketAddr| address.to_string().parse::<Endpoint>().unwrap();
    PeerConfig {
        network: [1; 32],
        internal_endpoint: endpoint(address),
        external_endpoint: None,
        bootstrap: bootstrap.map(endpoint).into_iter().collect(),
        session: session::Config::default(),
        standing: standing::Config::default(),
        membership: membership::Config::default(),
        state_info: state_info::Config::default(),
        leadership: leadership::Config::default(),
        channel: channel::Settings::default(),
    }
}

struct RunningPeer {
    node: Arc<PeerNode>,
    served: Served,
    admin: AdminClient<Channel>,
}

async fn run(org: &Org, seed: u8, address: SocketAddr, bootstrap: Option<SocketAddr>) -> RunningPeer {
    let msp = msp(org, &format!("peer{seed}"), seed);
    let settings = PeerSettings {
        protocol: protocol(address, bootstrap),
        msp: msp.clone(),
        listen: vec![address],
        limits: Limits::default(),
        feed: FeedConfig::default(),
        verify_threads: 1,
        verify_queue_max: 100,
        core: CoreLimits::default(),
        writes: WriteLimits::default(),
        store: Arc::new(MemoryStore::new()),
        msp_watch: None,
    };
    let node = PeerNode::start(settings).await.unwrap();
    let config = ApiSection { listen: (Ipv4Addr::LOCALHOST, 0).into(), ..ApiSection::default() };
    let server = bind_peer(&config, &msp, Arc::clone(&node), Readiness::default()).await.unwrap();
    let served = Served::start(server, org);
    let admin = served.admin(org, Role::Admin).await;
    RunningPeer { node, served, admin }
}

impl RunningPeer {
    async fn join(
        &mut self,
        name: &str,
        genesis: proto::Block,
    ) -> Result<proto::ChannelStatus, tonic::Status> {
        let request =
            proto::JoinChannelRequest { name: name.to_owned(), genesis: Some(genesis), newcomer: false };
        self.admin.join_channel(request).await.map(tonic::Response::into_inner)
    }

    async fn members(&mut self, name: &str) -> Vec<proto::MemberStatus> {
        let request = proto::MembersRequest { channel: by_name(name) };
        self.admin.members(request).await.unwrap().into_inner().members
    }

    /// Waits until the other peer is seen on the channel.
    async fn until_two_members(&mut self, name: &str) -> Vec<proto::MemberStatus> {
        let waiting = async {
            loop {
                let members = self.members(name).await;
                if members.len() == 2 {
                    return members;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.expect("the peers meet on the channel")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_of_a_running_peer_join_look_and_leave() {
    let world = World::new();
    let (chain, org) = (world.chain(1, &[1, 2]), &world.orgs[0]);
    let (first_address, second_address) = (free_address(), free_address());
    let mut first = run(org, 1, first_address, None).await;
    let mut second = run(org, 2, second_address, Some(first_address)).await;

    let joined = first.join("trade", genesis_block(chain.genesis())).await.unwrap();
    let again = first.join("trade", genesis_block(chain.genesis())).await.unwrap();
    let renamed = first.join("other", genesis_block(chain.genesis())).await.expect_err("held");
    let foreign = first.join("", genesis_block(world.chain(2, &[2, 3]).genesis())).await;
    second.join("trade", genesis_block(chain.genesis())).await.unwrap();

    assert_eq!((joined.height, joined.name.as_str()), (1, "trade"));
    assert_eq!(joined.orgs, ["org1", "org2"]);
    assert_eq!(&joined.genesis_hash[..], chain.genesis().hash().as_bytes());
    assert_eq!(again.id, joined.id);
    assert_eq!(renamed.code(), Code::AlreadyExists);
    let foreign = foreign.expect_err("another org's");
    assert_eq!(foreign.code(), Code::FailedPrecondition);
    assert!(foreign.message().contains("does not admit org org1"), "{foreign:?}");

    let members = first.until_two_members("trade").await;
    assert!(members[0].is_self && members[0].name == "peer1");
    assert_eq!((members[1].name.as_str(), members[1].state()), ("peer2", proto::MemberState::Alive));
    assert_eq!(members[1].endpoint, second_address.to_string());
    let sessions = first.admin.peers(proto::PeersRequest {}).await.unwrap().into_inner().peers;
    assert_eq!(sessions.len(), 1);
    assert!(sessions[0].control.is_some_and(|lane| lane.bytes_in > 0 && lane.bytes_out > 0));
    assert_eq!((sessions[0].name.as_str(), sessions[0].is_dialed), ("peer2", false));
    let health = first.admin.health(proto::HealthRequest {}).await.unwrap().into_inner();
    assert!(health.is_ready, "{health:?}");

    let mut client = first.served.deliver(org, Role::Client).await;
    let mut blocks = client.blocks(everything(&chain)).await.unwrap().into_inner();
    assert_eq!(blocks.message().await.unwrap(), Some(genesis_block(chain.genesis())));
    let channel = by_id(chain.channel());
    first.admin.leave_channel(proto::LeaveChannelRequest { channel }).await.unwrap();
    let left = client.blocks(everything(&chain)).await.expect_err("left");
    assert_eq!(left.code(), Code::NotFound);

    first.node.stop().await;
    second.node.stop().await;
    let stopped = first.admin.list_channels(proto::ListChannelsRequest {}).await.expect_err("stopped");
    assert_eq!(stopped.code(), Code::Unavailable);
}
