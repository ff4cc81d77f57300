//! Fetching what a push did not bring.

use super::*;
use crate::event::Route;
use crate::wire::{BODY_FRAME_BYTES, ChannelMessage};
use std::time::Duration;

fn without_pushes_to(net: &mut Net, victim: usize) {
    net.set_wire(move |_, to, message| match message.kind() {
        "push" if to == victim => Fate::Drop,
        _ => Fate::Pass,
    });
}

#[test]
fn a_block_that_no_push_brings_is_asked_in_two_halves() {
    let mut net = Net::new(6);
    net.make_blocks(1, 3 * BODY_FRAME_BYTES);
    without_pushes_to(&mut net, 5);
    net.lead(0, true);
    net.order(1);

    let took = net.run_until_height(&net.all(), 2, Duration::from_secs(5));

    let wants: Vec<(u32, u32)> = net.nodes[5]
        .sent
        .iter()
        .filter_map(|(.., message)| match message {
            ChannelMessage::WantBody(want) => Some((want.first_frame, want.frame_count)),
            _ => None,
        })
        .collect();
    assert_eq!(wants, [(0, 2), (2, 2)], "four frames, two of each holder");
    let holders: std::collections::BTreeSet<_> = net.nodes[5]
        .sent
        .iter()
        .filter(|(.., message)| message.kind() == "want_body")
        .map(|(to, ..)| *to)
        .collect();
    assert_eq!(holders.len(), 2);
    assert!(took < Duration::from_secs(3), "took {took:?}");
    let trace = &net.nodes[5].traces()[&1];
    assert_eq!((trace.body.unwrap().1, trace.questions, trace.duplicate_bytes), (Route::Repair, 2, 0));
    net.assert_no_offences();
}

#[test]
fn a_holder_that_is_silent_is_replaced_and_asked_last_afterwards() {
    let mut net = Net::new(5);
    net.make_blocks(6, 100);
    net.set_wire(|from, to, message| match (from, to, message.kind()) {
        (_, 4, "push") | (1, 4, "body_frame") => Fate::Drop,
        _ => Fate::Pass,
    });
    net.lead(0, true);
    for _ in 0..6 {
        net.order(1);
        net.run_for(Duration::from_secs(6));
    }

    assert_eq!(net.height(4), 7);
    let liar = net.nodes[1].member;
    assert!(net.nodes[4].sent_to(liar, "want_body").len() <= 3, "after two lapses others come first");
    net.assert_no_offences();
}

#[test]
fn who_lacks_a_body_is_replaced_at_once() {
    let mut net = Net::new(4);
    net.make_blocks(1, 100);
    net.lead(0, true);
    net.order(1);
    net.run_for(Duration::from_millis(200));
    let late = net.add_node(net.nodes[0].org);
    let ghost = net.add_ghost(late, 77, 50);
    net.set_wire(move |_, _, _| Fate::Pass);
    let tip = net.nodes[0].channel.tip();

    net.run_for(Duration::from_millis(1200));
    net.say(ghost, late, ChannelMessage::Lacking(tip));

    net.run_until_height(&[late], 2, Duration::from_secs(5));
    net.assert_no_offences();
}

#[test]
fn a_pool_that_was_full_for_a_while_loses_nothing() {
    let mut net = Net::new(4);
    net.make_blocks(5, 100);
    net.lead(0, true);
    net.is_pool_full = true;
    net.order(5);
    net.run_for(Duration::from_millis(500));

    net.is_pool_full = false;

    net.run_until_height(&net.all(), 6, Duration::from_secs(5));
    net.assert_no_offences();
}

#[test]
fn a_push_that_stalls_is_completed_from_others() {
    let mut net = Net::new(5);
    net.make_blocks(1, 4 * BODY_FRAME_BYTES);
    net.set_wire(|from, to, message| match message {
        ChannelMessage::BodyFrame { index, .. } if from == 0 && to != 4 && *index >= 2 => Fate::Drop,
        ChannelMessage::BodyFrame { .. } if from == 0 && to == 4 => Fate::Delay(Duration::from_millis(20)),
        _ => Fate::Pass,
    });
    net.lead(0, true);
    net.order(1);

    net.run_until_height(&net.all(), 2, Duration::from_secs(8));
    net.assert_no_offences();
}

#[test]
fn when_a_neighbour_goes_its_questions_go_to_others() {
    let mut net = Net::new(3);
    net.make_blocks(40, 100_000);
    net.preload(1, 40);
    net.preload(2, 40);
    net.set_wire(|from, _, message| match (from, message.kind()) {
        (1, "body_frame") => Fate::Drop,
        _ => Fate::Pass,
    });
    net.run_for(Duration::from_millis(100));

    net.disconnect(0, 1);

    let took = net.run_until_height(&[0], 41, Duration::from_secs(5));
    assert!(took < Duration::from_millis(900), "no time-out had to pass, took {took:?}");
    net.assert_no_offences();
}
