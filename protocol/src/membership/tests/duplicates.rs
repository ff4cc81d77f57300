//! Identities in use twice (A3), and earlier lives that a disk does not remember (A4).

use super::world::{World, seconds};
use crate::event::Event;
use crate::wire::{Alive, AliveRecord, Message, Signed};

fn record(alive: Signed<Alive>) -> Message {
    Message::Alives(vec![AliveRecord { alive, internal: None, tick: None }])
}

fn alarms(world: &World, at: usize) -> usize {
    let is_alarm = |event: &Event| matches!(event, Event::DuplicateIdentity { .. });
    world.nodes[at].events.iter().filter(|(_, event)| is_alarm(event)).count()
}

/// Six peers, and an alive that a thief of peer 2's key signs now, for a life that began a second ago.
fn stolen(world: &World) -> Signed<Alive> {
    let wall = world.wall().as_millis();
    world.alive(2, wall - 1_000, 1, wall)
}

fn settled(orgs: &[u8]) -> World {
    let mut world = World::new(orgs);
    world.connect_all();
    world.run_for(seconds(12));
    world
}

#[test]
fn everybody_hears_of_a_stolen_key_within_an_interval_and_nobody_is_evicted() {
    let mut world = settled(&[1; 6]);

    let alive = stolen(&world);
    world.inject(5, 0, record(alive));
    world.run_for(seconds(6));

    for peer in 0..6 {
        assert_eq!(alarms(&world, peer), 1, "peer {peer}");
        assert!(peer == 2 || world.sees(peer, 2), "peer {peer}");
    }
    assert!(world.nodes[2].state.duplicate(world.id(2)).is_some());
}

#[test]
fn the_proof_crosses_each_session_at_most_once() {
    let mut world = settled(&[1; 6]);
    let before = world.sent.len();

    let alive = stolen(&world);
    world.inject(5, 0, record(alive));
    world.run_for(seconds(20));

    let mut proofs: Vec<_> = world.sent[before..]
        .iter()
        .filter(|(.., message)| message.kind() == "conflict")
        .map(|(_, from, to, _)| (*from, *to))
        .collect();
    let count = proofs.len();
    proofs.sort_unstable();
    proofs.dedup();
    assert!(count > 0);
    assert_eq!(proofs.len(), count);
}

#[test]
fn a_newer_life_clears_the_alarm_everywhere() {
    let mut world = settled(&[1; 6]);
    let alive = stolen(&world);
    world.inject(5, 0, record(alive));
    world.run_for(seconds(6));

    world.restart(2);
    (0..6).filter(|peer| *peer != 2).for_each(|peer| world.connect(2, peer));
    world.run_for(seconds(6));

    for peer in 0..6 {
        assert!(world.nodes[peer].state.duplicate(world.id(2)).is_none(), "peer {peer}");
    }
}

#[test]
fn the_proof_follows_the_disclosure_rule() {
    let mut world = World::new(&[1, 1, 1, 2, 2, 3]);
    // Org 3 shares a channel with org 2 only, and org 1 with org 2 only.
    let (one, two, three) = (super::world::org(1), super::world::org(2), super::world::org(3));
    for (peer, shared) in [(0, vec![one, two]), (3, vec![one, two, three]), (5, vec![two, three])] {
        let orgs: std::collections::BTreeSet<_> = shared.into_iter().collect();
        let of_org = world.nodes[peer].own.org;
        world.nodes.iter_mut().filter(|node| node.own.org == of_org).for_each(|node| {
            node.shared = orgs.clone();
        });
    }
    world.connect_all();
    world.run_for(seconds(12));

    let alive = stolen(&world);
    world.inject(1, 0, record(alive));
    world.run_for(seconds(6));

    assert!((0..5).all(|peer| alarms(&world, peer) == 1));
    assert_eq!(alarms(&world, 5), 0);
    let third = world.id(5);
    assert!(world.sent.iter().all(|(_, _, to, message)| *to != third || message.kind() != "conflict"));
    let crosses = world.sent.iter().filter_map(|(_, _, to, message)| match message {
        Message::Conflict(pair) if (3..5).any(|peer| world.id(peer) == *to) => Some(pair),
        _ => None,
    });
    assert!(crosses.into_iter().all(|pair| pair.first.internal.is_none() && pair.second.internal.is_none()));
}

#[test]
fn proofs_in_quick_succession_raise_one_alarm_an_interval() {
    let mut world = settled(&[1; 4]);
    let wall = world.wall().as_millis();

    for life in 0..50 {
        let alive = world.alive(2, wall - 1_000 + life, 1, wall);
        world.inject(3, 0, record(alive));
    }
    world.run_for(seconds(2));

    assert_eq!(alarms(&world, 0), 1);
}

#[test]
fn an_earlier_life_that_is_ahead_is_outlived_without_an_alarm() {
    let mut world = settled(&[1; 4]);
    let wall = world.wall().as_millis();
    // Signed two minutes before this life began, by a clock that was two minutes ahead of today's.
    let earlier = world.alive(2, wall + 100_000, 7, wall - 120_000);

    world.inject(1, 2, record(earlier));
    world.run_for(seconds(6));

    assert_eq!(world.nodes[2].state.incarnation().as_millis(), wall + 100_001);
    assert!((0..4).all(|peer| alarms(&world, peer) == 0));
    assert!((0..4).filter(|peer| *peer != 2).all(|peer| world.sees(peer, 2)));
}

#[test]
fn who_is_behind_on_its_own_session_is_shown_what_is_held_of_it() {
    let mut world = settled(&[1; 3]);
    let wall = world.wall().as_millis();
    let earlier = world.alive(2, wall + 100_000, 7, wall - 120_000);

    // Only peer 0 remembers the earlier life; peer 2 learns of it from there.
    world.inject(1, 0, record(earlier));
    world.run_for(seconds(12));

    assert!(world.nodes[2].state.incarnation().as_millis() > wall + 100_000);
}

#[test]
fn a_single_theft_is_outlived_once_nothing_newer_follows() {
    let mut world = settled(&[1; 4]);
    let wall = world.wall().as_millis();
    let stolen = world.alive(2, wall + 200_000, u64::MAX, wall);

    world.inject(3, 0, record(stolen));
    world.run_for(seconds(6));
    assert!((0..4).all(|peer| alarms(&world, peer) == 1));
    world.run_for(seconds(24));

    assert!((0..4).all(|peer| world.nodes[peer].state.duplicate(world.id(2)).is_none()));
    assert!((0..4).filter(|peer| *peer != 2).all(|peer| world.sees(peer, 2)));
    assert!((0..4).all(|peer| world.evictions(peer, 2).is_empty()));
}

#[test]
fn what_a_copy_said_raises_no_alarm_once_it_is_gone() {
    // By a clock that is right, and by one that is a minute ahead.
    for ahead in [0, 60_000] {
        let mut world = settled(&[1; 4]);
        let wall = world.wall().as_millis();
        // The copy began a second ago, after peer 2, and has spoken since.
        let last = world.alive(2, wall - 1_000, 9, wall + ahead);

        world.inject(3, 0, record(last.clone()));
        world.run_for(seconds(6));
        assert!((0..4).all(|peer| alarms(&world, peer) == 1), "{ahead}");
        world.run_for(seconds(24));
        assert!((0..4).all(|peer| world.nodes[peer].state.duplicate(world.id(2)).is_none()), "{ahead}");
        (0..2).for_each(|peer| world.inject(3, peer, record(last.clone())));
        world.run_for(seconds(12));

        assert!((0..4).all(|peer| alarms(&world, peer) == 1), "one alarm for one copy, {ahead}");
        assert!((0..4).all(|peer| world.nodes[peer].state.duplicate(world.id(2)).is_none()), "{ahead}");
    }
}
