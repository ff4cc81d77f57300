//! When members are evicted and when they are not.

use super::world::{World, org, seconds};
use crate::event::{Event, EvictionReason};
use crate::membership::Input;
use crate::types::{Incarnation, Mark, MemberId, Sequence};
use crate::wire::{Alive, AliveRecord, Message, Signed};
use std::collections::{BTreeMap, BTreeSet};

/// M6.
#[test]
fn two_of_five_stop_and_are_evicted_after_the_expiry_and_not_before() {
    let mut world = World::new(&[1; 5]);
    world.connect_all();
    world.run_for(seconds(11));
    [3, 4].into_iter().for_each(|index| world.pause(index));
    let stopped = world.now;

    world.run_for(seconds(20));
    assert!((0..3).all(|index| world.view(index) == 4));
    world.run_for(seconds(8));

    for by in 0..3 {
        assert_eq!(world.view(by), 2);
        for of in [3, 4] {
            let evictions = world.evictions(by, of);
            assert_eq!(evictions.len(), 1);
            // The last alive came up to an interval before the stop.
            assert!(
                (seconds(20)..seconds(28)).contains(&(evictions[0] - stopped)),
                "{evictions:?} {stopped}"
            );
        }
        let silences = world.nodes[by].events.iter().filter_map(|(_, event)| match event {
            Event::MemberEvicted { silent_for, .. } => Some(*silent_for),
            _ => None,
        });
        let silences: Vec<_> = silences.collect();
        assert!(silences.iter().all(|silent_for| silent_for.as_secs() == 25), "{silences:?}");
    }
}

/// A20: who was paused evicts nobody, returns, and is taken back.
#[test]
fn a_paused_peer_evicts_nobody_and_returns() {
    let mut world = World::new(&[1; 5]);
    world.connect_all();
    world.run_for(seconds(11));

    world.pause(4);
    world.run_for(seconds(40));
    world.resume(4);
    world.run_for(seconds(1));
    (0..4).for_each(|index| world.connect(4, index));
    world.run_for(seconds(30));

    assert!((0..5).all(|index| world.view(index) == 4));
    assert!((0..4).all(|of| world.evictions(4, of).is_empty()));
    assert!((0..4).all(|by| world.evictions(by, 4).len() == 1));
    assert!(world.nodes[4].events.iter().any(|(_, event)| matches!(event, Event::Paused { .. })));
    let returned = |event: &Event| matches!(event, Event::MemberJoined { is_return: true, .. });
    assert!((0..4).all(|by| world.nodes[by].events.iter().any(|(_, event)| returned(event))));
}

#[test]
fn the_question_goes_to_the_silent_member_and_to_three_others_at_each_tick() {
    let mut world = World::new(&[1; 8]);
    world.connect_all();
    world.run_for(seconds(11));
    world.pause(7);

    world.run_for(seconds(30));

    let (asker, subject) = (world.id(0), world.id(7));
    let mut asked: BTreeMap<_, Vec<MemberId>> = BTreeMap::new();
    for (at, from, to, message) in &world.sent {
        if *from == asker && matches!(message, Message::Question { passed_on: false, .. }) {
            asked.entry(*at).or_default().push(*to);
        }
    }
    // Asked again at each tick until the answer is late, so that a lost frame decides nothing.
    assert_eq!(asked.len(), 4);
    assert!(asked.values().all(|to| to.len() == 4 && to.contains(&subject)));
}

/// A5 from the other side: as long as one that I can reach hears of it, a member without session to me stays.
#[test]
fn a_member_stays_while_a_witness_hears_of_it() {
    let mut world = World::new(&[1; 4]);
    world.connect(0, 1);
    world.connect(0, 2);
    world.connect(1, 3);
    world.run_for(seconds(60));

    assert!(world.sees(0, 3));
    assert!(world.evictions(0, 3).is_empty());
}

#[test]
fn a_question_is_answered_through_a_witness() {
    let mut world = World::new(&[1; 3]);
    world.connect(0, 1);
    world.connect(1, 2);
    world.run_for(seconds(2));
    // Not within the second after an alive, when the subject has nothing newer to say.
    let last = world.nodes[2].state.own_mark().unwrap();
    while world.nodes[2].state.own_mark() == Some(last) {
        world.run_for(100);
    }
    world.run_for(seconds(2));
    let subject = world.nodes[2].state.own_mark().unwrap();
    let before = world.sent.len();

    world.inject(0, 1, Message::Question { subject, passed_on: false });
    world.run_for(100);

    let (asker, witness, asked) = (world.id(0), world.id(1), world.id(2));
    let exchange: Vec<_> =
        world.sent[before..].iter().map(|(_, from, to, message)| (*from, *to, message.kind())).collect();
    assert!(exchange.contains(&(witness, asked, "question")));
    assert!(exchange.contains(&(asked, witness, "alives")));
    assert!(exchange.contains(&(witness, asker, "alives")));
}

#[test]
fn a_passed_on_question_is_not_passed_on_again() {
    let mut world = World::new(&[1; 3]);
    world.connect(0, 1);
    world.connect(1, 2);
    world.run_for(seconds(2));
    let subject = world.nodes[2].state.own_mark().unwrap();
    let before = world.sent.len();

    world.inject(0, 1, Message::Question { subject, passed_on: true });
    world.run_for(20);

    let asked = world.id(2);
    assert!(
        !world.sent[before..].iter().any(|(_, _, to, message)| *to == asked && message.kind() == "question")
    );
}

#[test]
fn questions_cause_at_most_one_extra_alive_a_second() {
    let mut world = World::new(&[1; 2]);
    world.connect_all();
    world.run_for(seconds(2));
    let before = world.nodes[1].state.own_mark().unwrap();

    for _ in 0..40 {
        world.inject(0, 1, Message::Question { subject: before, passed_on: false });
        world.run_for(50);
    }

    let after = world.nodes[1].state.own_mark().unwrap();
    let signed = after.sequence.as_u64() - before.sequence.as_u64();
    assert!((1..=3).contains(&signed), "{signed} alives in two seconds");
}

#[test]
fn a_killed_peer_whose_endpoints_refuse_is_gone_in_seconds() {
    let mut world = World::new(&[1; 5]);
    world.connect_all();
    world.run_for(seconds(11));
    world.kill(4);
    let killed = world.now;

    let gone = world.id(4);
    (0..4).for_each(|by| world.input(by, Input::EndpointsRefused(gone)));
    world.run_for(seconds(3));

    for by in 0..4 {
        assert!(!world.sees(by, 4));
        assert!(world.evictions(by, 4)[0] - killed < seconds(3));
        let refused =
            |event: &Event| matches!(event, Event::MemberEvicted { reason: EvictionReason::Refused, .. });
        assert!(world.nodes[by].events.iter().any(|(_, event)| refused(event)));
    }
}

#[test]
fn a_refused_dial_evicts_nobody_whom_a_witness_reaches() {
    let mut world = World::new(&[1; 4]);
    world.connect(0, 1);
    world.connect(1, 3);
    world.connect(0, 2);
    world.connect(2, 3);
    world.run_for(seconds(7));

    let member = world.id(3);
    world.input(0, Input::EndpointsRefused(member));
    world.run_for(seconds(20));

    assert!(world.sees(0, 3));
    assert!(world.evictions(0, 3).is_empty());
}

/// Local health.
#[test]
fn when_most_partners_go_quiet_the_expiry_stretches_to_double_and_no_further() {
    let mut world = World::new(&[1; 5]);
    world.connect_all();
    world.run_for(seconds(11));
    (1..5).for_each(|index| world.pause(index));
    let stopped = world.now;

    world.run_for(seconds(30));
    assert_eq!(world.view(0), 4);
    world.run_for(seconds(30));

    assert_eq!(world.view(0), 0);
    let at = world.evictions(0, 1)[0] - stopped;
    assert!((seconds(44)..=seconds(53)).contains(&at), "after {at} ms");
}

/// 0 loses everybody; 3 goes on for a while and is killed.
fn separated() -> World {
    let mut world = World::new(&[1; 4]);
    world.connect_all();
    world.run_for(seconds(11));
    (1..4).for_each(|other| world.disconnect(0, other));
    world.run_for(seconds(20));
    world.kill(3);
    world
}

/// What others held counts from when it was signed, not from when it came.
#[test]
fn old_news_of_a_dead_member_keeps_it_no_longer_than_at_others() {
    let mut world = separated();
    let killed = world.now;
    world.run_for(seconds(15));
    assert!(!world.sees(0, 3) && world.sees(1, 3));

    world.connect(0, 1);
    world.run_for(100);
    assert!(world.sees(0, 3), "1 may still know better");
    world.run_for(killed + seconds(29) - world.now);

    assert!(!world.sees(0, 3) && !world.sees(1, 3));
}

/// An owner answers a digest with what it signed seconds ago: a sign of life now, and no measure for what
/// others pass on later.
#[test]
fn what_an_owner_shows_late_makes_later_news_of_it_no_younger() {
    let mut world = World::new(&[1; 3]);
    world.connect_all();
    world.run_for(seconds(11));
    world.pause(2);
    let mark = world.nodes[2].state.own_mark().unwrap();
    let (life, sequence) = (mark.incarnation.as_millis(), mark.sequence.as_u64());
    let signed = world.wall().as_millis();
    world.run_for(seconds(4));
    world.inject(2, 0, record(world.alive(2, life, sequence + 1, signed)));
    world.run_for(seconds(4));

    world.inject(1, 0, record(world.alive(2, life, sequence + 2, signed + 5_000)));
    world.run_for(600);

    let member = world.id(2);
    let view = world.nodes[0].state.members().find(|view| view.member == member).unwrap();
    assert!((3_000..4_700).contains(&view.silent_for.as_millis()), "{:?}", view.silent_for);
}

fn record(alive: Signed<Alive>) -> Message {
    Message::Alives(vec![AliveRecord { alive, internal: None, tick: None }])
}

/// Whoever asks about a member without session here makes me look for myself, seldom and seldomer.
#[test]
fn a_question_about_a_member_without_session_is_a_reason_to_look_and_ever_less_of_one() {
    let mut world = World::new(&[1; 3]);
    world.connect(0, 1);
    world.connect(1, 2);
    world.run_for(seconds(11));
    let subject = world.nodes[2].state.own_mark().unwrap();

    let mut looks = Vec::new();
    for second in 0..60 {
        world.inject(1, 0, Message::Question { subject, passed_on: false });
        world.run_for(seconds(1));
        let doubted = world.nodes[0].state.take_doubted();
        assert!(doubted.iter().all(|member| *member == subject.member));
        looks.extend(doubted.iter().map(|_| second));
    }

    assert_eq!(looks, [0, 10, 30]);
    assert!(world.sees(0, 2));
}

/// A2: an alive that is older than the expiry brings nobody back, even one that was never seen.
#[test]
fn an_alive_withheld_for_long_brings_nobody_back() {
    let mut world = separated();
    world.run_for(seconds(40));
    let withheld = world.nodes[3].state.own_mark().unwrap();
    let signed_at = world.wall().as_millis() - seconds(42);
    let alive = world.alive(3, withheld.incarnation.as_millis(), withheld.sequence.as_u64(), signed_at);

    assert_eq!(world.screen(0, &alive, 1), Err("too_old"));
    assert_eq!(world.screen(0, &alive, 3), Ok(()), "its owner may always return");
}

/// M10.
#[test]
fn no_trace_is_left_of_who_was_evicted() {
    let mut world = World::new(&[1; 4]);
    world.connect_all();
    world.run_for(seconds(11));
    world.kill(3);
    world.run_for(seconds(32));
    assert!((0..3).all(|by| !world.sees(by, 3)));
    let (since, gone) = (world.sent.len(), world.id(3));

    let nothing = Mark { member: gone, incarnation: Incarnation::default(), sequence: Sequence::default() };
    world.inject(0, 1, Message::WantAlives(vec![nothing]));
    world.run_for(seconds(30));

    for (.., message) in &world.sent[since..] {
        let is_named = match message {
            Message::Alives(records) => records.iter().any(|record| record.alive.member() == gone),
            Message::AliveDigest(marks) => marks.iter().any(|mark| mark.member == gone),
            Message::WantAlives(marks) => marks.iter().any(|mark| mark.member == gone),
            Message::Question { subject, .. } => subject.member == gone,
            _ => false,
        };
        assert!(!is_named, "{message:?}");
    }
    world.run_for(seconds(500));
    assert!(world.nodes[0].state.members().all(|view| view.member != gone));
}

#[test]
fn the_evicted_are_dialed_once_per_retry_interval() {
    let mut world = World::new(&[1; 3]);
    world.connect_all();
    world.run_for(seconds(11));
    world.kill(2);
    world.run_for(seconds(28));
    let gone = world.id(2);
    let evicted_at = world.evictions(0, 2)[0];

    let mut tried = Vec::new();
    for _ in 0..60 {
        world.run_for(seconds(1));
        let candidates = world.nodes[0].state.candidates_to_dial(world.instant());
        if candidates.iter().any(|(member, _)| *member == gone) {
            tried.push((world.now - evicted_at) / 1_000);
        }
    }

    assert!(!tried.is_empty());
    assert!(tried.iter().all(|second| (25..30).contains(second) || (50..55).contains(second)), "{tried:?}");
}

/// C3: a session may outlive the last channel that two orgs shared; nothing is said on it any more.
#[test]
fn a_member_of_an_org_that_shares_nothing_any_more_is_asked_nothing() {
    let mut world = World::new(&[1, 1, 2]);
    world.connect_all();
    world.run_for(seconds(11));
    world.nodes[0].shared = [org(1)].into();
    let parted = world.now;

    world.pause(2);
    let subject = world.nodes[2].state.own_mark().unwrap();
    world.inject(1, 0, Message::Question { subject, passed_on: false });
    world.run_for(seconds(30));

    let (me, other) = (world.id(0), world.id(2));
    let told = world.sent.iter().filter(|(at, from, to, _)| *at > parted && (*from, *to) == (me, other));
    assert_eq!(told.count(), 0);
    assert!(!world.sees(0, 2) && world.evictions(0, 2).is_empty(), "it is forgotten");
}

#[test]
fn members_of_an_org_that_shares_no_channel_any_more_are_forgotten_and_not_evicted() {
    let mut world = World::new(&[1, 1, 2, 2, 3]);
    world.connect_all();
    world.run_for(seconds(11));
    assert!((0..5).all(|index| world.view(index) == 4));

    // Org 2 is removed from the only channel; the sessions stay, for it may ask for older blocks.
    for index in 0..5 {
        let (shared, lost) = match index {
            2 | 3 => (vec![], vec![1, 2, 3]),
            _ => (vec![1, 3], vec![2]),
        };
        lose(&mut world, index, &shared, &lost);
    }
    let views: Vec<usize> = (0..5).map(|index| world.view(index)).collect();
    assert_eq!(views, [2, 2, 1, 1, 2]);
    let is_told = |(_, event): &&(_, Event)| matches!(event, Event::MemberForgotten { .. });
    let told: Vec<usize> =
        world.nodes.iter().map(|node| node.events.iter().filter(is_told).count()).collect();
    assert_eq!(told, [2, 2, 3, 3, 2]);
    world.run_for(seconds(60));

    assert!((0..5).all(|by| (0..5).all(|of| world.evictions(by, of).is_empty())));
    world.nodes.iter_mut().for_each(|node| node.shared = [1, 2, 3].map(org).into());
    world.run_for(seconds(11));
    assert!((0..5).all(|index| world.view(index) == 4), "who shares a channel again is seen again");
}

/// Peers 0 and 1 of one org and peer 2 of another one, which a config has removed. Peer 1 is behind in the
/// chain and mentions it.
fn one_behind_a_removal() -> World {
    let mut world = World::new(&[1, 1, 2]);
    world.connect_all();
    world.run_for(seconds(11));
    lose(&mut world, 0, &[1], &[2]);
    world.run_for(seconds(11));
    world
}

#[test]
fn who_is_known_from_my_org_alone_is_forgotten_when_it_falls_silent() {
    let mut world = one_behind_a_removal();
    assert!(world.sees(0, 2), "peer 1 still mentions it");
    lose(&mut world, 1, &[1], &[2]);
    world.run_for(seconds(27));

    assert_eq!((world.view(0), world.view(1)), (1, 1));
    assert!((0..2).all(|by| world.evictions(by, 2).is_empty()));
}

#[test]
fn silence_counts_from_when_a_channel_is_shared() {
    let mut world = one_behind_a_removal();
    // Peer 2 says nothing more to org 1, for it has read that it was removed.
    lose(&mut world, 2, &[2], &[1]);
    world.run_for(seconds(20));
    assert!(world.sees(0, 2), "peer 1 has mentioned it");

    world.nodes[0].shared = [1, 2].map(org).into();
    world.input(0, Input::OrgsChanged { lost: BTreeSet::new(), gained: [org(2)].into() });
    world.run_for(seconds(20));
    assert!(world.evictions(0, 2).is_empty(), "it may not know yet that it was added again");
    world.run_for(seconds(7));

    assert_eq!(world.evictions(0, 2).len(), 1);
}

/// A config takes orgs away: these are left, and those are lost.
fn lose(world: &mut World, index: usize, left: &[u8], lost: &[u8]) {
    world.nodes[index].shared = left.iter().map(|it| org(*it)).collect();
    let lost = lost.iter().map(|it| org(*it)).collect();
    world.input(index, Input::OrgsChanged { lost, gained: BTreeSet::new() });
}
