//! What liars among the members achieve: A2 to A4, A6; and what a wrong clock does: A20. Below: a file for
//! each family of attacks on what a channel carries.

mod content;
mod floods;
mod frames;
mod heights;
mod measure;
mod outsiders;
mod ranges;
mod relays;
mod signatures;

use crate::actors::Alives;
use crate::{Outcome, millis, nodes, seconds};
use ledgercast_protocol::types::{Endpoint, MemberId};
use ledgercast_protocol::wire::Message;
use ledgercast_protocol::{Event, WallTime};
use ledgercast_simulator::liars::Eclipse;
use ledgercast_simulator::{NodeId, World};
use std::collections::BTreeSet;

/// A2: replayed to a peer that has forgotten the dead one, and to one that has restarted since
#[test]
fn a_replayed_alive_brings_nobody_back_not_even_to_who_restarted() -> Outcome {
    let mut world = World::builder(111)
        .orgs(&[5])
        .configure(|_, config| config.membership.forget_after = seconds(60))
        .build()?;
    let alives = Alives::listen(&mut world);
    world.run_until("five see each other", seconds(20), |world| world.see_each_other(&nodes(0..5)))?;
    world.run_for(seconds(15))?;
    let (dead, replayer) = (NodeId(4), NodeId(3));
    let records = alives.of(world.member(dead));

    world.crash(dead);
    world.run_for(seconds(40))?;
    world.crash(NodeId(0));
    world.restart(NodeId(0))?;
    world.run_until("the rest sees each other", seconds(20), |world| world.see_each_other(&nodes(0..4)))?;
    for _ in 0..10 {
        for victim in nodes(0..3) {
            world.inject(replayer, victim, &Message::Alives(records.clone()));
        }
        world.run_for(seconds(60))?;
        for victim in nodes(0..3) {
            assert!(!world.seen_by(victim).contains(&dead), "{victim} believes in a dead member");
        }
    }
    Ok(())
}

/// A4: alives signed with the member's own key whose order jumps to the end of time
#[test]
fn an_incarnation_beyond_the_skew_is_refused_and_the_owner_stays_a_member() -> Outcome {
    let mut world = World::builder(112).orgs(&[6]).build()?;
    world.run_until("six see each other", seconds(20), |world| world.see_each_other(&nodes(0..6)))?;
    let (liar, owner) = (NodeId(5), NodeId(0));
    let victims = nodes(1..5);

    let far = world.wall().as_millis() + 3_600_000;
    for (incarnation, wall) in [(u64::MAX, far), (far, far), (far, world.wall().as_millis())] {
        let forged = world.forge_alive(owner, (incarnation, u64::MAX), WallTime::from_millis(wall));
        for victim in &victims {
            world.inject(liar, *victim, &Message::Alives(vec![forged.clone()]));
        }
    }
    world.run_for(seconds(60))?;

    for victim in &victims {
        assert_eq!(world.refusals(*victim, "alive", "incarnation_in_future"), 3);
    }
    assert!(world.see_each_other(&nodes(0..6)));
    Ok(())
}

/// A4: a peer whose disk is new, or a copy of an old one, and whose clock is behind its earlier life
#[test]
fn a_peer_that_is_installed_anew_with_a_slower_clock_rejoins_at_once() -> Outcome {
    let mut world = World::builder(113).orgs(&[5]).build()?;
    world.run_until("five see each other", seconds(20), |world| world.see_each_other(&nodes(0..5)))?;
    let owner = NodeId(2);

    world.crash(owner);
    world.run_for(seconds(5))?;
    world.set_clock_skew(owner, -120_000);
    world.restart_empty(owner)?;

    world.run_until("five see each other again", seconds(30), |world| world.see_each_other(&nodes(0..5)))?;
    world.run_for(seconds(60))?;
    assert!(world.see_each_other(&nodes(0..5)), "and it stays a member");
    Ok(())
}

/// A3
#[test]
fn an_identity_in_use_twice_is_an_alarm_everywhere_within_an_interval_until_a_newer_life() -> Outcome {
    let (owner, copy) = (NodeId(2), NodeId(5));
    let mut world = World::builder(115)
        .orgs(&[6, 3, 2])
        .channel("trade", &[0, 1])
        .channel("audit", &[1, 2])
        .start_at(move |node| (node != copy).then_some(seconds(0)))
        .build()?;
    let running: Vec<NodeId> = world.node_ids().filter(|node| *node != copy).collect();
    let (own, abroad, third) = (nodes(0..5), world.peers_of(1), world.peers_of(2));
    world.run_until("the first two orgs see each other", seconds(20), |world| {
        own.iter().chain(&abroad).all(|node| world.seen_by(*node).len() >= 7)
    })?;

    world.copy_identity(owner, copy);
    world.restart(copy)?;
    world.run_until("all that know the member have the alarm", seconds(5), |world| {
        own.iter().chain([&copy]).all(|node| has_alarm(world, *node, owner, ":"))
            && abroad.iter().all(|node| has_alarm(world, *node, owner, ".example:"))
    })?;
    world.run_for(seconds(60))?;
    assert!(third.iter().all(|node| alarms(&world, *node) == 0), "a third org hears nothing of it");
    for node in &running {
        let is_accused = |event: &Event| matches!(event, Event::Offence { .. });
        assert!(!world.events(*node).iter().any(|(_, event)| is_accused(event)), "{node} condemns somebody");
    }

    world.crash(copy);
    world.crash(owner);
    world.run_for(seconds(1))?;
    world.restart(owner)?;
    world.run_until("the alarm is cleared everywhere", seconds(10), |world| {
        running.iter().all(|node| !has_alarm(world, *node, owner, ":"))
    })?;
    world.run_for(seconds(60))?;
    assert!(running.iter().all(|node| !has_alarm(&world, *node, owner, ":")), "and stays so");
    Ok(())
}

/// A3
#[test]
fn the_alarm_ends_when_the_copy_is_gone_and_does_not_come_back() -> Outcome {
    let (owner, copy) = (NodeId(2), NodeId(5));
    let mut world = World::builder(116)
        .orgs(&[6, 3])
        .channel("trade", &[0, 1])
        .start_at(move |node| (node != copy).then_some(seconds(0)))
        .build()?;
    let running: Vec<NodeId> = world.node_ids().filter(|node| *node != copy).collect();
    world.run_until("all see each other", seconds(20), |world| world.see_each_other(&running))?;
    world.copy_identity(owner, copy);
    world.restart(copy)?;
    world.run_until("all have the alarm", seconds(5), |world| {
        running.iter().all(|node| has_alarm(world, *node, owner, ":"))
    })?;
    world.run_for(seconds(30))?;

    world.crash(copy);

    world.run_until("the alarm is cleared everywhere", seconds(30), |world| {
        running.iter().all(|node| !has_alarm(world, *node, owner, ":"))
    })?;
    let before: Vec<usize> = running.iter().map(|node| alarms(&world, *node)).collect();
    world.run_for(seconds(60))?;
    assert!(running.iter().all(|node| !has_alarm(&world, *node, owner, ":")), "and stays so");
    let after: Vec<usize> = running.iter().map(|node| alarms(&world, *node)).collect();
    assert_eq!(after, before, "nor is it raised again");
    Ok(())
}

fn alarms(world: &World, node: NodeId) -> usize {
    let is_alarm = |event: &Event| matches!(event, Event::DuplicateIdentity { .. });
    world.events(node).iter().filter(|(_, event)| is_alarm(event)).count()
}

/// Whether a node's view shows the alarm, with two different endpoints of this kind.
fn has_alarm(world: &World, node: NodeId, about: NodeId, kind: &str) -> bool {
    let Some(view) = world.snapshot(node) else {
        return false;
    };
    let about = world.member(about);
    let duplicate = match view.member == about {
        true => view.duplicate,
        false => view.members.into_iter().find(|known| known.member == about).and_then(|it| it.duplicate),
    };
    duplicate.is_some_and(|[first, second]| {
        let is_of_kind = |it: &Option<Endpoint>| it.as_ref().is_some_and(|it| it.as_str().contains(kind));
        first != second && is_of_kind(&first) && is_of_kind(&second)
    })
}

/// A20, the alarm: who is wrong by an hour says so itself, and in a network that it can hear only in part
#[test]
fn a_peer_with_a_wrong_clock_suspects_its_own_and_evicts_nobody() -> Outcome {
    let wrong = NodeId(4);
    // Five sessions of eleven: the rest is known by hearsay, which a wrong clock refuses.
    let mut world = World::builder(116)
        .orgs(&[6, 6])
        .channel("trade", &[0, 1])
        .configure(|_, config| config.session.sessions_wanted_max = 5)
        .build()?;
    world.run_until("all see each other", seconds(40), |world| world.see_each_other(&nodes(0..12)))?;
    let suspicions = |world: &World, node: NodeId| {
        let mut told = Vec::new();
        for (_, event) in world.events(node) {
            if let Event::ClockSuspect { is_suspect, .. } = event {
                told.push(*is_suspect);
            }
        }
        told
    };

    world.set_clock_skew(wrong, 3_600_000);
    world.run_for(seconds(90))?;
    assert_eq!(suspicions(&world, wrong), [true]);
    assert!(world.snapshot(wrong).is_some_and(|view| view.is_clock_suspect));
    let evicted = |(_, event): &&(_, Event)| matches!(event, Event::MemberEvicted { .. });
    assert_eq!(world.events(wrong).iter().filter(evicted).count(), 0);

    world.set_clock_skew(wrong, 0);
    world.run_until("all see each other again, and nothing is suspect", seconds(60), |world| {
        let is_suspect = world.snapshot(wrong).is_none_or(|view| view.is_clock_suspect);
        !is_suspect && world.see_each_other(&nodes(0..12))
    })?;
    assert_eq!(suspicions(&world, wrong), [true, false]);
    for node in nodes(0..12).into_iter().filter(|node| *node != wrong) {
        assert!(suspicions(&world, node).is_empty(), "{node} has the right time");
    }
    Ok(())
}

/// A6
#[test]
fn one_honest_contact_is_enough_against_bootstrap_peers_that_show_only_liars() -> Outcome {
    let liars = nodes(0..3);
    // Two of the three known at first are liars; node 3 is the one honest contact.
    let mut world = World::builder(114)
        .orgs(&[10])
        .bootstrap(|_| vec![NodeId(0), NodeId(1), NodeId(3)])
        .start_at(|node| Some(if node.0 < 4 { seconds(0) } else { seconds(5) }))
        .build()?;
    let members: BTreeSet<MemberId> = liars.iter().map(|node| world.member(*node)).collect();
    for liar in &liars {
        world.make_liar(*liar, Eclipse { shown: members.clone() });
    }
    let honest = nodes(3..10);

    let all_honest = |world: &World| {
        honest.iter().all(|node| {
            let seen = world.seen_by(*node);
            honest.iter().all(|other| other == node || seen.contains(other))
        })
    };
    world.run_until("the honest see each other", seconds(20), all_honest)?;
    for _ in 0..60 {
        world.run_for(millis(2_000))?;
        assert!(all_honest(&world), "an honest member was lost");
    }
    Ok(())
}
