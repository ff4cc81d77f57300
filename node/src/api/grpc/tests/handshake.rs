//! Who gets through the TLS handshake.

use super::fake::FakeNode;
use super::world::{DEADLINE, Org, World, limits};
use crate::api::grpc::{Audience, GrpcLimits};
use ledgercast_crypto::Role;
use ledgercast_crypto::issue::TlsAuthority;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

#[tokio::test]
async fn refuses_callers_that_show_no_certificate() {
    let world = World::new();
    let served = world.serve(&FakeNode::new(&world), Audience::OwnOrg).await;

    assert!(!served.lets_in(None).await);
    assert!(served.lets_in(Some(&world.orgs[0].pair(Role::Client))).await);
}

#[tokio::test]
async fn refuses_certificates_of_orgs_that_the_node_does_not_know() {
    let world = World::new();
    let node = FakeNode::holding(&world, &[&world.chain(1, &[1, 2])]);
    let served = world.serve(&node, Audience::ReaderOrgs).await;

    assert!(!served.lets_in(Some(&Org::new("org9").pair(Role::Admin))).await);
    assert!(!served.lets_in(Some(&Org::new("org1").pair(Role::Admin))).await, "another org of our name");
}

#[tokio::test]
async fn refuses_a_caller_whom_another_orgs_ca_certified_under_our_name() {
    let world = World::new();
    let node = FakeNode::holding(&world, &[&world.chain(1, &[1, 2])]);
    let served = world.serve(&node, Audience::ReaderOrgs).await;
    let tls = TlsAuthority::from_pair("org1", world.orgs[1].tls.pair().clone()).unwrap();
    let usurper = Org { name: "org1", authority: world.orgs[0].authority.clone(), tls };

    assert!(!served.lets_in(Some(&usurper.pair(Role::Admin))).await);
    assert!(served.lets_in(Some(&world.orgs[1].pair(Role::Admin))).await);
}

#[tokio::test]
async fn knows_a_channels_orgs_from_its_joining_until_its_leaving() {
    let world = World::new();
    let (node, chain) = (FakeNode::new(&world), world.chain(1, &[1, 2]));
    let served = world.serve(&node, Audience::ReaderOrgs).await;
    let pair = world.orgs[1].pair(Role::Client);

    let before = served.lets_in(Some(&pair)).await;
    node.hold(chain.name(), chain.genesis());
    let during = served.lets_in(Some(&pair)).await;
    node.forget(chain.channel());
    let after = served.lets_in(Some(&pair)).await;

    assert_eq!((before, during, after), (false, true, false));
}

#[tokio::test]
async fn a_silent_stranger_gives_its_place_back() {
    let world = World::new();
    let limits = GrpcLimits { connections_max: 1, ..limits() };
    let served = world.serve_with(&FakeNode::new(&world), Audience::OwnOrg, limits).await;
    let mut stranger = TcpStream::connect(served.address).await.unwrap();

    let ended = tokio::time::timeout(DEADLINE, stranger.read(&mut [0; 1])).await;

    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "the stranger's connection is open still");
    assert!(served.lets_in(Some(&world.orgs[0].pair(Role::Client))).await);
}
