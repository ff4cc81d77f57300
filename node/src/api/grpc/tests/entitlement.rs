//! Who gets whose blocks, and that a refusal tells nothing.

use super::fake::FakeNode;
use super::world::{Org, Served, World, by_id, by_name, everything, following, seen};
use crate::api::grpc::Audience;
use ledgercast_crypto::Role;
use ledgercast_protocol::types::ChannelId;
use ledgercast_protocol::wire::proto;
use tonic::{Code, Status};

async fn refusal(served: &Served, org: &Org, role: Role, request: proto::BlocksRequest) -> Status {
    served.deliver(org, role).await.blocks(request).await.expect_err("a refusal")
}

async fn may_read(served: &Served, org: &Org, role: Role, request: proto::BlocksRequest) -> bool {
    match served.deliver(org, role).await.blocks(request).await {
        Ok(_) => true,
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound, "{status:?}");
            false
        }
    }
}

#[tokio::test]
async fn a_forbidden_channel_is_answered_as_an_unknown_one_by_id_and_by_name() {
    let world = World::new();
    let (trade, audit) = (world.chain(1, &[1, 2]), world.chain(2, &[2, 3]));
    let node = FakeNode::holding(&world, &[&trade, &audit]);
    let served = world.serve(&node, Audience::ReaderOrgs).await;
    let asked = |channel| proto::BlocksRequest { channel, ..everything(&trade) };
    let unknown = ChannelId::from_bytes([9; 32]);

    let mut answers = Vec::new();
    for channel in
        [by_id(trade.channel()), by_id(unknown), by_name(trade.name().as_str()), by_name("nothing")]
    {
        answers.push(seen(&refusal(&served, &world.orgs[2], Role::Client, asked(channel)).await));
    }

    assert!(answers[0].contains("NotFound") && answers[0].contains("unknown channel, or not permitted"));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert!(may_read(&served, &world.orgs[2], Role::Client, everything(&audit)).await);
}

#[tokio::test]
async fn a_peer_serves_clients_and_admins_of_its_own_org_only() {
    let world = World::new();
    let chain = world.chain(1, &[1, 2]);
    let served = world.serve(&FakeNode::holding(&world, &[&chain]), Audience::OwnOrg).await;

    let mut own = Vec::new();
    for role in Role::ALL {
        own.push((role, may_read(&served, &world.orgs[0], role, everything(&chain)).await));
        assert!(!may_read(&served, &world.orgs[1], role, everything(&chain)).await, "{role} of org2");
    }

    let expected = [(Role::Peer, false), (Role::Orderer, false), (Role::Client, true), (Role::Admin, true)];
    assert_eq!(own, expected);
}

#[tokio::test]
async fn an_orderer_serves_everybody_of_reader_orgs_its_own_orgs_orderers_and_nobody_else() {
    let world = World::new();
    let mut writer_only = world.orgs[2].config();
    writer_only.reader = false;
    let chain = World::chain_of(1, vec![world.orgs[1].config(), writer_only]);
    let served = world.serve(&FakeNode::holding(&world, &[&chain]), Audience::ReaderOrgs).await;

    for role in Role::ALL {
        assert!(may_read(&served, &world.orgs[1], role, everything(&chain)).await, "{role} of a reader");
        assert!(!may_read(&served, &world.orgs[2], role, everything(&chain)).await, "{role} of no reader");
        // org1 is no member, but runs the channel's orderers.
        let is_orderer = role == Role::Orderer;
        assert_eq!(may_read(&served, &world.orgs[0], role, everything(&chain)).await, is_orderer, "{role}");
    }
}

#[tokio::test]
async fn units_of_readers_bind_every_role_but_admins_who_sign_what_may_lift_them() {
    let world = World::new();
    let bound = proto::OrgConfig { reader_ous: vec!["peer".to_owned()], ..world.orgs[1].config() };
    let chain = World::chain_of(1, vec![bound, world.orgs[2].config()]);
    let served = world.serve(&FakeNode::holding(&world, &[&chain]), Audience::ReaderOrgs).await;

    for role in Role::ALL {
        let may = may_read(&served, &world.orgs[1], role, everything(&chain)).await;
        assert_eq!(may, matches!(role, Role::Peer | Role::Admin), "{role}");
        assert!(may_read(&served, &world.orgs[2], role, everything(&chain)).await, "{role}, unbound");
    }
}

#[tokio::test]
async fn tls_roots_that_one_channel_gives_an_org_open_no_other_channel() {
    // Whoever creates a channel writes its config: it may name org2 by its true id with TLS roots of its own.
    let world = World::new();
    let rogue = Org { name: "org2", authority: world.orgs[1].authority.clone(), tls: Org::new("org2").tls };
    let (trade, trap) = (world.chain(1, &[1, 2]), World::chain_of(2, vec![rogue.config()]));
    let node = FakeNode::holding(&world, &[&trade, &trap]);
    let served = world.serve(&node, Audience::ReaderOrgs).await;

    assert_eq!(rogue.roots().id(), world.orgs[1].roots().id());
    assert!(may_read(&served, &rogue, Role::Client, everything(&trap)).await);
    assert!(!may_read(&served, &rogue, Role::Client, everything(&trade)).await);
    assert!(may_read(&served, &world.orgs[1], Role::Client, everything(&trade)).await);
}

#[tokio::test]
async fn tls_roots_that_a_channel_gives_the_nodes_own_org_make_no_admin() {
    let world = World::new();
    let rogue = Org { name: "org1", authority: world.orgs[0].authority.clone(), tls: Org::new("org1").tls };
    let trap = World::chain_of(1, vec![rogue.config()]);
    let node = FakeNode::holding(&world, &[&trap]);

    for audience in [Audience::OwnOrg, Audience::ReaderOrgs] {
        let served = world.serve(&node, audience).await;
        let mut admin = served.admin(&rogue, Role::Admin).await;

        let refused = admin.health(proto::HealthRequest {}).await.expect_err("a refusal");

        assert_eq!(refused.code(), Code::PermissionDenied);
        let is_orderer = audience == Audience::ReaderOrgs;
        assert_eq!(may_read(&served, &rogue, Role::Admin, everything(&trap)).await, is_orderer);
    }
}

#[tokio::test]
async fn a_right_that_came_after_the_connection_counts_on_it() {
    let world = World::new();
    let (trade, audit) = (world.chain(1, &[1, 2]), world.chain(2, &[1, 2]));
    let node = FakeNode::holding(&world, &[&trade]);
    let served = world.serve(&node, Audience::ReaderOrgs).await;
    let mut client = served.deliver(&world.orgs[1], Role::Client).await;

    let before = client.blocks(following(&audit, 0)).await.map(|_| ());
    node.hold(audit.name(), audit.genesis());
    let after = client.blocks(following(&audit, 0)).await.map(|_| ());

    assert_eq!(before.expect_err("not held").code(), Code::NotFound);
    assert!(after.is_ok());
}
