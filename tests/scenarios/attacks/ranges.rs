//! Answers to questions for headers that are not what was asked: A10.

use super::measure::{assert_accused_only, until_tip};
use crate::{Outcome, millis, nodes, seconds};
use ledgercast_protocol::types::ChannelId;
use ledgercast_simulator::liars::{Delays, RangeLie, WrongRanges};
use ledgercast_simulator::{Failure, NodeId, World};
use std::time::Duration;

const VICTIM: NodeId = NodeId(6);
const HONEST: NodeId = NodeId(0);
const ARENA: u64 = 8 * 1024 * 1024;

/// Seven peers of one org with 600 blocks; five are to be liars, one is the victim.
fn world(seed: u64) -> Result<(World, ChannelId), Failure> {
    let mut world = World::builder(seed)
        .orgs(&[7])
        .channel("trade", &[0])
        .configure(|_, config| config.channel.arena_bytes_max = ARENA)
        .build()?;
    let trade = world.channel("trade");
    world.submit(trade, 600, 20_000);
    world.run_until("seven at the tip", seconds(60), |world| world.are_at_tip(&nodes(0..7), trade))?;
    world.run_for(seconds(10))?;
    Ok((world, trade))
}

/// What a run with these liars took, and what it cost in questions for headers.
struct CatchUp {
    took: Duration,
    questions: u64,
}

fn catch_up(world: &mut World, trade: ChannelId) -> Result<CatchUp, Failure> {
    let before = world.traffic().of("want_headers").frames;
    world.restart_empty(VICTIM)?;
    let took = until_tip(world, trade, &[VICTIM])?;
    Ok(CatchUp { took, questions: world.traffic().of("want_headers").frames - before })
}

/// A10
#[test]
fn wrong_answers_of_all_but_one_holder_delay_a_catch_up_by_a_bounded_time() -> Outcome {
    let (mut honest, trade) = world(340)?;
    let quiet = catch_up(&mut honest, trade)?;
    println!("A10 honest: {:?}, {} questions", quiet.took, quiet.questions);
    assert_eq!(honest.refusals(VICTIM, "body_frame", "arena_full"), 0, "what is asked for has room");
    let ranges = [
        (RangeLie::Gap, Some("unasked_headers"), 8_000),
        // An answer to another question may be to one of an earlier life, for ten seconds.
        (RangeLie::OtherBlocks, None, 12_000),
        (RangeLie::Reverse, Some("unasked_headers"), 8_000),
        (RangeLie::FarFuture, Some("unasked_headers"), 8_000),
        (RangeLie::TooMany, Some("unasked_headers"), 8_000),
        (RangeLie::One, None, 8_000),
        (RangeLie::Late(millis(1_900)), None, 8_000),
        (RangeLie::Late(millis(2_500)), None, 15_000),
        (RangeLie::Never, None, 15_000),
        (RangeLie::Lacking, None, 8_000),
    ];
    for (lie, offence, bound) in ranges {
        let (mut world, trade) = world(340)?;
        let liars = nodes(1..6);
        for liar in &liars {
            let crime = WrongRanges::new(&world, trade, lie);
            world.make_liar(*liar, crime);
        }

        let CatchUp { took, questions } = catch_up(&mut world, trade)?;

        println!("A10 {lie:?}: {took:?}, {questions} questions, accused {:?}", world.accusations());
        assert!(took <= quiet.took + millis(bound), "{lie:?} took {took:?}, and {:?} quiet", quiet.took);
        assert!(questions <= quiet.questions + 60, "{lie:?}: {questions} questions");
        assert!(world.payload_bytes_seen() <= ARENA);
        assert_accused_only(&world, &liars);
        let accused = world.accusations();
        let mut reasons = accused.values().flat_map(|offences| offences.keys().copied());
        match offence {
            Some(offence) => assert!(reasons.all(|found| found == offence) && !accused.is_empty()),
            None => assert!(accused.is_empty(), "{lie:?}: {accused:?}"),
        }
        assert!(!world.accusations().contains_key(&HONEST));
    }
    Ok(())
}

/// A10, bodies: each frame of history comes just before its holder would be given up
#[test]
fn bodies_that_come_just_before_the_time_out_hold_back_what_is_asked_of_liars_only() -> Outcome {
    let (mut honest, trade) = world(341)?;
    let quiet = catch_up(&mut honest, trade)?;
    let (mut world, trade) = world(341)?;
    let liars = nodes(1..3);
    for liar in &liars {
        world.make_liar(*liar, Delays { kinds: &["body_frame"], by: millis(950) });
    }

    let CatchUp { took, .. } = catch_up(&mut world, trade)?;

    println!("A10 slow bodies of a third: {took:?}, honest {:?}", quiet.took);
    assert!(took <= seconds(20), "took {took:?}");
    assert_accused_only(&world, &[]);
    Ok(())
}
