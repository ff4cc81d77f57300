//! States, under its own genuine signature, a height that no header proves (A8).

use super::{Crime, Lie, channel_message};
use crate::node::NodeId;
use crate::traffic::SentFrame;
use crate::world::World;
use ledgercast_crypto::{Digest, SecretKey};
use ledgercast_protocol::types::{Height, MemberId};
use ledgercast_protocol::wire::{ChannelMessage, Signed, StateInfo};
use std::fmt;

/// Whose state infos are altered, and what they say.
pub struct FalseHeights {
    member: MemberId,
    key: SecretKey,
    height: Height,
}

impl FalseHeights {
    /// A node that claims this height on all its channels.
    pub fn new(world: &World, node: NodeId, height: u64) -> Self {
        let credentials = &world.nodes[node.0].credentials;
        Self { member: world.member(node), key: credentials.key.clone(), height: Height::new(height) }
    }
}

impl Crime for FalseHeights {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        let Some((channel, ChannelMessage::States(mut states))) = channel_message(sent, &["states"]) else {
            return Lie::truth(sent);
        };
        for state in states.iter_mut().filter(|state| state.member() == self.member) {
            let claim = StateInfo {
                height: self.height,
                tip_hash: Digest::of(b"a block that nobody made"),
                ..state.statement().clone()
            };
            *state = Signed::sign(claim, channel.as_bytes(), &self.key);
        }
        vec![Lie::channel(channel, ChannelMessage::States(states))]
    }
}

impl fmt::Debug for FalseHeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FalseHeights").field("height", &self.height).finish_non_exhaustive()
    }
}
