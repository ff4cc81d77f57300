//! How blocks spread and how gaps close: D1 to D6, D9.

use crate::actors::push_block;
use crate::{Outcome, millis, nodes, seconds};
use ledgercast_protocol::event::Route;
use ledgercast_protocol::ledger::VerifiedBlock;
use ledgercast_protocol::types::BlockNumber;
use ledgercast_simulator::{DiskSettings, Failure, LinkSettings, NodeId, World};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// One org on one channel, everybody a neighbour of everybody, one leader.
fn settled(seed: u64, peers: usize) -> Result<World, Failure> {
    let mut world = World::builder(seed).orgs(&[peers]).channel("trade", &[0]).build()?;
    settle(&mut world, peers)?;
    Ok(world)
}

fn settle(world: &mut World, peers: usize) -> Outcome {
    let trade = world.channel("trade");
    world.run_until("a full mesh with a leader", seconds(30), |world| {
        let is_meshed = nodes(0..peers).iter().all(|node| world.neighbours(*node, trade).len() == peers - 1);
        is_meshed && world.leaders(0, trade).len() == 1
    })
}

fn blocks(world: &World, numbers: impl IntoIterator<Item = u64>) -> Vec<VerifiedBlock> {
    let source = world.source("trade");
    numbers.into_iter().filter_map(|number| source.block(BlockNumber::new(number)).cloned()).collect()
}

fn delivered_by(world: &World, peers: usize, route: Route) -> u64 {
    nodes(0..peers).into_iter().map(|node| world.delivered_by(node, route)).sum()
}

/// Who sent to whom a frame that begins so.
type Sent = (NodeId, NodeId, Vec<u8>);

/// D1
#[test]
fn ten_blocks_reach_ten_peers_in_order_once_and_never_go_back() -> Outcome {
    let mut world = settled(61, 10)?;
    let trade = world.channel("trade");
    let all = nodes(0..10);
    let sent: Rc<RefCell<BTreeSet<Sent>>> = Rc::default();
    let seen = sent.clone();
    world.inspect(move |frame| {
        if frame.peek.kind != "body_frame" {
            return Ok(());
        }
        let start = frame.frame[..80.min(frame.frame.len())].to_vec();
        if seen.borrow().contains(&(frame.to, frame.from, start.clone())) {
            return Err("sends a block back to where it came from".to_owned());
        }
        match seen.borrow_mut().insert((frame.from, frame.to, start)) {
            true => Ok(()),
            false => Err("sends a block twice to one peer".to_owned()),
        }
    });

    world.submit_every(trade, 10, 30_000, millis(200));
    world.run_for(seconds(3))?;

    assert!(world.are_at_tip(&all, trade));
    assert_eq!(sent.borrow().len(), 10 * 9, "each of nine peers got each block's one frame once");
    assert_eq!(delivered_by(&world, 10, Route::Push), 10 * 9);
    assert_eq!(delivered_by(&world, 10, Route::Feed), 10);
    Ok(())
}

/// Bodies that are late are asked for now and then, of members that have them no sooner: what must not be is
/// that one crosses twice.
#[test]
fn in_a_burst_that_takes_seconds_each_body_reaches_ten_peers_once_and_by_push() -> Outcome {
    for seed in 604..608 {
        let mut world = settled(seed, 10)?;
        world.set_links(LinkSettings { bits_per_second: 100_000_000, ..LinkSettings::lan() });
        let trade = world.channel("trade");
        let started = world.now();

        world.submit(trade, 120, 100_000);
        world.run_until("ten at height 121", seconds(60), |world| world.are_at_tip(&nodes(0..10), trade))?;

        // Longer than a block alone is waited for, so that headers overtake bodies by more than that.
        assert!(world.now() - started > seconds(2), "{:?}", world.now() - started);
        assert_eq!(delivered_by(&world, 10, Route::Push), 120 * 9, "seed {seed}");
        assert_eq!(delivered_by(&world, 10, Route::Feed), 120, "seed {seed}");
        let bodies = world.traffic().of("body_frame");
        assert_eq!(bodies.frames, 120 * 9, "seed {seed}: one frame a body and receiver");
        let questions = world.traffic().of("want_body").frames;
        assert!(questions < 2 * bodies.frames, "seed {seed}: {questions} questions");
    }
    Ok(())
}

/// The newest header of an orderer's stream is old as a rule. Here it is that of a block that is just being
/// pushed, at every peer at once.
#[test]
fn a_block_that_is_the_newest_when_header_streams_open_reaches_ten_peers_by_push_alone() -> Outcome {
    let mut world = World::builder(612).orgs(&[10]).channel("trade", &[0]).build()?;
    let trade = world.channel("trade");
    world.set_orderer_down(true)?;
    settle(&mut world, 10)?;
    world.submit(trade, 3, 400_000);
    world.set_links(LinkSettings { bits_per_second: 100_000_000, ..LinkSettings::lan() });

    world.set_orderer_down(false)?;
    world.run_until("ten at height 4", seconds(60), |world| world.are_at_tip(&nodes(0..10), trade))?;

    assert_eq!(world.traffic().of("want_body").frames, 0);
    assert_eq!(delivered_by(&world, 10, Route::Push), 3 * 9);
    assert_eq!(delivered_by(&world, 10, Route::Feed), 3);
    Ok(())
}

/// One org finds its first leader before the other one does, and blocks are ordered already.
#[test]
fn bodies_that_are_ordered_before_two_orgs_have_leaders_cross_once() -> Outcome {
    for seed in 620..650 {
        let mut world = World::builder(seed)
            .orgs(&[2, 2])
            .channel("trade", &[0, 1])
            .start_at(move |node| Some(millis(seed * 7919 * (node.0 as u64 + 1) % 700)))
            .build()?;
        let trade = world.channel("trade");
        let again = bodies_sent_again(&mut world);
        world.run_for(millis(700))?;

        world.submit_every(trade, 12, 190_000, millis(250));
        world.run_until("four at the tip", seconds(30), |world| world.are_at_tip(&nodes(0..4), trade))?;

        assert_eq!(*again.borrow(), [], "seed {seed}: who sent to whom what it had got already");
        assert_eq!(delivered_by(&world, 4, Route::Feed), 2 * 12, "seed {seed}: a leader of each org");
    }
    Ok(())
}

/// Who sends to whom a frame of a body that the receiver was sent before, by anybody.
fn bodies_sent_again(world: &mut World) -> Rc<RefCell<Vec<(NodeId, NodeId)>>> {
    let again: Rc<RefCell<Vec<(NodeId, NodeId)>>> = Rc::default();
    let found = again.clone();
    let mut sent = BTreeSet::new();
    world.inspect(move |frame| {
        let start = || frame.frame[..80.min(frame.frame.len())].to_vec();
        if frame.peek.kind == "body_frame" && !sent.insert((frame.to, start())) {
            found.borrow_mut().push((frame.from, frame.to));
        }
        Ok(())
    });
    again
}

/// D2
#[test]
fn without_push_ten_blocks_reach_six_peers_by_pull() -> Outcome {
    let mut world = World::builder(62)
        .orgs(&[6])
        .channel("trade", &[0])
        .configure(|_, config| config.channel.dissemination.is_enabled = false)
        .build()?;
    settle(&mut world, 6)?;
    let trade = world.channel("trade");

    world.submit_every(trade, 10, 30_000, millis(200));
    world.run_until("six at the tip", seconds(40), |world| world.are_at_tip(&nodes(0..6), trade))?;

    assert_eq!(delivered_by(&world, 6, Route::Push), 0);
    assert_eq!(world.traffic().of("push").frames, 0);
    Ok(())
}

/// D3
#[test]
fn a_late_peer_with_a_slow_disk_catches_up_in_order_within_its_buffer() -> Outcome {
    let late = NodeId(4);
    let mut world = World::builder(63)
        .orgs(&[5])
        .channel("trade", &[0])
        .start_at(move |node| (node != late).then_some(seconds(0)))
        .configure(|_, config| config.channel.arena_bytes_max = 8 * 1024 * 1024)
        .build()?;
    let trade = world.channel("trade");
    world.submit(trade, 499, 50_000);
    world.run_until("four at height 500", seconds(60), |world| world.are_at_tip(&nodes(0..4), trade))?;

    world.set_disk(late, DiskSettings { sync: millis(20), ..DiskSettings::default() });
    world.restart(late)?;
    world.run_until("the late one at height 500", seconds(60), |world| world.height(late, trade) == 500)?;

    // Order and exactness are checked at every event; the buffer's bound as well, against the configuration.
    assert!(world.payload_bytes_seen() <= 8 * 1024 * 1024);
    assert_eq!(world.delivered_by(late, Route::RangeSync) + world.delivered_by(late, Route::Repair), 499);
    Ok(())
}

/// D4
#[test]
fn a_gap_holds_the_ledger_far_blocks_are_refused_and_the_filled_gap_frees_all() -> Outcome {
    let mut world = World::builder(64)
        .orgs(&[2])
        .channel("trade", &[0])
        .configure(|_, config| config.channel.window_blocks = 100)
        .build()?;
    settle(&mut world, 2)?;
    let trade = world.channel("trade");
    let (victim, sender) = (NodeId(0), NodeId(1));
    world.certify(trade, 200, 5_000);
    for node in nodes(0..2) {
        world.cut_from_orderer(node, true)?;
    }

    for block in blocks(&world, (1..=4).chain(10..=20).chain(21..=200)) {
        push_block(&mut world, sender, victim, &block);
        world.run_for(millis(10))?;
    }
    world.run_for(seconds(2))?;
    assert_eq!(world.height(victim, trade), 5, "blocks 0 to 4");
    let view = world.channel_view(victim, trade).expect("it runs");
    assert!(view.proven_height <= 5 + 100, "a header beyond the window is proven: {}", view.proven_height);

    for block in blocks(&world, 5..=9) {
        push_block(&mut world, sender, victim, &block);
    }
    world.run_until("the window is delivered", seconds(20), |world| world.height(victim, trade) >= 100)?;
    for block in blocks(&world, 100..=200) {
        push_block(&mut world, sender, victim, &block);
        world.run_for(millis(10))?;
    }
    world.run_until("all 200 blocks", seconds(30), |world| world.height(victim, trade) == 201)
}

/// D5
#[test]
fn what_comes_from_the_orderer_and_from_gossip_is_committed_once() -> Outcome {
    let mut world = settled(65, 3)?;
    let trade = world.channel("trade");
    let leader = world.leaders(0, trade)[0];
    let gossiper = nodes(0..3).into_iter().find(|node| *node != leader).expect("three peers");
    world.submit_every(trade, 500, 3_000, millis(5));

    // Every second block once more, in an order that follows no number.
    let mut scattered: Vec<u64> = (0..250).map(|index| (index * 173) % 250 * 2 + 1).collect();
    scattered.dedup();
    for chunk in blocks(&world, scattered).chunks(5) {
        for block in chunk {
            push_block(&mut world, gossiper, leader, block);
        }
        world.run_for(millis(50))?;
    }

    world.run_until("500 blocks committed", seconds(30), |world| world.are_at_tip(&nodes(0..3), trade))?;
    assert_eq!(world.deliveries(), 3 * 500);
    Ok(())
}

/// D6
#[test]
fn ten_that_start_one_after_another_know_everything_of_all() -> Outcome {
    let mut world = World::builder(66)
        .orgs(&[10])
        .channel("trade", &[0])
        .start_at(|node| Some(seconds(2) * u32::try_from(node.0).expect("ten nodes")))
        .build()?;
    let trade = world.channel("trade");
    world.submit_every(trade, 10, 500, seconds(2));

    world.run_until("everybody knows everybody's height", seconds(60), |world| {
        world.are_at_tip(&nodes(0..10), trade)
            && nodes(0..10).iter().all(|node| {
                let view = world.channel_view(*node, trade);
                view.is_some_and(|view| {
                    view.neighbours.len() == 9
                        && view.neighbours.iter().all(|other| other.claimed_height.as_u64() == view.height)
                })
            })
    })
}

/// D9
#[test]
fn without_orderers_two_emptied_peers_catch_up_from_the_others() -> Outcome {
    let mut world = World::builder(67).orgs(&[4, 4]).channel("trade", &[0, 1]).build()?;
    let trade = world.channel("trade");
    let all = nodes(0..8);
    world.submit_every(trade, 100, 20_000, millis(50));
    world.run_until("eight at the tip", seconds(60), |world| world.are_at_tip(&all, trade))?;

    world.set_orderer_down(true)?;
    world.restart_empty(NodeId(0))?;
    world.restart_empty(NodeId(5))?;

    world.run_until("eight at the tip again", seconds(30), |world| {
        [NodeId(0), NodeId(5)].iter().all(|node| world.height(*node, trade) == 101)
    })
}

/// A21, in part: what is durable is found again, what is not comes again
#[test]
fn killed_peers_resume_without_loss_and_without_repetition() -> Outcome {
    let mut world = settled(68, 6)?;
    let trade = world.channel("trade");
    world.submit_every(trade, 200, 20_000, millis(50));

    for round in 0..10 {
        world.run_for(millis(700))?;
        let victim = NodeId(round % 6);
        world.crash(victim);
        world.run_for(millis(300))?;
        world.restart(victim)?;
    }

    world.run_until("six at the tip", seconds(60), |world| world.are_at_tip(&nodes(0..6), trade))
}
