//! Leadership among members of one org, claims delivered by hand.

mod withholding;

use super::{Config, Context, Input, Mode, State, Withheld};
use crate::event::Event;
use crate::output::{Action, Outbox, Output};
use crate::time::{Monotonic, Now, WallTime};
use crate::types::{BlockNumber, ChannelId, Incarnation, MemberId, OrgId, Sequence};
use crate::wire::{ChannelMessage, Leadership, Message, Signed, Verified};
use ledgercast_crypto::{Digest, SecretKey};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

const CHANNEL: ChannelId = ChannelId::from_bytes([7; 32]);
const TICK: u64 = 100;

struct Node {
    state: State,
    epoch: u64,
    can_reach_orderer: bool,
    is_started: bool,
    is_paused: bool,
    timer: Option<u64>,
    links: BTreeSet<usize>,
    inbox: VecDeque<(usize, Signed<Leadership>)>,
    changes: Vec<(u64, Option<MemberId>, bool)>,
}

struct Org {
    nodes: Vec<Node>,
    org: u8,
    now: u64,
    sent: usize,
    refusals: Vec<&'static str>,
}

fn member(index: usize) -> MemberId {
    MemberId::from_digest(Digest::of(&[u8::try_from(index).unwrap()]))
}

fn key(index: usize) -> SecretKey {
    SecretKey::from_seed([u8::try_from(index).unwrap() + 1; 32])
}

impl Org {
    fn new(count: usize) -> Self {
        Self::with_config(count, &Config::default())
    }

    /// All of them started and linked, so long ago.
    fn linked(count: usize, millis: u64) -> Self {
        let mut org = Self::new(count);
        org.start_all();
        org.link_all();
        org.run_for(millis);
        org
    }

    fn with_config(count: usize, config: &Config) -> Self {
        let node = || Node {
            state: State::new(config.clone()),
            epoch: 0,
            can_reach_orderer: true,
            is_started: false,
            is_paused: false,
            timer: None,
            links: BTreeSet::new(),
            inbox: VecDeque::new(),
            changes: Vec::new(),
        };
        let nodes = (0..count).map(|_| node()).collect();
        Self { nodes, org: 1, now: 0, sent: 0, refusals: Vec::new() }
    }

    fn now(&self) -> Now {
        Now {
            monotonic: Monotonic::new(Duration::from_millis(self.now)),
            wall: WallTime::from_millis(1_700_000_000_000 + self.now),
        }
    }

    fn start(&mut self, index: usize) {
        self.nodes[index].is_started = true;
        self.input(index, Input::Start);
    }

    fn start_all(&mut self) {
        (0..self.nodes.len()).for_each(|index| self.start(index));
    }

    fn link(&mut self, a: usize, b: usize) {
        if a != b && self.nodes[a].links.insert(b) {
            self.nodes[b].links.insert(a);
            self.input(a, Input::ContextChanged);
            self.input(b, Input::ContextChanged);
        }
    }

    fn link_all(&mut self) {
        for a in 0..self.nodes.len() {
            (0..a).for_each(|b| self.link(a, b));
        }
    }

    fn unlink(&mut self, index: usize) {
        for other in std::mem::take(&mut self.nodes[index].links) {
            self.nodes[other].links.remove(&index);
            self.input(other, Input::MemberGone(member(index)));
            self.input(other, Input::ContextChanged);
            self.input(index, Input::MemberGone(member(other)));
        }
        self.input(index, Input::ContextChanged);
    }

    fn eligible(&self, index: usize) -> Vec<MemberId> {
        self.nodes[index].links.iter().copied().chain([index]).map(member).collect()
    }

    fn input(&mut self, index: usize, input: Input) {
        let (eligible, now, key) = (self.eligible(index), self.now(), key(index));
        let epoch = self.nodes[index].epoch;
        let context = Context {
            channel: CHANNEL,
            me: member(index),
            org: OrgId::from_digest(Digest::of(&[b'o', self.org])),
            incarnation: Incarnation::from_millis(1),
            key: &key,
            eligible: &eligible,
            epoch,
            epoch_hash: Digest::of(&epoch.to_be_bytes()),
            can_reach_orderer: self.nodes[index].can_reach_orderer,
        };
        let mut out = Outbox::default();
        self.nodes[index].state.handle(now, input, &context, &mut out);
        for action in out.drain() {
            match action {
                Action::Send {
                    to, message: Message::Channel(_, ChannelMessage::Leadership(claim)), ..
                } => {
                    self.sent += 1;
                    let to = (0..self.nodes.len()).find(|it| member(*it) == to).unwrap();
                    assert!(self.nodes[index].links.contains(&to));
                    self.nodes[to].inbox.push_back((index, claim));
                }
                Action::Output(Output::SetTimer { at, .. }) => {
                    self.nodes[index].timer = Some(u64::try_from(at.since_start().as_millis()).unwrap());
                }
                Action::Output(Output::Event(Event::LeadershipChanged { leader, is_me, .. })) => {
                    self.nodes[index].changes.push((self.now, leader, is_me));
                }
                Action::Output(Output::Event(Event::LeaderPassedOver { .. })) => {}
                Action::Output(Output::Event(Event::Refused { reason, .. })) => self.refusals.push(reason),
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn run_for(&mut self, millis: u64) {
        let end = self.now + millis;
        while self.now < end {
            self.now += TICK;
            for index in 0..self.nodes.len() {
                if self.nodes[index].is_paused {
                    continue;
                }
                if self.nodes[index].timer.is_some_and(|at| at <= self.now) {
                    self.nodes[index].timer = None;
                    self.input(index, Input::TimerDue);
                }
                while let Some((from, claim)) = self.nodes[index].inbox.pop_front() {
                    self.deliver(from, index, claim);
                }
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, claim: Signed<Leadership>) {
        match self.nodes[to].state.screen(self.now(), &claim) {
            Ok(()) => {
                let of = (0..self.nodes.len()).find(|it| member(*it) == claim.member()).unwrap();
                let claim = claim.verify(&key(of).public(), CHANNEL.as_bytes()).unwrap();
                self.input(to, Input::Claim { claim, from: member(from) });
            }
            Err(refusal) => self.refusals.push(refusal.0),
        }
    }

    fn leaders(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|index| self.nodes[*index].state.is_leader()).collect()
    }

    /// The only leader, which everybody who runs and is linked sees.
    fn leader(&self) -> usize {
        let leaders = self.leaders();
        assert_eq!(leaders.len(), 1, "{leaders:?}");
        for (index, node) in self.nodes.iter().enumerate() {
            if node.is_started && !node.is_paused && !node.links.is_empty() {
                assert_eq!(node.state.leader(self.now()), Some(member(leaders[0])), "at {index}");
            }
        }
        leaders[0]
    }

    /// The members by rank in an epoch, the best first.
    fn ranked(&self, epoch: u64) -> Vec<usize> {
        let rank = |index: &usize| {
            Digest::of_parts(&[
                b"ledgercast leadership rank",
                CHANNEL.as_bytes(),
                Digest::of(&[b'o', self.org]).as_bytes(),
                Digest::of(&epoch.to_be_bytes()).as_bytes(),
                member(*index).as_bytes(),
            ])
        };
        let mut all: Vec<usize> = (0..self.nodes.len()).collect();
        all.sort_by_key(rank);
        all
    }

    /// A member has waited in vain for the push of a block whose header it has since then.
    fn withheld(&mut self, index: usize, since: Monotonic) {
        self.withheld_though(index, since, 1, Vec::new());
    }

    /// The same, though these members have it.
    fn withheld_though(&mut self, index: usize, since: Monotonic, in_a_row: u32, holders: Vec<MemberId>) {
        let number = BlockNumber::new(1);
        self.input(index, Input::Withheld(Withheld { number, since, in_a_row, holders }));
    }

    fn set_epoch(&mut self, index: usize, epoch: u64) {
        self.nodes[index].epoch = epoch;
        self.input(index, Input::ContextChanged);
    }

    fn claim(&self, of: usize, epoch: u64, until: u64) -> Signed<Leadership> {
        let claim = Leadership {
            member: member(of),
            epoch,
            incarnation: Incarnation::from_millis(2),
            sequence: Sequence::new(self.now),
            leading: true,
            until: WallTime::from_millis(1_700_000_000_000 + until),
        };
        Signed::sign(claim, CHANNEL.as_bytes(), &key(of))
    }
}

/// L1.
#[test]
fn ten_that_start_at_once_have_one_leader_the_best_ranked() {
    let mut org = Org::new(10);
    org.start_all();
    org.run_for(500);
    org.link_all();

    org.run_for(3_000);

    assert_eq!(org.leader(), org.ranked(0)[0]);
    assert!(org.nodes.iter().all(|node| node.changes.len() == 1));
}

/// L2.
#[test]
fn staggered_starts_keep_the_first_leader_within_the_epoch() {
    let mut org = Org::new(10);
    // The worst rank starts first, so that each newcomer is better-ranked.
    let order: Vec<usize> = org.ranked(0).into_iter().rev().collect();
    org.start(order[0]);
    org.run_for(4_000);

    for count in 1..10 {
        org.start(order[count]);
        (0..count).for_each(|earlier| org.link(order[count], order[earlier]));
        org.run_for(3_000);
    }
    org.run_for(20_000);

    assert_eq!(org.leader(), order[0]);
    assert!(org.nodes.iter().all(|node| node.changes.len() == 1), "no flapping");
}

/// L3.
#[test]
fn six_isolated_lead_themselves_and_one_after_the_heal() {
    let mut org = Org::new(6);
    org.start_all();
    org.run_for(5_000);
    assert_eq!(org.leaders().len(), 6);

    org.link_all();
    org.run_for(1_000);

    assert_eq!(org.leader(), org.ranked(0)[0]);
}

/// L4, a killed leader.
#[test]
fn when_the_leader_is_gone_the_next_rank_leads_at_once() {
    let mut org = Org::linked(5, 5_000);
    let ranked = org.ranked(0);
    assert_eq!(org.leader(), ranked[0]);

    org.nodes[ranked[0]].is_paused = true;
    org.unlink(ranked[0]);
    org.run_for(500);

    assert_eq!(org.leaders().into_iter().filter(|it| *it != ranked[0]).collect::<Vec<_>>(), [ranked[1]]);
    let now = org.now();
    assert!(ranked[1..].iter().all(|it| org.nodes[*it].state.leader(now) == Some(member(ranked[1]))));
}

/// L4, a stopped leader; it does not take it back when it goes on.
#[test]
fn when_the_leader_falls_silent_the_next_rank_leads_once_its_claim_ended() {
    let mut org = Org::linked(5, 5_000);
    let ranked = org.ranked(0);

    org.nodes[ranked[0]].is_paused = true;
    org.run_for(12_000);
    assert!(org.nodes[ranked[1]].state.is_leader());

    org.nodes[ranked[0]].is_paused = false;
    org.run_for(10_000);
    assert_eq!(org.leader(), ranked[1]);
}

#[test]
fn a_silent_rank_is_passed_over_after_a_while() {
    let mut org = Org::new(4);
    let ranked = org.ranked(0);
    ranked[1..].iter().for_each(|index| org.start(*index));
    org.link_all();

    org.run_for(1_500);
    assert_eq!(org.leaders(), []);
    org.run_for(3_000);

    assert_eq!(org.leaders(), [ranked[1]]);
}

/// L5.
#[test]
fn a_leader_without_orderer_yields_and_does_not_take_it_back() {
    let mut org = Org::linked(4, 3_000);
    let ranked = org.ranked(0);

    org.nodes[ranked[0]].can_reach_orderer = false;
    org.input(ranked[0], Input::ContextChanged);
    org.run_for(4_500);
    assert_eq!(org.leader(), ranked[0]);
    org.run_for(1_000);
    assert_eq!(org.leader(), ranked[1]);

    org.nodes[ranked[0]].can_reach_orderer = true;
    org.run_for(60_000);
    assert_eq!(org.leader(), ranked[1]);
}

#[test]
fn the_last_candidate_does_not_yield() {
    let mut org = Org::new(2);
    org.nodes.iter_mut().for_each(|node| node.can_reach_orderer = false);
    org.start_all();
    org.link_all();

    for _ in 0..120 {
        org.run_for(1_000);
        assert!(org.now < 4_000 || !org.leaders().is_empty(), "nobody tries at {}", org.now);
    }
}

/// L6.
#[test]
fn ranks_differ_between_orgs_and_epochs() {
    let mut org = Org::new(10);
    let first = org.ranked(0);
    assert_ne!(first, org.ranked(1));

    org.org = 2;
    assert_ne!(first, org.ranked(0));
}

/// L7.
#[test]
fn static_leaders_neither_claim_nor_believe() {
    let config = |leads| Config { mode: Mode::Static { leads }, ..Config::default() };
    let mut org = Org::with_config(2, &config(true));
    org.nodes[1].state = State::new(config(false));
    org.start_all();
    org.link_all();
    org.run_for(10_000);

    assert_eq!(org.leaders(), [0]);
    assert_eq!(org.sent, 0);
    let claim = org.claim(1, 0, org.now + 1_000);
    org.deliver(1, 0, claim);
    assert_eq!(org.refusals, ["leaders_are_static"]);
    assert_eq!(org.nodes[0].changes, [(0, Some(member(0)), true)]);
}

#[test]
fn alone_a_leader_signs_nothing() {
    let mut org = Org::new(1);
    org.start_all();

    org.run_for(60_000);

    assert_eq!(org.leaders(), [0]);
    assert!(org.nodes[0].state.statement.is_none());
}

#[test]
fn a_new_epoch_hands_over_without_a_gap() {
    let mut org = Org::linked(6, 20_000);

    for epoch in 1..5 {
        for index in 0..6 {
            org.set_epoch(index, epoch);
            org.run_for(TICK);
            assert!(!org.leaders().is_empty());
        }
        org.run_for(15_000);
        assert_eq!(org.leader(), org.ranked(epoch)[0]);
    }
}

#[test]
fn several_leaders_per_org_are_the_best_ranks() {
    let config = Config { leaders_per_org: 2, ..Config::default() };
    let mut org = Org::with_config(5, &config);
    org.start_all();
    org.link_all();

    org.run_for(5_000);
    let mut expected = org.ranked(0)[..2].to_vec();
    expected.sort_unstable();
    assert_eq!(org.leaders(), expected);

    let ranked = org.ranked(0);
    org.nodes[ranked[0]].is_paused = true;
    org.unlink(ranked[0]);
    org.run_for(500);
    assert!(org.nodes[ranked[1]].state.is_leader() && org.nodes[ranked[2]].state.is_leader());
}

/// A13: a claim for ever, ahead of its time, of another, or past a better rank gains nothing.
#[test]
fn false_claims_do_not_count() {
    let mut org = Org::linked(4, 12_000);
    let ranked = org.ranked(0);
    let (best, worst) = (ranked[0], ranked[3]);
    assert_eq!(org.leader(), best);

    let for_ever = org.claim(worst, 0, org.now + 1_000_000);
    org.deliver(worst, best, for_ever);
    assert_eq!(org.refusals.pop(), Some("lasts_too_long"));

    let past = org.claim(worst, 0, org.now + 10_000);
    org.deliver(worst, best, past.clone());
    assert_eq!(org.refusals.pop(), Some("past_better_rank"));
    org.deliver(worst, best, past);
    assert_eq!(org.refusals.pop(), Some("known"));

    org.run_for(TICK);
    let ahead = org.claim(worst, u64::MAX, org.now + 10_000);
    org.deliver(worst, best, ahead);
    assert_eq!(org.refusals.pop(), Some("past_better_rank"));

    org.run_for(TICK);
    let relayed = org.claim(worst, 0, org.now + 10_000);
    org.deliver(ranked[1], best, relayed);
    assert_eq!(org.refusals.pop(), Some("claim_of_another"));
    assert!(org.nodes[best].state.is_leader());
}

#[test]
fn a_claim_of_who_is_not_eligible_does_not_count() {
    let mut org = Org::new(3);
    org.start_all();
    org.link(0, 1);
    org.run_for(12_000);

    let claim = org.claim(2, 0, org.now + 1_000);
    org.deliver(2, 0, claim);

    assert_eq!(org.refusals, ["not_eligible"]);
}

#[test]
fn leaving_the_channel_ends_leadership_and_says_so() {
    let mut org = Org::linked(3, 5_000);
    let ranked = org.ranked(0);

    org.input(ranked[0], Input::Stop);
    org.run_for(500);

    assert_eq!(org.leaders(), [ranked[1]]);
}

#[test]
fn claims_that_verify_under_another_key_are_no_claims() {
    let org = Org::new(2);
    let claim = org.claim(0, 0, 1_000);

    let verdict: Result<Verified<Leadership>, _> = claim.verify(&key(1).public(), CHANNEL.as_bytes());

    assert!(verdict.is_err());
}
