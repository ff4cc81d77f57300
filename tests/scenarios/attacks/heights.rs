//! Heights that nothing proves, and certificates that certify something else: A8.

use super::measure::{Spread, assert_accused_only, others, until_tip};
use crate::{Outcome, nodes, seconds};
use ledgercast_protocol::types::{BlockNumber, ChannelId, Height};
use ledgercast_simulator::liars::{FalseAnnouncements, FalseHeights, ForeignCertificates, Withholding};
use ledgercast_simulator::{Failure, NodeId, World};
use std::time::Duration;

const HISTORY: u64 = 600;
const VICTIM: NodeId = NodeId(1);

/// A third of nine peers of two orgs, and nobody's leader alone.
fn liars() -> Vec<NodeId> {
    vec![NodeId(2), NodeId(5), NodeId(8)]
}

fn world(seed: u64) -> Result<(World, ChannelId), Failure> {
    let mut world =
        World::builder(seed).orgs(&[5, 4]).channel("trade", &[0, 1]).channel("audit", &[0, 1]).build()?;
    let (trade, audit) = (world.channel("trade"), world.channel("audit"));
    world.submit(trade, HISTORY, 500);
    world.submit(audit, 20, 500);
    world.run_until("nine at the tips", seconds(60), |world| {
        world.are_at_tip(&nodes(0..9), trade) && world.are_at_tip(&nodes(0..9), audit)
    })?;
    world.run_for(seconds(10))?;
    Ok((world, trade))
}

/// How long an emptied peer needs for all of history.
fn catch_up(world: &mut World, trade: ChannelId) -> Result<Duration, Failure> {
    world.restart_empty(VICTIM)?;
    until_tip(world, trade, &[VICTIM])
}

/// A8, heights
#[test]
fn heights_that_no_header_proves_delay_no_catch_up_and_prove_nothing() -> Outcome {
    let (mut honest, trade) = world(301)?;
    let quiet = catch_up(&mut honest, trade)?;
    let (mut world, trade) = world(301)?;
    for liar in liars() {
        let crime = FalseHeights::new(&world, liar, 1_000_000);
        world.make_liar(liar, crime);
        world.make_liar(liar, FalseAnnouncements { ahead: 900, count: 8 });
    }
    // Their new claims have spread before the victim asks anybody.
    world.submit(trade, 1, 500);
    world.run_for(seconds(10))?;

    let took = catch_up(&mut world, trade)?;

    println!("A8 heights: caught up in {took:?}, honest {quiet:?}");
    assert!(took <= quiet + Duration::from_millis(500), "{took:?}, and {quiet:?} without liars");
    let asked_before = world.traffic().of("want_headers").frames;
    world.run_for(seconds(300))?;
    let asked = world.traffic().of("want_headers").frames - asked_before;
    println!("A8 heights: {asked} questions of nine peers in the 300 s after it");
    assert!(asked <= 9 * 3 * 12, "{asked} questions for blocks that do not exist");
    for node in others(&world, &liars()) {
        let view = world.channel_view(node, trade).expect("it runs");
        assert_eq!(view.proven_height, HISTORY + 2, "{node} believes a claim");
    }
    assert_accused_only(&world, &[]);
    Ok(())
}

/// A8, heights, and nothing behind them: who claims more than anybody is asked, and does not answer
#[test]
fn who_claims_most_and_answers_nothing_costs_a_time_out_each() -> Outcome {
    let (mut honest, trade) = world(302)?;
    let quiet = catch_up(&mut honest, trade)?;
    let (mut world, trade) = world(302)?;
    for liar in liars() {
        let crime = FalseHeights::new(&world, liar, 1_000_000);
        world.make_liar(liar, crime);
        world.make_liar(liar, Withholding::of(&["headers", "lacking", "body_frame"]));
    }
    world.submit(trade, 1, 500);
    world.run_for(seconds(10))?;

    let took = catch_up(&mut world, trade)?;

    println!("A8 silent claimants: caught up in {took:?}, honest {quiet:?}");
    let time_outs = seconds(2) * u32::try_from(liars().len()).expect("three");
    assert!(took <= quiet + time_outs + seconds(2), "{took:?}, and {quiet:?} without liars");
    assert_accused_only(&world, &[]);
    Ok(())
}

/// A8, certificates
#[test]
fn certificates_of_another_number_or_channel_are_offences_and_cost_one_repair() -> Outcome {
    let (mut honest, trade) = world(303)?;
    let all_honest = others(&honest, &liars());
    let quiet = Spread::of(&mut honest, trade, &all_honest, (20, 20_000))?;
    let (mut world, trade) = world(303)?;
    let foreign = |world: &World, name: &str| {
        let block = world.source(name).block(BlockNumber::new(7)).expect("it was submitted");
        block.header().certified().clone()
    };
    for liar in liars() {
        let crime = ForeignCertificates::of([foreign(&world, "audit"), foreign(&world, "trade")]);
        world.make_liar(liar, crime);
    }

    let spread = Spread::of(&mut world, trade, &all_honest, (20, 20_000))?;
    let caught_up = catch_up(&mut world, trade)?;

    println!("A8 certificates: {spread}; honest {quiet}; caught up in {caught_up:?}");
    assert!(spread.slowest <= quiet.slowest + seconds(2), "{spread}, and {quiet} without liars");
    assert!(caught_up <= seconds(8), "caught up in {caught_up:?}");
    let accusations = world.accusations();
    assert_accused_only(&world, &liars());
    assert!(accusations.values().all(|offences| offences.keys().eq(["false_header"].iter())));
    assert!(!accusations.is_empty());
    for node in all_honest {
        let view = world.channel_view(node, trade).expect("it runs");
        assert_eq!(view.proven_height, Height::new(HISTORY + 21).as_u64());
    }
    Ok(())
}
