//! Late peers, gaps, and two sources at once.

use super::messages::{frames, push};
use super::*;
use crate::event::Route;
use crate::types::BlockNumber;
use crate::wire::ChannelMessage;
use std::time::Duration;

/// D3
#[test]
fn a_late_peer_commits_500_blocks_in_order_with_a_bounded_buffer() {
    // Raised to two of the largest bodies.
    let settings = Settings { arena_bytes_max: 1, ..Settings::default() };
    let mut net = Net::with(4, 2, settings);
    net.make_blocks(499, 40_000);
    for index in 1..4 {
        net.preload(index, 499);
    }
    net.nodes[0].commit_takes = Duration::from_millis(20);

    net.run_until_height(&[0], 500, Duration::from_secs(15));

    let largest = net.chain.genesis().config().limits().body_bytes_max();
    assert!(net.nodes[0].buffer_peak <= 2 * largest, "{} bytes", net.nodes[0].buffer_peak);
    let routes: Vec<Route> = net.nodes[0].traces().values().map(|it| it.body.unwrap().1).collect();
    assert!(routes.iter().all(|route| *route == Route::RangeSync), "{routes:?}");
    net.assert_no_offences();
}

#[test]
fn several_holders_share_the_work_of_a_late_peer() {
    let mut net = Net::with(4, 1, Settings::default());
    net.make_blocks(499, 40_000);
    (1..4).for_each(|index| net.preload(index, 499));

    let took = net.run_until_height(&[0], 500, Duration::from_secs(15));

    let served: Vec<usize> = (1..4).map(|index| net.nodes[index].sent_kinds("body_frame")).collect();
    assert!(served.iter().all(|count| *count > 100), "{served:?} frames");
    assert!(took < Duration::from_secs(2), "took {took:?}");
    net.assert_no_offences();
}

/// D4
#[test]
fn a_gap_holds_the_ledger_until_it_is_filled_and_far_blocks_are_refused() {
    let settings = Settings { window_blocks: 100, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(200, 100);
    let ghost = net.add_ghost(0, 50, 0);
    let push_whole = |net: &mut Net, number: usize| {
        let messages: Vec<ChannelMessage> =
            std::iter::once(push(net, number)).chain(frames(net, number)).collect();
        messages.into_iter().for_each(|message| net.say(ghost, 0, message));
        net.run_for(Duration::from_millis(1));
    };

    (1..=4).for_each(|number| push_whole(&mut net, number));
    (10..=200).for_each(|number| push_whole(&mut net, number));

    assert_eq!(net.height(0), 5);
    assert_eq!(net.nodes[0].channel.proven_height().as_u64(), 4 + 100 + 1);
    assert!(net.nodes[0].refusals().contains("beyond_window"));

    (5..=9).for_each(|number| push_whole(&mut net, number));
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.height(0), 105);

    (105..=200).for_each(|number| push_whole(&mut net, number));
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.height(0), 201);
    net.assert_no_offences();
}

/// D5
#[test]
fn feed_and_pushes_together_commit_each_block_once() {
    let mut net = Net::new(2);
    net.make_blocks(500, 500);
    net.lead(0, true);
    net.lead(1, true);
    net.order(100);
    net.disconnect(0, 1);
    net.run_for(Duration::from_millis(40));
    net.connect(0, 1);
    net.order(400);

    net.run_until_height(&[0, 1], 501, Duration::from_secs(20));
    net.assert_no_offences();
}

/// D9
#[test]
fn two_empty_peers_catch_up_from_the_others_without_any_orderer() {
    let mut net = Net::with(6, 3, Settings::default());
    net.make_blocks(300, 2000);
    for index in 0..4 {
        net.preload(index, 300);
    }

    net.run_until_height(&[4, 5], 301, Duration::from_secs(10));
    net.assert_no_offences();
}

#[test]
fn catching_up_goes_on_where_it_was_after_a_restart() {
    let mut net = Net::new(3);
    net.make_blocks(400, 1000);
    net.preload(1, 400);
    net.preload(2, 400);
    net.run_until_height(&[0], 150, Duration::from_secs(10));
    let held = net.height(0);

    net.preload(0, held - 1);
    let asked_before = net.nodes[0].sent.len();
    net.run_until_height(&[0], 401, Duration::from_secs(10));

    let asked = net.nodes[0].sent[asked_before..].iter().filter_map(|(.., message)| match message {
        ChannelMessage::WantBody(want) => Some(want.tip.number),
        _ => None,
    });
    assert!(asked.min().unwrap() >= BlockNumber::new(held));
}

#[test]
fn a_lost_announcement_is_made_up_for_by_claimed_heights() {
    let mut net = Net::new(2);
    net.make_blocks(3, 100);
    net.set_wire(|_, _, message| match message.kind() {
        "announce" | "complete" | "push" | "body_frame" => Fate::Drop,
        _ => Fate::Pass,
    });
    net.lead(0, true);
    net.order(3);
    net.run_for(Duration::from_millis(100));
    net.set_wire(|_, _, _| Fate::Pass);
    assert_eq!((net.height(0), net.height(1)), (4, 1));

    net.run_until_height(&[1], 4, Duration::from_secs(8));
}

#[test]
fn when_the_source_of_a_range_goes_another_is_asked_at_once() {
    let mut net = Net::new(3);
    net.make_blocks(100, 100);
    net.set_wire(|from, to, message| match (from, to, message.kind()) {
        (1, 0, "headers") => Fate::Drop,
        _ => Fate::Pass,
    });
    net.preload(1, 100);
    net.run_for(Duration::from_millis(20));
    net.preload(2, 100);
    let silent = net.nodes[1].member;
    assert_eq!(net.nodes[0].sent_to(silent, "want_headers").len(), 1);

    net.disconnect(0, 1);

    let took = net.run_until_height(&[0], 101, Duration::from_secs(5));
    assert!(took < Duration::from_millis(500), "took {took:?}");
}

#[test]
fn who_went_and_came_back_empty_is_not_taken_for_a_holder() {
    let mut net = Net::new(1);
    net.make_blocks(1, 100);
    let [emptied, holder] = [50, 51].map(|name| net.add_ghost(0, name, 0));
    let tip = crate::wire::Tip { number: BlockNumber::new(1), header_hash: net.truth[1].header().hash() };
    net.say(emptied, 0, push(&net, 1));
    net.run_for(Duration::from_millis(1));
    net.say(emptied, 0, ChannelMessage::Complete(tip));

    net.input(0, super::super::Input::NeighbourGone(emptied));
    net.input(0, super::super::Input::NeighbourReady(emptied));
    net.say(holder, 0, ChannelMessage::Announce(tip));
    net.run_for(Duration::from_millis(1100));

    assert_eq!(net.nodes[0].sent_to(holder, "want_body").len(), 1);
    assert_eq!(net.nodes[0].sent_to(emptied, "want_body").len(), 0);
}
