//! What follows from offences: standing falls, quarantine, the org's quota; and what never touches it.

use crate::{Outcome, nodes, seconds};
use bytes::Bytes;
use ledgercast_protocol::Event;
use ledgercast_protocol::event::EvictionReason;
use ledgercast_protocol::types::Lane;
use ledgercast_simulator::{Failure, NodeId, World};
use std::time::Duration;

/// No frame: whoever gets it ends the session for an offence.
const MALFORMED: &[u8] = &[0xff; 20];

fn are_connected(world: &World, one: NodeId, other: NodeId) -> bool {
    let member = world.member(other);
    world.snapshot(one).is_some_and(|view| view.sessions.iter().any(|it| it.member == Some(member)))
}

/// One offence of the liar at the victim, as soon as they are connected.
fn offend(world: &mut World, liar: NodeId, victim: NodeId) -> Outcome {
    world.run_until("the liar and its victim are connected", seconds(30), |world| {
        are_connected(world, victim, liar) && are_connected(world, liar, victim)
    })?;
    let before = offences(world, victim);
    assert!(world.inject_frame(liar, victim, Lane::Control, Bytes::from_static(MALFORMED)));
    world.run_until("the victim accuses somebody", seconds(1), |world| offences(world, victim) > before)
}

/// Offences that a node told of.
fn offences(world: &World, at: NodeId) -> usize {
    let is_offence = |event: &Event| matches!(event, Event::Offence { .. });
    world.events(at).iter().filter(|(_, event)| is_offence(event)).count()
}

/// The quarantines of a member that a node told of: when, and for how long.
fn quarantines(world: &World, at: NodeId, of: NodeId) -> Vec<(Duration, Duration)> {
    let about = world.member(of);
    let told = world.events(at).iter().filter_map(|(when, event)| match event {
        Event::MemberQuarantined { member, lasts, .. } if *member == about => Some((*when, *lasts)),
        _ => None,
    });
    told.collect()
}

fn six(seed: u64) -> Result<World, Failure> {
    let mut world = World::builder(seed).orgs(&[6]).channel("trade", &[0]).build()?;
    world.run_until("six see each other", seconds(20), |world| world.see_each_other(&nodes(0..6)))?;
    Ok(world)
}

#[test]
fn three_offences_end_in_a_quarantine_by_who_saw_them_and_in_nobody_elses() -> Outcome {
    let mut world = six(120)?;
    let (trade, liar, victim) = (world.channel("trade"), NodeId(5), NodeId(1));

    for _ in 0..3 {
        assert_eq!(quarantines(&world, victim, liar), []);
        offend(&mut world, liar, victim)?;
    }

    let [(began, lasts)] = quarantines(&world, victim, liar)[..] else {
        panic!("one quarantine, not {:?}", quarantines(&world, victim, liar));
    };
    assert_eq!(lasts, seconds(60));
    while world.now() < began + seconds(59) {
        world.submit(trade, 1, 10_000);
        world.run_for(seconds(1))?;
        assert!(!are_connected(&world, victim, liar), "connected at {:?}", world.now());
        assert!(world.see_each_other(&nodes(0..6)), "others' word of it counts, and it is passed on");
    }
    let others = [NodeId(0), NodeId(2), NodeId(3), NodeId(4)];
    assert!(others.iter().all(|other| are_connected(&world, *other, liar)), "it is no affair of others");
    world.run_until("all at the tip, the liar as well", seconds(5), |world| {
        world.are_at_tip(&nodes(0..6), trade)
    })?;

    world.run_until("it is back", seconds(30), |world| are_connected(world, victim, liar))?;
    offend(&mut world, liar, victim)?;
    let repeated = quarantines(&world, victim, liar);
    assert_eq!(repeated.get(1).map(|it| it.1), Some(seconds(120)), "one more is enough, and costs twice");
    Ok(())
}

#[test]
fn offences_with_time_between_them_are_forgiven() -> Outcome {
    let mut world = six(121)?;
    let (liar, victim) = (NodeId(5), NodeId(1));

    for _ in 0..6 {
        offend(&mut world, liar, victim)?;
        world.run_for(seconds(301))?;
    }

    assert_eq!(quarantines(&world, victim, liar), []);
    assert!(are_connected(&world, victim, liar));
    assert!(world.snapshot(victim).is_some_and(|view| view.standings.is_empty()));
    Ok(())
}

#[test]
fn whom_everybody_quarantines_is_evicted_for_its_silence_and_comes_back() -> Outcome {
    let mut world = six(122)?;
    let (trade, liar) = (world.channel("trade"), NodeId(5));

    for victim in nodes(0..5) {
        for _ in 0..3 {
            offend(&mut world, liar, victim)?;
        }
    }
    let member = world.member(liar);
    world.run_until("all evict it", seconds(40), |world| world.see_each_other(&nodes(0..5)))?;
    for victim in nodes(0..5) {
        let is_silence = |event: &Event| match event {
            Event::MemberEvicted { member: evicted, reason, .. } => {
                *evicted == member && *reason == EvictionReason::Silence
            }
            _ => false,
        };
        assert!(world.events(victim).iter().any(|(_, event)| is_silence(event)), "{victim}");
    }
    world.submit(trade, 20, 10_000);
    world.run_until("the others go on", seconds(10), |world| world.are_at_tip(&nodes(0..5), trade))?;

    world.run_until("it is a member again, and has every block", seconds(90), |world| {
        world.see_each_other(&nodes(0..6)) && world.are_at_tip(&nodes(0..6), trade)
    })
}

#[test]
fn a_standing_outlives_the_liars_process() -> Outcome {
    let mut world = six(123)?;
    let (liar, victim) = (NodeId(5), NodeId(1));
    offend(&mut world, liar, victim)?;
    offend(&mut world, liar, victim)?;

    world.crash(liar);
    world.run_for(seconds(5))?;
    world.restart(liar)?;
    offend(&mut world, liar, victim)?;

    assert_eq!(quarantines(&world, victim, liar).len(), 1);
    world.run_for(seconds(30))?;
    assert!(!are_connected(&world, victim, liar));
    Ok(())
}

#[test]
fn an_org_whose_members_are_quarantined_again_and_again_has_fewer_sessions() -> Outcome {
    // The victim dials nobody: each of its sessions is an inbound one.
    let victim = NodeId(0);
    let mut world = World::builder(124)
        .orgs(&[2, 8])
        .channel("trade", &[0, 1])
        .configure(move |node, config| {
            config.session.sessions_inbound_per_org = 8;
            config.standing.org_sessions_min = 2;
            if node == victim {
                config.session.sessions_wanted_max = 0;
            }
        })
        .build()?;
    let (liars, honest) = (nodes(2..6), nodes(6..10));
    let of_org = |world: &World| {
        nodes(2..10).into_iter().filter(|node| are_connected(world, victim, *node)).collect::<Vec<_>>()
    };
    world.run_until("all eight have a session", seconds(30), |world| of_org(world).len() == 8)?;

    for liar in liars {
        for _ in 0..3 {
            offend(&mut world, liar, victim)?;
        }
    }
    world.run_for(seconds(120))?;

    let connected = of_org(&world);
    assert_eq!(connected.len(), 5, "three eighths less: {connected:?}");
    assert!(honest.iter().all(|node| connected.contains(node)), "who had one keeps it: {connected:?}");
    assert!(world.refusals(victim, "session", "sessions_of_org_full") > 0);
    Ok(())
}
