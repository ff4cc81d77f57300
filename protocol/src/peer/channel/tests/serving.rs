//! Answers to neighbours' questions.

use super::*;
use crate::types::BlockNumber;
use crate::wire::{ChannelMessage, Tip, WantBody, WantHeaders};
use ledgercast_crypto::Digest;
use std::time::Duration;

fn want_headers(first: u64, count: u32) -> ChannelMessage {
    ChannelMessage::WantHeaders(WantHeaders { first: BlockNumber::new(first), count })
}

fn served(blocks: usize) -> (Net, crate::types::MemberId) {
    let mut net = Net::new(1);
    net.make_blocks(blocks, 100);
    net.preload(0, blocks as u64);
    let ghost = net.add_ghost(0, 9, 0);
    (net, ghost)
}

fn tip(net: &Net, number: usize) -> Tip {
    Tip { number: BlockNumber::new(number as u64), header_hash: net.truth[number].header().hash() }
}

#[test]
fn headers_are_answered_from_the_store_within_the_limit() {
    let (mut net, ghost) = served(300);

    net.say(ghost, 0, want_headers(2, 1024));
    net.run_for(Duration::from_millis(10));

    let answers = net.nodes[0].sent_to(ghost, "headers");
    let [ChannelMessage::Headers { first, headers }] = answers[..] else {
        panic!("one answer, not {}", answers.len());
    };
    assert_eq!((first.as_u64(), headers.len()), (2, 256));
    assert_eq!(headers[0], *net.truth[2].header().certified());
}

#[test]
fn proven_headers_are_served_before_their_blocks_are_durable() {
    let mut net = Net::new(1);
    net.make_blocks(1, 100);
    net.nodes[0].commit_takes = Duration::from_secs(1000);
    let ghost = net.add_ghost(0, 9, 0);
    net.lead(0, true);
    net.order(1);
    net.run_for(Duration::from_millis(50));

    net.say(ghost, 0, want_headers(1, 1));
    let want = WantBody { tip: tip(&net, 1), first_frame: 0, frame_count: 1 };
    net.say(ghost, 0, ChannelMessage::WantBody(want));

    assert_eq!(net.nodes[0].sent_to(ghost, "headers").len(), 1);
    assert_eq!(net.nodes[0].sent_to(ghost, "body_frame").len(), 2, "pushed and asked for");
}

#[test]
fn recent_headers_need_no_read_and_join_those_that_are_only_proven() {
    let mut net = Net::new(1);
    net.make_blocks(30, 100);
    net.lead(0, true);
    net.order(20);
    net.run_until_height(&[0], 21, Duration::from_secs(1));
    net.nodes[0].commit_takes = Duration::from_secs(1000);
    net.order(10);
    net.run_for(Duration::from_millis(50));
    let ghost = net.add_ghost(0, 9, 0);

    net.say(ghost, 0, want_headers(15, 100));

    let answers = net.nodes[0].sent_to(ghost, "headers");
    let [ChannelMessage::Headers { first, headers }] = answers[..] else {
        panic!("one answer at once, not {}", answers.len());
    };
    assert_eq!((first.as_u64(), headers.len()), (15, 16));
}

#[test]
fn what_is_unknown_is_answered_with_lacking() {
    let (mut net, ghost) = served(2);
    let other = Tip { header_hash: Digest::of(b"other"), ..tip(&net, 1) };
    let above = Tip { number: BlockNumber::new(7), header_hash: Digest::of(b"above") };

    for tip in [other, above] {
        net.say(ghost, 0, ChannelMessage::WantBody(WantBody { tip, first_frame: 0, frame_count: 1 }));
    }
    net.say(ghost, 0, want_headers(3, 5));
    net.run_for(Duration::from_millis(10));

    let zero = Tip { number: BlockNumber::new(3), header_hash: Digest::ZERO };
    let answers = net.nodes[0].sent_to(ghost, "lacking");
    assert_eq!(answers.len(), 3);
    assert!([other, above, zero].iter().all(|tip| answers.contains(&&ChannelMessage::Lacking(*tip))));
}

#[test]
fn frames_beyond_the_body_are_lacking() {
    let (mut net, ghost) = served(1);

    let want = WantBody { tip: tip(&net, 1), first_frame: 1, frame_count: u32::MAX };
    net.say(ghost, 0, ChannelMessage::WantBody(want));
    net.run_for(Duration::from_millis(10));

    assert_eq!(net.nodes[0].sent_to(ghost, "body_frame").len(), 0);
    assert_eq!(net.nodes[0].sent_to(ghost, "lacking").len(), 1);
}

#[test]
fn old_bodies_are_read_once_for_all_who_wait() {
    let (mut net, ghost) = served(50);
    let others: Vec<_> = (20..24).map(|name| net.add_ghost(0, name, 0)).collect();

    let want = WantBody { tip: tip(&net, 3), first_frame: 0, frame_count: 9 };
    for asker in others.iter().chain([&ghost]) {
        net.say(*asker, 0, ChannelMessage::WantBody(want));
    }
    net.run_for(Duration::from_millis(10));

    for asker in others.iter().chain([&ghost]) {
        let frames = net.nodes[0].sent_to(*asker, "body_frame");
        let [ChannelMessage::BodyFrame { header_hash, index: 0, payload }] = frames[..] else {
            panic!("one frame each");
        };
        assert_eq!((header_hash, payload), (&want.tip.header_hash, net.truth[3].body().bytes()));
    }
}

#[test]
fn a_stopped_channel_still_answers() {
    let mut net = Net::new(2);
    net.make_blocks(4, 100);
    net.preload(0, 2);
    net.nodes[0].is_commit_failing = true;
    net.lead(0, true);
    net.order(4);
    net.run_for(Duration::from_secs(1));
    assert!(net.nodes[0].channel.is_stopped());
    assert_eq!(net.height(0), 3);
    assert!(net.nodes[0].feed.is_none());

    net.run_until_height(&[1], 3, Duration::from_secs(10));
}
