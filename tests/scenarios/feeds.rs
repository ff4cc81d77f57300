//! Streams from several orderers, one of which is at fault: O1 to O4, A14.

use crate::{Outcome, millis, nodes, seconds};
use ledgercast_protocol::Event;
use ledgercast_protocol::event::{FeedChange, Route};
use ledgercast_protocol::feed::FeedKind;
use ledgercast_protocol::types::ChannelId;
use ledgercast_simulator::{Failure, NodeId, SourceFault, World};
use std::time::Duration;

/// One org of four with this many sources, its leader pulling for a while.
fn pulling(seed: u64, sources: usize) -> Result<(World, ChannelId, NodeId), Failure> {
    let mut world = World::builder(seed).orgs(&[4]).channel("trade", &[0]).followers(sources - 1).build()?;
    let trade = world.channel("trade");
    world.run_until("a leader that pulls", seconds(15), |world| {
        world.leaders(0, trade).iter().any(|leader| pulled(world, *leader, trade).is_some())
    })?;
    world.submit_every(trade, 4, 1000, millis(50));
    world.run_until("four blocks", seconds(5), |world| world.are_at_tip(&nodes(0..4), trade))?;
    let leader = world.leaders(0, trade)[0];
    Ok((world, trade, leader))
}

/// The place among the config's sources of the one that brings a node its blocks.
fn pulled(world: &World, node: NodeId, channel: ChannelId) -> Option<usize> {
    let view = world.channel_view(node, channel)?;
    view.sources.iter().position(|source| source.kind == Some(FeedKind::Blocks) && source.is_open)
}

fn changes(world: &World, node: NodeId, is_meant: impl Fn(&FeedChange) -> bool) -> usize {
    let events = world.events(node).iter();
    events.filter(|(_, event)| matches!(event, Event::Feed { change, .. } if is_meant(change))).count()
}

fn suspicions(world: &World, node: NodeId) -> usize {
    changes(world, node, |change| matches!(change, FeedChange::Suspected { .. }))
}

/// Gives the source that is pulled from a fault, submits, and says how long the blocks took beyond the time
/// in which they were released.
fn delay_with(seed: u64, sources: usize, fault: SourceFault) -> Result<(Duration, World, NodeId), Failure> {
    const BLOCKS: u32 = 40;
    let (mut world, trade, leader) = pulling(seed, sources)?;
    let source = pulled(&world, leader, trade).expect("it pulls");
    world.set_source_fault(source, fault)?;
    world.submit_every(trade, BLOCKS.into(), 10_000, millis(50));
    world.run_for(millis(50) * BLOCKS)?;
    let mut late = Duration::ZERO;
    while !world.are_at_tip(&nodes(0..4), trade) {
        assert!(late < seconds(5), "{fault:?}: the leader is at {}", world.height(leader, trade));
        world.run_for(millis(10))?;
        late += millis(10);
    }
    assert_ne!(pulled(&world, leader, trade), Some(source), "{fault:?}: the source was not changed");
    assert_eq!(world.leaders(0, trade), [leader], "{fault:?}: it is not the leader's fault");
    Ok((late, world, leader))
}

/// O1
#[test]
fn one_of_two_orderers_dead_costs_less_than_the_longest_pause() -> Outcome {
    for seed in 60..64 {
        let (late, ..) = delay_with(seed, 2, SourceFault::Dead)?;
        assert!(late <= seconds(2), "{late:?}");
    }
    Ok(())
}

/// O5
#[test]
fn a_follower_that_a_config_removes_is_left_and_one_that_a_config_adds_is_pulled_from() -> Outcome {
    let (mut world, trade, leader) = pulling(65, 2)?;
    world.set_source_fault(0, SourceFault::Dead)?;
    world.run_until("the follower is pulled from", seconds(5), |world| {
        pulled(world, leader, trade) == Some(1)
    })?;
    world.set_source_fault(0, SourceFault::None)?;
    let sources = |world: &World| world.channel_view(leader, trade).map_or(0, |view| view.sources.len());
    let in_force = |world: &World, number: u64| {
        let number_at = |node| world.channel_view(node, trade).map(|view| view.config_number);
        nodes(0..4).into_iter().all(|node| number_at(node) == Some(number))
    };

    let mut removed = Vec::new();
    world.update_config(trade, |next| removed.append(&mut next.followers));
    world.run_until("the config without it", seconds(5), |world| in_force(world, 1))?;
    world.submit_every(trade, 4, 1000, millis(50));
    world.run_until("blocks of the orderer", seconds(5), |world| {
        world.are_at_tip(&nodes(0..4), trade) && pulled(world, leader, trade) == Some(0)
    })?;
    assert_eq!(sources(&world), 1);

    world.update_config(trade, |next| next.followers.append(&mut removed));
    world.run_until("the config with it", seconds(5), |world| in_force(world, 2))?;
    assert_eq!(sources(&world), 2);
    world.set_source_fault(0, SourceFault::Dead)?;
    world.submit_every(trade, 4, 1000, millis(50));
    world.run_until("blocks of the follower", seconds(5), |world| {
        world.are_at_tip(&nodes(0..4), trade) && pulled(world, leader, trade) == Some(1)
    })?;
    assert_eq!(world.leaders(0, trade), [leader]);
    Ok(())
}

/// O2
#[test]
fn a_false_block_or_an_end_of_stream_is_followed_by_the_next_source_at_once() -> Outcome {
    for (seed, fault) in [(65, SourceFault::Alters(20)), (66, SourceFault::EndsAt(20))] {
        let (late, ..) = delay_with(seed, 3, fault)?;
        assert!(late <= millis(100), "{fault:?}: {late:?}");
    }
    Ok(())
}

/// O3, A14
#[test]
fn a_source_that_withholds_or_delays_costs_one_allowance_in_total() -> Outcome {
    let faults = [
        SourceFault::Withholds(20),
        SourceFault::HeadersOnly,
        SourceFault::Stalls,
        SourceFault::Delays(millis(450)),
    ];
    for (seed, fault) in (70..).zip(faults) {
        let (late, world, leader) = delay_with(seed, 4, fault)?;
        assert!(late <= millis(100), "{fault:?}: {late:?} after the last release");
        assert_eq!(suspicions(&world, leader), 1, "{fault:?}");
    }
    Ok(())
}

/// O4: who withholds again and again is asked last for longer each time; who comes in time is no event
#[test]
fn suspicion_grows_with_repetition_and_waiting_that_ends_in_time_is_no_event() -> Outcome {
    let (mut world, trade, leader) = pulling(75, 2)?;
    world.submit_every(trade, 100, 10_000, millis(20));
    world.run_for(seconds(3))?;
    assert_eq!(suspicions(&world, leader), 0);

    world.set_source_fault(0, SourceFault::HeadersOnly)?;
    world.submit_every(trade, 1200, 1_000, millis(100));
    world.run_for(seconds(122))?;

    assert!(world.are_at_tip(&nodes(0..4), trade));
    // Each epoch has a leader of its own; who leads again later may try the source again, each time later.
    let suspected = |event: &Event| matches!(event, Event::Feed { change: FeedChange::Suspected { .. }, .. });
    let told = world.events(leader).iter().filter(|(_, event)| suspected(event));
    let times: Vec<_> = told.map(|(at, _)| *at).collect();
    assert!(times.len() >= 2, "{times:?}");
    for (index, pair) in times.windows(2).enumerate() {
        let pause = seconds(10) * (1 << index);
        assert!(pair[1].saturating_sub(pair[0]) >= pause, "{times:?}");
    }
    Ok(())
}

/// L5 for a whole org: its leader yields, and its blocks come from the other org
#[test]
fn an_org_that_reaches_no_orderer_gets_its_blocks_from_the_other_one() -> Outcome {
    let mut world = World::builder(76).orgs(&[3, 3]).channel("trade", &[0, 1]).followers(1).build()?;
    let trade = world.channel("trade");
    world
        .run_until("leaders", seconds(15), |world| (0..2).all(|org| world.leaders(org, trade).len() == 1))?;
    let first = world.leaders(0, trade);
    for node in nodes(0..3) {
        world.cut_from_orderer(node, true)?;
    }

    world.submit_every(trade, 100, 10_000, millis(100));
    world.run_for(seconds(12))?;
    assert!(world.are_at_tip(&nodes(0..6), trade));
    assert!(nodes(0..3).iter().all(|node| world.delivered_by(*node, Route::Feed) == 0));
    let yielded = |node: &NodeId| {
        let told = world.events(*node).iter();
        told.filter(|(_, event)| matches!(event, Event::LeadershipChanged { is_me: false, .. })).count() > 0
    };
    assert!(first.iter().all(yielded), "the leader that was cut off did not yield");

    for node in nodes(0..3) {
        world.cut_from_orderer(node, false)?;
    }
    world.run_until("one leader again", seconds(60), |world| world.leaders(0, trade).len() == 1)
}
