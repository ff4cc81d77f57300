//! The orderer's feed of a leader.

use super::*;
use crate::ledger::Block;
use crate::peer::channel::Input;
use bytes::Bytes;
use std::time::Duration;

#[test]
fn asks_no_more_than_there_is_room_for_and_goes_on_as_blocks_commit() {
    let settings = Settings { feed_blocks_max: 10, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(100, 100);
    net.order(100);

    net.lead(0, true);

    assert_eq!(net.nodes[0].feed_requests, [(1, 10)]);
    net.run_until_height(&[0], 101, Duration::from_secs(10));
    let requests = net.nodes[0].feed_requests.len();
    assert!((10..=40).contains(&requests), "{requests} requests");
}

#[test]
fn slow_commits_hold_the_feed_back() {
    let settings = Settings { arena_bytes_max: 1, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(10, 1_500_000);
    net.order(10);
    net.nodes[0].commit_takes = Duration::from_millis(100);
    net.lead(0, true);

    net.run_until_height(&[0], 11, Duration::from_secs(10));

    let largest = net.chain.genesis().config().limits().body_bytes_max();
    assert!(net.nodes[0].buffer_peak <= 2 * largest);
    assert_eq!(net.nodes[0].refusals().len(), 0);
}

#[test]
fn who_no_longer_leads_stops_the_feed() {
    let mut net = Net::new(1);
    net.lead(0, true);
    assert!(net.nodes[0].feed.is_some());

    net.lead(0, false);

    assert!(net.nodes[0].feed.is_none());
}

#[test]
fn a_leader_that_is_told_so_cannot_reach_its_orderer() {
    let mut net = Net::new(1);
    assert!(net.nodes[0].channel.can_reach_orderer());
    net.lead(0, true);
    assert!(net.nodes[0].channel.can_reach_orderer());

    let lost = |feed| Input::FeedEnded { feed, cause: "refused".to_owned() };
    let (feed, ..) = net.nodes[0].feed.expect("it leads");
    net.input(0, lost(feed));
    assert!(!net.nodes[0].channel.can_reach_orderer());

    net.run_for(Duration::from_secs(1));
    assert!(net.nodes[0].channel.can_reach_orderer());
}

#[test]
fn a_false_block_stops_the_feed_for_a_while_and_nobody_is_blamed() {
    let mut net = Net::new(1);
    net.make_blocks(2, 100);
    net.lead(0, true);
    let mut body = net.truth[1].body().bytes().to_vec();
    body[50] ^= 1;
    let false_block = Block { body: Bytes::from(body), ..net.truth[1].to_block() };

    net.feed(0, false_block);
    net.run_for(Duration::from_millis(50));
    assert!(net.nodes[0].feed.is_none());
    assert_eq!(net.height(0), 1);

    net.order(2);
    net.run_until_height(&[0], 3, Duration::from_secs(3));
    net.assert_refused_without_offence("false_body");
}

#[test]
fn a_fed_block_that_was_lost_is_asked_again() {
    let mut net = Net::new(1);
    net.make_blocks(100, 100);
    net.order(100);
    net.is_pool_full = true;
    net.lead(0, true);
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.height(0), 1);

    net.is_pool_full = false;

    net.run_until_height(&[0], 101, Duration::from_secs(5));
    net.assert_no_offences();
}

#[test]
fn a_leader_that_has_blocks_from_others_skips_ahead() {
    let mut net = Net::new(3);
    net.make_blocks(300, 100);
    net.preload(1, 300);
    net.order(300);
    net.run_until_height(&[0], 301, Duration::from_secs(10));

    net.lead(0, true);

    assert_eq!(net.nodes[0].feed_requests[0].0, 301);
}

#[test]
fn a_feed_is_begun_anew_above_what_others_brought_meanwhile() {
    let mut net = Net::new(2);
    net.make_blocks(300, 100);
    net.lead(0, true);
    net.preload(1, 300);
    net.run_until_height(&[0], 301, Duration::from_secs(10));
    net.make_blocks(1, 100);

    net.order(302);

    net.run_until_height(&[0], 302, Duration::from_secs(1));
    assert!(net.nodes[0].channel.counters().duplicate_bytes < 20 * 1000);
    net.assert_no_offences();
}
