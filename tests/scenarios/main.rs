//! The acceptance scenarios in virtual time: what a network of peers must do, each as one test whose name
//! is the fact. The list is in `README.md`; the codes in the doc lines are its.

mod actors;
mod attacks;
mod channels;
mod configs;
mod disclosure;
mod dissemination;
mod evidence;
mod feeds;
mod identities;
mod leadership;
mod membership;
mod recovery;
mod robustness;
mod sessions;
mod slander;
mod standing;
mod swarm;
mod worst_mix;

use ledgercast_simulator::{Failure, NodeId};
use std::time::Duration;

type Outcome = Result<(), Failure>;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn nodes(range: std::ops::Range<usize>) -> Vec<NodeId> {
    range.map(NodeId).collect()
}
