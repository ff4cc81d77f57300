//! Channels that talk to each other in virtual time: frames are encoded and decoded, verdicts are real.

use super::super::{Channel, Input, Settings};
use crate::channel::ConfigHistory;
use crate::event::{BlockTrace, Event};
use crate::job::{Job, judge_update};
use crate::ledger::{Block, VerifiedBlock};
use crate::offence::Offence;
use crate::output::{Action, Outbox, Output};
use crate::store::StoreError;
use crate::store::suite::Chain;
use crate::time::{Monotonic, Now, WallTime};
use crate::timer::{ChannelTimer, Timer};
use crate::types::{BlockNumber, FeedId, Height, Lane, MemberId, Neighbour, OrgId};
use crate::wire::{ChannelMessage, Message, proto};
use ledgercast_crypto::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const LATENCY: Duration = Duration::from_millis(5);
const VERIFICATION: Duration = Duration::from_micros(300);
const CLAIMS_INTERVAL: Duration = Duration::from_secs(4);

/// What becomes of a message on its way.
pub(super) enum Fate {
    Pass,
    Drop,
    Replace(ChannelMessage),
    Delay(Duration),
}

type Wire = Box<dyn FnMut(usize, usize, &ChannelMessage) -> Fate>;

/// One peer: a channel, its store, and what it has told.
pub(super) struct Node {
    pub(super) channel: Channel,
    pub(super) member: MemberId,
    pub(super) org: OrgId,
    /// The store: blocks from 0 on.
    pub(super) blocks: Vec<Block>,
    pub(super) events: Vec<Event>,
    pub(super) offences: Vec<(MemberId, Offence)>,
    pub(super) sent: Vec<(MemberId, Lane, ChannelMessage)>,
    pub(super) jobs: u64,
    pub(super) commit_takes: Duration,
    pub(super) is_commit_failing: bool,
    /// The stream of blocks, the first block that it brings next, and the last that it may.
    pub(super) feed: Option<(FeedId, u64, u64)>,
    /// The newest stream of headers; these orderers show none by themselves.
    pub(super) header_feed: Option<FeedId>,
    pub(super) feed_requests: Vec<(u64, u64)>,
    pub(super) buffer_peak: u64,
    /// Whom it can talk to; ghosts are among them too.
    neighbours: BTreeMap<MemberId, Neighbour>,
    timers: BTreeMap<ChannelTimer, Monotonic>,
    committing: Vec<Block>,
    commits_end: Monotonic,
}

pub(super) struct Net {
    pub(super) chain: Chain,
    /// The true blocks, 0 first.
    pub(super) truth: Vec<VerifiedBlock>,
    pub(super) nodes: Vec<Node>,
    pub(super) now: Monotonic,
    pub(super) is_pool_full: bool,
    /// How many blocks the orderer has.
    pub(super) ordered: u64,
    /// Whom nodes may answer though they are no neighbours.
    pub(super) former: BTreeSet<MemberId>,
    settings: Settings,
    wire: Wire,
    queue: BTreeMap<(Monotonic, u64), (usize, Input)>,
    sequence: u64,
    claims_at: Monotonic,
}

pub(super) fn member(index: usize) -> MemberId {
    MemberId::from_digest(Digest::of_parts(&[b"member", &index.to_be_bytes()]))
}

pub(super) fn org(index: usize) -> OrgId {
    use crate::store::suite::VALIDITY;
    use ledgercast_crypto::issue::Authority;
    let key = ledgercast_crypto::SecretKey::from_seed([0x77; 32]);
    let authority = Authority::reproducible(key, "any", VALIDITY).unwrap();
    OrgId::of(&format!("org{index}"), [authority.certificate()])
}

impl Net {
    /// Peers of one org that all hold block 0 and know each other.
    pub(super) fn new(peers: usize) -> Self {
        Self::with(peers, 1, Settings::default())
    }

    pub(super) fn with(peers: usize, orgs: usize, settings: Settings) -> Self {
        let chain = Chain::new(7);
        let mut net = Self {
            truth: vec![chain.genesis().block().clone()],
            chain,
            nodes: Vec::new(),
            now: Monotonic::ZERO,
            is_pool_full: false,
            ordered: 1,
            former: BTreeSet::new(),
            settings,
            wire: Box::new(|_, _, _| Fate::Pass),
            queue: BTreeMap::new(),
            sequence: 0,
            claims_at: Monotonic::new(CLAIMS_INTERVAL),
        };
        let orgs: Vec<OrgId> = (0..orgs).map(org).collect();
        for index in 0..peers {
            net.add_node(orgs[index % orgs.len()]);
        }
        net
    }

    /// One more peer with block 0 only, known to all others.
    pub(super) fn add_node(&mut self, org: OrgId) -> usize {
        let index = self.nodes.len();
        let genesis = self.truth[0].clone();
        self.nodes.push(Node {
            channel: self.new_channel(index, org, &genesis),
            member: member(index),
            org,
            blocks: vec![genesis.to_block()],
            events: Vec::new(),
            offences: Vec::new(),
            sent: Vec::new(),
            jobs: 0,
            commit_takes: Duration::from_millis(1),
            is_commit_failing: false,
            feed: None,
            header_feed: None,
            feed_requests: Vec::new(),
            buffer_peak: 0,
            neighbours: BTreeMap::new(),
            timers: BTreeMap::new(),
            committing: Vec::new(),
            commits_end: Monotonic::ZERO,
        });
        self.input(index, Input::Start);
        for other in 0..index {
            self.connect(index, other);
        }
        index
    }

    fn new_channel(&self, index: usize, org: OrgId, tip: &VerifiedBlock) -> Channel {
        let epoch = tip.number().as_u64() / super::super::EPOCH_BLOCKS * super::super::EPOCH_BLOCKS;
        let mut configs = ConfigHistory::new(self.chain.genesis());
        for block in &self.truth[..=tip.number().as_u64() as usize] {
            if let Some(Ok(next)) = judge_update(block, configs.current()) {
                configs.apply(block.number(), next);
            }
        }
        let epoch_start = self.truth[epoch as usize].header().clone();
        let seed = [index as u8; 32];
        Channel::new(
            self.settings.clone(),
            configs,
            tip.header().clone(),
            epoch_start,
            member(index),
            org,
            seed,
        )
    }

    pub(super) fn connect(&mut self, one: usize, other: usize) {
        for (index, to) in [(one, other), (other, one)] {
            let neighbour = self.as_neighbour(to);
            self.add_neighbour(index, neighbour);
        }
    }

    fn as_neighbour(&self, index: usize) -> Neighbour {
        let node = &self.nodes[index];
        Neighbour {
            member: node.member,
            org: node.org,
            claimed_height: Height::new(node.blocks.len() as u64),
            first_block: BlockNumber::GENESIS,
            offences: 0,
        }
    }

    /// Adds a neighbour, perhaps one that is no node: a ghost that the test speaks for.
    pub(super) fn add_neighbour(&mut self, index: usize, neighbour: Neighbour) {
        let member = neighbour.member;
        self.nodes[index].neighbours.insert(member, neighbour);
        self.input(index, Input::NeighbourReady(member));
        self.input(index, Input::StateChanged(member));
    }

    /// Adds a ghost of a node's own org, which claims a height.
    pub(super) fn add_ghost(&mut self, index: usize, name: usize, claimed_height: u64) -> MemberId {
        let ghost = Neighbour {
            member: member(name),
            org: self.nodes[index].org,
            claimed_height: Height::new(claimed_height),
            first_block: BlockNumber::GENESIS,
            offences: 0,
        };
        let member = ghost.member;
        self.add_neighbour(index, ghost);
        member
    }

    /// Two ghosts at node 0 that claim nothing.
    pub(super) fn add_ghosts(&mut self) -> [MemberId; 2] {
        [8, 9].map(|name| self.add_ghost(0, name, 0))
    }

    pub(super) fn disconnect(&mut self, one: usize, other: usize) {
        for (index, gone) in [(one, other), (other, one)] {
            let gone = self.nodes[gone].member;
            self.nodes[index].neighbours.remove(&gone);
            self.input(index, Input::NeighbourGone(gone));
        }
    }

    /// What happens to every message from now on.
    pub(super) fn set_wire(&mut self, wire: impl FnMut(usize, usize, &ChannelMessage) -> Fate + 'static) {
        self.wire = Box::new(wire);
    }

    /// Makes true blocks of one envelope each; the orderer does not have them before [`Net::order`].
    pub(super) fn make_blocks(&mut self, count: usize, payload_bytes: usize) {
        for _ in 0..count {
            let payload = vec![self.truth.len() as u8; payload_bytes];
            let block = self.chain.next(&[&payload]);
            self.truth.push(block);
        }
    }

    /// Makes a true block that changes the config; further blocks are under the new one.
    pub(super) fn make_update(&mut self, change: impl FnOnce(&mut proto::ChannelConfig)) {
        let block = self.chain.update(change, &[]);
        self.truth.push(block);
    }

    /// The orderer has one more block; the feeds bring it.
    pub(super) fn order(&mut self, count: u64) {
        self.ordered = (self.ordered + count).min(self.truth.len() as u64);
        for index in 0..self.nodes.len() {
            self.run_feed(index);
        }
    }

    /// The orderer's stream brings a node this block in its turn, whatever is in it.
    pub(super) fn feed(&mut self, index: usize, block: Block) {
        let (feed, ..) = self.nodes[index].feed.expect("it leads");
        self.input(index, Input::Fed { feed, block });
    }

    /// Gives a node true blocks, as if it had committed them before.
    pub(super) fn preload(&mut self, index: usize, through: u64) {
        let blocks: Vec<Block> =
            self.truth[..=through as usize].iter().map(VerifiedBlock::to_block).collect();
        self.nodes[index].blocks = blocks;
        let tip = self.truth[through as usize].clone();
        self.queue.retain(|_, (to, _)| *to != index);
        self.nodes[index].committing.clear();
        self.nodes[index].timers.clear();
        self.nodes[index].channel = self.new_channel(index, self.nodes[index].org, &tip);
        self.input(index, Input::Start);
        self.tell_claims();
    }

    /// Everybody learns everybody's height, as by state infos.
    pub(super) fn tell_claims(&mut self) {
        let states: Vec<Neighbour> = (0..self.nodes.len()).map(|index| self.as_neighbour(index)).collect();
        for index in 0..self.nodes.len() {
            for state in &states {
                if let Some(known) = self.nodes[index].neighbours.get_mut(&state.member)
                    && known.claimed_height != state.claimed_height
                {
                    *known = state.clone();
                    self.input(index, Input::StateChanged(state.member));
                }
            }
        }
    }

    /// A message from a member, node or ghost, arrives now.
    pub(super) fn say(&mut self, from: MemberId, to: usize, message: ChannelMessage) {
        self.input(to, Input::Message { from, message });
    }

    pub(super) fn lead(&mut self, index: usize, is_leading: bool) {
        self.input(index, Input::SetLeading(is_leading));
    }

    fn after(&mut self, wait: Duration, index: usize, input: Input) {
        self.sequence += 1;
        self.queue.insert((self.now.saturating_add(wait), self.sequence), (index, input));
    }

    /// Hands an input to a node and carries out what it wants.
    pub(super) fn input(&mut self, index: usize, input: Input) {
        let now = Now { monotonic: self.now, wall: WallTime::from_millis(1_750_000_000_000) };
        let mut out = Outbox::default();
        let node = &mut self.nodes[index];
        let neighbours: Vec<Neighbour> = node.neighbours.values().cloned().collect();
        node.channel.handle(now, input, &neighbours, &mut out);
        node.buffer_peak = node.buffer_peak.max(node.channel.payload_buffer_bytes());
        let actions: Vec<Action> = out.drain().collect();
        for action in actions {
            match action {
                Action::Send { to, lane, message } => self.transmit(index, to, lane, message),
                Action::Offence { member, offence } => self.nodes[index].offences.push((member, offence)),
                Action::Output(output) => self.carry_out(index, output),
            }
        }
    }

    fn transmit(&mut self, from: usize, to: MemberId, lane: Lane, message: Message) {
        let Ok(Message::Channel(channel, message)) = Message::decode(message.encode()) else {
            panic!("a frame that does not decode");
        };
        assert_eq!(channel, self.chain.channel());
        let is_entitled = self.nodes[from].neighbours.contains_key(&to) || self.former.contains(&to);
        assert!(is_entitled, "sent to who is no neighbour");
        self.nodes[from].sent.push((to, lane, message.clone()));
        let Some(index) = self.nodes.iter().position(|node| node.member == to) else {
            return;
        };
        let sender = self.nodes[from].member;
        let (wait, message) = match (self.wire)(from, index, &message) {
            Fate::Pass => (LATENCY, message),
            Fate::Drop => return,
            Fate::Replace(other) => (LATENCY, other),
            Fate::Delay(wait) => (wait, message),
        };
        self.after(wait, index, Input::Message { from: sender, message });
    }

    fn carry_out(&mut self, index: usize, output: Output) {
        match output {
            Output::SetTimer { timer: Timer::Channel(_, timer), at } => {
                self.nodes[index].timers.insert(timer, at);
            }
            Output::Verify(job) => self.verify(index, job),
            Output::Commit(block) => self.commit(index, &block),
            Output::ReadBlock { number, .. } => {
                let block = self.nodes[index].blocks.get(number.as_u64() as usize).cloned();
                self.after(Duration::from_millis(1), index, Input::BlockRead { number, block });
            }
            Output::ReadHeaders { asker, first, count, .. } => {
                let held = self.nodes[index].blocks.iter().skip(first.as_u64() as usize);
                let headers = held.take(count as usize).map(|block| block.header.clone()).collect();
                self.after(Duration::from_millis(1), index, Input::HeadersRead { asker, first, headers });
            }
            Output::OpenFeed { feed, blocks: Some((next, through)), .. } => {
                let (next, through) = (next.as_u64(), through.as_u64());
                self.nodes[index].feed_requests.push((next, through));
                self.nodes[index].feed = Some((feed, next, through));
                self.after(LATENCY, index, Input::FeedOpened { feed });
                self.run_feed(index);
            }
            Output::ExtendFeed { feed, through, .. } => {
                let (running, next, _) = self.nodes[index].feed.expect("a stream that runs is extended");
                assert_eq!(running, feed);
                self.nodes[index].feed_requests.push((next, through.as_u64()));
                self.nodes[index].feed = Some((feed, next, through.as_u64()));
                self.run_feed(index);
            }
            Output::OpenFeed { feed, blocks: None, .. } => self.nodes[index].header_feed = Some(feed),
            Output::CloseFeed { feed, .. } => {
                self.nodes[index].feed = self.nodes[index].feed.filter(|(running, ..)| *running != feed);
            }
            Output::Event(event) => self.nodes[index].events.push(event),
            other => panic!("a channel wants {other:?}"),
        }
    }

    fn verify(&mut self, index: usize, job: Job) {
        self.nodes[index].jobs += 1;
        let input = match self.is_pool_full {
            true => Input::Overloaded(job),
            false => Input::Judged(job.run()),
        };
        self.after(VERIFICATION, index, input);
    }

    fn commit(&mut self, index: usize, block: &VerifiedBlock) {
        let node = &mut self.nodes[index];
        let number = block.number();
        if node.is_commit_failing {
            let error = StoreError::Io("the disk is full".to_owned());
            return self.after(Duration::from_millis(1), index, Input::CommitFailed { number, error });
        }
        let expected = node.blocks.len() + node.committing.len();
        assert_eq!(block.number().as_u64() as usize, expected, "commits come in order, once each");
        assert_eq!(block, &self.truth[expected], "only true blocks are committed");
        node.committing.push(block.to_block());
        node.commits_end = node.commits_end.max(self.now).saturating_add(node.commit_takes);
        let wait = node.commits_end.saturating_since(self.now);
        self.after(wait, index, Input::Committed { through: number });
    }

    fn run_feed(&mut self, index: usize) {
        while let Some((feed, next, through)) = self.nodes[index].feed
            && next <= through
            && next < self.ordered
        {
            self.nodes[index].feed = Some((feed, next + 1, through));
            let block = self.truth[next as usize].to_block();
            self.after(LATENCY, index, Input::Fed { feed, block });
        }
    }

    /// Lets the world go on until nothing is left to happen before `end`.
    pub(super) fn run_until_time(&mut self, end: Monotonic) {
        loop {
            let arrival = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timers = self.nodes.iter().enumerate();
            let timer = timers
                .flat_map(|(index, node)| node.timers.iter().map(move |(timer, at)| (*at, index, *timer)))
                .min();
            let timer_at = timer.map(|(at, ..)| at);
            let next = [arrival, timer_at, Some(self.claims_at)].into_iter().flatten().min().unwrap_or(end);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            if arrival == Some(next) {
                self.deliver_next();
            } else if let Some((at, index, timer)) = timer.filter(|(at, ..)| *at == next) {
                assert!(at <= self.now);
                self.nodes[index].timers.remove(&timer);
                self.input(index, Input::TimerDue(timer));
            } else {
                self.claims_at = self.now.saturating_add(CLAIMS_INTERVAL);
                self.tell_claims();
            }
        }
    }

    fn deliver_next(&mut self) {
        let Some((_, (index, input))) = self.queue.pop_first() else {
            return;
        };
        if let Input::Committed { through } = &input {
            let node = &mut self.nodes[index];
            let first = node.committing.first().map_or(u64::MAX, |block| block.number().as_u64());
            let count = (through.as_u64() + 1).saturating_sub(first) as usize;
            node.blocks.extend(node.committing.drain(..count));
        }
        self.input(index, input);
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        self.run_until_time(self.now.saturating_add(time));
    }

    /// Runs until all these nodes hold `height` blocks; says how long it took.
    pub(super) fn run_until_height(&mut self, nodes: &[usize], height: u64, at_most: Duration) -> Duration {
        let start = self.now;
        while nodes.iter().any(|index| self.height(*index) < height) {
            let heights: Vec<u64> = nodes.iter().map(|index| self.height(*index)).collect();
            let took = self.now.saturating_since(start);
            assert!(took < at_most, "after {took:?} the heights are {heights:?}, wanted {height}");
            self.run_for(Duration::from_millis(10));
        }
        self.now.saturating_since(start)
    }

    pub(super) fn height(&self, index: usize) -> u64 {
        assert_eq!(self.nodes[index].channel.height().as_u64(), self.nodes[index].blocks.len() as u64);
        self.nodes[index].blocks.len() as u64
    }

    pub(super) fn all(&self) -> Vec<usize> {
        (0..self.nodes.len()).collect()
    }

    /// Node 0 has refused something for this reason, and nobody blames anybody.
    pub(super) fn assert_refused_without_offence(&self, reason: &str) {
        assert!(self.nodes[0].refusals().contains(reason), "nothing is refused as {reason}");
        self.assert_no_offences();
    }

    pub(super) fn assert_no_offences(&self) {
        for node in &self.nodes {
            assert_eq!(node.offences, [], "an honest member is accused");
        }
    }
}

impl Node {
    /// How the blocks above the first came here, by number.
    pub(super) fn traces(&self) -> BTreeMap<u64, BlockTrace> {
        self.channel.traces().map(|(number, trace)| (number.as_u64(), trace.clone())).collect()
    }

    pub(super) fn sent_kinds(&self, kind: &str) -> usize {
        self.sent.iter().filter(|(.., message)| message.kind() == kind).count()
    }

    pub(super) fn sent_to(&self, to: MemberId, kind: &str) -> Vec<&ChannelMessage> {
        let fits = |it: &&(MemberId, Lane, ChannelMessage)| it.0 == to && it.2.kind() == kind;
        self.sent.iter().filter(fits).map(|(.., message)| message).collect()
    }

    /// Reasons for which things were refused without blame.
    pub(super) fn refusals(&self) -> BTreeSet<&'static str> {
        let reason = |event: &Event| match event {
            Event::Refused { reason, .. } => Some(*reason),
            _ => None,
        };
        self.events.iter().filter_map(reason).collect()
    }
}
