//! One joined channel: its blocks, its members' states, its leadership, and who can be talked to about it.

use super::channel::Channel;
use crate::channel::ChannelConfig;
use crate::leadership;
use crate::state_info;
use crate::types::{ChannelName, Neighbour};
use crate::wire::Tip;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Joined {
    pub(super) name: ChannelName,
    pub(super) flow: Channel,
    pub(super) state_info: state_info::State,
    pub(super) leadership: leadership::State,
    pub(super) neighbours: Vec<Neighbour>,
    /// Whether a config has removed my org, as far as that was told.
    pub(super) is_removed: bool,
    /// What the modules were last told about each other.
    pub(super) settled: Settled,
}

/// The facts that one module of a channel tells another when they change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) tip: Option<Tip>,
    pub(super) epoch: Option<u64>,
    pub(super) can_reach_orderer: bool,
    /// Whether my org has had a leader since I joined.
    pub(super) was_led: bool,
    pub(super) is_leading: bool,
    pub(super) config_number: u64,
}

impl Joined {
    /// The config in force.
    pub(super) fn config(&self) -> &Arc<ChannelConfig> {
        self.flow.config()
    }
}
