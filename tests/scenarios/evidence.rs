//! Orderers that sign two headers of one number, and members that say so of honest ones: A15, A23.

use crate::{Outcome, nodes, seconds};
use bytes::Bytes;
use ledgercast_crypto::{Digest, SecretKey};
use ledgercast_protocol::Event;
use ledgercast_protocol::evidence::Equivocation;
use ledgercast_protocol::ledger::{CertifiedHeader, HeaderFields, QuorumCertificate};
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use ledgercast_protocol::wire::{ChannelMessage, Message, Tip};
use ledgercast_simulator::{Failure, NodeId, SentFrame, SourceFault, World};

/// Two orgs of four on one channel, with five blocks.
fn eight(seed: u64) -> Result<(World, ChannelId), Failure> {
    let mut world = World::builder(seed).orgs(&[4, 4]).channel("trade", &[0, 1]).build()?;
    let trade = world.channel("trade");
    world.submit(trade, 5, 2_000);
    world.run_until("all at the tip", seconds(30), |world| world.are_at_tip(&nodes(0..8), trade))?;
    Ok((world, trade))
}

fn is_halted(world: &World, node: NodeId, channel: ChannelId) -> bool {
    world.channel_view(node, channel).is_some_and(|view| view.failure.is_some())
}

fn count(world: &World, node: NodeId, is_meant: impl Fn(&Event) -> bool) -> usize {
    world.events(node).iter().filter(|(_, event)| is_meant(event)).count()
}

fn header(world: &World, channel: &str, number: u64) -> CertifiedHeader {
    let block = world.source(channel).block(BlockNumber::new(number)).expect("it was made");
    block.header().certified().clone()
}

/// All of [`eight`] stand still, as the orderers have certified two headers of the eighth block.
fn halted_eight(seed: u64) -> Result<(World, ChannelId), Failure> {
    let (mut world, trade) = eight(seed)?;
    world.set_source_fault(0, SourceFault::Equivocates(8))?;
    world.submit_every(trade, 20, 2_000, crate::millis(100));
    world.run_until("everybody stands still", seconds(30), |world| {
        nodes(0..8).iter().all(|node| is_halted(world, *node, trade))
    })?;
    Ok((world, trade))
}

/// A15, two certificates
#[test]
fn a_fork_stops_the_channel_everywhere_and_a_restart_keeps_the_stop() -> Outcome {
    let (mut world, trade) = halted_eight(130)?;
    let all = nodes(0..8);
    for node in &all {
        assert_eq!(count(&world, *node, |it| matches!(it, Event::ChannelHalted { .. })), 1, "{node}");
        let is_fork = |it: &Event| matches!(it, Event::EvidenceFound { kind: "fork", .. });
        assert_eq!(count(&world, *node, is_fork), 1, "{node} has the evidence, once");
        assert!(world.height(*node, trade) >= 8, "{node} has what nobody disputes");
    }
    let heights: Vec<u64> = all.iter().map(|node| world.height(*node, trade)).collect();

    world.set_source_fault(0, SourceFault::None)?;
    world.run_for(seconds(5))?;
    for node in &all {
        world.crash(*node);
        world.restart(*node)?;
    }
    world.run_for(seconds(60))?;

    let later: Vec<u64> = all.iter().map(|node| world.height(*node, trade)).collect();
    assert_eq!(later, heights, "nothing was delivered");
    assert!(all.iter().all(|node| is_halted(&world, *node, trade)));
    assert!(world.see_each_other(&all), "and everybody runs");
    Ok(())
}

/// A15, the operators' word
#[test]
fn operators_that_lift_the_stop_let_the_channel_go_on() -> Outcome {
    let (mut world, trade) = halted_eight(131)?;
    let all = nodes(0..8);
    world.set_source_fault(0, SourceFault::None)?;

    for node in &all {
        world.lift_halt(*node, trade)?;
    }

    world.run_until("all at the tip", seconds(60), |world| world.are_at_tip(&all, trade))?;
    world.run_for(seconds(30))?;
    for node in &all {
        assert!(!is_halted(&world, *node, trade));
        assert_eq!(count(&world, *node, |it| matches!(it, Event::ChannelHalted { .. })), 1, "{node}");
    }
    Ok(())
}

/// Answers each question for headers with these.
fn answers_with(header: CertifiedHeader) -> impl FnMut(&SentFrame<'_>) -> Vec<Bytes> {
    move |sent| match (sent.peek.kind, sent.peek.channel) {
        ("headers", Some(channel)) => {
            let (first, headers) = (header.header.number(), vec![header.clone()]);
            let answer = ChannelMessage::Headers { first, headers };
            vec![Message::Channel(channel, answer).encode()]
        }
        _ => vec![sent.frame.clone()],
    }
}

/// A15, after the block is durable
#[test]
fn a_fork_below_the_tip_is_found_by_who_hears_of_the_other_header() -> Outcome {
    let (mut world, trade) = eight(132)?;
    let (other_branch, witness) = (NodeId(7), NodeId(1));
    let rival = world.rival_header(trade, 4);
    let tip = Tip { number: BlockNumber::new(4), header_hash: rival.hash() };

    world.corrupt(other_branch, answers_with(rival));
    world.inject(other_branch, witness, &Message::Channel(trade, ChannelMessage::Complete(tip)));

    world.run_until("everybody stands still", seconds(5), |world| {
        nodes(0..7).iter().all(|node| is_halted(world, *node, trade))
    })?;
    world.submit(trade, 5, 2_000);
    world.run_for(seconds(20))?;
    assert!(nodes(0..7).iter().all(|node| world.height(*node, trade) == 6), "nothing above it is delivered");
    Ok(())
}

/// A23
#[test]
fn false_evidence_is_its_senders_offence_and_stops_nothing() -> Outcome {
    let (mut world, trade) = eight(133)?;
    let (liar, victims) = (NodeId(7), nodes(0..3));
    let genuine = header(&world, "trade", 4);
    let fields = HeaderFields { body_root: Digest::of(b"never ordered"), ..genuine.header.fields().clone() };
    let mut forged = world.source("trade").certify_header(fields);
    let nobodys = SecretKey::from_seed([0x77; 32]);
    forged.certificate = Some(QuorumCertificate::sign(trade, forged.hash(), 0, &nobodys));
    let evidence = Equivocation::try_new(genuine, forged).expect("their shape is right");

    for victim in &victims {
        let shown = ChannelMessage::Evidence(Box::new(evidence.clone()));
        assert!(world.inject(liar, *victim, &Message::Channel(trade, shown)));
    }
    world.submit(trade, 5, 2_000);
    world.run_until("all at the tip", seconds(30), |world| world.are_at_tip(&nodes(0..8), trade))?;

    for victim in &victims {
        let is_false = |it: &Event| match it {
            Event::Offence { offence, .. } => offence.reason() == "false_evidence",
            _ => false,
        };
        assert_eq!(count(&world, *victim, is_false), 1, "{victim}");
    }
    for node in nodes(0..8) {
        assert!(!is_halted(&world, node, trade));
        assert_eq!(count(&world, node, |it| matches!(it, Event::EvidenceFound { .. })), 0, "{node}");
    }
    Ok(())
}
