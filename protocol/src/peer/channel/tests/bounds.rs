//! Every bound, and what happens at it.

use super::messages::{frames, push};
use super::*;
use crate::peer::channel::proving::FRAME_OVERHEAD_BYTES;
use crate::types::{BlockNumber, MemberId};
use crate::wire::{BODY_FRAME_BYTES, ChannelMessage, Tip, WantBody, WantHeaders};
use std::time::Duration;

/// What a full frame counts as.
const STASHED_FRAME_BYTES: usize = BODY_FRAME_BYTES + FRAME_OVERHEAD_BYTES;

#[test]
fn the_arena_takes_no_more_bodies_than_it_has_room_for() {
    let settings = Settings { arena_bytes_max: 1, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(12, 1_000_000);
    let ghost = net.add_ghost(0, 9, 0);
    let largest = net.chain.genesis().config().limits().body_bytes_max();

    for number in 2..=12 {
        net.say(ghost, 0, push(&net, number));
        net.run_for(Duration::from_millis(1));
        for frame in frames(&net, number) {
            net.say(ghost, 0, frame);
        }
    }
    net.run_for(Duration::from_millis(10));
    assert!(net.nodes[0].refusals().contains("arena_full"));
    assert!(net.nodes[0].buffer_peak <= 2 * largest);
    assert_eq!(net.height(0), 1);

    net.say(ghost, 0, push(&net, 1));
    net.run_for(Duration::from_millis(1));
    for frame in frames(&net, 1) {
        net.say(ghost, 0, frame);
    }
    net.run_for(Duration::from_millis(100));
    assert!(net.height(0) > 2, "the lowest missing body always has room");
    net.assert_no_offences();
}

#[test]
fn frames_before_their_header_is_proven_are_stashed_within_bounds() {
    let settings = Settings { stash_bytes_per_member: 2 * STASHED_FRAME_BYTES, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(1, 3 * BODY_FRAME_BYTES);
    let ghost = net.add_ghost(0, 9, 0);

    net.say(ghost, 0, push(&net, 1));
    for frame in frames(&net, 1) {
        net.say(ghost, 0, frame);
    }

    assert_eq!(net.nodes[0].channel.payload_buffer_bytes(), 2 * STASHED_FRAME_BYTES as u64);
    assert!(net.nodes[0].refusals().contains("frame_unasked"));
    net.run_for(Duration::from_millis(10));
    let missing: Vec<ChannelMessage> = frames(&net, 1).split_off(2);
    for frame in missing {
        net.say(ghost, 0, frame);
    }
    net.run_for(Duration::from_millis(10));
    assert_eq!(net.height(0), 2);
}

#[test]
fn frames_that_nobody_asked_for_are_refused_without_blame() {
    let mut net = Net::new(1);
    net.make_blocks(1, 100);
    let [pusher, stranger] = net.add_ghosts();
    net.say(stranger, 0, frames(&net, 1)[0].clone());
    net.say(pusher, 0, push(&net, 1));
    net.run_for(Duration::from_millis(1));
    net.say(stranger, 0, frames(&net, 1)[0].clone());

    net.run_for(Duration::from_millis(10));

    assert_eq!(net.height(0), 1);
    assert_eq!(net.nodes[0].channel.payload_buffer_bytes(), 0);
    assert_eq!(net.nodes[0].refusals().into_iter().collect::<Vec<_>>(), ["frame_unasked"]);
    net.assert_no_offences();
}

#[test]
fn who_is_no_neighbour_is_neither_heard_nor_answered() {
    let mut net = Net::new(1);
    net.make_blocks(1, 100);
    let stranger = super::network::member(50);

    net.say(stranger, 0, push(&net, 1));
    net.say(stranger, 0, ChannelMessage::WantHeaders(WantHeaders { first: BlockNumber::GENESIS, count: 1 }));
    net.run_for(Duration::from_millis(100));

    assert_eq!((net.nodes[0].jobs, net.nodes[0].sent.len()), (0, 0));
    assert!(net.nodes[0].refusals().contains("not_neighbour"));
}

#[test]
fn verifications_that_a_full_pool_refused_wait_within_bounds_and_the_rest_is_asked_for_again() {
    let settings = Settings { refused_jobs_max: 1, ..Settings::default() };
    let mut net = Net::with(2, 2, settings);
    net.make_blocks(3, 100);
    net.preload(1, 3);
    net.is_pool_full = true;
    let ghosts = net.add_ghosts();
    for (ghost, number) in ghosts.into_iter().zip([1, 2]) {
        net.say(ghost, 0, push(&net, number));
    }
    net.run_for(Duration::from_millis(10));
    assert!(net.nodes[0].refusals().contains("verifier_overloaded"), "the second header had no place");

    net.is_pool_full = false;

    net.run_until_height(&[0], 4, Duration::from_secs(5));
    net.assert_no_offences();
}

#[test]
fn commits_in_flight_are_bounded() {
    let mut net = Net::new(1);
    net.make_blocks(50, 100);
    net.nodes[0].commit_takes = Duration::from_secs(1000);
    net.lead(0, true);
    net.order(50);
    net.run_for(Duration::from_secs(1));

    net.nodes[0].commit_takes = Duration::ZERO;

    assert_eq!(net.nodes[0].channel.commits_in_flight, 16);
}

#[test]
fn questions_in_flight_are_bounded() {
    let mut net = Net::new(1);
    net.make_blocks(200, 100);
    let ghost = net.add_ghost(0, 9, 201);
    net.run_for(Duration::from_millis(1));
    let headers = net.truth[1..].iter().map(|block| block.header().certified().clone()).collect();
    net.say(ghost, 0, ChannelMessage::Headers { first: BlockNumber::new(1), headers });

    net.run_for(Duration::from_millis(500));

    assert_eq!(net.nodes[0].sent_to(ghost, "want_body").len(), 16);
    net.assert_no_offences();
}

#[test]
fn traces_are_kept_of_the_newest_blocks_only() {
    let settings = Settings { traces_max: 5, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(20, 10);
    net.lead(0, true);
    net.order(20);
    net.run_until_height(&[0], 21, Duration::from_secs(5));

    let numbers: Vec<u64> = net.nodes[0].traces().into_keys().collect();

    assert_eq!(numbers, [16, 17, 18, 19, 20]);
}

/// A peer that holds one block of 400,000 bytes, with this budget of answers, and a question for the block.
fn with_answers(bytes_per_second: u64, askers: usize) -> (Net, Vec<MemberId>, ChannelMessage) {
    let settings = Settings { answer_bytes_per_second: bytes_per_second, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(1, 400_000);
    net.preload(0, 1);
    let askers = (0..askers).map(|index| net.add_ghost(0, 60 + index, 0)).collect();
    let tip = net.nodes[0].channel.tip();
    (net, askers, ChannelMessage::WantBody(WantBody { tip, first_frame: 0, frame_count: 2 }))
}

fn answers(net: &Net, asker: MemberId) -> usize {
    net.nodes[0].sent_to(asker, "body_frame").len() / 2
}

#[test]
fn answers_are_bounded_in_bytes_per_second_and_each_asker_has_one_all_the_same() {
    let (mut net, askers, want) = with_answers(8 * 900_000, 2);
    let [greedy, modest] = askers[..] else { panic!("two askers") };

    for _ in 0..20 {
        net.say(greedy, 0, want.clone());
        net.run_for(Duration::from_millis(2));
    }
    net.say(modest, 0, want.clone());
    net.run_for(Duration::from_millis(20));
    assert_eq!(answers(&net, greedy), 3, "two of its eighth of a second, and the one that everybody gets");
    assert_eq!(answers(&net, modest), 1);

    net.run_for(Duration::from_millis(125));
    for _ in 0..20 {
        net.say(greedy, 0, want.clone());
    }
    net.run_for(Duration::from_millis(20));
    assert_eq!(answers(&net, greedy), 3 + 2);
}

/// A18: a small question with a large answer
#[test]
fn answers_to_many_askers_share_one_budget() {
    let (mut net, askers, want) = with_answers(8 * 900_000, 12);

    for _ in 0..100 {
        askers.iter().for_each(|asker| net.say(*asker, 0, want.clone()));
        net.run_for(Duration::from_millis(10));
    }

    let answered: Vec<usize> = askers.iter().map(|asker| answers(&net, *asker)).collect();
    let total: usize = answered.iter().sum();
    assert!(total <= 2 * 8 + 2 + 12, "a second's budget and one for each, not {answered:?}");
    assert!(answered.iter().all(|answers| *answers >= 1), "{answered:?}");
}

#[test]
fn reads_for_questions_are_bounded() {
    let mut net = Net::new(1);
    net.make_blocks(40, 10);
    net.preload(0, 40);
    let ghost = net.add_ghost(0, 9, 0);

    for number in 1..=40 {
        let tip =
            Tip { number: BlockNumber::new(number), header_hash: net.truth[number as usize].header().hash() };
        net.say(ghost, 0, ChannelMessage::WantBody(WantBody { tip, first_frame: 0, frame_count: 1 }));
    }
    let lacking_at_once = net.nodes[0].sent_to(ghost, "lacking").len();
    for number in 1..=20 {
        let want = WantHeaders { first: BlockNumber::new(number), count: 1 };
        net.say(ghost, 0, ChannelMessage::WantHeaders(want));
    }
    assert_eq!(net.nodes[0].sent_to(ghost, "lacking").len(), lacking_at_once + 20 - 8);
    net.run_for(Duration::from_millis(10));

    assert_eq!(lacking_at_once, 40 - 16);
    assert_eq!(net.nodes[0].sent_to(ghost, "body_frame").len(), 16);
    assert_eq!(net.nodes[0].sent_to(ghost, "headers").len(), 8);
    assert!(net.nodes[0].refusals().contains("reads_pending"));
}

#[test]
fn the_stash_of_all_members_together_is_bounded() {
    let settings = Settings { stash_bytes_max: 3 * STASHED_FRAME_BYTES, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(1, 3 * BODY_FRAME_BYTES);
    for name in 8..10 {
        let ghost = net.add_ghost(0, name, 0);
        net.say(ghost, 0, push(&net, 1));
        for frame in frames(&net, 1) {
            net.say(ghost, 0, frame);
        }
    }

    assert!(net.nodes[0].channel.payload_buffer_bytes() <= 3 * STASHED_FRAME_BYTES as u64);
    assert!(net.nodes[0].channel.payload_buffer_bytes() >= 2 * BODY_FRAME_BYTES as u64);
}

#[test]
fn headers_under_verification_are_bounded_by_source() {
    let settings = Settings { proving_per_source: 4, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(10, 10);
    let [greedy, other] = net.add_ghosts();

    (1..=10).for_each(|number| net.say(greedy, 0, push(&net, number)));
    net.say(other, 0, push(&net, 10));

    assert_eq!(net.nodes[0].jobs, 4 + 1);
    net.run_for(Duration::from_millis(1));
    net.say(greedy, 0, push(&net, 9));
    assert_eq!(net.nodes[0].jobs, 6, "what is judged makes room");
}

#[test]
fn questions_that_wait_for_one_read_are_bounded() {
    let settings = Settings { read_waiters_max: 2, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(1, 10);
    net.preload(0, 1);
    let tip = net.nodes[0].channel.tip();
    let askers: Vec<_> = (20..25).map(|name| net.add_ghost(0, name, 0)).collect();

    for asker in askers {
        net.say(asker, 0, ChannelMessage::WantBody(WantBody { tip, first_frame: 0, frame_count: 1 }));
    }
    net.run_for(Duration::from_millis(10));

    assert_eq!((net.nodes[0].sent_kinds("lacking"), net.nodes[0].sent_kinds("body_frame")), (3, 2));
}

#[test]
fn recent_bodies_are_kept_within_their_bytes() {
    let settings = Settings { recent_bytes_max: 10_000, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(20, 1000);
    net.lead(0, true);
    net.order(20);
    net.run_until_height(&[0], 21, Duration::from_secs(1));
    let ghost = net.add_ghost(0, 9, 0);

    let at_once: Vec<u64> = (1..=20)
        .filter(|number| {
            let header_hash = net.truth[*number as usize].header().hash();
            let tip = Tip { number: BlockNumber::new(*number), header_hash };
            let before = net.nodes[0].sent_to(ghost, "body_frame").len();
            net.say(ghost, 0, ChannelMessage::WantBody(WantBody { tip, first_frame: 0, frame_count: 1 }));
            net.nodes[0].sent_to(ghost, "body_frame").len() > before
        })
        .collect();

    assert!((3..10).contains(&at_once.len()), "{at_once:?} are at hand");
    assert_eq!(at_once.last(), Some(&20));
}

#[test]
fn answers_of_headers_are_bounded_in_bytes() {
    let settings = Settings { answer_headers_bytes_max: 1000, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(20, 10);
    net.preload(0, 20);
    let ghost = net.add_ghost(0, 9, 0);

    net.say(ghost, 0, ChannelMessage::WantHeaders(WantHeaders { first: BlockNumber::new(1), count: 20 }));
    net.run_for(Duration::from_millis(10));

    let answers = net.nodes[0].sent_to(ghost, "headers");
    let [ChannelMessage::Headers { headers, .. }] = answers[..] else {
        panic!("one answer");
    };
    assert!((2..8).contains(&headers.len()), "{} headers", headers.len());
}

#[test]
fn a_leader_whose_first_frames_found_no_room_does_not_withhold() {
    let settings = Settings { stash_bytes_max: 0, ..Settings::default() };
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(2, 100);
    let ghost = net.add_ghost(0, 9, 0);

    net.say(ghost, 0, push(&net, 1));
    net.say(ghost, 0, frames(&net, 1).remove(0));
    net.run_for(Duration::from_secs(2));
    assert!(net.nodes[0].channel.take_withheld().is_none());

    net.say(ghost, 0, push(&net, 2));
    net.run_for(Duration::from_secs(2));
    assert!(net.nodes[0].channel.take_withheld().is_some(), "of this one not even a frame came");
}
