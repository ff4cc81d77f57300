//! Ticks between signed alives: what they are worth, unknown, copied, and when none come.

use super::world::{NETWORK, World, seconds};
use crate::membership::Config;
use crate::types::{Mark, Sequence, Tick};
use crate::wire::{Alive, AliveRecord, Message, Signed, TickChain};

/// The newest alive that a peer has sent of itself.
fn newest_alive(world: &World, of: usize) -> Signed<Alive> {
    let member = world.id(of);
    let alives = world.sent.iter().filter_map(|(_, from, _, message)| match message {
        Message::Alives(records) if *from == member => Some(records),
        _ => None,
    });
    let own = alives.flatten().map(|record| &record.alive).filter(|alive| alive.member() == member);
    own.max_by_key(|alive| alive.mark().order()).expect("it has spoken").clone()
}

#[test]
fn between_two_alives_each_tick_is_the_next_link_of_the_chain_that_the_first_names() {
    let mut world = World::new(&[1; 4]);
    world.connect_all();
    world.run_for(seconds(48));

    let alive = newest_alive(&world, 2);
    let ticks = world.sent.iter().filter_map(|(_, _, _, message)| match message {
        Message::Ticks(ticks) => Some(ticks),
        _ => None,
    });
    let mut links: Vec<u32> = ticks.flatten().filter_map(|tick| alive.statement().link_of(*tick)).collect();
    links.sort_unstable();
    links.dedup();

    assert_eq!(links, (0..=9).collect::<Vec<_>>());
    assert_eq!(world.nodes[2].state.own_mark(), Some(alive.statement().mark_of(9)));
    assert!((0..4).all(|by| world.view(by) == 3));
}

#[test]
fn an_unknown_tick_is_asked_about_once_and_is_no_offence() {
    let mut world = World::new(&[1; 3]);
    world.connect_all();
    world.run_for(seconds(11));
    let garbage: Vec<Tick> = (0..100).map(|byte| Tick::from_bytes([byte; 16])).collect();
    let (before, me) = (world.sent.len(), world.id(0));

    for _ in 0..5 {
        world.inject(1, 0, Message::Ticks(garbage.clone()));
        world.run_for(100);
    }

    let asked = world.sent[before..].iter().filter_map(|(_, from, _, message)| match message {
        Message::WantAnchors(ticks) if *from == me => Some(ticks.clone()),
        _ => None,
    });
    let mut asked: Vec<Tick> = asked.flatten().collect();
    asked.sort_unstable();
    assert_eq!(asked, garbage);
    assert_eq!(world.view(0), 2);
}

/// Of four members the second signs an alive whose chain ends in what `end_of` chooses, and shows it to two
/// others: whoever is the third's takes nothing from that one.
fn assert_the_copied_one_stays(end_of: impl Fn(&World) -> Tick) {
    let mut world = World::new(&[1; 4]);
    world.connect_all();
    world.run_for(seconds(11));
    let mark = world.nodes[1].state.own_mark().unwrap();
    let wall = world.wall().as_millis();
    let alive = world.alive(1, mark.incarnation.as_millis(), mark.sequence.as_u64() + 1, wall);
    let chain = newest_alive(&world, 1).statement().ticks.unwrap();
    let ticks = Some(TickChain { end: end_of(&world), ..chain });
    let alive = Signed::sign(Alive { ticks, ..alive.statement().clone() }, &NETWORK, &world.nodes[1].key);
    world.pause(1);

    for victim in [0, 3] {
        let record = AliveRecord { alive: alive.clone(), internal: None, tick: None };
        world.inject(1, victim, Message::Alives(vec![record]));
    }
    world.run_for(seconds(60));

    for victim in [0, 3] {
        assert!(world.sees(victim, 2) && world.evictions(victim, 2).is_empty());
    }
}

#[test]
fn a_chain_that_is_copied_still_counts_for_its_owner() {
    assert_the_copied_one_stays(|world| newest_alive(world, 2).statement().ticks.unwrap().end);
}

/// Its link is known to the copier before it is to the others.
#[test]
fn a_chain_whose_next_link_is_copied_still_counts_for_its_owner() {
    assert_the_copied_one_stays(|world| world.nodes[2].state.own_chain.as_ref().unwrap().next());
}

#[test]
fn a_question_with_a_mark_beyond_mine_makes_me_sign_nothing() {
    let mut world = World::new(&[1; 3]);
    world.connect_all();
    world.run_for(seconds(11));
    let anchor = newest_alive(&world, 2).statement().mark_of(0);
    let subject = Mark { sequence: Sequence::new(u64::MAX), ..anchor };

    for _ in 0..8 {
        world.inject(1, 2, Message::Question { subject, passed_on: false });
        world.run_for(1_100);
    }

    assert_eq!(newest_alive(&world, 2).statement().mark_of(0), anchor);
}

#[test]
fn who_is_passed_no_ticks_asks_before_silence_is_a_question() {
    let config = Config { push_partners_max: 0, ..Config::default() };
    let mut world = World::with_config(&[1, 1, 1, 2, 2, 2], config);
    world.connect_all();

    world.run_for(seconds(300));

    assert!((0..6).all(|by| (0..6).all(|of| world.evictions(by, of).is_empty())));
    assert!((0..6).all(|by| world.view(by) == 5));
    let wants = world.sent.iter().filter(|(.., message)| message.kind() == "want_alives").count();
    assert!(wants > 0);
}

#[test]
fn ticks_bring_nobody_back_whose_certificate_no_longer_holds() {
    let mut world = World::new(&[1; 4]);
    world.connect_all();
    world.run_for(seconds(11));
    let alive = newest_alive(&world, 3);

    world.revoke(3);
    // The others have closed their sessions with it; a liar keeps one, and passes its ticks on.
    world.connect(1, 3);
    world.run_for(seconds(20));

    let is_shown = |message: &Message| match message {
        Message::Ticks(ticks) => ticks.iter().any(|tick| alive.statement().link_of(*tick) >= Some(3)),
        _ => false,
    };
    let member = world.id(3);
    assert!(world.sent.iter().any(|(_, from, _, message)| *from == member && is_shown(message)));
    assert!((0..3).all(|by| !world.sees(by, 3)));
}
