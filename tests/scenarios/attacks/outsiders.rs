//! Who is no member of a channel, or is one no more, and behaves as if it were: A16.

use super::measure::assert_accused_only;
use crate::{Outcome, millis, nodes, seconds};
use ledgercast_protocol::types::ChannelId;
use ledgercast_protocol::wire::{ChannelMessage, Message};
use ledgercast_simulator::liars::everything_about;
use ledgercast_simulator::{Failure, NodeId, World};
use std::cell::RefCell;
use std::rc::Rc;

/// What a victim sends to a stranger of a channel's frames, each channel's id cut out, with the time since.
type Answers = Rc<RefCell<Vec<(u128, &'static str, Vec<u8>)>>>;

/// Orgs 0 and 1 meet on `b`; `a` is org 0's alone. All seven see each other, blocks flow on both.
fn two_channels(seed: u64) -> Result<World, Failure> {
    let mut world = World::builder(seed).orgs(&[4, 3]).channel("a", &[0]).channel("b", &[0, 1]).build()?;
    let (a, b) = (world.channel("a"), world.channel("b"));
    world.submit(a, 5, 2_000);
    world.submit(b, 5, 2_000);
    world.run_until("all are at their tips", seconds(30), |world| {
        world.are_at_tip(&nodes(0..4), a) && world.are_at_tip(&nodes(0..7), b)
    })?;
    world.run_for(seconds(5))?;
    Ok(world)
}

/// Says everything about a channel, in the forbidden one's words; what comes back within a second each.
fn answers_about(named: impl Fn(&World) -> ChannelId, seed: u64) -> Result<(World, Vec<String>), Failure> {
    let mut world = two_channels(seed)?;
    let (stranger, victim) = (NodeId(5), NodeId(1));
    let (forbidden, named) = (world.channel("a"), named(&world));
    let block = world.source("a").tip().clone();
    let messages = everything_about(&world, forbidden, &block, stranger);
    let answers: Answers = Rc::default();
    let heard = answers.clone();
    world.inspect(move |sent| {
        let is_of_it = sent.peek.channel == Some(named);
        if (sent.from, sent.to) == (victim, stranger) && is_of_it {
            heard.borrow_mut().push((sent.at.as_micros(), sent.peek.kind, sent.frame.to_vec()));
        }
        Ok(())
    });
    let mut told = Vec::new();
    for message in messages {
        let kind = message.kind();
        let checked = verifications(&world, victim);
        let began = world.now().as_micros();
        world.inject(stranger, victim, &Message::Channel(named, message));
        world.run_for(millis(999))?;
        let checked = verifications(&world, victim) - checked;
        for (at, answer, bytes) in answers.borrow_mut().drain(..) {
            let refusal = Message::Channel(named, ChannelMessage::Unknown).encode();
            assert_eq!(bytes, refusal, "{kind} was answered with {answer}");
            told.push(format!("{kind} {checked}: {answer} after {}", (at - began) / 1_000));
        }
        told.push(format!("{kind} {checked}"));
    }
    Ok((world, told))
}

/// What a peer has had verified of a channel's content.
fn verifications(world: &World, node: NodeId) -> u64 {
    ["headers", "body", "state_info", "leadership", "channel_leave"]
        .into_iter()
        .map(|kind| world.verifications(node, kind))
        .sum()
}

/// A16
#[test]
fn a_stranger_learns_the_same_of_a_forbidden_channel_as_of_an_unknown_one_whatever_it_says() -> Outcome {
    let (world, forbidden) = answers_about(|world| world.channel("a"), 360)?;
    let (other, unknown) = answers_about(|_| ChannelId::from_bytes([7; 32]), 360)?;

    assert_eq!(forbidden, unknown, "answers, their times, and the work that they took");
    for world in [&world, &other] {
        assert_accused_only(world, &[]);
        let a = world.channel("a");
        assert!(world.neighbours(NodeId(1), world.channel("b")).contains(&NodeId(5)), "it is as before");
        assert!(!world.neighbours(NodeId(1), a).contains(&NodeId(5)));
        assert!(world.refusals(NodeId(1), "push", "channel_unknown") > 0, "my own log has the reason");
    }
    Ok(())
}

/// A16, a member of A that tells a stranger: what the stranger then forwards is refused, whatever it is
#[test]
fn what_a_stranger_forwards_of_a_channel_is_neither_taken_nor_verified() -> Outcome {
    let mut world = two_channels(361)?;
    let (a, stranger) = (world.channel("a"), NodeId(5));
    world.certify(a, 1, 2_000);
    let block = world.source("a").tip().clone();
    let before: Vec<u64> = nodes(0..4).into_iter().map(|node| world.height(node, a)).collect();
    let (checked, delivered) = (world.checked_signatures(), world.deliveries());

    for victim in nodes(0..4) {
        for message in everything_about(&world, a, &block, stranger) {
            world.inject(stranger, victim, &Message::Channel(a, message));
        }
    }
    world.run_for(millis(500))?;

    let after: Vec<u64> = nodes(0..4).into_iter().map(|node| world.height(node, a)).collect();
    assert_eq!((after, world.deliveries()), (before, delivered), "a genuine block, from who may not have it");
    println!("A16: {} signatures checked meanwhile, of membership", world.checked_signatures() - checked);
    assert_accused_only(&world, &[]);
    // Through the orderers it is welcome.
    world.release_certified(a);
    world.run_until("the members go on", seconds(10), |world| world.are_at_tip(&nodes(0..4), a))
}

/// A16, the ex-member; that not one byte above its last block goes to it is checked at every event
#[test]
fn an_ex_member_gets_nothing_above_the_block_that_removed_it_and_disturbs_nobody() -> Outcome {
    let mut world =
        World::builder(362).orgs(&[4, 2]).channel("common", &[0, 1]).channel("trade", &[0, 1]).build()?;
    let (trade, former) = (world.channel("trade"), NodeId(4));
    world.submit(trade, 3, 2_000);
    world.run_until("six at the tip", seconds(30), |world| world.are_at_tip(&nodes(0..6), trade))?;
    world.remove_org(trade, 1);
    world.run_until("four at the tip", seconds(10), |world| world.are_at_tip(&nodes(0..4), trade))?;
    world.submit(trade, 3, 2_000);
    world.run_until("four go on", seconds(10), |world| world.are_at_tip(&nodes(0..4), trade))?;
    let block = world.source("trade").tip().clone();

    for victim in nodes(0..4) {
        for message in everything_about(&world, trade, &block, former) {
            world.inject(former, victim, &Message::Channel(trade, message));
        }
    }
    world.run_for(seconds(10))?;

    assert!(world.height(former, trade) <= 5, "it holds a block of after its time");
    assert_accused_only(&world, &[]);
    for node in nodes(0..4) {
        assert!(world.seen_by(node).contains(&former), "it is a member of the network as before");
        assert!(!world.neighbours(node, trade).contains(&former));
    }
    world.submit(trade, 3, 2_000);
    world.run_until("four go on undisturbed", seconds(5), |world| world.are_at_tip(&nodes(0..4), trade))
}
