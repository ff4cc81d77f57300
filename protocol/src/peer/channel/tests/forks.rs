//! Two certified headers of one number, shown in parts and whole, and what is left behind when a stop is lifted.

use super::*;
use crate::event::Event;
use crate::evidence::{Equivocation, Proof, Verdict};
use crate::job;
use crate::ledger::{CertifiedHeader, Header, HeaderFields, QuorumCertificate};
use crate::peer::channel::Input;
use crate::types::{BlockNumber, MemberId};
use crate::wire::ChannelMessage;
use ledgercast_crypto::Digest;
use std::time::Duration;

/// Longer than any proof, shorter than any question's patience.
const MOMENT: Duration = Duration::from_millis(10);

/// A certified header beside the true one of this number.
fn rival(net: &Net, number: usize) -> CertifiedHeader {
    let fields = net.truth[number].header().header().fields().clone();
    let header = Header::new(HeaderFields { body_root: Digest::of(b"of another branch"), ..fields });
    let (channel, orderer) = (net.chain.channel(), net.chain.orderer());
    let certificate = Some(QuorumCertificate::sign(channel, header.hash(), 0, orderer));
    CertifiedHeader { header, certificate }
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

#[test]
fn a_fork_that_was_first_shown_in_part_stops_the_channel_when_it_is_whole() {
    let mut net = Net::new(1);
    net.make_blocks(4, 100);
    net.preload(0, 4);
    let [liar, honest] = net.add_ghosts();
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
    let mut net = Net::new(1);
    net.make_blocks(9, 100);
    net.preload(0, 9);
    let [ghost, _] = net.add_ghosts();

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
    let mut net = Net::new(1);
    net.make_blocks(4, 100);
    net.preload(0, 1);
    let [ghost, _] = net.add_ghosts();
    show(&mut net, ghost, 4);

    net.input(0, Input::LiftHalt);

    assert!(!is_halted(&net));
    assert_eq!(net.nodes[0].channel.evidence().halted_at(), Some(BlockNumber::new(4)));
    assert_eq!(count(&net, |it| matches!(it, Event::HaltLifted { .. })), 0);
}
