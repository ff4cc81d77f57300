//! How views fill and stay filled.

use super::world::{World, org, seconds};
use crate::event::Event;
use crate::membership::Config;
use crate::wire::Message;
use std::collections::BTreeSet;

/// M1.
#[test]
fn a_ring_of_ten_gets_a_full_view() {
    let mut world = World::new(&[1; 10]);
    for index in 0..10 {
        world.connect(index, (index + 1) % 10);
    }

    world.run_for(seconds(2));

    assert!((0..10).all(|index| world.view(index) == 9));
}

/// M2.
#[test]
fn a_lone_peer_signs_and_sends_nothing() {
    let mut world = World::new(&[1]);

    world.run_for(seconds(50));

    assert_eq!(world.nodes[0].state.own_mark(), None);
    assert!(world.sent.is_empty());
}

/// M3.
#[test]
fn a_known_alive_is_not_verified_again() {
    let mut world = World::new(&[1; 5]);
    world.connect_all();
    world.run_for(seconds(1));
    let (before, since) = (world.verifications, world.sent.len());

    world.run_for(seconds(600));

    let mut signed = BTreeSet::new();
    for (_, from, _, message) in &world.sent[since..] {
        if let Message::Alives(records) = message {
            signed.extend(records.iter().map(|record| record.alive.mark()).filter(|it| it.member == *from));
        }
    }
    let verified = world.verifications - before;
    assert!((3 * 5..=8 * 5).contains(&signed.len()), "{} alives in ten minutes", signed.len());
    assert!(verified <= signed.len() * 4, "{verified} verifications of {} alives", signed.len());
}

/// M5.
#[test]
fn pull_alone_completes_the_view_of_ten() {
    let config = Config { push_partners_max: 0, news_partners_max: 0, ..Config::default() };
    let mut world = World::with_config(&[1; 10], config);
    for index in 0..10 {
        world.connect(index, (index + 1) % 10);
        world.connect(index, (index + 2) % 10);
    }

    world.run_for(seconds(40));

    assert!((0..10).all(|index| world.view(index) == 9));
}

/// M4.
#[test]
fn a_moved_endpoint_reaches_all_others() {
    let mut world = World::new(&[1; 6]);
    world.connect_all();
    world.run_for(seconds(3));
    world.nodes[2].own.internal = "elsewhere:1".parse().unwrap();

    world.restart(2);
    world.connect(2, 3);
    world.run_for(seconds(3));

    for index in [0, 1, 3, 4, 5] {
        let member = world.id(2);
        let seen = world.nodes[index].state.members().find(|view| view.member == member).unwrap();
        assert_eq!(seen.endpoint.unwrap().as_str(), "elsewhere:1", "at {index}");
        let is_told =
            |event: &Event| matches!(event, Event::MemberRestarted { member: it, .. } if *it == member);
        assert!(world.nodes[index].events.iter().any(|(_, event)| is_told(event)), "at {index}");
    }
}

/// M8.
#[test]
fn a_connector_joins_three_groups_and_leaves_them_joined() {
    let mut world = World::new(&[1; 12]);
    for group in [0, 4, 8] {
        (group..group + 4).for_each(|a| (group..a).for_each(|b| world.connect(a, b)));
    }
    world.run_for(seconds(6));
    assert!((0..12).all(|index| world.view(index) == 3));

    let connector = world.add(1);
    [0, 4, 8].into_iter().for_each(|index| world.connect(connector, index));
    world.run_for(seconds(2));
    assert!((0..13).all(|index| world.view(index) == 12));

    // Who is known can be dialed.
    world.connect(1, 5);
    world.connect(5, 9);
    world.pause(connector);
    world.run_for(seconds(60));
    assert!((0..12).all(|index| world.view(index) == 11 && !world.sees(index, connector)));
}

/// M9, C2: what crosses between orgs names only members that both may know, and no internal endpoint.
#[test]
fn orgs_hear_only_of_members_that_they_may_know() {
    let mut world = World::new(&[1, 1, 2, 2, 3, 3]);
    for node in &mut world.nodes {
        // 1 shares with 2, 2 with 3.
        let number = if node.own.org == org(2) { 2 } else { u8::from(node.own.org == org(3)) * 3 };
        node.shared = match number {
            2 => [org(1), org(2), org(3)].into(),
            3 => [org(2), org(3)].into(),
            _ => [org(1), org(2)].into(),
        };
    }
    world.hide(1);
    world.connect_all();

    world.run_for(seconds(40));

    assert_eq!(world.view(0), 3);
    assert_eq!(world.view(2), 4);
    assert_eq!(world.view(4), 3);
    for (_, from, to, message) in &world.sent {
        let of = |member| world.nodes.iter().find(|node| node.own.member == member).unwrap();
        let (from, to) = (of(*from).own.org, of(*to).own.org);
        assert!(from == to || from == org(2) || to == org(2), "orgs 1 and 3 have nothing to say");
        let named: Vec<_> = match message {
            Message::AliveDigest(marks) => marks.iter().map(|mark| mark.member).collect(),
            Message::Alives(records) => {
                let is_inside = from == to;
                assert!(records.iter().all(|record| record.internal.is_none() || is_inside));
                records.iter().map(|record| record.alive.member()).collect()
            }
            Message::WantAlives(marks) => marks.iter().map(|mark| mark.member).collect(),
            Message::Question { subject, .. } => vec![subject.member],
            _ => Vec::new(),
        };
        for member in named {
            let about = of(member);
            assert!(from == to || about.own.org == from || about.own.org == to);
            assert!(from == to || about.own.external.is_some());
        }
    }
}

/// M14.
#[test]
fn peers_that_share_nothing_exchange_nothing() {
    let mut world = World::new(&[1, 2]);
    world.nodes[0].shared = [org(1)].into();
    world.nodes[1].shared = [org(2)].into();
    world.connect_all();

    world.run_for(seconds(60));

    assert!(world.sent.is_empty());
    assert_eq!((world.view(0), world.view(1)), (0, 0));
}

#[test]
fn a_leave_acts_at_once_and_reaches_who_has_no_session() {
    let mut world = World::new(&[1; 6]);
    for index in 0..5 {
        world.connect(index, index + 1);
    }
    world.run_for(seconds(6));
    assert_eq!(world.view(5), 5);

    world.input(0, crate::membership::Input::Shutdown);
    world.run_for(seconds(1));

    assert!((1..6).all(|index| world.view(index) == 4 && !world.sees(index, 0)));
    assert!(world.nodes[5].state.has_left(world.id(0)));
    let member = world.id(0);
    assert!(world.nodes[5].state.candidates_to_dial(world.instant()).iter().all(|(it, _)| *it != member));
}
