//! How new blocks spread.

use super::*;
use crate::dissemination::RelaySet;
use crate::event::Route;
use crate::types::{Lane, MemberId};
use crate::wire::{BODY_FRAME_BYTES, ChannelMessage, Push};
use std::collections::BTreeSet;
use std::time::Duration;

fn pull_only() -> Settings {
    let mut settings = Settings::default();
    settings.dissemination.is_enabled = false;
    settings
}

/// D1
#[test]
fn ten_peers_get_ten_blocks_in_order_and_each_body_once() {
    let mut net = Net::new(10);
    net.make_blocks(10, 1000);
    net.lead(0, true);

    for _ in 0..10 {
        net.order(1);
        net.run_for(Duration::from_millis(50));
    }

    for index in net.all() {
        assert_eq!(net.height(index), 11);
        assert_eq!(net.nodes[index].channel.counters().duplicate_bytes, 0);
        let routes: Vec<Route> = net.nodes[index].traces().values().map(|it| it.body.unwrap().1).collect();
        let expected = if index == 0 { Route::Feed } else { Route::Push };
        assert_eq!(routes, vec![expected; 10]);
    }
    net.assert_no_offences();
}

/// D1
#[test]
fn the_sender_does_not_get_its_own_back() {
    let mut net = Net::new(10);
    net.make_blocks(3, 1000);
    net.lead(0, true);
    net.order(3);

    net.run_for(Duration::from_secs(10));

    let leader = net.nodes[0].member;
    for index in 1..10 {
        assert_eq!(net.nodes[index].sent_to(leader, "body_frame").len(), 0);
        assert_eq!(net.nodes[index].sent_to(leader, "push").len(), 0);
    }
}

#[test]
fn bodies_of_many_frames_come_along_the_tree_on_the_data_lane() {
    let mut net = Net::new(7);
    net.make_blocks(2, 3 * BODY_FRAME_BYTES);
    net.lead(0, true);
    net.order(2);

    net.run_until_height(&net.all(), 3, Duration::from_secs(1));

    for node in &net.nodes {
        let frames = node.sent.iter().filter(|(.., message)| message.kind() == "body_frame");
        assert!(frames.clone().all(|(_, lane, _)| *lane == Lane::Data));
    }
    let pushed: usize = net.nodes.iter().map(|node| node.sent_kinds("push")).sum();
    assert_eq!(pushed, 2 * 6, "each of the other six gets each block once");
}

/// D2
#[test]
fn without_push_six_peers_get_all_blocks_by_pull() {
    let mut net = Net::with(6, 2, pull_only());
    net.make_blocks(10, 1000);
    net.lead(0, true);

    for _ in 0..10 {
        net.order(1);
        net.run_for(Duration::from_millis(200));
    }

    net.run_until_height(&net.all(), 11, Duration::from_secs(2));
    assert!(net.nodes.iter().all(|node| node.sent_kinds("push") == 0));
    net.assert_no_offences();
}

/// D6
#[test]
fn peers_that_start_one_after_another_all_have_everything() {
    let mut net = Net::new(1);
    net.make_blocks(10, 1000);
    net.lead(0, true);
    for _ in 0..9 {
        net.order(1);
        let org = net.nodes[0].org;
        net.add_node(org);
        net.run_for(Duration::from_millis(300));
    }
    net.order(1);

    net.run_until_height(&net.all(), 11, Duration::from_secs(10));
    net.assert_no_offences();
}

#[test]
fn orgs_without_leader_learn_of_blocks_and_fetch_them() {
    let mut net = Net::with(9, 3, Settings::default());
    net.make_blocks(5, 1000);
    net.lead(0, true);
    net.order(5);

    let took = net.run_until_height(&net.all(), 6, Duration::from_secs(5));

    assert!(took < Duration::from_millis(1500), "took {took:?}");
    net.assert_no_offences();
}

/// C6
#[test]
fn a_block_seen_again_is_neither_delivered_nor_forwarded() {
    let mut net = Net::new(3);
    net.make_blocks(1, 1000);
    net.lead(0, true);
    net.order(1);
    net.run_for(Duration::from_secs(1));
    let pushes: Vec<(usize, ChannelMessage)> = (1..3)
        .flat_map(|to| {
            let member = net.nodes[to].member;
            let sent = net.nodes[0].sent.iter().filter(move |(to, ..)| *to == member);
            let sent = sent.filter(|(.., message)| message.kind() != "want_headers");
            sent.map(move |(.., message)| (to, message.clone())).collect::<Vec<_>>()
        })
        .collect();
    let leader = net.nodes[0].member;
    let sent_before: Vec<usize> = net.nodes.iter().map(|node| node.sent.len()).collect();

    for (to, message) in pushes {
        net.say(leader, to, message);
    }
    net.run_for(Duration::from_secs(1));

    let sent_after: Vec<usize> = net.nodes.iter().map(|node| node.sent.len()).collect();
    assert_eq!(sent_before, sent_after);
    assert!(net.all().into_iter().all(|index| net.height(index) == 2));
    net.assert_no_offences();
}

#[test]
fn announcements_stop_after_everybody_was_told() {
    let mut net = Net::with(20, 4, Settings::default());
    net.make_blocks(1, 1000);
    net.lead(0, true);
    net.order(1);
    net.run_until_height(&net.all(), 2, Duration::from_secs(5));

    let announced: usize = net.nodes.iter().map(|node| node.sent_kinds("announce")).sum();

    assert!(announced <= 20 * 4, "{announced} announcements");
    let complete: usize = net.nodes.iter().map(|node| node.sent_kinds("complete")).sum();
    assert!(complete <= announced);
}

#[test]
fn epoch_moves_with_the_linked_headers() {
    let mut net = Net::new(2);
    net.make_blocks(130, 10);
    assert_eq!(
        (net.nodes[1].channel.epoch(), net.nodes[1].channel.epoch_hash()),
        (0, net.truth[0].header().hash())
    );
    net.lead(0, true);
    net.order(130);

    net.run_until_height(&[0, 1], 131, Duration::from_secs(20));

    for node in &net.nodes {
        assert_eq!((node.channel.epoch(), node.channel.epoch_hash()), (1, net.truth[128].header().hash()));
    }
}

#[test]
fn a_leader_that_catches_up_pushes_nothing_to_who_has_it() {
    let mut net = Net::new(4);
    net.make_blocks(50, 100);
    (1..4).for_each(|index| net.preload(index, 50));
    net.lead(0, true);
    net.order(50);

    net.run_until_height(&[0], 51, Duration::from_secs(5));

    assert_eq!(net.nodes[0].channel.counters().pushes_sent, 0);
    assert_eq!(net.nodes[0].sent_kinds("announce"), 0);
}

#[test]
fn with_the_same_relay_set_only_assigned_children_are_served() {
    let mut net = Net::new(8);
    net.make_blocks(1, 100);
    let pusher = net.add_ghost(0, 66, 0);
    let everybody: Vec<MemberId> = net.nodes.iter().map(|node| node.member).chain([pusher]).collect();
    let set = RelaySet::new(everybody.iter().copied());
    let block = net.truth[1].clone();
    let me = net.nodes[0].member;
    let branches = set.branches(pusher, block.header().hash(), 64, 64);
    let assigned = branches.into_iter().find(|branch| branch.head == me).map(|it| it.children);
    let others = everybody.iter().copied().filter(|member| *member != me && *member != pusher);
    let header = block.header().certified().clone();
    let opening = Push { header, relay_set: set.digest(), children: others.collect() };

    net.say(pusher, 0, ChannelMessage::Push(opening));
    let (header_hash, payload) = (block.header().hash(), block.body().bytes().clone());
    net.say(pusher, 0, ChannelMessage::BodyFrame { header_hash, index: 0, payload });
    net.run_for(Duration::from_millis(2));

    let pushed =
        net.nodes[0].sent.iter().filter(|(.., message)| message.kind() == "push").map(|(to, ..)| *to);
    let pushed: BTreeSet<MemberId> = pushed.collect();
    assert_eq!(pushed, assigned.unwrap_or_default().into_iter().collect());
    assert_eq!(net.nodes[0].channel.counters().children_unassigned as usize, 7 - pushed.len());
}
