//! Who may run a node, and what is refused with which status.

use super::fake::FakeNode;
use super::world::{World, by_id, by_name, genesis_block};
use crate::api::grpc::Audience;
use ledgercast_crypto::Role;
use ledgercast_protocol::types::ChannelId;
use ledgercast_protocol::wire::proto;
use tonic::Code;

fn join(name: &str, genesis: Option<proto::Block>) -> proto::JoinChannelRequest {
    proto::JoinChannelRequest { name: name.to_owned(), genesis, newcomer: false }
}

#[tokio::test]
async fn only_admins_of_the_nodes_own_org_are_obeyed() {
    let world = World::new();
    let chain = world.chain(1, &[1, 2]);
    let node = FakeNode::holding(&world, &[&chain]);

    for audience in [Audience::OwnOrg, Audience::ReaderOrgs] {
        let served = world.serve(&node, audience).await;
        for (org, role) in world.orgs[..2].iter().flat_map(|org| Role::ALL.map(|role| (org, role))) {
            let mut admin = served.admin(org, role).await;

            let health = admin.health(proto::HealthRequest {}).await.map(|_| ());
            let channel = by_id(chain.channel());
            let is_admin = role == Role::Admin && org.name == "org1";

            assert_eq!(health.is_ok(), is_admin, "{role} of {}", org.name);
            if !is_admin {
                let refused = admin.leave_channel(proto::LeaveChannelRequest { channel }).await;
                let refused = refused.expect_err("a refusal");
                assert_eq!(refused.code(), Code::PermissionDenied);
                assert!(!refused.message().contains(chain.name().as_str()), "{refused:?}");
            }
        }
    }
}

#[tokio::test]
async fn joins_lists_and_leaves_channels() {
    let world = World::new();
    let chain = world.chain(1, &[1, 2]);
    let node = FakeNode::new(&world);
    let served = world.serve(&node, Audience::OwnOrg).await;
    let mut admin = served.admin(&world.orgs[0], Role::Admin).await;

    let joined = admin.join_channel(join("", Some(genesis_block(chain.genesis())))).await.unwrap();
    let listed = admin.list_channels(proto::ListChannelsRequest {}).await.unwrap().into_inner();
    let channel = by_name(chain.name().as_str());
    admin.leave_channel(proto::LeaveChannelRequest { channel }).await.unwrap();
    let left = admin.list_channels(proto::ListChannelsRequest {}).await.unwrap().into_inner();

    assert_eq!(joined.get_ref().name, chain.name().as_str(), "the name in block 0");
    assert_eq!(joined.get_ref().height, 1);
    assert_eq!(listed.channels, [joined.into_inner()]);
    assert_eq!(left.channels, []);
}

#[tokio::test]
async fn refuses_what_cannot_be_joined_with_its_reason() {
    let world = World::new();
    let (held, other, foreign) = (world.chain(1, &[1]), world.chain(2, &[1]), world.chain(3, &[2, 3]));
    let node = FakeNode::holding(&world, &[&held]);
    let served = world.serve(&node, Audience::OwnOrg).await;
    let mut admin = served.admin(&world.orgs[0], Role::Admin).await;
    let mut altered = genesis_block(other.genesis());
    altered.body = altered.body.slice(1..);

    let cases = [
        (join("", None), Code::InvalidArgument, "genesis block is missing"),
        (join("", Some(altered)), Code::InvalidArgument, "genesis"),
        (join("Bad Name", Some(genesis_block(other.genesis()))), Code::InvalidArgument, "Bad Name"),
        (join("", Some(genesis_block(foreign.genesis()))), Code::FailedPrecondition, "no reader"),
        (join("channel-1", Some(genesis_block(other.genesis()))), Code::AlreadyExists, "channel-1"),
    ];
    for (request, code, text) in cases {
        let refused = admin.join_channel(request).await.expect_err(text);
        assert_eq!(refused.code(), code, "{refused:?}");
        assert!(refused.message().contains(text), "{refused:?}");
    }
}

#[tokio::test]
async fn channels_that_are_not_held_are_unknown_to_admins_too() {
    let world = World::new();
    let served = world.serve(&FakeNode::new(&world), Audience::OwnOrg).await;
    let mut admin = served.admin(&world.orgs[0], Role::Admin).await;
    let channel = by_id(ChannelId::from_bytes([9; 32]));

    let left = admin.leave_channel(proto::LeaveChannelRequest { channel: channel.clone() }).await;
    let members = admin.members(proto::MembersRequest { channel }).await;
    let all = admin.members(proto::MembersRequest { channel: None }).await;

    assert_eq!(left.expect_err("unknown").code(), Code::NotFound);
    assert_eq!(members.expect_err("unknown").code(), Code::NotFound);
    assert!(all.is_ok());
}
