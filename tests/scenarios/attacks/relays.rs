//! Relays that drop, delay or alter what they should pass on (A11), and peers that have blocks to show and
//! none to give (A17). Blocks go whole along the tree; there are no shards yet.

use super::measure::{Spread, assert_accused_only, others, until_tip};
use crate::{Outcome, millis, nodes, seconds};
use ledgercast_protocol::types::ChannelId;
use ledgercast_simulator::liars::{
    AlteredBodies, BodyAlteration, Crime, Delays, EarlyCompletes, FalseHeights, Towards, Withholding,
};
use ledgercast_simulator::{Failure, NodeId, World};
use std::time::Duration;

/// Two orgs of eight; the first of each is what the tests call a third when they name five.
const PEERS: usize = 16;
/// What a push may take before it is repaired, and one question more that a liar lets lapse.
const BOUND: Duration = Duration::from_millis(2_200);
/// The same where all who say that they have the block are liars: their questions lapse twice.
const BOUND_OF_CLAIMS: Duration = Duration::from_millis(3_200);

fn world(seed: u64) -> Result<(World, ChannelId), Failure> {
    let mut world = World::builder(seed).orgs(&[PEERS / 2, PEERS / 2]).channel("trade", &[0, 1]).build()?;
    let trade = world.channel("trade");
    world.run_until("all see each other", seconds(30), |world| world.see_each_other(&nodes(0..PEERS)))?;
    world.run_for(seconds(15))?;
    Ok((world, trade))
}

/// A third of all, none of them a leader: leaders that withhold are A13.
fn third(world: &World, trade: ChannelId) -> Vec<NodeId> {
    let leaders = [world.leaders(0, trade), world.leaders(1, trade)].concat();
    world.node_ids().filter(|node| !leaders.contains(node)).step_by(2).take(PEERS / 3).collect()
}

/// Runs blocks past liars of one crime, and past the same peers when they are honest.
fn attack<C: Crime + 'static>(
    seed: u64,
    count: usize,
    crime: impl Fn() -> C,
) -> Result<(World, Vec<NodeId>, Spread, Spread), Failure> {
    let (mut honest, trade) = world(seed)?;
    let liars: Vec<NodeId> = third(&honest, trade).into_iter().take(count).collect();
    let others = others(&honest, &liars);
    let quiet = Spread::of(&mut honest, trade, &others, (30, 50_000))?;
    let (mut world, trade) = world(seed)?;
    for liar in &liars {
        world.make_liar(*liar, crime());
    }
    let spread = Spread::of(&mut world, trade, &others, (30, 50_000))?;
    Ok((world, liars, quiet, spread))
}

/// A11, dropped
#[test]
fn relays_that_drop_delay_a_block_by_one_repair_one_of_them_or_a_third() -> Outcome {
    for (seed, count) in [(350, 1), (351, PEERS / 3)] {
        let drop_all = || Withholding::of(&["push", "body_frame", "lacking"]);

        let (world, _, quiet, spread) = attack(seed, count, drop_all)?;

        println!("A11 {count} of {PEERS} drop: {spread}; honest {quiet}");
        assert!(spread.slowest <= BOUND, "{count} liars: {spread}, and {quiet} without");
        assert!(spread.bytes <= quiet.bytes * 3 / 2, "{spread}, and {quiet} without");
        assert_accused_only(&world, &[]);
    }
    Ok(())
}

/// A11, delayed to just below the timer
#[test]
fn relays_that_delay_cost_no_more_than_those_that_drop() -> Outcome {
    for (seed, count) in [(352, 1), (353, PEERS / 3)] {
        let late = || Delays { kinds: &["push", "body_frame"], by: millis(950) };

        let (world, _, quiet, spread) = attack(seed, count, late)?;

        println!("A11 {count} of {PEERS} delay by 950 ms: {spread}; honest {quiet}");
        assert!(spread.slowest <= BOUND, "{count} liars: {spread}, and {quiet} without");
        assert_accused_only(&world, &[]);
    }
    Ok(())
}

/// A11, altered
#[test]
fn relays_that_alter_lose_their_sessions_and_delay_a_block_by_one_repair() -> Outcome {
    for (seed, count) in [(354, 1), (355, PEERS / 3)] {
        let (world, liars, quiet, spread) = attack(seed, count, || AlteredBodies(BodyAlteration::Bit))?;

        println!("A11 {count} of {PEERS} alter: {spread}; honest {quiet}");
        assert!(spread.slowest <= BOUND, "{count} liars: {spread}, and {quiet} without");
        let accusations = world.accusations();
        assert_accused_only(&world, &liars);
        assert!(!accusations.is_empty());
        assert!(accusations.values().all(|offences| offences.keys().eq(["false_body"].iter())));
    }
    Ok(())
}

/// A17, to everybody
#[test]
fn who_says_to_have_every_block_and_serves_none_costs_a_question_each() -> Outcome {
    let (mut honest, trade) = world(356)?;
    let liars = third(&honest, trade);
    let others = others(&honest, &liars);
    let quiet = Spread::of(&mut honest, trade, &others, (30, 50_000))?;
    let (mut world, trade) = world(356)?;
    for liar in &liars {
        let crime = FalseHeights::new(&world, *liar, 1_000);
        world.make_liar(*liar, crime);
        world.make_liar(*liar, EarlyCompletes);
        world.make_liar(*liar, Withholding::of(&["push", "body_frame", "headers", "lacking"]));
    }

    let spread = Spread::of(&mut world, trade, &others, (30, 50_000))?;

    println!("A17 a third of {PEERS} serves nothing: {spread}; honest {quiet}");
    assert!(spread.slowest <= BOUND_OF_CLAIMS, "{spread}, and {quiet} without liars");
    assert_accused_only(&world, &[]);
    Ok(())
}

/// A17, some victims: nobody but these can know it
#[test]
fn who_serves_all_but_a_few_holds_up_none_of_them_for_longer() -> Outcome {
    let (mut honest, trade) = world(357)?;
    let liars = third(&honest, trade);
    let others = others(&honest, &liars);
    let victims: Vec<NodeId> = others.iter().copied().take(3).collect();
    let quiet = Spread::of(&mut honest, trade, &others, (30, 50_000))?;
    let (mut world, trade) = world(357)?;
    for liar in &liars {
        let withheld = Withholding::of(&["push", "body_frame", "headers", "lacking"]);
        world.make_liar(*liar, EarlyCompletes);
        world.make_liar(*liar, Towards::new(victims.clone(), withheld));
    }

    let spread = Spread::of(&mut world, trade, &others, (30, 50_000))?;
    world.restart_empty(victims[0])?;
    let caught_up = until_tip(&mut world, trade, &victims[..1])?;

    println!("A17 a third of {PEERS} serves all but three: {spread}; honest {quiet}; {caught_up:?}");
    assert!(spread.slowest <= BOUND_OF_CLAIMS, "{spread}, and {quiet} without liars");
    assert!(caught_up <= seconds(15), "caught up in {caught_up:?}");
    assert_accused_only(&world, &[]);
    Ok(())
}
