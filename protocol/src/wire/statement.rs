//! The statements that members sign.

use super::decode::{digest, member, opt_endpoint, tick_chain};
use super::{DecodeError, Signed, Statement, proto};
use crate::time::WallTime;
use crate::types::{BlockNumber, Endpoint, Height, Incarnation, Mark, MemberId, Sequence, Tick};
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::signature::Namespace;
use prost::Message as _;
use std::time::Duration;

/// "I am alive, and reachable there."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alive {
    /// Who.
    pub member: MemberId,
    /// The life of its process.
    pub incarnation: Incarnation,
    /// Grows with each alive.
    pub sequence: Sequence,
    /// The member's wall clock when it signed.
    pub wall_time: WallTime,
    /// For other orgs; `None`: not known outside its org.
    pub external_endpoint: Option<Endpoint>,
    /// Commits to the endpoint for its own org.
    pub internal_hash: Digest,
    /// The ticks that may follow it.
    pub ticks: Option<TickChain>,
}

/// What an alive says of the ticks that follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickChain {
    /// What the first tick hashes to.
    pub end: Tick,
    /// How many ticks there are, 1 to [`crate::wire::LINKS_MAX`].
    pub links: u32,
    /// The time from one to the next.
    pub interval_millis: u32,
}

/// "I stop now."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// Who.
    pub member: MemberId,
    /// The life that ends.
    pub incarnation: Incarnation,
    /// Above every alive of that life.
    pub sequence: Sequence,
}

/// "This is how far I am on this channel."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateInfo {
    /// Who.
    pub member: MemberId,
    /// The life of its process.
    pub incarnation: Incarnation,
    /// Grows with each state info.
    pub sequence: Sequence,
    /// Header hash of its newest block.
    pub tip_hash: Digest,
    /// Number of blocks held.
    pub height: Height,
    /// The oldest block that it can serve.
    pub first_block: BlockNumber,
}

/// "I pull blocks for my org", or "I do not".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// Who.
    pub member: MemberId,
    /// For which epoch.
    pub epoch: u64,
    /// The life of its process.
    pub incarnation: Incarnation,
    /// Grows with each claim.
    pub sequence: Sequence,
    /// Leading or yielding.
    pub leading: bool,
    /// The claim ends then.
    pub until: WallTime,
}

/// "I leave this channel."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelLeave {
    /// Who.
    pub member: MemberId,
    /// The life of its process.
    pub incarnation: Incarnation,
    /// Above every state info of that life.
    pub sequence: Sequence,
}

impl Alive {
    /// Which of the ticks that follow this is, from 1 on; 0 is the chain's end. Costs a hash for each link.
    pub fn link_of(&self, tick: Tick) -> Option<u32> {
        let chain = self.ticks?;
        let mut link = tick;
        for number in 0..=chain.links {
            if link == chain.end {
                return Some(number);
            }
            link = link.before();
        }
        None
    }

    /// When the owner showed this tick, by its own clock.
    pub fn time_of(&self, link: u32) -> WallTime {
        let interval = self.ticks.map_or(0, |chain| chain.interval_millis);
        let millis = u64::from(interval).saturating_mul(u64::from(link));
        self.wall_time.saturating_add(Duration::from_millis(millis))
    }

    /// The mark of this tick.
    pub fn mark_of(&self, link: u32) -> Mark {
        Mark { sequence: self.sequence.after(link), ..self.mark() }
    }

    /// Whether one process cannot have signed both: they have one order and different bytes, or the older
    /// life spoke after the newer one had begun.
    pub fn exclude_each_other(one: &Signed<Self>, other: &Signed<Self>) -> bool {
        let (first, second) = (one.statement(), other.statement());
        let (older, newer) =
            if first.incarnation <= second.incarnation { (first, second) } else { (second, first) };
        let is_one_order = one.mark() == other.mark();
        let is_after_its_life =
            older.incarnation < newer.incarnation && older.wall_time > newer.incarnation.started_at();
        first.member == second.member && ((is_one_order && one.bytes() != other.bytes()) || is_after_its_life)
    }
}

fn bytes(member: MemberId) -> Bytes {
    Bytes::copy_from_slice(member.as_bytes())
}

fn text(endpoint: Option<&Endpoint>) -> String {
    endpoint.map_or_else(String::new, |endpoint| endpoint.as_str().to_owned())
}

/// Every statement has its mark in fields of the same names.
macro_rules! mark_of_fields {
    () => {
        fn mark(&self) -> Mark {
            Mark { member: self.member, incarnation: self.incarnation, sequence: self.sequence }
        }
    };
}

impl Statement for Alive {
    const NAMESPACE: Namespace = Namespace::Alive;

    fn encode(&self) -> Bytes {
        proto::Alive {
            member: bytes(self.member),
            incarnation: self.incarnation.as_millis(),
            sequence: self.sequence.as_u64(),
            wall_time_ms: self.wall_time.as_millis(),
            external_endpoint: text(self.external_endpoint.as_ref()),
            internal_hash: Bytes::copy_from_slice(self.internal_hash.as_bytes()),
            ticks: self.ticks.map(|chain| proto::TickChain {
                end: Bytes::copy_from_slice(chain.end.as_bytes()),
                links: chain.links,
                interval_ms: chain.interval_millis,
            }),
        }
        .encode_to_vec()
        .into()
    }

    fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let wire = proto::Alive::decode(bytes)?;
        Ok(Self {
            member: member(&wire.member)?,
            incarnation: Incarnation::from_millis(wire.incarnation),
            sequence: Sequence::new(wire.sequence),
            wall_time: WallTime::from_millis(wire.wall_time_ms),
            external_endpoint: opt_endpoint(&wire.external_endpoint)?,
            internal_hash: digest("internal_hash", &wire.internal_hash)?,
            ticks: wire.ticks.map(|chain| tick_chain(&chain)).transpose()?,
        })
    }

    mark_of_fields!();
}

impl Statement for StateInfo {
    const NAMESPACE: Namespace = Namespace::StateInfo;

    fn encode(&self) -> Bytes {
        proto::StateInfo {
            member: bytes(self.member),
            incarnation: self.incarnation.as_millis(),
            sequence: self.sequence.as_u64(),
            tip_hash: Bytes::copy_from_slice(self.tip_hash.as_bytes()),
            height: self.height.as_u64(),
            first_block: self.first_block.as_u64(),
        }
        .encode_to_vec()
        .into()
    }

    fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let wire = proto::StateInfo::decode(bytes)?;
        Ok(Self {
            member: member(&wire.member)?,
            incarnation: Incarnation::from_millis(wire.incarnation),
            sequence: Sequence::new(wire.sequence),
            tip_hash: digest("tip_hash", &wire.tip_hash)?,
            height: Height::new(wire.height),
            first_block: BlockNumber::new(wire.first_block),
        })
    }

    mark_of_fields!();
}

impl Statement for Leadership {
    const NAMESPACE: Namespace = Namespace::Leadership;

    fn encode(&self) -> Bytes {
        proto::Leadership {
            member: bytes(self.member),
            epoch: self.epoch,
            incarnation: self.incarnation.as_millis(),
            sequence: self.sequence.as_u64(),
            leading: self.leading,
            until_ms: self.until.as_millis(),
        }
        .encode_to_vec()
        .into()
    }

    fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let wire = proto::Leadership::decode(bytes)?;
        Ok(Self {
            member: member(&wire.member)?,
            epoch: wire.epoch,
            incarnation: Incarnation::from_millis(wire.incarnation),
            sequence: Sequence::new(wire.sequence),
            leading: wire.leading,
            until: WallTime::from_millis(wire.until_ms),
        })
    }

    mark_of_fields!();
}

/// The good-byes say the same, one for the network and one for a channel: their signatures' contexts differ.
macro_rules! leave_statement {
    ($leave:ident) => {
        impl Statement for $leave {
            const NAMESPACE: Namespace = Namespace::Leave;

            fn encode(&self) -> Bytes {
                proto::$leave {
                    member: bytes(self.member),
                    incarnation: self.incarnation.as_millis(),
                    sequence: self.sequence.as_u64(),
                }
                .encode_to_vec()
                .into()
            }

            fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
                let wire = proto::$leave::decode(bytes)?;
                Ok(Self {
                    member: member(&wire.member)?,
                    incarnation: Incarnation::from_millis(wire.incarnation),
                    sequence: Sequence::new(wire.sequence),
                })
            }

            mark_of_fields!();
        }
    };
}

leave_statement!(Leave);
leave_statement!(ChannelLeave);
