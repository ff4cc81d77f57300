//! Which blocks come, in which order, and how streams end.

use super::fake::FakeNode;
use super::world::{DEADLINE, World, everything, following, limits};
use crate::api::grpc::{Audience, GrpcLimits};
use ledgercast_crypto::Role;
use ledgercast_protocol::ledger::Block;
use ledgercast_protocol::store::suite::Chain;
use ledgercast_protocol::wire::proto::{self, blocks_request::Start, blocks_request::Stop};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::{Code, Status, Streaming};

/// A channel of orgs 1 and 2 with blocks 0 to `newest`.
fn held(world: &World, newest: usize) -> (Arc<FakeNode>, Chain) {
    let mut chain = world.chain(1, &[1, 2]);
    let node = FakeNode::holding(world, &[&chain]);
    if newest > 0 {
        node.append(&chain.extend(newest));
    }
    (node, chain)
}

async fn next(stream: &mut Streaming<proto::Block>) -> Result<Option<proto::Block>, Status> {
    tokio::time::timeout(DEADLINE, stream.message()).await.expect("the stream answers")
}

async fn numbers(mut stream: Streaming<proto::Block>) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(block) = next(&mut stream).await.unwrap() {
        numbers.push(Block::try_from(block).unwrap().number().as_u64());
    }
    numbers
}

#[tokio::test]
async fn serves_the_range_asked_for_and_ends() {
    let world = World::new();
    let (node, chain) = held(&world, 5);
    let served = world.serve(&node, Audience::OwnOrg).await;
    let mut client = served.deliver(&world.orgs[0], Role::Client).await;
    let (oldest, newest) = (Start::Oldest(proto::Oldest {}), Start::Newest(proto::Newest {}));
    let now = Stop::ThroughNewest(proto::Newest {});

    let cases = [
        (oldest, Stop::Through(2), vec![0, 1, 2]),
        (oldest, now, vec![0, 1, 2, 3, 4, 5]),
        (newest, now, vec![5]),
        (Start::From(3), Stop::Through(4), vec![3, 4]),
        (Start::From(3), Stop::Through(2), vec![]),
        (Start::From(9), now, vec![]),
        (Start::From(u64::MAX), Stop::Through(0), vec![]),
    ];
    for (start, stop, expected) in cases {
        let request = proto::BlocksRequest { start: Some(start), stop: Some(stop), ..following(&chain, 0) };
        let stream = client.blocks(request).await.unwrap().into_inner();
        assert_eq!(numbers(stream).await, expected, "{start:?} {stop:?}");
    }
}

#[tokio::test]
async fn blocks_come_byte_by_byte_as_they_were_certified_and_headers_alone_on_request() {
    let world = World::new();
    let (node, mut chain) = held(&world, 0);
    let block = chain.next(&[b"one", b"two"]);
    node.append(std::slice::from_ref(&block));
    let served = world.serve(&node, Audience::ReaderOrgs).await;
    let mut client = served.deliver(&world.orgs[1], Role::Peer).await;
    let header_request = proto::BlocksRequest { headers_only: true, ..following(&chain, 1) };

    let mut whole = client.blocks(following(&chain, 1)).await.unwrap().into_inner();
    let mut header = client.blocks(header_request).await.unwrap().into_inner();

    let expected = proto::Block::from(&block.to_block());
    assert_eq!(next(&mut whole).await.unwrap(), Some(expected.clone()));
    let header = next(&mut header).await.unwrap().unwrap();
    assert_eq!((header.header, header.body.len()), (expected.header, 0));
}

#[tokio::test]
async fn a_request_without_start_or_channel_is_refused_with_what_is_missing() {
    let world = World::new();
    let (node, chain) = held(&world, 0);
    let served = world.serve(&node, Audience::OwnOrg).await;
    let mut client = served.deliver(&world.orgs[0], Role::Client).await;

    let no_channel = client.blocks(proto::BlocksRequest::default()).await.expect_err("no channel");
    let request = proto::BlocksRequest { start: None, ..following(&chain, 0) };
    let no_start = client.blocks(request).await.expect_err("no start");

    assert_eq!((no_channel.code(), no_start.code()), (Code::InvalidArgument, Code::InvalidArgument));
    assert!(no_start.message().contains("no start"), "{no_start:?}");
}

#[tokio::test]
async fn a_following_stream_brings_blocks_as_they_become_durable() {
    let world = World::new();
    let (node, mut chain) = held(&world, 2);
    let served = world.serve(&node, Audience::OwnOrg).await;
    let mut client = served.deliver(&world.orgs[0], Role::Client).await;
    let mut stream = client.blocks(following(&chain, 1)).await.unwrap().into_inner();

    for number in 1..=5 {
        if number > 2 {
            node.append(&chain.extend(1));
        }
        let block = Block::try_from(next(&mut stream).await.unwrap().unwrap()).unwrap();
        assert_eq!(block.number().as_u64(), number);
    }
}

#[tokio::test]
async fn a_stream_through_a_future_block_waits_for_it() {
    let world = World::new();
    let (node, mut chain) = held(&world, 0);
    let served = world.serve(&node, Audience::OwnOrg).await;
    let mut client = served.deliver(&world.orgs[0], Role::Client).await;
    let request = proto::BlocksRequest { stop: Some(Stop::Through(2)), ..following(&chain, 1) };
    let stream = client.blocks(request).await.unwrap().into_inner();

    node.append(&chain.extend(4));

    assert_eq!(numbers(stream).await, [1, 2]);
}

#[tokio::test]
async fn leaving_the_channel_ends_its_streams_as_unknown() {
    let world = World::new();
    let (node, chain) = held(&world, 0);
    let served = world.serve(&node, Audience::OwnOrg).await;
    let mut client = served.deliver(&world.orgs[0], Role::Client).await;
    let mut stream = client.blocks(following(&chain, 0)).await.unwrap().into_inner();
    assert!(next(&mut stream).await.unwrap().is_some());

    node.forget(chain.channel());

    assert_eq!(next(&mut stream).await.expect_err("left").code(), Code::NotFound);
}

#[tokio::test]
async fn stopping_ends_following_streams_and_the_server_in_time() {
    let world = World::new();
    let (node, chain) = held(&world, 0);
    let mut served = world.serve(&node, Audience::OwnOrg).await;
    let mut client = served.deliver(&world.orgs[0], Role::Client).await;
    let mut stream = client.blocks(following(&chain, 1)).await.unwrap().into_inner();

    served.stop.cancel();

    assert_eq!(next(&mut stream).await.expect_err("stopping").code(), Code::Unavailable);
    let ended = tokio::time::timeout(DEADLINE, &mut served.task).await.expect("the server ends");
    ended.unwrap().unwrap();
}

/// More than all windows and socket buffers on the way hold.
fn large(chain: &mut Chain, node: &FakeNode, count: usize) {
    let payload = vec![7; 900_000];
    for _ in 0..count {
        node.append(&[chain.next(&[&payload, &payload])]);
    }
}

#[tokio::test]
async fn a_slow_reader_holds_back_neither_others_nor_the_stop() {
    let world = World::new();
    let (node, mut chain) = held(&world, 0);
    large(&mut chain, &node, 16);
    let mut served = world.serve(&node, Audience::OwnOrg).await;
    let mut slow = served.deliver(&world.orgs[0], Role::Client).await;
    let mut quick = served.deliver(&world.orgs[0], Role::Client).await;
    let stuck = slow.blocks(everything(&chain)).await.unwrap().into_inner();

    let all = quick.blocks(everything(&chain)).await.unwrap().into_inner();
    assert_eq!(numbers(all).await.len(), 17);

    let stopped_at = Instant::now();
    served.stop.cancel();
    let ended = tokio::time::timeout(DEADLINE, &mut served.task).await.expect("the server ends");
    ended.unwrap().unwrap();
    assert!(stopped_at.elapsed() < Duration::from_secs(10), "{:?}", stopped_at.elapsed());
    drop(stuck);
}

#[tokio::test]
async fn streams_are_bounded_in_all_and_for_each_org_and_their_places_come_back() {
    let world = World::new();
    let (node, chain) = held(&world, 0);
    let limits = GrpcLimits { streams_max: 3, ..limits() };
    let served = world.serve_with(&node, Audience::ReaderOrgs, limits).await;
    let mut one = served.deliver(&world.orgs[0], Role::Client).await;
    let mut two = served.deliver(&world.orgs[1], Role::Client).await;
    let first = one.blocks(following(&chain, 1)).await.unwrap();
    let second = one.blocks(following(&chain, 1)).await.unwrap();

    let third = one.blocks(following(&chain, 1)).await.expect_err("half of three, rounded up");
    let others = two.blocks(following(&chain, 1)).await.unwrap();
    let fourth = two.blocks(following(&chain, 1)).await.expect_err("three in all");

    assert_eq!((third.code(), fourth.code()), (Code::ResourceExhausted, Code::ResourceExhausted));
    drop((first, second, others));
    let waiting = async { while two.blocks(following(&chain, 1)).await.is_err() {} };
    tokio::time::timeout(DEADLINE, waiting).await.expect("places come back");
}

#[tokio::test]
async fn a_damaged_block_ends_the_stream_and_is_named() {
    let world = World::new();
    let (node, chain) = held(&world, 5);
    node.damage(3);
    let served = world.serve(&node, Audience::OwnOrg).await;
    let mut client = served.deliver(&world.orgs[0], Role::Client).await;
    let mut stream = client.blocks(following(&chain, 2)).await.unwrap().into_inner();

    assert!(next(&mut stream).await.unwrap().is_some());
    let damaged = next(&mut stream).await.expect_err("damaged");

    assert_eq!(damaged.code(), Code::DataLoss);
    assert!(damaged.message().contains("block 3"), "{damaged:?}");
}
