//! State infos among a few members of one channel, messages delivered by hand.

use super::{Config, Context, Input, State};
use crate::output::{Action, Outbox, Output};
use crate::time::{Monotonic, Now, WallTime};
use crate::types::{BlockNumber, ChannelId, Height, Incarnation, Mark, MemberId, Neighbour, OrgId, Sequence};
use crate::wire::{ChannelLeave, ChannelMessage, Message, Signed, StateInfo, Tip, Verified};
use ledgercast_crypto::{Digest, SecretKey};
use std::collections::VecDeque;
use std::time::Duration;

const CHANNEL: ChannelId = ChannelId::from_bytes([7; 32]);

fn org(number: u8) -> OrgId {
    OrgId::from_digest(Digest::of(&[b'o', number]))
}

fn member(index: usize) -> MemberId {
    MemberId::from_digest(Digest::of(&[u8::try_from(index).unwrap()]))
}

fn key(index: usize) -> SecretKey {
    SecretKey::from_seed([u8::try_from(index).unwrap() + 1; 32])
}

fn at(millis: u64) -> Now {
    Now {
        monotonic: Monotonic::new(Duration::from_millis(millis)),
        wall: WallTime::from_millis(1_700_000_000_000 + millis),
    }
}

fn changed(height: u64) -> Input {
    Input::TipChanged {
        tip_hash: Digest::of(&height.to_be_bytes()),
        height: Height::new(height),
        first_block: BlockNumber::GENESIS,
    }
}

/// Members in a row, each a neighbour of the next; org 1, unless said otherwise.
struct Row {
    states: Vec<State>,
    orgs: Vec<u8>,
    hidden: Vec<MemberId>,
    sent: Vec<(usize, usize, ChannelMessage)>,
    queue: VecDeque<(usize, usize, ChannelMessage)>,
    refusals: Vec<&'static str>,
    now: u64,
}

impl Row {
    fn new(orgs: &[u8]) -> Self {
        let count = orgs.len();
        let mut row = Self {
            states: (0..count)
                .map(|index| State::new(Config::default(), [u8::try_from(index).unwrap(); 32]))
                .collect(),
            orgs: orgs.to_vec(),
            hidden: Vec::new(),
            sent: Vec::new(),
            queue: VecDeque::new(),
            refusals: Vec::new(),
            now: 0,
        };
        let tip = Tip { number: BlockNumber::GENESIS, header_hash: Digest::of(b"genesis") };
        (0..count).for_each(|index| row.input(index, Input::Start { tip }));
        row
    }

    fn neighbours(&self, index: usize) -> Vec<Neighbour> {
        let all = 0..self.states.len();
        let near = all.filter(|other| other.abs_diff(index) == 1);
        near.map(|other| Neighbour {
            member: member(other),
            org: org(self.orgs[other]),
            claimed_height: Height::ZERO,
            first_block: BlockNumber::GENESIS,
            offences: 0,
        })
        .collect()
    }

    fn index(&self, id: MemberId) -> usize {
        (0..self.states.len()).find(|index| member(*index) == id).unwrap()
    }

    fn input(&mut self, index: usize, input: Input) {
        let neighbours = self.neighbours(index);
        let (key, mine) = (key(index), self.orgs[index]);
        let (orgs, hidden) = (&self.orgs, &self.hidden);
        let may_mention = |about: MemberId, to: OrgId| {
            let about_org = (0..orgs.len()).find(|it| member(*it) == about).map(|it| orgs[it]);
            let about_org = about_org.unwrap_or_default();
            let is_told_abroad = !hidden.contains(&about) && (about_org == mine || to == org(mine));
            to == org(about_org) || is_told_abroad
        };
        let context = Context {
            channel: CHANNEL,
            me: member(index),
            incarnation: Incarnation::from_millis(1),
            key: &key,
            neighbours: &neighbours,
            may_mention: &may_mention,
        };
        let mut out = Outbox::default();
        self.states[index].handle(at(self.now), input, &context, &mut out);
        for action in out.drain() {
            match action {
                Action::Send { to, message: Message::Channel(CHANNEL, message), .. } => {
                    let to = (0..orgs.len()).find(|it| member(*it) == to).unwrap();
                    self.sent.push((index, to, message.clone()));
                    self.queue.push_back((index, to, message));
                }
                Action::Output(Output::SetTimer { .. } | Output::Event(_)) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn deliver_all(&mut self) {
        while let Some((from, to, message)) = self.queue.pop_front() {
            let from = member(from);
            match message {
                ChannelMessage::StateSummary(summary) => self.input(to, Input::Summary { from, summary }),
                ChannelMessage::StateDigest(marks) => self.input(to, Input::Digest { from, marks }),
                ChannelMessage::WantStates(members) => self.input(to, Input::Want { from, members }),
                ChannelMessage::States(states) => {
                    states.into_iter().for_each(|it| self.take_in(from, to, it))
                }
                ChannelMessage::Leave(leave) => {
                    let of = self.index(leave.member());
                    let leave = leave.verify(&key(of).public(), CHANNEL.as_bytes()).unwrap();
                    self.input(to, Input::Leave(leave));
                }
                other => panic!("no {}", other.kind()),
            }
        }
    }

    fn take_in(&mut self, from: MemberId, to: usize, state: Signed<StateInfo>) {
        match self.states[to].screen(at(self.now), &state) {
            Ok(()) => {
                let of = self.index(state.member());
                let state = state.verify(&key(of).public(), CHANNEL.as_bytes()).unwrap();
                self.input(to, Input::StateInfo { state, from });
            }
            Err(refusal) => self.refusals.push(refusal.0),
        }
    }

    fn intervals(&mut self, count: u64) {
        for _ in 0..count {
            self.now += 4_000;
            for index in 0..self.states.len() {
                self.input(index, Input::TimerDue);
                self.deliver_all();
            }
        }
    }

    fn height(&self, at: usize, of: usize) -> Option<u64> {
        self.states[at].height_of(member(of)).map(|(height, ..)| height.as_u64())
    }

    fn own_mark(&self, index: usize) -> Option<Mark> {
        self.states[index].own.as_ref().map(Verified::mark)
    }
}

fn state(of: usize, sequence: u64, height: u64, first_block: u64) -> Signed<StateInfo> {
    let state = StateInfo {
        member: member(of),
        incarnation: Incarnation::from_millis(1),
        sequence: Sequence::new(sequence),
        tip_hash: Digest::ZERO,
        height: Height::new(height),
        first_block: BlockNumber::new(first_block),
    };
    Signed::sign(state, CHANNEL.as_bytes(), &key(of))
}

#[test]
fn heights_reach_members_that_are_no_neighbours() {
    let mut row = Row::new(&[1; 5]);
    row.input(0, changed(42));

    row.intervals(12);

    assert!((1..5).all(|at| row.height(at, 0) == Some(42)));
    assert!((0..5).all(|at| row.states[at].all().count() == 4));
}

#[test]
fn a_new_neighbour_learns_all_heights_at_once() {
    let mut row = Row::new(&[1; 3]);
    row.input(0, Input::NeighbourReady(member(1)));
    row.deliver_all();

    row.input(1, Input::NeighbourReady(member(2)));
    row.deliver_all();

    assert_eq!(row.height(2, 0), Some(1));
    assert_eq!(row.height(2, 1), Some(1));
    assert_eq!(row.height(1, 2), Some(1));
}

#[test]
fn my_state_is_signed_once_an_interval_and_only_when_it_changed() {
    let mut row = Row::new(&[1; 2]);
    row.intervals(1);
    let first = row.own_mark(0);

    row.intervals(5);
    assert_eq!(row.own_mark(0), first);

    row.input(0, changed(2));
    row.intervals(1);
    let second = row.own_mark(0);
    assert!(second > first);
    for height in 3..50 {
        row.input(0, changed(height));
        row.input(0, Input::NeighbourReady(member(1)));
    }
    assert_eq!(row.own_mark(0), second, "not within the interval");
    row.intervals(1);
    assert!(row.own_mark(0) > second);
    // What was said without a pause has spent the budget of the interval.
    row.intervals(1);
    assert_eq!(row.height(1, 0), Some(49));
}

#[test]
fn alone_nothing_is_signed() {
    let mut row = Row::new(&[1]);

    row.input(0, changed(3));
    row.intervals(10);
    row.input(0, Input::Stop);

    assert_eq!(row.own_mark(0), None);
    assert!(row.sent.is_empty());
}

#[test]
fn what_is_unchanged_is_not_sent_again() {
    let mut row = Row::new(&[1; 4]);
    row.intervals(10);
    row.sent.clear();

    row.intervals(10);

    let is_digest =
        |it: &ChannelMessage| matches!(it, ChannelMessage::StateDigest(_) | ChannelMessage::StateSummary(_));
    assert!(row.sent.iter().all(|(.., message)| is_digest(message)));
}

#[test]
fn known_stale_and_impossible_states_are_refused() {
    let mut row = Row::new(&[1; 2]);
    row.intervals(2);
    let sequence = row.own_mark(1).unwrap().sequence.as_u64();
    let screen = |state: &Signed<StateInfo>| row.states[0].screen(at(row.now), state).map_err(|it| it.0);

    assert_eq!(screen(&state(1, sequence, 5, 0)), Err("known"));
    assert_eq!(screen(&state(1, sequence - 1, 5, 0)), Err("stale"));
    assert_eq!(screen(&state(1, sequence + 1, 5, 5)), Err("impossible_range"));
    assert_eq!(screen(&state(1, sequence + 1, 0, 0)), Err("impossible_range"));
    assert_eq!(screen(&state(0, sequence + 1, 5, 0)), Err("about_me"));
    assert_eq!(screen(&state(1, sequence + 1, 5, 4)), Ok(()));
}

#[test]
fn a_full_table_refuses_new_members() {
    let mut row = Row::new(&[1; 3]);
    row.states[0].config.members_max = 1;
    row.take_in(member(1), 0, state(1, 1, 1, 0));

    row.take_in(member(1), 0, state(2, 1, 1, 0));

    assert_eq!(row.refusals, ["members_full"]);
    assert_eq!(row.states[0].all().count(), 1);
}

#[test]
fn a_gone_members_height_is_forgotten() {
    let mut row = Row::new(&[1; 2]);
    row.intervals(2);

    row.input(0, Input::MemberGone(member(1)));

    assert_eq!(row.height(0, 1), None);
}

/// C3: the notice goes out, an older state does not undo it, and nothing more is said or answered.
#[test]
fn after_leaving_nothing_but_the_notice_is_sent() {
    let mut row = Row::new(&[1; 3]);
    row.intervals(10);
    let old = row.states[1].own.clone().unwrap();
    row.sent.clear();

    row.input(1, Input::Stop);
    let notices: Vec<_> = row.sent.iter().map(|(from, to, message)| (*from, *to, message.kind())).collect();
    assert_eq!(notices, [(1, 0, "channel_leave"), (1, 2, "channel_leave")]);
    row.deliver_all();
    assert_eq!((row.height(0, 1), row.height(2, 1)), (None, None));

    row.take_in(member(1), 0, old.signed().clone());
    assert_eq!(row.refusals, ["stale"]);
    row.sent.clear();
    row.input(1, Input::Digest { from: member(0), marks: Vec::new() });
    row.input(1, Input::TimerDue);
    assert!(row.sent.is_empty());
}

#[test]
fn a_member_may_join_again_in_the_same_life() {
    let mut row = Row::new(&[1; 2]);
    row.intervals(3);
    row.input(1, Input::Stop);
    row.deliver_all();
    assert_eq!(row.height(0, 1), None);

    row.now += 1_000;
    row.states[1] = State::new(Config::default(), [9; 32]);
    let tip = Tip { number: BlockNumber::new(4), header_hash: Digest::ZERO };
    row.input(1, Input::Start { tip });
    row.input(1, Input::NeighbourReady(member(0)));
    row.deliver_all();

    assert_eq!(row.height(0, 1), Some(5));
}

#[test]
fn a_leave_that_is_older_than_the_state_is_refused() {
    let mut row = Row::new(&[1; 2]);
    row.intervals(2);
    let leave = ChannelLeave {
        member: member(1),
        incarnation: Incarnation::from_millis(1),
        sequence: Sequence::new(1),
    };
    let leave = Signed::sign(leave, CHANNEL.as_bytes(), &key(1));

    assert_eq!(row.states[0].screen_leave(at(row.now), &leave).map_err(|it| it.0), Err("stale"));
}

/// C2: the state of a member goes to its org and to mine, to nobody else.
#[test]
fn states_follow_the_disclosure_rule() {
    let mut row = Row::new(&[2, 1, 3]);

    row.intervals(10);

    assert_eq!(row.height(1, 0), Some(1));
    assert_eq!(row.height(1, 2), Some(1));
    assert_eq!((row.height(0, 2), row.height(2, 0)), (None, None));
}

#[test]
fn a_hidden_members_state_stays_in_its_org() {
    let mut row = Row::new(&[1, 1, 2]);
    row.hidden = vec![member(0)];

    row.intervals(10);

    assert_eq!(row.height(1, 0), Some(1));
    assert_eq!(row.height(2, 0), None);
    assert_eq!(row.height(2, 1), Some(1));
}

/// A18.
#[test]
fn a_flood_of_wants_is_answered_within_budget() {
    let mut row = Row::new(&[1; 2]);
    row.intervals(2);
    row.sent.clear();
    row.now += 1_000;

    for _ in 0..500 {
        row.input(0, Input::Want { from: member(1), members: vec![member(0)] });
    }

    assert_eq!(row.sent.len(), 8);
}
