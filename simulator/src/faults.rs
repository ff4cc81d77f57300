//! What can go wrong, on command: stops, crashes, pauses, partitions, broken connections, wrong clocks,
//! forged frames.

use crate::checks::{Failure, Violation};
use crate::connections::{ConnectionId, Side};
use crate::feeds::SourceFault;
use crate::node::{NodeId, Paused, Process, Waiting};
use crate::peek::Peek;
use crate::queue::{Life, Scheduled};
use crate::world::World;
use bytes::Bytes;
use ledgercast_protocol::peer::Peer;
use ledgercast_protocol::store::BlockStore as _;
use ledgercast_protocol::types::{BlockNumber, ChannelId, Lane};
use ledgercast_protocol::wire::Message;
use ledgercast_protocol::{Command, Input};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A stopping process has this long for its good-byes.
const EXIT_DELAY: Duration = Duration::from_millis(100);

/// The group that stands for the orderer in a partition.
pub(crate) const FIRST_GROUP: usize = 0;

impl World {
    pub(crate) fn start_process(&mut self, id: NodeId) -> Result<(), Violation> {
        let (now, seed) = (self.now, self.random.seed());
        let node = &mut self.nodes[id.0];
        if node.is_up() {
            return Ok(());
        }
        node.life += 1;
        let stored = node.disk.restore().map_err(|error| Violation::Restore { node: id, error })?;
        for channel in &stored.channels {
            let channel = channel.configs.current().channel();
            let height = node.disk.height(channel);
            self.checks.chains.on_start(id, channel, height)?;
            let updates = node.disk.store().config_blocks(channel).map_or(0, |numbers| numbers.len());
            self.checks.isolation.set_in_force(id, channel, updates);
        }
        if node.config.external_endpoint.is_some() {
            self.checks.disclosure.is_external.insert(id);
        }
        let clocks = node.clock.now(now, now);
        let peer = Peer::new(node.config.clone(), node.credentials.own(), stored, clocks, seed);
        node.process = Some(Process::new(peer, now));
        self.checks.evictions.back(id, now);
        self.handle(id, Input::Start)
    }

    /// Stops a node's process in good order: it says good-bye, then ends.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn stop(&mut self, node: NodeId) -> Result<(), Failure> {
        let life = self.nodes[node.0].life;
        self.deliver(node, life, Input::Command(Command::Shutdown)).map_err(|it| self.failure(it))?;
        if let Some(process) = &mut self.nodes[node.0].process {
            process.is_stopping = true;
            self.queue.push(self.now + EXIT_DELAY, Scheduled::Exit(node, life));
        }
        Ok(())
    }

    pub(crate) fn exit(&mut self, node: NodeId, life: Life) -> Result<(), Violation> {
        if self.nodes[node.0].life == life && self.nodes[node.0].is_up() {
            self.nodes[node.0].disk.flush();
            self.end_process(node);
        }
        Ok(())
    }

    /// Kills a node's process: what its disk has not synced is lost, at least in part.
    pub fn crash(&mut self, node: NodeId) {
        if self.nodes[node.0].is_up() {
            let target = &mut self.nodes[node.0];
            target.disk.crash(&mut self.random);
            self.end_process(node);
        }
    }

    fn end_process(&mut self, node: NodeId) {
        self.checks.evictions.gone(node, self.now);
        let Some(process) = self.nodes[node.0].process.take() else {
            return;
        };
        // Answers on their way to this life find the next one.
        self.nodes[node.0].life += 1;
        self.orderers.forget(node);
        for (connection, side) in process.sessions.into_values() {
            self.close_end(connection, side);
        }
    }

    /// Starts a node's process again from what its disk kept.
    ///
    /// # Errors
    /// [`Failure`] when its store does not restore, or when an invariant breaks.
    pub fn restart(&mut self, node: NodeId) -> Result<(), Failure> {
        self.start_process(node).map_err(|violation| self.failure(violation))
    }

    /// Starts a node's process again on an empty disk, joined to the same channels.
    ///
    /// # Errors
    /// As [`World::restart`].
    pub fn restart_empty(&mut self, node: NodeId) -> Result<(), Failure> {
        self.crash(node);
        self.nodes[node.0].disk.wipe();
        self.checks.chains.forget(node);
        for channel in self.nodes[node.0].joined.clone() {
            self.create_stored_channel(node, channel)?;
        }
        self.restart(node)
    }

    pub(crate) fn create_stored_channel(&self, node: NodeId, channel: ChannelId) -> Result<(), Failure> {
        let chain = self.channels.iter().find(|chain| chain.id() == channel);
        let created =
            chain.map(|chain| self.nodes[node.0].disk.create_channel(chain.name(), chain.genesis()));
        match created {
            Some(Err(error)) => Err(self.failure(Violation::Restore { node, error })),
            _ => Ok(()),
        }
    }

    /// Freezes a node's process: its timers and inputs wait.
    pub fn pause(&mut self, node: NodeId) {
        let since = self.now;
        if let Some(process) = self.nodes[node.0].process.as_mut().filter(|it| it.paused.is_none()) {
            process.paused =
                Some(Paused { since, waiting: VecDeque::new(), bytes_by_session: BTreeMap::new() });
            self.checks.evictions.gone(node, since);
        }
    }

    /// Lets a paused process go on: it finds everything that waited, in order.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn resume(&mut self, node: NodeId) -> Result<(), Failure> {
        let life = self.nodes[node.0].life;
        let Some(paused) = self.nodes[node.0].process.as_mut().and_then(|process| process.paused.take())
        else {
            return Ok(());
        };
        self.checks.evictions.woke(node, paused.since, self.now);
        for waiting in paused.waiting {
            let result = match waiting {
                Waiting::Input(input) => self.deliver(node, life, input),
                Waiting::Timer(timer, at) => self.timer_due(node, life, timer, at),
            };
            result.map_err(|violation| self.failure(violation))?;
        }
        Ok(())
    }

    /// Cuts the wires between groups. Nodes that no group names, and the orderer, stay with the first one.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn partition(&mut self, groups: &[&[NodeId]]) -> Result<(), Failure> {
        self.is_orderer_split = true;
        self.cut_wires(groups)
    }

    /// The same, but every group can still reach the orderers.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn split_peers(&mut self, groups: &[&[NodeId]]) -> Result<(), Failure> {
        self.is_orderer_split = false;
        self.cut_wires(groups)
    }

    fn cut_wires(&mut self, groups: &[&[NodeId]]) -> Result<(), Failure> {
        let mut group_of = vec![FIRST_GROUP; self.nodes.len()];
        for (group, nodes) in groups.iter().enumerate() {
            nodes.iter().for_each(|node| group_of[node.0] = group);
        }
        self.checks.evictions.cut(&group_of, self.now);
        self.groups = Some(group_of);
        let stalled: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(_, open)| self.is_cut(open.end(Side::Dialer).node, open.end(Side::Listener).node))
            .map(|(connection, _)| *connection)
            .collect();
        for connection in stalled {
            self.queue.push(self.now + self.links.stall_timeout, Scheduled::StallCheck(connection));
        }
        self.break_feeds().map_err(|violation| self.failure(violation))
    }

    /// Mends all wires.
    pub fn heal(&mut self) {
        self.groups = None;
        self.checks.evictions.mended(self.now);
    }

    pub(crate) fn is_cut(&self, one: NodeId, other: NodeId) -> bool {
        self.groups.as_ref().is_some_and(|group_of| group_of[one.0] != group_of[other.0])
    }

    pub(crate) fn is_cut_from_orderer(&self, node: NodeId) -> bool {
        let group_of = self.groups.as_ref().filter(|_| self.is_orderer_split);
        self.orderer_cut_from.contains(&node) || group_of.is_some_and(|it| it[node.0] != FIRST_GROUP)
    }

    /// Cuts or mends the wire between one node and the orderers, whatever the partition.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn cut_from_orderer(&mut self, node: NodeId, is_cut: bool) -> Result<(), Failure> {
        match is_cut {
            true => self.orderer_cut_from.insert(node),
            false => self.orderer_cut_from.remove(&node),
        };
        self.break_feeds().map_err(|violation| self.failure(violation))
    }

    /// Stops or starts the orderers.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn set_orderer_down(&mut self, is_down: bool) -> Result<(), Failure> {
        self.orderers.is_down = is_down;
        self.break_feeds().map_err(|violation| self.failure(violation))
    }

    /// Gives one orderer, by its place among a config's sources, a fault from now on.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn set_source_fault(&mut self, source: usize, fault: SourceFault) -> Result<(), Failure> {
        self.orderers.faults.insert(source, fault);
        self.break_feeds().map_err(|violation| self.failure(violation))
    }

    /// The orderers of a channel collude: beside this block they certify another header, which streams of
    /// headers bring.
    pub fn fork(&mut self, channel: ChannelId, number: u64) {
        self.orderers.forks.insert((channel, BlockNumber::new(number)));
    }

    /// Breaks all connections between two nodes: both sides notice at once.
    pub fn break_connections(&mut self, one: NodeId, other: NodeId) {
        let pair = [one, other];
        let broken = self.connections.iter().filter(|(_, open)| {
            let (dialer, listener) = (open.end(Side::Dialer).node, open.end(Side::Listener).node);
            pair.contains(&dialer) && pair.contains(&listener)
        });
        let broken: Vec<ConnectionId> = broken.map(|(connection, _)| *connection).collect();
        for at in [Side::Dialer, Side::Listener] {
            for connection in &broken {
                self.queue.push(self.now, Scheduled::CloseArrives { connection: *connection, at });
            }
        }
    }

    /// Sets how far a node's wall clock is ahead of the truth. Whoever is wrong by more than the others
    /// accept may be evicted by them.
    pub fn set_clock_skew(&mut self, node: NodeId, skew_millis: i64) {
        self.nodes[node.0].clock.skew_millis = skew_millis;
        let skew_max = self.nodes[node.0].config.membership.clock_skew_max;
        let is_wild = Duration::from_millis(skew_millis.unsigned_abs()) > skew_max;
        self.checks.evictions.set_wild_clock(node, is_wild);
    }

    /// Makes a disk slower or faster.
    pub fn set_disk(&mut self, node: NodeId, settings: crate::DiskSettings) {
        *self.nodes[node.0].disk.settings_mut() = settings;
    }

    /// Joins a running node to a channel.
    ///
    /// # Errors
    /// [`Failure`] when its store refuses the channel, or when an invariant breaks.
    pub fn join(&mut self, node: NodeId, channel: ChannelId) -> Result<(), Failure> {
        self.join_as(node, channel, false)
    }

    /// The same for a node whose org block 0 does not name.
    ///
    /// # Errors
    /// As [`World::join`].
    pub fn join_as_newcomer(&mut self, node: NodeId, channel: ChannelId) -> Result<(), Failure> {
        self.join_as(node, channel, true)
    }

    fn join_as(&mut self, node: NodeId, channel: ChannelId, is_newcomer: bool) -> Result<(), Failure> {
        let Some(chain) = self.channels.iter().find(|chain| chain.id() == channel) else {
            return Ok(());
        };
        let (name, genesis) = (chain.name().clone(), chain.genesis().clone());
        self.create_stored_channel(node, channel)?;
        self.nodes[node.0].joined.insert(channel);
        let height = self.nodes[node.0].disk.height(channel);
        self.checks.isolation.set_in_force(node, channel, 0);
        let started = self.checks.chains.on_start(node, channel, height);
        started.map_err(|violation| self.failure(violation))?;
        let life = self.nodes[node.0].life;
        let input = Input::Command(Command::Join { name, genesis, is_newcomer });
        self.deliver(node, life, input).map_err(|violation| self.failure(violation))
    }

    /// Lets a running node leave a channel; its blocks are removed once it has.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn leave(&mut self, node: NodeId, channel: ChannelId) -> Result<(), Failure> {
        let life = self.nodes[node.0].life;
        let input = Input::Command(Command::Leave { channel });
        self.deliver(node, life, input).map_err(|violation| self.failure(violation))?;
        self.nodes[node.0].joined.remove(&channel);
        // A commit under way would fail; the process has left and does not care.
        let _ = self.nodes[node.0].disk.store().remove_channel(channel);
        self.checks.chains.forget(node);
        Ok(())
    }

    /// A node's operator lets a channel go on that stands still for a fork.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn lift_halt(&mut self, node: NodeId, channel: ChannelId) -> Result<(), Failure> {
        let life = self.nodes[node.0].life;
        let input = Input::Command(Command::LiftHalt { channel });
        self.deliver(node, life, input).map_err(|violation| self.failure(violation))
    }

    /// Sends a forged message in a node's name on its connection to another; the node counts as a liar from
    /// now on. Says whether there was a connection.
    pub fn inject(&mut self, from: NodeId, to: NodeId, message: &Message) -> bool {
        self.inject_frame(from, to, message.lane(), message.encode())
    }

    /// The same with bytes of choice on a lane of choice.
    pub fn inject_frame(&mut self, from: NodeId, to: NodeId, lane: Lane, frame: Bytes) -> bool {
        self.liars.insert(from);
        let Some((connection, side)) = self.connection_between(from, to) else {
            return false;
        };
        self.traffic.count_lie(Peek::at(&frame).kind, frame.len());
        self.put_on_wire(connection, side, lane, frame);
        true
    }

    fn connection_between(&self, from: NodeId, to: NodeId) -> Option<(ConnectionId, Side)> {
        let process = self.nodes[from.0].process.as_ref()?;
        process.sessions.values().copied().find(|(connection, side)| {
            self.connections.get(connection).is_some_and(|open| open.end(side.other()).node == to)
        })
    }
}
