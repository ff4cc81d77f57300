//! Pushing whole blocks through the org along a tree that everybody can compute.
//!
//! - The leader sends each block that its orderer fed it to about √N heads, with the children that each is to
//!   serve. A receiver passes a block on only after it has verified the whole of it, and to each child once.
//! - The relay set is the pusher's view: its org's neighbours without those that have the block, and itself.
//!   Its digest travels along. A receiver with the same set checks its children against the assignment and
//!   serves only those that follow from it; with another set it serves the children that are neighbours of
//!   its own org.
//! - Who is left out, or has a relay that fails, is served by announcement and repair.
//!
//! Limits: `children_max` children; duties live until their block is committed.
//!
//! Resists: relays that drop, delay or alter (A11: nothing unverified is passed on, repair does the rest); a
//! pusher that wants others to flood somebody (a child is served once, and only inside the org).

mod tree;

use crate::ledger::{VerifiedBlock, VerifiedHeader};
use crate::output::Outbox;
use crate::types::{BlockNumber, ChannelId, Lane, MemberId, Neighbour, OrgId};
use crate::wire::{BODY_FRAME_BYTES, CHILDREN_MAX, ChannelMessage, Message, Push};
use ledgercast_crypto::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};
pub use tree::{Branch, RelaySet};

/// Numbers of the push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether blocks are pushed at all; without, all come by announcement and repair. Default true.
    pub is_enabled: bool,
    /// How many members one serves at most, as root or as head. Default 64 (derived: √4096).
    pub children_max: usize,
}

/// What can happen to pushes.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A push was opened towards me and its header is proven.
    Opened {
        /// Who pushes.
        from: MemberId,
        /// The proven header.
        header: &'a VerifiedHeader,
        /// Digest of the pusher's relay set.
        relay_set: Digest,
        /// Whom I am to serve.
        children: &'a [MemberId],
        /// The block, if I have all of it already.
        block: Option<&'a VerifiedBlock>,
    },
    /// A block is whole and verified.
    Verified {
        /// The block.
        block: &'a VerifiedBlock,
        /// Whether I lead and this block came from the orderer, so that the tree starts here.
        is_root: bool,
    },
    /// Blocks are committed: their duties end.
    Committed(BlockNumber),
}

/// What pushes look at.
pub struct Context<'a> {
    /// The channel.
    pub channel: ChannelId,
    /// Myself.
    pub me: MemberId,
    /// My org.
    pub org: OrgId,
    /// Whom the channel can be discussed with.
    pub neighbours: &'a [Neighbour],
    /// Whether a member has said that it has this block.
    pub holds: &'a dyn Fn(MemberId, BlockNumber) -> bool,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Blocks sent to a member, as root or relay.
    pub pushes_sent: u64,
    /// Children named to me that do not follow from the assignment of the same relay set.
    pub children_unassigned: u64,
    /// Children named to me that are no neighbours of my org, or beyond the width.
    pub children_refused: u64,
    /// Pushes from other orgs, whose children are not served.
    pub pushes_foreign: u64,
}

/// The pushes of one channel.
#[derive(Debug)]
pub struct State {
    config: Config,
    duties: BTreeMap<BlockNumber, Duty>,
    counters: Counters,
}

/// Whom to serve with one block.
#[derive(Debug, Default)]
struct Duty {
    /// Children to serve, each with the digest of the relay set under which it was named.
    children: BTreeMap<MemberId, Digest>,
    served: BTreeSet<MemberId>,
}

impl Default for Config {
    fn default() -> Self {
        Self { is_enabled: true, children_max: CHILDREN_MAX }
    }
}

impl State {
    /// Pushes of a channel.
    pub fn new(config: Config) -> Self {
        Self { config, duties: BTreeMap::new(), counters: Counters::default() }
    }

    /// Handles one input; nothing here depends on time.
    pub fn handle(&mut self, input: Input<'_>, context: &Context<'_>, out: &mut Outbox) {
        match input {
            Input::Opened { from, header, relay_set, children, block } => {
                self.on_opened(from, header, relay_set, children, context);
                if let Some(block) = block {
                    self.serve_children(block, context, out);
                }
            }
            Input::Verified { block, is_root } => {
                if is_root && self.config.is_enabled {
                    self.start_tree(block, context, out);
                }
                self.serve_children(block, context, out);
            }
            Input::Committed(through) => self.duties.retain(|number, _| *number > through),
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn on_opened(
        &mut self,
        from: MemberId,
        header: &VerifiedHeader,
        relay_set: Digest,
        children: &[MemberId],
        context: &Context<'_>,
    ) {
        if !context.is_own_neighbour(from) {
            self.counters.pushes_foreign += 1;
            return;
        }
        let assigned = self.assigned_children(from, header, relay_set, context);
        let duty = self.duties.entry(header.number()).or_default();
        for child in children {
            if assigned.as_ref().is_some_and(|assigned| !assigned.contains(child)) {
                self.counters.children_unassigned += 1;
            } else if !context.is_own_neighbour(*child) || duty.children.len() >= self.config.children_max {
                self.counters.children_refused += 1;
            } else {
                duty.children.entry(*child).or_insert(relay_set);
            }
        }
    }

    /// My children by the assignment, when my relay set is the pusher's; `None` when I cannot tell.
    fn assigned_children(
        &self,
        from: MemberId,
        header: &VerifiedHeader,
        relay_set: Digest,
        context: &Context<'_>,
    ) -> Option<Vec<MemberId>> {
        let own = RelaySet::new(context.org_neighbours().chain([context.me]));
        if own.digest() != relay_set {
            return None;
        }
        let branches = own.branches(from, header.hash(), self.config.children_max, self.config.children_max);
        let mine = branches.into_iter().find(|branch| branch.head == context.me);
        Some(mine.map(|branch| branch.children).unwrap_or_default())
    }

    fn start_tree(&mut self, block: &VerifiedBlock, context: &Context<'_>, out: &mut Outbox) {
        let lacking = context.org_neighbours().filter(|member| !(context.holds)(*member, block.number()));
        let set = RelaySet::new(lacking.chain([context.me]));
        let relay_set = set.digest();
        let width = self.config.children_max;
        for branch in set.branches(context.me, block.header().hash(), width, width) {
            self.push(branch.head, block, relay_set, branch.children, context, out);
        }
    }

    fn serve_children(&mut self, block: &VerifiedBlock, context: &Context<'_>, out: &mut Outbox) {
        let children = match self.duties.get_mut(&block.number()) {
            Some(duty) => std::mem::take(&mut duty.children),
            None => return,
        };
        for (child, relay_set) in children {
            if !(context.holds)(child, block.number()) {
                self.push(child, block, relay_set, Vec::new(), context, out);
            }
        }
    }

    /// Sends a whole block, unless this member was served with it already.
    fn push(
        &mut self,
        to: MemberId,
        block: &VerifiedBlock,
        relay_set: Digest,
        children: Vec<MemberId>,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let duty = self.duties.entry(block.number()).or_default();
        if !duty.served.insert(to) {
            return;
        }
        self.counters.pushes_sent += 1;
        let push = Push { header: block.header().certified().clone(), relay_set, children };
        let opening = Message::Channel(context.channel, ChannelMessage::Push(push));
        out.send_on(to, Lane::Data, opening);
        let body = block.body().bytes();
        for (index, start) in (0..body.len()).step_by(BODY_FRAME_BYTES).enumerate() {
            let payload = body.slice(start..body.len().min(start + BODY_FRAME_BYTES));
            let index = u32::try_from(index).expect("a body has far fewer than 2^32 frames");
            let frame = ChannelMessage::BodyFrame { header_hash: block.header().hash(), index, payload };
            out.send_on(to, Lane::Data, Message::Channel(context.channel, frame));
        }
    }
}

impl Context<'_> {
    fn org_neighbours(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.neighbours.iter().filter(|it| it.org == self.org).map(|it| it.member)
    }

    fn is_own_neighbour(&self, member: MemberId) -> bool {
        self.neighbours.iter().any(|it| it.member == member && it.org == self.org)
    }
}
