//! The invariants, one file each, looked at in every event. They know the truth that no peer knows.
//!
//! | Invariant | File |
//! |---|---|
//! | prefixes agree; certified before committed; in order, once; durable before delivered | `chains` |
//! | no channel's byte goes to who may not have it | `isolation` |
//! | nobody is named to who may not know of it | `disclosure` |
//! | what is passed on is the orderers' | `relays` |
//! | every buffer is within its bound | `bounds` |
//! | nobody honest is accused | `accusations` |
//! | evictions follow real silence only | `evictions` |
//!
//! Two more are facts of whole runs: the same seed gives the same trace, and all reach the tip after the last
//! fault (`swarm`).

pub(crate) mod accusations;
mod bounds;
mod chains;
mod disclosure;
mod evictions;
mod isolation;
pub(crate) mod relays;

pub(crate) use bounds::Bounds;
pub(crate) use chains::Chains;
pub(crate) use disclosure::Disclosure;
pub(crate) use evictions::{Evictions, Judgement};
pub(crate) use isolation::Isolation;

use crate::node::NodeId;
use ledgercast_protocol::store::StoreError;
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use std::fmt;
use std::time::Duration;
use thiserror::Error;

#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) chains: Chains,
    pub(crate) isolation: Isolation,
    pub(crate) disclosure: Disclosure,
    pub(crate) bounds: Bounds,
    pub(crate) evictions: Evictions,
}

/// An invariant that broke, with the seed that breaks it again.
#[derive(Error)]
#[error("seed {seed}, at {at:?}: {violation}")]
pub struct Failure {
    /// The world's seed.
    pub seed: u64,
    /// Virtual time since the world's start.
    pub at: Duration,
    /// What broke.
    pub violation: Box<Violation>,
}

impl fmt::Debug for Failure {
    /// As it is displayed, so that a test that returns it fails with a readable line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What must never happen.
#[derive(Debug, Error)]
pub enum Violation {
    /// A block that is not the orderer's was to be stored.
    #[error("{node} commits block {number} of {channel:?}, which is not the orderers'")]
    ForeignBlock {
        /// Who.
        node: NodeId,
        /// The channel.
        channel: ChannelId,
        /// The block.
        number: BlockNumber,
    },
    /// A block was committed or delivered out of order, or twice.
    #[error("{node} {what} block {found} of {channel:?}, expected {expected}")]
    OutOfOrder {
        /// Who.
        node: NodeId,
        /// "commits" or "delivers".
        what: &'static str,
        /// The channel.
        channel: ChannelId,
        /// The block.
        found: u64,
        /// The one that was due.
        expected: u64,
    },
    /// A block was delivered before it was durable.
    #[error("{node} delivers block {number} of {channel:?} at a durable height of {durable}")]
    NotDurable {
        /// Who.
        node: NodeId,
        /// The channel.
        channel: ChannelId,
        /// The block.
        number: u64,
        /// Blocks that are durable.
        durable: u64,
    },
    /// A restart found fewer blocks than were delivered.
    #[error("{node} restarts {channel:?} at height {found}, but had delivered {delivered} blocks")]
    LostDelivered {
        /// Who.
        node: NodeId,
        /// The channel.
        channel: ChannelId,
        /// Blocks found.
        found: u64,
        /// Blocks delivered before.
        delivered: u64,
    },
    /// A channel's message went to who is no member of it.
    #[error("{from} sends {kind} of {channel:?} to {to}, which is no member of it")]
    Leak {
        /// Who.
        from: NodeId,
        /// To whom.
        to: NodeId,
        /// The kind of message.
        kind: &'static str,
        /// The channel.
        channel: ChannelId,
    },
    /// A message tells of a member to who may not know of it.
    #[error("{from} sends {kind} to {to}, which tells of {about}: {why}")]
    Disclosed {
        /// Who.
        from: NodeId,
        /// To whom.
        to: NodeId,
        /// The kind of message.
        kind: &'static str,
        /// Of whom.
        about: NodeId,
        /// What forbids it.
        why: &'static str,
    },
    /// A figure of a peer is above its bound.
    #[error("{node} holds {found} {what}, its bound is {bound}")]
    AboveBound {
        /// Who.
        node: NodeId,
        /// What is counted.
        what: &'static str,
        /// How much.
        found: u64,
        /// The bound.
        bound: u64,
    },
    /// A member was evicted that was not silent.
    #[error("{by} evicts {subject} after {silent_for:?}: {why}")]
    FalseEviction {
        /// Who.
        by: NodeId,
        /// Whom.
        subject: NodeId,
        /// The silence that was claimed.
        silent_for: Duration,
        /// What is wrong with it.
        why: String,
    },
    /// A header or a piece of a body that is not the orderers' left an honest peer.
    #[error("{from} sends {to} a {kind} that is not the orderers'")]
    FalseContent {
        /// Who.
        from: NodeId,
        /// To whom.
        to: NodeId,
        /// The kind of message.
        kind: &'static str,
    },
    /// A peer accuses an honest one of an offence.
    #[error("{by} accuses honest {accused}: {offence}")]
    HonestAccused {
        /// Who.
        by: NodeId,
        /// Whom.
        accused: NodeId,
        /// Of what.
        offence: String,
    },
    /// A peer takes something for evidence although the orderers signed one header of that number only.
    #[error("{by} has evidence on block {number} of {channel:?}, of which there is one header only")]
    InnocentConvicted {
        /// Who.
        by: NodeId,
        /// The channel.
        channel: ChannelId,
        /// The block.
        number: BlockNumber,
    },
    /// A scenario's own look at the wire found something.
    #[error("{from} to {to}, {kind}: {found}")]
    Inspector {
        /// Who.
        from: NodeId,
        /// To whom.
        to: NodeId,
        /// The kind of message.
        kind: &'static str,
        /// What.
        found: String,
    },
    /// A store did not give back what it had kept.
    #[error("{node} cannot restore its store: {error}")]
    Restore {
        /// Who.
        node: NodeId,
        /// Why.
        error: StoreError,
    },
    /// Events without end at one instant.
    #[error("{events} events at one instant: state machines loop")]
    Livelock {
        /// How many.
        events: u64,
    },
    /// Something did not come to be in time.
    #[error("not within {within:?}: {what}")]
    Deadline {
        /// What.
        what: String,
        /// In which time.
        within: Duration,
    },
}
