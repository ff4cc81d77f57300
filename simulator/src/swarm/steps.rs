//! What breaks, is mended and changes in a run, each at its time.

use super::plan::{Fault, FaultKind, Plan, Update, UpdateKind};
use super::run::{CHANNELS, Run};
use crate::checks::Failure;
use crate::disk::DiskSettings;
use crate::feeds::SourceFault;
use crate::node::NodeId;
use std::time::Duration;

const SLOW_DISK: Duration = Duration::from_millis(80);
const WRONG_CLOCK_MILLIS: i64 = 120_000;
const LAG: Duration = Duration::from_secs(2);

/// What happens at one moment.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Begin(Fault),
    End(Fault),
    Change(Update, usize),
}

impl Step {
    /// All of a plan, in order.
    pub(super) fn of(plan: &Plan) -> Vec<(u64, Self)> {
        let mut steps: Vec<(u64, Self)> = Vec::new();
        for fault in &plan.faults {
            steps.push((fault.from, Self::Begin(fault.clone())));
            steps.push((fault.until, Self::End(fault.clone())));
        }
        let updates = plan.updates.iter().zip(1..);
        steps.extend(updates.map(|(update, count)| (update.at, Self::Change(*update, count))));
        steps.sort_by_key(|(at, _)| *at);
        steps
    }
}

impl Run {
    pub(super) fn take(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Begin(fault) => self.begin(&fault),
            Step::End(fault) => self.end(&fault),
            Step::Change(update, count) => {
                self.change(update, count);
                Ok(())
            }
        }
    }

    fn begin(&mut self, fault: &Fault) -> Result<(), Failure> {
        let nodes: Vec<NodeId> = fault.places.iter().map(|place| self.node(*place)).collect();
        let world = &mut self.world;
        let others: Vec<NodeId> = world.node_ids().filter(|node| !nodes.contains(node)).collect();
        let each = nodes.iter().copied();
        match fault.kind {
            FaultKind::Partition => world.partition(&[&others, &nodes])?,
            FaultKind::Split => world.split_peers(&[&others, &nodes])?,
            FaultKind::Crash | FaultKind::Loss => each.for_each(|node| world.crash(node)),
            FaultKind::Stop => each.into_iter().try_for_each(|node| world.stop(node))?,
            FaultKind::Pause => each.for_each(|node| world.pause(node)),
            FaultKind::NoOrderer => {
                each.into_iter().try_for_each(|node| world.cut_from_orderer(node, true))?;
            }
            FaultKind::OrdererDown => world.set_orderer_down(true)?,
            FaultKind::Stall => world.set_source_fault(0, SourceFault::Stalls)?,
            FaultKind::Lag => world.set_source_fault(0, SourceFault::Delays(LAG))?,
            FaultKind::Ahead => each.for_each(|node| world.set_clock_skew(node, WRONG_CLOCK_MILLIS)),
            FaultKind::Behind => each.for_each(|node| world.set_clock_skew(node, -WRONG_CLOCK_MILLIS)),
            FaultKind::SlowDisk => {
                let slow = DiskSettings { sync: SLOW_DISK, ..DiskSettings::default() };
                each.for_each(|node| world.set_disk(node, slow));
            }
        }
        Ok(())
    }

    fn end(&mut self, fault: &Fault) -> Result<(), Failure> {
        let nodes: Vec<NodeId> = fault.places.iter().map(|place| self.node(*place)).collect();
        let world = &mut self.world;
        for node in nodes {
            match fault.kind {
                FaultKind::Crash | FaultKind::Stop => world.restart(node)?,
                FaultKind::Loss => world.restart_empty(node)?,
                FaultKind::Pause => world.resume(node)?,
                FaultKind::NoOrderer => world.cut_from_orderer(node, false)?,
                FaultKind::Ahead | FaultKind::Behind => world.set_clock_skew(node, 0),
                FaultKind::SlowDisk => world.set_disk(node, DiskSettings::default()),
                _ => {}
            }
        }
        match fault.kind {
            FaultKind::Partition | FaultKind::Split => world.heal(),
            FaultKind::OrdererDown => world.set_orderer_down(false)?,
            FaultKind::Stall | FaultKind::Lag => world.set_source_fault(0, SourceFault::None)?,
            _ => {}
        }
        Ok(())
    }

    fn change(&mut self, update: Update, count: usize) {
        let (world, channel) = (&mut self.world, self.channels[update.channel]);
        let name = CHANNELS[update.channel];
        match update.kind {
            UpdateKind::Orderer => world.replace_orderer(channel, &format!("orderer{count}:7050")),
            UpdateKind::Anchors => world.update_config(channel, |config| config.orgs[0].anchors.clear()),
            UpdateKind::Limits => world.update_config(channel, |config| {
                config.limits.get_or_insert_default().batch_timeout_ms = 300;
            }),
            UpdateKind::Org(org) => {
                let orgs = world.source(name).config().orgs();
                let is_there = orgs.iter().any(|known| known.name == world.orgs[org].name);
                match is_there {
                    false => world.add_org(channel, org),
                    true if orgs.len() > 1 => world.remove_org(channel, org),
                    // Nobody would be left to sign.
                    true => {}
                }
            }
        }
    }
}
