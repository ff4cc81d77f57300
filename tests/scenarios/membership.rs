//! Who sees whom: M1 to M8, M10.

use crate::actors::Alives;
use crate::{Outcome, millis, nodes, seconds};
use ledgercast_protocol::Event;
use ledgercast_protocol::event::EvictionReason;
use ledgercast_protocol::types::{Endpoint, Mark};
use ledgercast_protocol::wire::Message;
use ledgercast_simulator::{NodeId, World};
use std::collections::BTreeSet;

/// One org of ten that knows its first two peers, everybody seeing everybody.
fn settled_ten(seed: u64) -> Result<World, ledgercast_simulator::Failure> {
    let mut world = World::builder(seed).orgs(&[10]).build()?;
    world.run_until("ten see each other", seconds(20), |world| world.see_each_other(&nodes(0..10)))?;
    Ok(world)
}

/// M1
#[test]
fn a_ring_of_ten_that_know_only_the_next_becomes_a_full_view() -> Outcome {
    let mut world =
        World::builder(1).orgs(&[10]).bootstrap(|node| vec![NodeId((node.0 + 1) % 10)]).build()?;

    world.run_until("all ten see nine", seconds(30), |world| world.see_each_other(&nodes(0..10)))
}

/// M2
#[test]
fn a_lone_node_signs_and_sends_nothing_in_sixty_intervals() -> Outcome {
    // Longer than the longest chain of ticks lasts, 32 intervals.
    let start_of_second = seconds(300);
    let mut world = World::builder(2)
        .orgs(&[2])
        .start_at(move |node| Some(start_of_second * u32::try_from(node.0).expect("two nodes")))
        .build()?;
    let alives = Alives::listen(&mut world);

    world.run_for(seconds(295))?;
    let alone = world.traffic().total();
    world.run_until("two see each other", seconds(60), |world| world.see_each_other(&nodes(0..2)))?;

    assert_eq!(alone.frames, 0, "a lone node sent {alone:?}");
    // Its chain of ticks would have had to be renewed: who signs while it is alone has a later sequence.
    let first = alives.of(world.member(NodeId(0)))[0].alive.mark().sequence.as_u64();
    assert_eq!(first, 1, "the sequence of its first alive that anybody saw");
    Ok(())
}

/// M3
#[test]
fn an_alive_that_is_known_or_would_not_be_stored_is_not_verified() -> Outcome {
    let mut world = World::builder(3).orgs(&[10]).build()?;
    let alives = Alives::listen(&mut world);
    world.run_until("ten see each other", seconds(20), |world| world.see_each_other(&nodes(0..10)))?;
    let (victim, replayer, subject) = (NodeId(5), NodeId(6), world.member(NodeId(7)));
    // A chain of ticks runs out and another one is signed: what was signed first is old.
    world.run_for(seconds(200))?;
    let heard = alives.of(subject);
    let (first, newest) = (heard[0].clone(), heard[heard.len() - 1].clone());
    assert_ne!(first.alive.mark(), newest.alive.mark());

    let before = world.verifications(victim, "alive");
    for _ in 0..50 {
        world.inject(replayer, victim, &Message::Alives(vec![first.clone(), newest.clone()]));
    }
    world.run_for(millis(100))?;
    let replayed = world.verifications(victim, "alive") - before;
    world.run_for(seconds(100))?;
    let in_twenty_intervals = world.verifications(victim, "alive") - before;

    // Of nine members none signs more often than every 80 s; what the short time above brings is theirs, too.
    assert!(replayed <= 9, "100 replayed alives caused {replayed} verifications");
    assert!(in_twenty_intervals <= 9 * 2, "{in_twenty_intervals} verifications in 100 s of 9 members");
    Ok(())
}

/// M4
#[test]
fn a_changed_endpoint_reaches_all_others() -> Outcome {
    let mut world = World::builder(4).orgs(&[4, 4]).channel("trade", &[0, 1]).build()?;
    let all = nodes(0..8);
    world.run_until("eight see each other", seconds(20), |world| world.see_each_other(&all))?;
    let (moved, member) = (NodeId(2), world.member(NodeId(2)));
    let inside: Endpoint = "moved.org1.internal:7051".parse().expect("an endpoint");
    let outside: Endpoint = "moved.org1.example:7051".parse().expect("an endpoint");

    world.crash(moved);
    world.reconfigure(moved, |config| {
        config.internal_endpoint = inside.clone();
        config.external_endpoint = Some(outside.clone());
    });
    world.restart(moved)?;

    world.run_until("all others know the new endpoints", seconds(30), |world| {
        all.iter().filter(|node| **node != moved).all(|node| {
            let expected = if node.0 < 4 { &inside } else { &outside };
            let members = world.snapshot(*node).map(|view| view.members).unwrap_or_default();
            members.iter().any(|view| view.member == member && view.endpoint.as_ref() == Some(expected))
        })
    })
}

/// M5
#[test]
fn digests_alone_complete_the_membership_of_ten() -> Outcome {
    let mut world = World::builder(5)
        .orgs(&[10])
        .bootstrap(|node| vec![NodeId((node.0 + 1) % 10)])
        .configure(|_, config| {
            config.membership.push_partners_max = 0;
            config.membership.news_partners_max = 0;
        })
        .build()?;

    world.run_until("all ten see nine", seconds(60), |world| world.see_each_other(&nodes(0..10)))
}

/// M6, two processes that hang
#[test]
fn of_five_two_that_hang_are_gone_after_the_expiry_and_not_before() -> Outcome {
    let mut world = World::builder(6).orgs(&[5]).build()?;
    world.run_until("five see each other", seconds(20), |world| world.see_each_other(&nodes(0..5)))?;

    world.pause(NodeId(3));
    world.pause(NodeId(4));
    world.run_for(seconds(19))?;
    assert!(world.seen_by(NodeId(0)).len() == 4, "evicted before the last alive was 20 s old");
    world.run_until("three see two", millis(7_500), |world| world.see_each_other(&nodes(0..3)))?;

    for node in nodes(0..3) {
        let evictions = world.events(node).iter().filter_map(|(_, event)| match event {
            Event::MemberEvicted { silent_for, reason, .. } => Some((*silent_for, *reason)),
            _ => None,
        });
        for (silent_for, reason) in evictions {
            assert_eq!(reason, EvictionReason::Silence);
            assert!((seconds(25)..millis(26_500)).contains(&silent_for), "{node} waited {silent_for:?}");
        }
    }
    Ok(())
}

/// M6, two processes that are killed: the system refuses connections to them
#[test]
fn of_five_two_that_are_killed_are_gone_within_three_seconds() -> Outcome {
    let mut world = World::builder(7).orgs(&[5]).build()?;
    world.run_until("five see each other", seconds(20), |world| world.see_each_other(&nodes(0..5)))?;

    world.crash(NodeId(3));
    world.crash(NodeId(4));

    world.run_until("three see two", seconds(3), |world| world.see_each_other(&nodes(0..3)))
}

/// M6, a process that is killed in a view larger than the number of sessions
#[test]
fn a_killed_peer_is_gone_within_three_seconds_also_where_it_had_no_session() -> Outcome {
    let mut world = World::builder(18)
        .orgs(&[12, 12])
        .channel("trade", &[0, 1])
        .configure(|_, config| config.session.sessions_wanted_max = 4)
        .build()?;
    world.run_until("all see each other", seconds(40), |world| world.see_each_other(&nodes(0..24)))?;
    world.run_for(seconds(30))?;
    let killed = NodeId(7);
    let member = world.member(killed);
    let has_session = |world: &World, node: &NodeId| {
        let sessions = world.snapshot(*node).map(|view| view.sessions).unwrap_or_default();
        sessions.iter().any(|session| session.member == Some(member))
    };
    let others: Vec<NodeId> = nodes(0..24).into_iter().filter(|node| *node != killed).collect();
    assert!(others.iter().any(|node| !has_session(&world, node)), "some have no session with it");

    world.crash(killed);

    world.run_until("all others see the others", seconds(3), |world| world.see_each_other(&others))
}

/// Certificates go to who lacks them
#[test]
fn in_a_full_mesh_no_certificate_is_passed_on() -> Outcome {
    let mut world = World::builder(19).orgs(&[8, 8]).channel("trade", &[0, 1]).build()?;
    world.run_until("sixteen see each other", seconds(5), |world| world.see_each_other(&nodes(0..16)))?;
    let at_start = world.traffic().of("certificates").frames;
    world.run_for(seconds(120))?;

    assert_eq!(world.traffic().of("certificates").frames, at_start);
    assert!(at_start <= 16 * 15, "{at_start} frames of certificates at the start");
    Ok(())
}

/// M7
#[test]
fn bootstrap_peers_that_start_last_lead_to_a_full_view_anyway() -> Outcome {
    let mut world = World::builder(8)
        .orgs(&[10])
        .start_at(|node| Some(if node.0 < 2 { seconds(20) } else { seconds(0) }))
        .build()?;

    world.run_for(seconds(20))?;
    assert_eq!(world.traffic().total().frames, 0, "nobody knew anybody");

    world.run_until("all ten see nine", seconds(40), |world| world.see_each_other(&nodes(0..10)))
}

/// M8
#[test]
fn a_connector_joins_three_groups_and_they_stay_joined_without_it() -> Outcome {
    let connector = NodeId(12);
    let mut world = World::builder(9)
        .orgs(&[13])
        .bootstrap(move |node| match node == connector {
            true => vec![NodeId(0), NodeId(4), NodeId(8)],
            false => vec![NodeId(node.0 / 4 * 4)],
        })
        .start_at(move |node| Some(if node == connector { seconds(30) } else { seconds(0) }))
        .build()?;

    world.run_for(seconds(29))?;
    for group in [0..4, 4..8, 8..12] {
        assert!(world.see_each_other(&nodes(group.clone())), "group {group:?} sees itself and nobody else");
    }
    world.run_until("all see twelve", seconds(40), |world| world.see_each_other(&nodes(0..13)))?;
    world.stop(connector)?;
    world.run_until("all see eleven", seconds(2), |world| world.see_each_other(&nodes(0..12)))?;
    world.run_for(seconds(60))?;

    assert!(world.see_each_other(&nodes(0..12)));
    Ok(())
}

/// M10: replayed as pushed alives, as the answer to a digest, and as a question
#[test]
fn a_purged_member_leaves_no_trace_and_no_replay_brings_it_back() -> Outcome {
    let mut world = World::builder(10)
        .orgs(&[5])
        .configure(|_, config| config.membership.forget_after = seconds(60))
        .build()?;
    let alives = Alives::listen(&mut world);
    world.run_until("five see each other", seconds(20), |world| world.see_each_other(&nodes(0..5)))?;
    let (dead, liar, member) = (NodeId(4), NodeId(3), world.member(NodeId(4)));
    world.run_for(seconds(20))?;
    let records = alives.of(member);
    let newest = records[records.len() - 1].clone();

    world.crash(dead);
    world.run_for(seconds(120))?;
    for node in nodes(0..4) {
        assert!(is_unknown(&world, node, dead), "{node} has forgotten the dead one");
    }
    // Before and after the marks expire at twice the skew: first they refuse, then the alive's age does.
    for _ in 0..3 {
        for victim in nodes(0..3) {
            world.inject(liar, victim, &Message::Alives(records.clone()));
            world.inject(liar, victim, &Message::AliveDigest(vec![newest.alive.mark()]));
            let older = Mark { incarnation: newest.alive.mark().incarnation, ..records[0].alive.mark() };
            world.inject(liar, victim, &Message::Question { subject: older, passed_on: false });
        }
        world.run_for(seconds(5))?;
        for node in nodes(0..3) {
            assert!(!world.seen_by(node).contains(&dead), "{node} believes in a dead member");
        }
        world.run_for(seconds(400))?;
    }

    assert_eq!(world.seen_by(NodeId(0)), BTreeSet::from([NodeId(1), NodeId(2), NodeId(3)]));
    Ok(())
}

fn is_unknown(world: &World, node: NodeId, subject: NodeId) -> bool {
    let member = world.member(subject);
    world.snapshot(node).is_some_and(|view| view.members.iter().all(|known| known.member != member))
}

/// A20, first half
#[test]
fn a_process_that_was_paused_evicts_nobody_because_of_it() -> Outcome {
    let mut world = settled_ten(11)?;

    world.pause(NodeId(5));
    world.run_for(seconds(40))?;
    world.resume(NodeId(5))?;
    world.run_until("ten see each other again", seconds(60), |world| world.see_each_other(&nodes(0..10)))?;

    let evicted = world
        .events(NodeId(5))
        .iter()
        .filter(|(_, event)| matches!(event, Event::MemberEvicted { .. }))
        .count();
    assert_eq!(evicted, 0);
    Ok(())
}

/// A20, second half
#[test]
fn a_wall_clock_that_jumps_an_hour_evicts_nobody_here_and_is_taken_back_when_it_is_right() -> Outcome {
    let mut world = settled_ten(12)?;

    world.set_clock_skew(NodeId(5), 3_600_000);
    world.run_for(seconds(60))?;
    let evicted = world
        .events(NodeId(5))
        .iter()
        .filter(|(_, event)| matches!(event, Event::MemberEvicted { .. }))
        .count();
    world.set_clock_skew(NodeId(5), 0);

    assert_eq!(evicted, 0, "its own clock was wrong, not the others");
    world.run_until("ten see each other again", seconds(90), |world| world.see_each_other(&nodes(0..10)))
}

/// A5: nobody can be talked dead; here by a third of the peers, with questions that name it again and again
#[test]
fn questions_about_a_living_member_harm_nobody() -> Outcome {
    let mut world = settled_ten(13)?;
    let subject = world.member(NodeId(0));

    for _ in 0..60 {
        for liar in nodes(7..10) {
            for victim in nodes(1..7) {
                let mark = Mark {
                    member: subject,
                    incarnation: ledgercast_protocol::types::Incarnation::from_millis(u64::MAX),
                    sequence: ledgercast_protocol::types::Sequence::new(u64::MAX),
                };
                world.inject(liar, victim, &Message::Question { subject: mark, passed_on: false });
            }
        }
        world.run_for(seconds(1))?;
    }

    assert!(world.see_each_other(&nodes(0..10)));
    Ok(())
}

#[test]
fn of_peers_that_start_together_few_pairs_open_two_sessions() -> Outcome {
    let mut world = World::builder(17).orgs(&[8, 8]).channel("trade", &[0, 1]).build()?;

    world.run_until("sixteen see each other", seconds(5), |world| world.see_each_other(&nodes(0..16)))?;
    world.run_for(seconds(5))?;

    let (opened, pairs) = (world.traffic().of("hello").frames / 2, 16 * 15 / 2);
    assert!(opened <= pairs * 5 / 4, "{opened} sessions were opened for {pairs} pairs");
    Ok(())
}

/// The goals for idle traffic and evictions, at the sizes that take seconds to measure
#[test]
fn membership_of_sixteen_and_of_forty_eight_stays_within_its_budget() -> Outcome {
    for (peers, bytes_max) in [(16, 500.0), (48, 1_000.0)] {
        let figures = ledgercast_simulator::membership_figures::measure(3, peers)?;

        assert!(figures.bytes_per_second <= bytes_max, "{figures:#?}");
        assert!(figures.hung.1 <= millis(26_500), "{figures:#?}");
        assert!(figures.killed.1 <= seconds(3), "{figures:#?}");
        assert_eq!(figures.false_evictions, 0);
    }
    Ok(())
}
