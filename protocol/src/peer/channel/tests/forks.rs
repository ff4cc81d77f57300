//! Two certified headers of one number, shown in parts and whole, and what a lifted stop leaves behind.

use super::messages::{MOMENT, certified, push_block, push_header};
use super::*;
use crate::channel::UpdateError;
use crate::event::Event;
use crate::evidence::{Equivocation, Proof, Verdict};
use crate::job;
use crate::ledger::{CertifiedHeader, HeaderFields};
use crate::peer::channel::Input;
use crate::types::{BlockNumber, MemberId, SourceId};
use crate::wire::ChannelMessage;
use bytes::Bytes;
use ledgercast_crypto::Digest;
use std::time::Duration;

/// A certified header beside the true one of this number.
fn rival(net: &Net, number: usize) -> CertifiedHeader {
    let body_root = Digest::of(b"of another branch");
    certified(net, number, |fields| HeaderFields { body_root, ..fields })
}

fn fork(net: &Net, number: usize) -> Equivocation {
    let genuine = net.truth[number].header().certified().clone();
    Equivocation::try_new(genuine, rival(net, number)).expect("they contradict each other")
}

fn show(net: &mut Net, from: MemberId, number: usize) {
    let shown = ChannelMessage::Evidence(Box::new(fork(net, number)));
    net.say(from, 0, shown);
    net.run_for(MOMENT);
}

fn count(net: &Net, is_meant: impl Fn(&Event) -> bool) -> usize {
    net.nodes[0].events.iter().filter(|event| is_meant(event)).count()
}

fn is_halted(net: &Net) -> bool {
    net.nodes[0].channel.is_stopped()
}

/// A channel with so many blocks, of which its one peer has so many, and two neighbours.
fn one_of(blocks: usize, preloaded: u64) -> (Net, [MemberId; 2]) {
    let mut net = Net::new(1);
    net.make_blocks(blocks, 100);
    net.preload(0, preloaded);
    let ghosts = net.add_ghosts();
    (net, ghosts)
}

#[test]
fn a_fork_that_was_first_shown_in_part_stops_the_channel_when_it_is_whole() {
    let (mut net, [liar, honest]) = one_of(4, 4);
    let equivocation = fork(&net, 3);
    let guilty = vec![net.chain.orderer().public()];
    let verdict = Verdict::DoubleSignature { number: BlockNumber::new(3), guilty };
    let part = Box::new(Ok(Proof { equivocation, verdict }));
    let channel = net.chain.channel();

    net.input(0, Input::Judged(job::Verdict::Evidence { from: liar, channel, proof: part }));
    assert!(!is_halted(&net));
    show(&mut net, honest, 3);

    assert!(is_halted(&net));
    assert_eq!(count(&net, |it| matches!(it, Event::EvidenceFound { kind: "fork", .. })), 1);
    assert_eq!(count(&net, |it| matches!(it, Event::ChannelHalted { .. })), 1);
    net.assert_no_offences();
}

#[test]
fn every_further_fork_of_one_orderer_stops_the_channel_again() {
    let (mut net, [ghost, _]) = one_of(9, 9);

    for number in 1..=9 {
        show(&mut net, ghost, number);
        assert!(is_halted(&net), "{number}");
        net.input(0, Input::LiftHalt);
        assert!(!is_halted(&net));
        show(&mut net, ghost, number);
        assert!(!is_halted(&net), "it was lifted");
    }

    assert_eq!(count(&net, |it| matches!(it, Event::ChannelHalted { .. })), 9);
}

#[test]
fn a_channel_that_does_not_stand_still_is_not_lifted() {
    let (mut net, [ghost, _]) = one_of(4, 1);
    show(&mut net, ghost, 4);

    net.input(0, Input::LiftHalt);

    assert!(!is_halted(&net));
    assert_eq!(net.nodes[0].channel.evidence().halted_at(), Some(BlockNumber::new(4)));
    assert_eq!(count(&net, |it| matches!(it, Event::HaltLifted { .. })), 0);
}

#[test]
fn configs_and_bodies_of_the_other_branch_go_with_a_lifted_stop() {
    let mut net = Net::new(1);
    net.make_blocks(2, 100);
    net.make_update(|config| config.name = "second".to_owned());
    net.preload(0, 1);
    let [ghost, _] = net.add_ghosts();
    push_block(&mut net, ghost, 3);
    let channel = &mut net.nodes[0].channel;
    assert!(channel.updates.contains_key(&BlockNumber::new(3)));
    let body = Bytes::from_static(b"fed");
    assert!(channel.window.hold_fed(BlockNumber::new(4), SourceId(1), Digest::ZERO, body));
    channel.refused_update = Some((BlockNumber::new(5), UpdateError::Malformed(String::new())));
    show(&mut net, ghost, 2);
    assert!(is_halted(&net));

    net.input(0, Input::LiftHalt);

    let channel = &net.nodes[0].channel;
    assert!(channel.updates.is_empty() && channel.refused_update.is_none());
    assert_eq!(channel.payload_buffer_bytes(), 0);
    for number in [2, 3] {
        push_block(&mut net, ghost, number);
    }
    net.run_until_height(&[0], 4, Duration::from_secs(1));
}

#[test]
fn headers_whose_verdicts_came_during_a_stop_are_taken_again_after_it() {
    let (mut net, [ghost, other]) = one_of(4, 1);
    for number in [2, 3] {
        push_header(&mut net, ghost, number);
    }
    let equivocation = fork(&net, 1);
    let verdict = equivocation.judge(net.chain.config()).expect("a fork");
    let proof = Box::new(Ok(Proof { equivocation, verdict }));
    let channel = net.chain.channel();
    net.input(0, Input::Judged(job::Verdict::Evidence { from: other, channel, proof }));
    assert!(is_halted(&net));
    net.run_for(MOMENT);

    net.input(0, Input::LiftHalt);

    for number in [2, 3] {
        push_block(&mut net, ghost, number);
    }
    assert_eq!(net.height(0), 4);
}

#[test]
fn a_pool_that_is_full_during_a_stop_keeps_nobody_out_after_it() {
    let (mut net, [ghost, other]) = one_of(3, 2);
    show(&mut net, ghost, 1);
    assert!(is_halted(&net));
    net.is_pool_full = true;
    show(&mut net, other, 2);
    net.is_pool_full = false;

    net.input(0, Input::LiftHalt);
    net.run_for(Duration::from_secs(1));

    assert_eq!(net.nodes[0].channel.evidence().halted_at(), Some(BlockNumber::new(2)), "it was tried again");
}

#[test]
fn a_stop_that_is_lifted_during_a_commit_ends_when_the_block_is_durable() {
    let mut net = Net::new(1);
    net.make_blocks(4, 100);
    net.preload(0, 1);
    net.nodes[0].commit_takes = Duration::from_millis(200);
    let [ghost, _] = net.add_ghosts();
    for number in [2, 4] {
        push_block(&mut net, ghost, number);
    }
    show(&mut net, ghost, 2);
    assert!(is_halted(&net));

    net.input(0, Input::LiftHalt);
    assert!(is_halted(&net), "block 2 is on its way to the store");
    net.run_for(Duration::from_millis(300));

    assert!(!is_halted(&net));
    assert_eq!((net.height(0), net.nodes[0].channel.payload_buffer_bytes()), (3, 0), "4 is forgotten");
    for number in [3, 4] {
        push_block(&mut net, ghost, number);
    }
    net.run_until_height(&[0], 5, Duration::from_secs(2));
}

#[test]
fn a_commit_that_fails_during_a_stop_is_what_the_channel_stands_still_for() {
    let mut net = Net::new(1);
    net.make_blocks(2, 100);
    net.preload(0, 1);
    net.nodes[0].commit_takes = Duration::from_millis(200);
    net.nodes[0].is_commit_failing = true;
    let [ghost, _] = net.add_ghosts();
    push_block(&mut net, ghost, 2);
    show(&mut net, ghost, 2);
    net.input(0, Input::LiftHalt);

    net.run_for(Duration::from_millis(300));

    let failure = net.nodes[0].channel.failure().map(str::to_owned);
    assert!(failure.is_some_and(|it| it.contains("could not be stored")));
}

#[test]
fn who_was_away_when_a_fork_was_found_is_shown_it_on_return() {
    let mut net = Net::new(2);
    net.make_blocks(4, 100);
    net.preload(0, 4);
    net.preload(1, 4);
    net.disconnect(0, 1);
    let [ghost, _] = net.add_ghosts();
    show(&mut net, ghost, 3);
    assert!(is_halted(&net) && !net.nodes[1].channel.is_stopped());

    net.connect(1, 0);
    net.run_for(Duration::from_secs(1));

    assert!(net.nodes[1].channel.is_stopped());
}

#[test]
fn a_neighbour_that_goes_on_is_shown_the_fork_again() {
    let mut net = Net::new(2);
    net.make_blocks(4, 100);
    net.preload(0, 4);
    net.preload(1, 3);
    net.set_wire(|_, _, message| match message {
        ChannelMessage::Evidence(_) => Fate::Drop,
        _ => Fate::Pass,
    });
    let [ghost, _] = net.add_ghosts();
    show(&mut net, ghost, 3);
    assert!(is_halted(&net) && !net.nodes[1].channel.is_stopped());
    net.set_wire(|_, _, _| Fate::Pass);

    net.run_until_height(&[1], 5, Duration::from_secs(10));
    net.tell_claims();
    net.run_for(Duration::from_secs(1));

    assert!(net.nodes[1].channel.is_stopped(), "its claim has changed");
}
