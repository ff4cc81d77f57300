//! What a liar may do: alter what an honest peer would send, and say things of its own. One file, one crime.

mod false_bodies;
mod flood;
mod forged_alives;
mod fork;
mod malformed;
mod trespass;

use anyhow::Context as _;
use bytes::Bytes;
use clap::ValueEnum;
use ledgercast_crypto::SecretKey;
use ledgercast_protocol::WallTime;
use ledgercast_protocol::types::{ChannelId, Lane, MemberId, SessionId};
use ledgercast_protocol::wire::Message;
use serde_json::Value;
use std::collections::BTreeMap;

/// A crime by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Frames that do not decode, on all lanes.
    Malformed,
    /// Alives in the names of others, signed with the liar's key.
    ForgedAlives,
    /// More questions than any session may ask.
    Flood,
    /// Messages about a channel that is none of its business.
    Trespass,
    /// Bodies with one byte changed.
    FalseBodies,
    /// A second certified header of a block.
    Fork,
}

/// What a crime can see.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) key: SecretKey,
    pub(crate) member: MemberId,
    pub(crate) network: [u8; 32],
    pub(crate) wall: WallTime,
    /// Open sessions, with who is there once that has been shown.
    pub(crate) sessions: BTreeMap<SessionId, Option<MemberId>>,
}

/// A frame that goes out beside what the peer says.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) session: SessionId,
    pub(crate) lane: Lane,
    pub(crate) frame: Bytes,
}

impl Sending {
    /// A message on its own lane.
    fn message(session: SessionId, message: &Message) -> Self {
        Self { session, lane: message.lane(), frame: message.encode() }
    }
}

/// One way to break the rules; what it does not define is honest.
pub(crate) trait Crime {
    /// What is sent instead of a frame of the honest peer.
    fn alter(&mut self, _session: SessionId, frame: Bytes) -> Vec<Bytes> {
        vec![frame]
    }

    /// What is sent besides, asked twenty times a second.
    fn act(&mut self, _scene: &Scene) -> Vec<Sending> {
        Vec::new()
    }

    /// A frame arrived.
    fn heard(&mut self, _session: SessionId, _frame: &Bytes) {}

    /// A session ended.
    fn lost(&mut self, _session: SessionId) {}

    /// What was done and heard so far.
    fn report(&self) -> Value;
}

/// Makes a crime; `foreign` is the channel of those about one, `orderer` the key of those that need one.
pub(crate) fn new(
    kind: Kind,
    foreign: Option<ChannelId>,
    orderer: Option<SecretKey>,
) -> anyhow::Result<Box<dyn Crime>> {
    Ok(match kind {
        Kind::Malformed => Box::new(malformed::Malformed::default()),
        Kind::ForgedAlives => Box::new(forged_alives::ForgedAlives::default()),
        Kind::Flood => Box::new(flood::Flood::default()),
        Kind::Trespass => {
            Box::new(trespass::Trespass::new(foreign.context("needs --foreign, a genesis file")?))
        }
        Kind::FalseBodies => Box::new(false_bodies::FalseBodies::default()),
        Kind::Fork => Box::new(fork::Fork::new(orderer.context("needs --orderer-key")?)),
    })
}
