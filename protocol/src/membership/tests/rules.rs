//! Bounds, leaves and what is kept on disk.

use super::world::{NETWORK, World, org, seconds};
use crate::event::Event;
use crate::membership::{Config, Context, Identities, Input, Own, State};
use crate::output::{Action, Outbox, Output};
use crate::time::{Monotonic, Now, WallTime};
use crate::types::{Incarnation, MemberId, OrgId, Sequence};
use crate::wire::{Alive, Leave, Message, Signed, Verified};
use bytes::Bytes;
use ledgercast_crypto::{Digest, SecretKey};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Everybody is of org 1.
struct OneOrg;

impl Identities for OneOrg {
    fn org(&self, _member: MemberId) -> Option<OrgId> {
        Some(org(1))
    }
}

fn member(number: u16) -> MemberId {
    MemberId::from_digest(Digest::of(&number.to_be_bytes()))
}

fn now(seconds: u64) -> Now {
    Now {
        monotonic: Monotonic::new(Duration::from_secs(seconds)),
        wall: WallTime::from_millis(1_700_000_000_000 + seconds * 1_000),
    }
}

fn small(members_max: usize) -> State {
    let own = Own { member: member(0), org: org(1), external: None, internal: "inside:1".parse().unwrap() };
    let config = Config { members_max, ..Config::default() };
    State::new(config, own, NETWORK, Incarnation::from_millis(1), None, [1; 32])
}

fn with_context<T>(act: impl FnOnce(&Context<'_>) -> T) -> T {
    let (key, sessions) = (SecretKey::from_seed([1; 32]), BTreeMap::new());
    let shared: BTreeSet<OrgId> = [org(1)].into();
    act(&Context { key: &key, sessions: &sessions, identities: &OneOrg, shared_orgs: &shared })
}

fn alive(number: u16, sequence: u64) -> Verified<Alive> {
    let alive = Alive {
        member: member(number),
        incarnation: Incarnation::from_millis(5),
        sequence: Sequence::new(sequence),
        wall_time: now(0).wall,
        external_endpoint: None,
        internal_hash: Digest::ZERO,
        ticks: None,
    };
    Verified::sign(alive, &NETWORK, &SecretKey::from_seed([2; 32]))
}

#[test]
fn a_full_table_refuses_newcomers_and_lets_them_replace_the_gone() {
    let mut state = small(2);
    let mut out = Outbox::default();
    let take_in = |state: &mut State, number, out: &mut Outbox| {
        let alive = alive(number, 1);
        with_context(|context| {
            state.screen_alive(now(0), alive.signed(), None, alive.member(), context)?;
            let from = alive.member();
            state.handle(now(0), Input::Alive { alive, internal: None, tick: None, from }, context, out);
            Ok::<(), crate::refusal::Refusal>(())
        })
    };

    assert!(take_in(&mut state, 1, &mut out).is_ok());
    assert!(take_in(&mut state, 2, &mut out).is_ok());
    assert_eq!(take_in(&mut state, 3, &mut out).map_err(|it| it.0), Err("members_full"));

    let leave =
        Leave { member: member(1), incarnation: Incarnation::from_millis(5), sequence: Sequence::new(2) };
    let leave = Verified::sign(leave, &NETWORK, &SecretKey::from_seed([2; 32]));
    with_context(|context| {
        state.handle(now(0), Input::Leave { leave, from: member(1) }, context, &mut out);
    });
    assert!(take_in(&mut state, 3, &mut out).is_ok());
    assert_eq!(state.members().count(), 2);
    assert!(state.is_alive(member(3)));
}

#[test]
fn a_leave_is_refused_when_older_than_what_is_known_or_about_a_stranger() {
    let mut world = World::new(&[1; 3]);
    world.connect_all();
    world.run_for(seconds(11));
    let mark = world.nodes[2].state.own_mark().unwrap();
    let leave = |of: usize, sequence| {
        let statement = Leave { member: world.id(of), incarnation: mark.incarnation, sequence };
        Signed::sign(statement, &NETWORK, &world.nodes[of].key)
    };

    let node = &world.nodes[0];
    let context = Context {
        key: &node.key,
        sessions: &node.sessions,
        identities: &world.directory,
        shared_orgs: &node.shared,
    };
    let screen = |leave: &Signed<Leave>| {
        node.state.screen_leave(world.instant(), leave, world.id(1), &context).map_err(|it| it.0)
    };

    assert_eq!(screen(&leave(2, mark.sequence)), Err("known"));
    assert_eq!(screen(&leave(2, Sequence::new(0))), Err("stale"));
    assert_eq!(screen(&leave(0, mark.sequence)), Err("about_me"));
    assert_eq!(screen(&leave(2, mark.sequence.next())), Ok(()));
}

#[test]
fn after_good_bye_nothing_more_is_said() {
    let mut world = World::new(&[1; 3]);
    world.connect_all();
    world.run_for(seconds(11));

    world.input(2, Input::Shutdown);
    let sent = world.sent.len();
    world.run_for(seconds(30));

    let gone = world.id(2);
    assert!(world.sent[sent..].iter().all(|(_, from, ..)| *from != gone));
}

#[test]
fn marks_are_written_when_they_changed_and_malformed_ones_are_told() {
    let own = Own { member: member(0), org: org(1), external: None, internal: "inside:1".parse().unwrap() };
    let marks = Some(Bytes::from_static(b"rubbish"));
    let incarnation = Incarnation::from_millis(1);
    let mut state = State::new(Config::default(), own, NETWORK, incarnation, marks, [1; 32]);
    let mut out = Outbox::default();

    with_context(|context| {
        state.handle(now(0), Input::Start, context, &mut out);
        let told = |action: Action| {
            matches!(action, Action::Output(Output::Event(Event::Refused { kind: "marks", .. })))
        };
        assert!(out.drain().any(told));

        let due = || Input::TimerDue(crate::timer::Timer::Marks);
        let saves = |out: &mut Outbox| {
            out.drain().filter(|it| matches!(it, Action::Output(Output::Save { .. }))).count()
        };
        state.handle(now(10), due(), context, &mut out);
        assert_eq!(saves(&mut out), 0);
        let input = Input::Alive { alive: alive(1, 1), internal: None, tick: None, from: member(1) };
        state.handle(now(11), input, context, &mut out);
        state.handle(now(20), due(), context, &mut out);
        assert_eq!(saves(&mut out), 1);
        state.handle(now(30), due(), context, &mut out);
        assert_eq!(saves(&mut out), 0);
    });
}

/// The budget of the design: 2 KB/s per peer at 128 peers counts alives of some 250 bytes.
#[test]
fn a_large_view_is_answered_in_frames_that_fit_a_control_lane() {
    let mut state = small(4096);
    let mut out = Outbox::default();
    let sessions: BTreeMap<MemberId, OrgId> = [(member(9_999), org(1))].into();
    let (key, shared) = (SecretKey::from_seed([1; 32]), BTreeSet::from([org(1)]));
    let context = Context { key: &key, sessions: &sessions, identities: &OneOrg, shared_orgs: &shared };
    for number in 1..2_000 {
        let input =
            Input::Alive { alive: alive(number, 1), internal: None, tick: None, from: member(number) };
        state.handle(now(0), input, &context, &mut out);
    }
    out.drain();

    state.handle(now(1), Input::SessionReady(member(9_999)), &context, &mut out);
    state.handle(now(1), Input::Digest { from: member(9_999), marks: Vec::new() }, &context, &mut out);

    let mut told = 0;
    for action in out.drain() {
        if let Action::Send { message, .. } = action {
            let length = message.encode().len();
            assert!(length <= 64 * 1024, "{} of {length} bytes", message.kind());
            told += if let Message::Alives(records) = &message { records.len() } else { 0 };
        }
    }
    assert!(told >= 1_999);
}

#[test]
fn one_org_cannot_fill_the_table() {
    let config = Config { members_per_org_max: 2, ..Config::default() };
    let mut world = World::with_config(&[1, 1, 2, 2, 2, 2], config);

    world.connect_all();
    world.run_for(seconds(12));

    assert!(world.sees(0, 1));
    assert_eq!((2..6).filter(|other| world.sees(0, *other)).count(), 2);
    assert!(world.refusals.contains(&"org_members_full"));
}
