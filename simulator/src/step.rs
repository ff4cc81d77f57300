//! The world's loop: takes the next scheduled thing, lets it happen, and checks.

use crate::checks::{Failure, Violation};
use crate::node::{NodeId, Waiting};
use crate::queue::{Life, Scheduled};
use crate::world::World;
use ledgercast_protocol::{Input, Timer};
use std::time::Duration;

/// More events at one instant than this is a loop between state machines.
const EVENTS_PER_INSTANT_MAX: u64 = 200_000;
/// How often [`World::run_until`] looks at its condition.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

impl World {
    /// Runs for this much virtual time.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Failure> {
        let end = self.now + duration;
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.step().map_err(|violation| self.failure(violation))?;
        }
        self.now = end;
        Ok(())
    }

    /// Runs until the condition holds, at most for this much virtual time.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks, or with `what` when the time is over.
    pub fn run_until(
        &mut self,
        what: &str,
        within: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> Result<(), Failure> {
        let deadline = self.now + within;
        while !condition(self) {
            if self.now >= deadline {
                return Err(self.failure(Violation::Deadline { what: what.to_owned(), within }));
            }
            self.run_for(LOOK_INTERVAL.min(deadline - self.now))?;
        }
        Ok(())
    }

    pub(crate) fn failure(&self, violation: Violation) -> Failure {
        Failure { seed: self.seed, at: self.now, violation: Box::new(violation) }
    }

    fn step(&mut self) -> Result<(), Violation> {
        let Some((at, scheduled)) = self.queue.pop() else {
            return Ok(());
        };
        self.events_at_instant = if at == self.now { self.events_at_instant + 1 } else { 0 };
        if self.events_at_instant > EVENTS_PER_INSTANT_MAX {
            return Err(Violation::Livelock { events: self.events_at_instant });
        }
        self.now = at;
        match scheduled {
            Scheduled::Start(node) => self.start_process(node),
            Scheduled::Input(node, life, input) => self.deliver(node, life, input),
            Scheduled::Timer(node, life, timer, at) => self.timer_due(node, life, timer, at),
            Scheduled::Frame { connection, to, lane, frame } => {
                self.frame_arrives(connection, to, lane, frame)
            }
            Scheduled::Bulk { connection, to, lane, frame } => {
                self.bulk_arrives(connection, to, lane, frame);
                Ok(())
            }
            Scheduled::CloseArrives { connection, at } => self.close_arrives(connection, at),
            Scheduled::StallCheck(connection) => self.stall_check(connection),
            Scheduled::DialArrives(attempt) => self.dial_arrives(attempt),
            Scheduled::DialFails(attempt, is_refused) => self.dial_fails(attempt, is_refused),
            Scheduled::DiskDone(node, life) => self.disk_done(node, life),
            Scheduled::FeedConnects(stream) => self.feed_connects(stream),
            Scheduled::FeedArrives(stream, item) => self.feed_arrives(stream, item),
            Scheduled::Release(channel) => {
                self.release(channel);
                Ok(())
            }
            Scheduled::LateFrame { connection, from, lane, frame } => {
                self.put_on_wire(connection, from, lane, frame);
                Ok(())
            }
            Scheduled::Flood { flood, count } => {
                self.flood_on(flood, count);
                Ok(())
            }
            Scheduled::Exit(node, life) => self.exit(node, life),
        }
    }

    /// Hands an input to a process, if it is still the one meant; a paused one finds it later.
    pub(crate) fn deliver(&mut self, node: NodeId, life: Life, input: Input) -> Result<(), Violation> {
        let paused_bytes_max = self.links.paused_bytes_max;
        let target = &mut self.nodes[node.0];
        let Some(process) = target.process.as_mut().filter(|_| target.life == life) else {
            return Ok(());
        };
        let Some(paused) = &mut process.paused else {
            return self.handle(node, input);
        };
        if let Input::Received { session, frame, .. } = &input {
            let waiting = paused.bytes_by_session.entry(*session).or_default();
            if *waiting + frame.len() > paused_bytes_max {
                self.traffic.count_lost();
                return Ok(());
            }
            *waiting += frame.len();
        }
        paused.waiting.push_back(Waiting::Input(input));
        Ok(())
    }

    pub(crate) fn timer_due(
        &mut self,
        node: NodeId,
        life: Life,
        timer: Timer,
        at: Duration,
    ) -> Result<(), Violation> {
        let target = &mut self.nodes[node.0];
        let Some(process) = target.process.as_mut().filter(|_| target.life == life) else {
            return Ok(());
        };
        if process.timers.get(&timer) != Some(&at) {
            return Ok(());
        }
        if let Some(paused) = &mut process.paused {
            paused.waiting.push_back(Waiting::Timer(timer, at));
            return Ok(());
        }
        process.timers.remove(&timer);
        self.handle(node, Input::TimerDue(timer))
    }

    /// One step of a peer: its outputs are carried out in order, then its figures are checked.
    pub(crate) fn handle(&mut self, node: NodeId, input: Input) -> Result<(), Violation> {
        self.trace.record(self.now, node, &input);
        let mut outputs = std::mem::take(&mut self.outputs);
        let target = &mut self.nodes[node.0];
        let now = target.now(self.now);
        let process = target.process.as_mut().expect("inputs are delivered to running processes");
        if matches!(input, Input::Judged(_)) {
            process.pending_verifications = process.pending_verifications.saturating_sub(1);
        }
        process.peer.handle(now, input, &mut outputs);
        let load = process.peer.load();
        let result = outputs.drain(..).try_for_each(|output| self.carry_out(node, output));
        self.outputs = outputs;
        result?;
        self.checks.bounds.on_load(node, &self.nodes[node.0].config, &load)
    }

    fn disk_done(&mut self, node: NodeId, life: Life) -> Result<(), Violation> {
        if self.nodes[node.0].life != life {
            return Ok(());
        }
        let Some((channel, number, result)) = self.nodes[node.0].disk.sync_next() else {
            return Ok(());
        };
        let input = match result {
            Ok(()) => Input::Committed { channel, through: number },
            Err(error) => Input::CommitFailed { channel, number, error },
        };
        self.deliver(node, life, input)
    }
}
