//! Headers and bodies that are not the orderers': A9. That each field is refused by its own check is shown in
//! `protocol/src/ledger/tests.rs`; here no honest peer passes any of it on, and the block still comes.

use super::measure::{Spread, assert_accused_only, others};
use crate::actors::push_header;
use crate::{Outcome, nodes, seconds};
use bytes::Bytes;
use ledgercast_crypto::Digest;
use ledgercast_protocol::Event;
use ledgercast_protocol::ledger::{BlockError, QuorumCertificateError};
use ledgercast_protocol::offence::Offence;
use ledgercast_protocol::types::{BlockNumber, ChannelId, Lane};
use ledgercast_protocol::wire::{ChannelMessage, Message};
use ledgercast_simulator::liars::{AlteredBodies, AlteredHeaders, BodyAlteration, HeaderAlteration};
use ledgercast_simulator::{Failure, NodeId, World};

/// What a header whose orderer did not sign it is refused by.
const UNSIGNED: QuorumCertificateError = QuorumCertificateError::Signature { index: 0 };
const LIAR: NodeId = NodeId(4);
const VICTIM: NodeId = NodeId(2);

/// Five peers at the tip, and one block more that the orderers have certified and not released.
fn five(seed: u64) -> Result<World, Failure> {
    let mut world = World::builder(seed).orgs(&[5]).channel("trade", &[0]).build()?;
    let trade = world.channel("trade");
    world.submit(trade, 2, 500);
    let all = nodes(0..5);
    world.run_until("five at the tip", seconds(20), |world| world.are_at_tip(&all, trade))?;
    world.certify(trade, 1, 5_000);
    Ok(world)
}

/// From now on no honest peer may send a frame with these bytes in it.
fn forbid(world: &mut World, forbidden: Bytes) {
    world.inspect(move |sent| {
        let mut windows = sent.frame.windows(forbidden.len());
        match windows.any(|window| window == forbidden) {
            true => Err("passes on what was altered".to_owned()),
            false => Ok(()),
        }
    });
}

/// From now on no honest peer may send this as a frame of a body.
fn forbid_body_frame(world: &mut World, place: u32, forbidden: Bytes) {
    world.inspect(move |sent| match Message::decode(sent.frame.clone()) {
        Ok(Message::Channel(_, ChannelMessage::BodyFrame { index, payload, .. }))
            if index == place && payload == forbidden =>
        {
            Err("passes on what was altered".to_owned())
        }
        _ => Ok(()),
    });
}

fn offences(world: &World, accuser: NodeId) -> Vec<(NodeId, Offence)> {
    let mut offences = Vec::new();
    for (_, event) in world.events(accuser) {
        if let Event::Offence { member, offence } = event {
            offences.push((world.node_of(*member).expect("a node"), offence.clone()));
        }
    }
    offences
}

/// The liar sends a piece of a body; what comes of it has come after this.
fn send_body(
    world: &mut World,
    channel: ChannelId,
    header_hash: Digest,
    (index, payload): (u32, Bytes),
) -> Outcome {
    let body = ChannelMessage::BodyFrame { header_hash, index, payload };
    world.inject_frame(LIAR, VICTIM, Lane::Data, Message::Channel(channel, body).encode());
    world.run_for(seconds(5))
}

/// The true block arrives after all.
fn all_go_on(world: &mut World, channel: ChannelId) -> Outcome {
    world.release_certified(channel);
    world.run_until("all go on", seconds(10), |world| world.are_at_tip(&nodes(0..4), channel))
}

/// A9, headers
#[test]
fn a_header_altered_in_any_field_is_refused_by_name_and_passed_on_by_nobody() -> Outcome {
    for (seed, alteration) in (310..).zip(HeaderAlteration::ALL) {
        let mut world = five(seed)?;
        let trade = world.channel("trade");
        let block = world.source("trade").tip().clone();
        let altered = alteration.apply(block.header().certified());
        forbid(&mut world, altered.header.bytes().clone());

        push_header(&mut world, (LIAR, VICTIM), trade, altered.clone());
        send_body(&mut world, trade, altered.hash(), (0, block.body().bytes().clone()))?;

        let offences = offences(&world, VICTIM);
        match (alteration, &offences[..]) {
            // A config that is not in force yet may come: nobody is to blame.
            (HeaderAlteration::ConfigNumber, []) => {}
            (HeaderAlteration::EnvelopeCount, [(LIAR, Offence::FalseHeader(BlockError::Empty(_)))]) => {}
            (_, [(LIAR, Offence::FalseHeader(BlockError::Certificate { error: UNSIGNED, .. }))]) => {}
            _ => panic!("{alteration:?}: {offences:?}"),
        }
        assert_eq!(world.height(VICTIM, trade), 3, "{alteration:?} is not delivered");
        all_go_on(&mut world, trade)?;
    }
    Ok(())
}

/// A9, bodies: truncated, oversized, altered, and CVE-2023-46132
#[test]
fn a_body_altered_in_any_way_is_refused_by_name_and_passed_on_by_nobody() -> Outcome {
    for (seed, alteration) in (320..).zip(BodyAlteration::ALL) {
        let mut world = five(seed)?;
        let trade = world.channel("trade");
        let block = world.source("trade").tip().clone();
        let hash = block.header().hash();
        let (index, payload) = alteration.apply(0, block.body().bytes());
        forbid_body_frame(&mut world, index, payload.clone());

        push_header(&mut world, (LIAR, VICTIM), trade, block.header().certified().clone());
        send_body(&mut world, trade, hash, (index, payload))?;

        let offences = offences(&world, VICTIM);
        let [(LIAR, Offence::FalseBody(error))] = &offences[..] else {
            panic!("{alteration:?}: {offences:?}");
        };
        let is_named = match alteration {
            BodyAlteration::Bit => matches!(error, BlockError::BodyRoot(_)),
            BodyAlteration::Recut => matches!(error, BlockError::PartCount { found: 1, expected: 2, .. }),
            _ => matches!(error, BlockError::BodyLength { .. }),
        };
        assert!(is_named, "{alteration:?}: {error}");
        assert_eq!(world.height(VICTIM, trade), 3, "{alteration:?} is not delivered");
        all_go_on(&mut world, trade)?;
    }
    Ok(())
}

/// A9, a third of the peers at once: headers and bodies
#[test]
fn a_third_that_alters_headers_and_bodies_is_blamed_and_all_others_deliver() -> Outcome {
    let liars = [NodeId(2), NodeId(5), NodeId(8)];
    let world = |seed| World::builder(seed).orgs(&[5, 4]).channel("trade", &[0, 1]).build();
    let mut honest = world(330)?;
    let trade = honest.channel("trade");
    let others = others(&honest, &liars);
    honest.run_for(seconds(15))?;
    let quiet = Spread::of(&mut honest, trade, &others, (20, 20_000))?;
    let mut world = world(330)?;
    world.run_for(seconds(15))?;
    for (liar, alteration) in
        liars.into_iter().zip([BodyAlteration::Bit, BodyAlteration::Recut, BodyAlteration::Bit])
    {
        world.make_liar(liar, AlteredBodies(alteration));
        if alteration == BodyAlteration::Recut {
            world.make_liar(liar, AlteredHeaders::default());
        }
    }

    let spread = Spread::of(&mut world, trade, &others, (20, 20_000))?;

    println!("A9 a third alters: {spread}; honest {quiet}; accused {:?}", world.accusations());
    assert!(spread.slowest <= quiet.slowest + seconds(2), "{spread}, and {quiet} without liars");
    assert_accused_only(&world, &liars);
    assert!(!world.accusations().is_empty());
    Ok(())
}

/// A9: a height is a number, a hash is no content
#[test]
fn a_body_of_another_block_is_refused() -> Outcome {
    let mut world = five(329)?;
    let trade = world.channel("trade");
    let (block, other) = {
        let source = world.source("trade");
        (source.tip().clone(), source.block(BlockNumber::new(1)).expect("it was submitted").clone())
    };
    assert_ne!(Digest::of(block.body().bytes()), Digest::of(other.body().bytes()));

    push_header(&mut world, (LIAR, VICTIM), trade, block.header().certified().clone());
    let (header_hash, payload) = (block.header().hash(), other.body().bytes().clone());
    let body = ChannelMessage::BodyFrame { header_hash, index: 0, payload };
    world.inject_frame(LIAR, VICTIM, Lane::Data, Message::Channel(trade, body).encode());
    world.run_for(seconds(5))?;

    assert!(matches!(
        &offences(&world, VICTIM)[..],
        [(LIAR, Offence::FalseBody(BlockError::BodyLength { .. }))]
    ));
    Ok(())
}
