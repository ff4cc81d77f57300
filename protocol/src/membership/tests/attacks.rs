//! Replays, jumps and lies (A2, A4, A5, A6, A18).

use super::world::{World, seconds};
use crate::event::Event;
use crate::membership::Input;
use crate::types::{Incarnation, Mark, Sequence};
use crate::wire::{AliveRecord, Message};

fn record(alive: crate::wire::Signed<crate::wire::Alive>) -> Message {
    Message::Alives(vec![AliveRecord { alive, internal: None, tick: None }])
}

/// All alives of a peer that crossed the network.
fn recorded(world: &World, of: usize) -> Vec<Message> {
    let member = world.id(of);
    let alives = world.sent.iter().filter_map(|(.., message)| match message {
        Message::Alives(records) => Some(records.clone()),
        _ => None,
    });
    let alives = alives.flatten().filter(|it| it.alive.member() == member);
    alives.map(|it| record(it.alive)).collect()
}

/// A2.
#[test]
fn replayed_alives_resurrect_nobody_not_even_after_the_victim_forgot_or_restarted() {
    let mut world = World::new(&[1; 4]);
    world.connect_all();
    world.run_for(seconds(31));
    let replay = recorded(&world, 3);
    world.kill(3);
    world.run_for(seconds(30));
    assert!(!world.sees(0, 3));

    replay.iter().for_each(|message| world.inject(1, 0, message.clone()));
    world.run_for(seconds(1));
    assert!(!world.sees(0, 3), "while evicted");

    world.run_for(seconds(510));
    replay.iter().for_each(|message| world.inject(1, 0, message.clone()));
    world.run_for(seconds(1));
    assert!(!world.sees(0, 3), "after it was forgotten");

    world.restart(0);
    world.connect(0, 1);
    replay.iter().for_each(|message| world.inject(1, 0, message.clone()));
    world.run_for(seconds(1));
    assert!(!world.sees(0, 3), "after the victim's restart");

    world.run_for(seconds(600));
    replay.iter().for_each(|message| world.inject(1, 0, message.clone()));
    world.run_for(seconds(1));
    assert!(!world.sees(0, 3), "after the marks are gone");
}

/// A2: what the victim itself signed in this life or an earlier one is nothing to it.
#[test]
fn an_alive_of_my_own_past_is_refused() {
    let mut world = World::new(&[1; 2]);
    world.connect_all();
    world.run_for(seconds(11));
    let mark = world.nodes[0].state.own_mark().unwrap();
    let (incarnation, sequence) = (mark.incarnation.as_millis(), mark.sequence.as_u64());
    let wall = world.wall().as_millis();

    assert_eq!(world.screen(0, &world.alive(0, incarnation - 1, u64::MAX, wall), 1), Err("about_me"));
    assert_eq!(world.screen(0, &world.alive(0, incarnation, sequence - 1, wall), 1), Err("about_me"));
}

/// A4.
#[test]
fn an_incarnation_beyond_the_skew_is_refused_and_the_owner_can_rejoin() {
    let mut world = World::new(&[1; 3]);
    world.connect_all();
    world.run_for(seconds(11));
    let wall = world.wall().as_millis();

    for incarnation in [u64::MAX, wall + 300_001] {
        let jump = world.alive(2, incarnation, 1, wall);
        assert_eq!(world.screen(0, &jump, 2), Err("incarnation_in_future"));
    }
    let within = world.alive(2, wall + 300_000, u64::MAX, wall);
    assert_eq!(world.screen(0, &within, 2), Ok(()));
    world.inject(2, 0, record(within));
    world.run_for(seconds(1));

    // The real owner, reinstalled, comes back once its clock is past the stolen incarnation.
    world.run_for(seconds(301));
    world.restart(2);
    world.connect(2, 0);
    world.run_for(seconds(1));
    assert!(world.sees(0, 2));
}

/// A4, A20: a wrong wall clock is refused in others' hands and tolerated on its owner's own session.
#[test]
fn a_wall_clock_an_hour_ahead_counts_on_its_owners_session_only() {
    let mut world = World::new(&[1; 3]);
    world.connect_all();
    world.run_for(seconds(11));
    let mark = world.nodes[2].state.own_mark().unwrap();
    let wall = world.wall().as_millis() + 3_600_000;

    let alive = world.alive(2, mark.incarnation.as_millis(), mark.sequence.as_u64() + 1, wall);

    assert_eq!(world.screen(0, &alive, 1), Err("beyond_clock_skew"));
    assert_eq!(world.screen(0, &alive, 2), Ok(()));
}

#[test]
fn known_and_stale_alives_are_refused_before_verification() {
    let mut world = World::new(&[1; 3]);
    world.connect_all();
    world.run_for(seconds(11));
    let mark = world.nodes[2].state.own_mark().unwrap();
    let (incarnation, sequence) = (mark.incarnation.as_millis(), mark.sequence.as_u64());
    let wall = world.wall().as_millis();

    let genuine = recorded(&world, 2).pop().unwrap();
    let Message::Alives(genuine) = genuine else { panic!("recorded alives only") };

    assert_eq!(world.screen(0, &genuine[0].alive, 1), Err("known"));
    assert_eq!(world.screen(0, &world.alive(2, incarnation, sequence - 1, wall), 1), Err("stale"));
    assert_eq!(world.screen(0, &world.alive(2, incarnation - 1, u64::MAX, incarnation), 1), Err("stale"));
}

/// A5: questions about a living member, however many, evict it nowhere.
#[test]
fn slander_evicts_nobody() {
    let mut world = World::new(&[1; 6]);
    world.connect_all();
    world.run_for(seconds(11));

    for _ in 0..30 {
        let subject = world.nodes[0].state.own_mark().unwrap();
        for (liar, honest) in [(4, 1), (4, 2), (5, 1), (5, 3)] {
            world.inject(liar, honest, Message::Question { subject, passed_on: false });
        }
        world.run_for(seconds(2));
    }

    assert!((1..6).all(|by| world.sees(by, 0) && world.evictions(by, 0).is_empty()));
}

/// A6.
#[test]
fn one_honest_contact_completes_a_view_that_liars_withhold() {
    let mut world = World::new(&[1; 6]);
    // 0 knows the silent 1; through 2 it finds the rest.
    world.pause(1);
    world.connect(0, 1);
    world.connect(0, 2);
    (3..6).for_each(|index| world.connect(2, index));

    world.run_for(seconds(2));

    assert!((2..6).all(|index| world.sees(0, index)));
}

/// A18: the work that a session may cause is bounded.
#[test]
fn a_flood_of_digests_is_answered_within_budget() {
    let mut world = World::new(&[1; 8]);
    world.connect_all();
    world.run_for(seconds(3));
    let before = world.sent.len();

    (0..1_000).for_each(|_| world.inject(7, 0, Message::AliveDigest(Vec::new())));
    world.run_for(500);

    let (victim, flooder) = (world.id(0), world.id(7));
    let answers = world.sent[before..].iter().filter(|(_, from, to, _)| (*from, *to) == (victim, flooder));
    assert!(answers.count() <= 10);
    let refused = |event: &Event| matches!(event, Event::Refused { reason: "over_budget", .. });
    assert!(world.nodes[0].events.iter().filter(|(_, event)| refused(event)).count() > 900);
}

#[test]
fn marks_of_strangers_in_a_digest_are_asked_for_only_when_plausible() {
    let mut world = World::new(&[1; 2]);
    world.connect_all();
    world.run_for(seconds(2));
    let before = world.sent.len();
    let member = crate::types::MemberId::from_digest(ledgercast_crypto::Digest::of(b"nobody"));
    let mark = |incarnation| Mark { member, incarnation, sequence: Sequence::new(1) };

    world
        .input(0, Input::Digest { from: world.id(1), marks: vec![mark(Incarnation::from_millis(u64::MAX))] });
    assert!(world.sent[before..].iter().all(|(.., message)| message.kind() != "want_alives"));

    world.input(0, Input::Digest { from: world.id(1), marks: vec![mark(Incarnation::from_millis(1))] });
    assert!(world.sent[before..].iter().any(|(.., message)| message.kind() == "want_alives"));
}
