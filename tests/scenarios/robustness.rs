//! What a peer bears: hostile bytes, many questions, half a handshake, being stopped at any time: R1 to R4.

use crate::actors::nothing_of;
use crate::{Outcome, millis, nodes, seconds};
use bytes::Bytes;
use ledgercast_crypto::Digest;
use ledgercast_protocol::Event;
use ledgercast_protocol::types::{Incarnation, Lane, Mark, Sequence};
use ledgercast_protocol::wire::{ChannelMessage, Message};
use ledgercast_simulator::{NodeId, World};
use ledgercast_tests::malformed::FRAMES;
use std::cell::Cell;
use std::rc::Rc;

/// R1
#[test]
fn a_malformed_frame_ends_its_session_and_nothing_else() -> Outcome {
    let mut world = World::builder(81)
        .orgs(&[5])
        .channel("trade", &[0])
        .configure(|_, config| config.standing.offences_max = 6)
        .build()?;
    let trade = world.channel("trade");
    let all = nodes(0..5);
    world.submit(trade, 2, 500);
    world.run_until("five at the tip", seconds(20), |world| world.are_at_tip(&all, trade))?;
    let (liar, victim) = (NodeId(4), NodeId(1));

    for (round, frame) in FRAMES.into_iter().enumerate() {
        let lane = [Lane::Control, Lane::Data, Lane::Pull][round % 3];
        assert!(world.inject_frame(liar, victim, lane, Bytes::copy_from_slice(frame)), "they are connected");
        world.run_for(millis(50))?;
        let offences =
            world.events(victim).iter().filter(|(_, event)| matches!(event, Event::Offence { .. })).count();
        assert_eq!(offences, round + 1, "frame {round} is an offence");
        world.run_until("they meet again", seconds(60), |world| {
            world.neighbours(victim, trade).contains(&liar) && world.neighbours(liar, trade).contains(&victim)
        })?;
    }

    world.submit(trade, 3, 500);
    world.run_until("five at the tip again", seconds(20), |world| world.are_at_tip(&all, trade))
}

/// R1: frames of the pull lane are the longest
#[test]
fn a_message_on_a_lane_of_others_ends_its_session_and_bodies_travel_on_two() -> Outcome {
    let mut world = World::builder(87).orgs(&[3]).channel("trade", &[0]).build()?;
    let (trade, victim) = (world.channel("trade"), NodeId(1));
    world.run_until("three see each other", seconds(20), |world| world.see_each_other(&nodes(0..3)))?;
    let offences = |world: &World| {
        let all = world.events(victim).iter();
        all.filter(|(_, event)| matches!(event, Event::Offence { .. })).count()
    };
    let frame = ChannelMessage::BodyFrame { header_hash: Digest::ZERO, index: 0, payload: vec![7].into() };
    let frame = Message::Channel(trade, frame).encode();

    for lane in [Lane::Data, Lane::Pull] {
        assert!(world.inject_frame(NodeId(2), victim, lane, frame.clone()));
    }
    world.run_for(millis(50))?;
    assert_eq!(offences(&world), 0);
    assert!(world.inject_frame(NodeId(2), victim, Lane::Pull, Message::Channels(vec![trade]).encode()));
    world.run_for(millis(50))?;

    assert_eq!(offences(&world), 1);
    Ok(())
}

/// R2
#[test]
fn a_thousand_questions_each_way_at_once_are_all_answered() -> Outcome {
    let mut world = World::builder(82)
        .orgs(&[3])
        .configure(|_, config| config.membership.answer_budget_per_second = 10_000)
        .build()?;
    world.run_until("three see each other", seconds(20), |world| world.see_each_other(&nodes(0..3)))?;
    let (one, other, subject) = (NodeId(0), NodeId(1), world.member(NodeId(2)));
    let answers: Rc<Cell<[u32; 2]>> = Rc::default();
    let heard = answers.clone();
    world.inspect(move |sent| {
        let [mut there, mut back] = heard.get();
        match (sent.from, sent.to, sent.peek.kind) {
            (from, to, "alives") if (from, to) == (one, other) => there += 1,
            (from, to, "alives") if (from, to) == (other, one) => back += 1,
            _ => {}
        }
        heard.set([there, back]);
        Ok(())
    });

    for _ in 0..1000 {
        world.inject(one, other, &Message::WantAlives(vec![nothing_of(subject)]));
        world.inject(other, one, &Message::WantAlives(vec![nothing_of(subject)]));
    }
    world.run_for(seconds(1))?;

    let [there, back] = answers.get();
    assert!(there >= 1000 && back >= 1000, "{there} and {back} answers");
    world.run_for(seconds(30))?;
    assert!(world.see_each_other(&nodes(0..3)));
    Ok(())
}

/// R2, the bound: what is asked beyond the budget of a session is refused and counted, and harms nobody
#[test]
fn questions_beyond_the_budget_of_a_session_are_refused_and_counted() -> Outcome {
    let mut world = World::builder(83).orgs(&[3]).build()?;
    world.run_until("three see each other", seconds(20), |world| world.see_each_other(&nodes(0..3)))?;
    let mark = Mark {
        member: world.member(NodeId(2)),
        incarnation: Incarnation::from_millis(0),
        sequence: Sequence::new(0),
    };

    for _ in 0..1000 {
        world.inject(NodeId(0), NodeId(1), &Message::Question { subject: mark, passed_on: false });
    }
    world.run_for(millis(500))?;

    let refused = world.refusals(NodeId(1), "question", "over_budget");
    assert!((800..1000).contains(&refused), "{refused} of 1000 questions were refused");
    world.run_for(seconds(30))?;
    assert!(world.see_each_other(&nodes(0..3)));
    Ok(())
}

/// R3
#[test]
fn a_peer_whose_handshake_never_finishes_blocks_nobody() -> Outcome {
    let mute = NodeId(0);
    let mut world = World::builder(84).orgs(&[8]).channel("trade", &[0]).build()?;
    let trade = world.channel("trade");
    // It is the first bootstrap peer of all others; it accepts connections and shows no certificate.
    world.corrupt(mute, |_| Vec::new());
    let others = nodes(1..8);

    world.run_until("the others see each other", seconds(5), |world| world.see_each_other(&others))?;
    world.submit(trade, 5, 5_000);
    world.run_until("the others are at the tip", seconds(20), |world| world.are_at_tip(&others, trade))?;
    world.run_for(seconds(60))?;

    assert!(world.see_each_other(&others));
    Ok(())
}

/// R4
#[test]
fn a_stop_during_dial_transfer_or_commit_loses_nothing_that_was_delivered() -> Outcome {
    for (seed, stopped_after) in (100..).zip([1, 3, 8, 20, 45, 90, 160, 300, 700, 1500]) {
        let mut world = World::builder(seed).orgs(&[4]).channel("trade", &[0]).build()?;
        let trade = world.channel("trade");
        let all = nodes(0..4);
        let victim = NodeId(usize::try_from(seed % 4).expect("four nodes"));
        world.submit_every(trade, 60, 100_000, millis(25));

        world.run_for(millis(stopped_after))?;
        world.stop(victim)?;
        world.run_for(millis(150))?;
        assert!(!world.is_up(victim), "stopped within its bound");
        world.restart(victim)?;

        // That nothing delivered is lost or comes again is checked at every event.
        world.run_until("four at the tip", seconds(60), |world| world.are_at_tip(&all, trade))?;
    }
    Ok(())
}
