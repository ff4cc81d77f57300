//! The test's world: peers without network, sessions between them, and a clock that jumps from event to
//! event.

use crate::event::{Event, EvictionReason};
use crate::job::VerifiedConflict;
use crate::membership::{Config, Context, Identities, Input, MemberStatus, Own, State};
use crate::output::{Action, Outbox, Output};
use crate::time::{Monotonic, Now, WallTime};
use crate::timer::Timer;
use crate::types::{Incarnation, MemberId, OrgId, Tick};
use crate::wire::{Alive, AliveRecord, Conflict, Message, Signed, Verified};
use bytes::Bytes;
use ledgercast_crypto::{Digest, PublicKey, SecretKey};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub(super) const NETWORK: [u8; 32] = [9; 32];
const WALL_AT_START: u64 = 1_700_000_000_000;
const LATENCY: u64 = 5;

/// The certificates that everybody has seen.
#[derive(Clone, Default)]
pub(super) struct Directory(BTreeMap<MemberId, (OrgId, PublicKey)>);

impl Identities for Directory {
    fn org(&self, member: MemberId) -> Option<OrgId> {
        self.0.get(&member).map(|(org, _)| *org)
    }
}

pub(super) struct Node {
    pub(super) state: State,
    pub(super) key: SecretKey,
    pub(super) own: Own,
    pub(super) sessions: BTreeMap<MemberId, OrgId>,
    pub(super) shared: BTreeSet<OrgId>,
    pub(super) events: Vec<(u64, Event)>,
    pub(super) saved: Option<Bytes>,
    timers: BTreeMap<Timer, u64>,
    inbox: VecDeque<(MemberId, Message)>,
    is_paused: bool,
    is_dead: bool,
}

pub(super) struct World {
    /// Milliseconds since the start.
    pub(super) now: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) directory: Directory,
    /// Everything that was sent: when, from, to.
    pub(super) sent: Vec<(u64, MemberId, MemberId, Message)>,
    pub(super) verifications: usize,
    pub(super) refusals: Vec<&'static str>,
    queue: VecDeque<(u64, MemberId, MemberId, Message)>,
    config: Config,
}

pub(super) fn org(number: u8) -> OrgId {
    OrgId::from_digest(Digest::of(&[b'o', number]))
}

pub(super) fn seconds(count: u64) -> u64 {
    count * 1_000
}

impl World {
    /// Peers of these orgs, all of which share a channel; all reachable from outside.
    pub(super) fn new(orgs: &[u8]) -> Self {
        Self::with_config(orgs, Config::default())
    }

    pub(super) fn with_config(orgs: &[u8], config: Config) -> Self {
        let mut world = Self {
            now: 0,
            nodes: Vec::new(),
            directory: Directory::default(),
            sent: Vec::new(),
            verifications: 0,
            refusals: Vec::new(),
            queue: VecDeque::new(),
            config,
        };
        for org_number in orgs {
            world.add(*org_number);
        }
        let all: BTreeSet<OrgId> = orgs.iter().map(|number| org(*number)).collect();
        world.nodes.iter_mut().for_each(|node| node.shared = all.clone());
        world
    }

    /// Adds a peer of an org; it starts at once and knows nobody.
    pub(super) fn add(&mut self, org_number: u8) -> usize {
        let index = self.nodes.len();
        let key = SecretKey::from_seed([u8::try_from(index).unwrap() + 1; 32]);
        let member = MemberId::from_digest(Digest::of(key.public().as_bytes()));
        self.directory.0.insert(member, (org(org_number), key.public()));
        let own = Own {
            member,
            org: org(org_number),
            external: Some(format!("outside{index}:1").parse().unwrap()),
            internal: format!("inside{index}:1").parse().unwrap(),
        };
        let state = self.state(&own, None);
        let shared = [org(org_number)].into();
        self.nodes.push(Node {
            state,
            key,
            own,
            sessions: BTreeMap::new(),
            shared,
            events: Vec::new(),
            saved: None,
            timers: BTreeMap::new(),
            inbox: VecDeque::new(),
            is_paused: false,
            is_dead: false,
        });
        self.input(index, Input::Start);
        index
    }

    fn state(&self, own: &Own, marks: Option<Bytes>) -> State {
        let incarnation = Incarnation::from_millis(self.wall().as_millis());
        State::new(self.config.clone(), own.clone(), NETWORK, incarnation, marks, *own.member.as_bytes())
    }

    /// Hides a peer from other orgs; before it has said anything.
    pub(super) fn hide(&mut self, index: usize) {
        self.nodes[index].own.external = None;
        self.nodes[index].state = self.state(&self.nodes[index].own, None);
        self.input(index, Input::Start);
    }

    /// A new life of the same peer, with the marks that the old one saved; its sessions are gone.
    pub(super) fn restart(&mut self, index: usize) {
        self.kill(index);
        let marks = self.nodes[index].saved.clone();
        self.nodes[index].state = self.state(&self.nodes[index].own, marks);
        let node = &mut self.nodes[index];
        (node.is_dead, node.is_paused) = (false, false);
        node.timers.clear();
        node.inbox.clear();
        self.input(index, Input::Start);
    }

    /// The member's certificate no longer holds, as everybody finds out; its process goes on.
    pub(super) fn revoke(&mut self, index: usize) {
        let member = self.id(index);
        self.directory.0.remove(&member);
        for by in (0..self.nodes.len()).filter(|by| *by != index) {
            self.input(by, Input::Expelled(member, EvictionReason::Revoked));
        }
    }

    pub(super) fn wall(&self) -> WallTime {
        WallTime::from_millis(WALL_AT_START + self.now)
    }

    pub(super) fn instant(&self) -> Now {
        Now { monotonic: Monotonic::new(Duration::from_millis(self.now)), wall: self.wall() }
    }

    pub(super) fn id(&self, index: usize) -> MemberId {
        self.nodes[index].own.member
    }

    fn index(&self, member: MemberId) -> usize {
        self.nodes.iter().position(|node| node.own.member == member).unwrap()
    }

    pub(super) fn connect(&mut self, a: usize, b: usize) {
        let (left, right) = (self.id(a), self.id(b));
        if self.nodes[a].sessions.contains_key(&right) {
            return;
        }
        let (org_a, org_b) = (self.nodes[a].own.org, self.nodes[b].own.org);
        self.nodes[a].sessions.insert(right, org_b);
        self.nodes[b].sessions.insert(left, org_a);
        self.input(a, Input::SessionReady(right));
        self.input(b, Input::SessionReady(left));
    }

    pub(super) fn connect_all(&mut self) {
        for a in 0..self.nodes.len() {
            for b in 0..a {
                self.connect(a, b);
            }
        }
    }

    pub(super) fn disconnect(&mut self, a: usize, b: usize) {
        let (left, right) = (self.id(a), self.id(b));
        if self.nodes[a].sessions.remove(&right).is_some() {
            self.nodes[b].sessions.remove(&left);
            self.input(a, Input::SessionLost(right));
            self.input(b, Input::SessionLost(left));
        }
    }

    /// The process stops; its sessions stay open, as after SIGSTOP.
    pub(super) fn pause(&mut self, index: usize) {
        self.nodes[index].is_paused = true;
    }

    /// The process goes on: first its timers, then what has waited in its sockets.
    pub(super) fn resume(&mut self, index: usize) {
        self.nodes[index].is_paused = false;
        self.run_for(0);
        while let Some((from, message)) = self.nodes[index].inbox.pop_front() {
            self.deliver(from, index, message);
        }
    }

    /// The process is gone, and its sessions with it.
    pub(super) fn kill(&mut self, index: usize) {
        for other in 0..self.nodes.len() {
            self.disconnect(index, other);
        }
        self.nodes[index].is_dead = true;
    }

    pub(super) fn run_for(&mut self, millis: u64) {
        let end = self.now + millis;
        while let Some(at) = self.next_event().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            if self.queue.front().is_some_and(|(due, ..)| *due <= self.now) {
                let (_, from, to, message) = self.queue.pop_front().unwrap();
                let to = self.index(to);
                self.deliver(from, to, message);
            } else {
                self.fire_timer();
            }
        }
        self.now = end;
    }

    fn next_event(&self) -> Option<u64> {
        let timers = self.nodes.iter().filter(|node| !node.is_paused && !node.is_dead);
        let timers = timers.flat_map(|node| node.timers.values().copied());
        timers.chain(self.queue.front().map(|(at, ..)| *at)).min()
    }

    fn fire_timer(&mut self) {
        let due = self.nodes.iter().enumerate().filter(|(_, node)| !node.is_paused && !node.is_dead);
        let due =
            due.flat_map(|(index, node)| node.timers.iter().map(move |(timer, at)| (*at, index, *timer)));
        let (_, index, timer) = due.min().unwrap();
        self.nodes[index].timers.remove(&timer);
        self.input(index, Input::TimerDue(timer));
    }

    /// Puts a message on its way, whoever claims to have sent it.
    pub(super) fn inject(&mut self, from: usize, to: usize, message: Message) {
        self.queue.push_back((self.now + LATENCY, self.id(from), self.id(to), message));
    }

    fn deliver(&mut self, from: MemberId, to: usize, message: Message) {
        if self.nodes[to].is_paused {
            return self.nodes[to].inbox.push_back((from, message));
        }
        if self.nodes[to].is_dead {
            return;
        }
        match message {
            Message::Alives(records) => {
                for record in records {
                    let internal = record.internal.clone();
                    let matching = internal.filter(|it| it.hash() == record.alive.statement().internal_hash);
                    let tick = record.tick;
                    if let Some(tick) = tick.filter(|_| self.nodes[to].state.holds(&record.alive)) {
                        self.input(to, Input::Ticks { from, ticks: vec![tick] });
                    } else if let Some(alive) = self.take_in_alive(from, to, record.alive, tick) {
                        self.input(to, Input::Alive { alive, internal: matching, tick, from });
                    }
                }
            }
            Message::Leave(leave) => {
                let context = context(&self.nodes[to], &self.directory);
                let screened = self.nodes[to].state.screen_leave(self.instant(), &leave, from, &context);
                match screened {
                    Ok(()) => {
                        let key = self.directory.0[&leave.member()].1;
                        let leave = leave.verify(&key, &NETWORK).expect("valid");
                        self.input(to, Input::Leave { leave, from });
                    }
                    Err(refusal) => self.refusals.push(refusal.0),
                }
            }
            Message::Conflict(pair) => self.take_in_conflict(from, to, *pair),
            Message::AliveDigest(marks) => self.input(to, Input::Digest { from, marks }),
            Message::ViewDigest(summary) => self.input(to, Input::ViewDigest { from, summary }),
            Message::WantAlives(marks) => self.input(to, Input::Want { from, marks }),
            Message::Ticks(ticks) => self.input(to, Input::Ticks { from, ticks }),
            Message::WantAnchors(ticks) => self.input(to, Input::WantAnchors { from, ticks }),
            Message::Question { subject, passed_on } => {
                self.input(to, Input::Question { from, subject, passed_on });
            }
            other => panic!("membership sends no {}", other.kind()),
        }
    }

    fn take_in_alive(
        &mut self,
        from: MemberId,
        to: usize,
        alive: Signed<Alive>,
        tick: Option<Tick>,
    ) -> Option<Verified<Alive>> {
        let context = context(&self.nodes[to], &self.directory);
        if let Err(refusal) = self.nodes[to].state.screen_alive(self.instant(), &alive, tick, from, &context)
        {
            self.refusals.push(refusal.0);
            if refusal.0 == "stale" && from == alive.member() {
                self.input(to, Input::Behind(from));
            }
            return None;
        }
        self.verifications += 1;
        let key = self.directory.0[&alive.member()].1;
        alive.verify(&key, &NETWORK).ok()
    }

    fn take_in_conflict(&mut self, from: MemberId, to: usize, pair: Conflict) {
        let context = context(&self.nodes[to], &self.directory);
        if let Err(refusal) = self.nodes[to].state.screen_conflict(self.instant(), &pair, from, &context) {
            return self.refusals.push(refusal.0);
        }
        self.verifications += 2;
        let key = self.directory.0[&pair.first.alive.member()].1;
        let verify = |record: AliveRecord| {
            let alive = record.alive.verify(&key, &NETWORK).expect("valid");
            (alive, record.internal)
        };
        let conflict = VerifiedConflict { first: verify(pair.first), second: verify(pair.second) };
        self.input(to, Input::Conflict { conflict: Box::new(conflict), from });
    }

    pub(super) fn input(&mut self, index: usize, input: Input) {
        let now = self.instant();
        let mut out = Outbox::default();
        let node = &mut self.nodes[index];
        let context = Context {
            key: &node.key,
            sessions: &node.sessions,
            identities: &self.directory,
            shared_orgs: &node.shared,
        };
        node.state.handle(now, input, &context, &mut out);
        for action in out.drain() {
            match action {
                Action::Send { to, message, .. } => {
                    assert!(node.sessions.contains_key(&to), "sends only where a session is");
                    self.sent.push((self.now, node.own.member, to, message.clone()));
                    self.queue.push_back((self.now + LATENCY, node.own.member, to, message));
                }
                Action::Offence { offence, .. } => panic!("{offence}"),
                Action::Output(Output::SetTimer { timer, at }) => {
                    let at = u64::try_from(at.since_start().as_millis()).unwrap();
                    node.timers.insert(timer, at);
                }
                Action::Output(Output::Event(event)) => node.events.push((self.now, event)),
                Action::Output(Output::Save { value, .. }) => node.saved = Some(value),
                Action::Output(other) => panic!("unexpected {other:?}"),
            }
        }
        for gone in node.state.take_gone() {
            let gone = self.index(gone);
            self.disconnect(index, gone);
        }
    }

    /// How many others a peer holds for alive.
    pub(super) fn view(&self, index: usize) -> usize {
        let members = self.nodes[index].state.members();
        members.filter(|view| view.status == MemberStatus::Alive).count()
    }

    pub(super) fn sees(&self, index: usize, other: usize) -> bool {
        self.nodes[index].state.is_alive(self.id(other))
    }

    /// When a peer evicted another, each time.
    pub(super) fn evictions(&self, by: usize, of: usize) -> Vec<u64> {
        let events = self.nodes[by].events.iter();
        let of = self.id(of);
        events
            .filter(|(_, event)| matches!(event, Event::MemberEvicted { member, .. } if *member == of))
            .map(|(at, _)| *at)
            .collect()
    }

    /// An alive as this peer could have signed it.
    pub(super) fn alive(&self, index: usize, incarnation: u64, sequence: u64, wall: u64) -> Signed<Alive> {
        let node = &self.nodes[index];
        let alive = Alive {
            member: node.own.member,
            incarnation: Incarnation::from_millis(incarnation),
            sequence: crate::types::Sequence::new(sequence),
            wall_time: WallTime::from_millis(wall),
            external_endpoint: node.own.external.clone(),
            internal_hash: Digest::ZERO,
            ticks: None,
        };
        Signed::sign(alive, &NETWORK, &node.key)
    }

    /// What a peer would say to this alive.
    pub(super) fn screen(&self, at: usize, alive: &Signed<Alive>, from: usize) -> Result<(), &'static str> {
        let context = context(&self.nodes[at], &self.directory);
        let screened =
            self.nodes[at].state.screen_alive(self.instant(), alive, None, self.id(from), &context);
        screened.map_err(|refusal| refusal.0)
    }
}

fn context<'a>(node: &'a Node, directory: &'a Directory) -> Context<'a> {
    Context { key: &node.key, sessions: &node.sessions, identities: directory, shared_orgs: &node.shared }
}
