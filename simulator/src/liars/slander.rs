//! Says of living members that they are silent, gone, or somebody else (A1, A4, A5): deeds for a flood of any
//! pace, about one member after the other.

use super::Deed;
use crate::node::NodeId;
use crate::world::World;
use ledgercast_crypto::{Digest, SecretKey};
use ledgercast_protocol::WallTime;
use ledgercast_protocol::types::{Incarnation, Mark, MemberId, Sequence, Tick};
use ledgercast_protocol::wire::{Alive, AliveRecord, Conflict, Leave, Message, Signed};

/// What is said of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slander {
    /// "Have you anything newer of X?", of which nobody can have anything newer, or everybody has.
    Questions,
    /// Ticks of chains that nobody made.
    Ticks,
    /// "X stops now", signed by who is not X.
    Leaves,
    /// Newer alives of X, signed by who is not X.
    Alives,
    /// "X is in use twice", with two such alives.
    Conflicts,
}

impl Slander {
    /// What a node says about all these.
    ///
    /// # Panics
    /// When there is nobody to slander: a mistake of the scenario.
    pub fn by(self, world: &World, liar: NodeId, about: &[NodeId]) -> impl FnMut(u64) -> Deed + 'static {
        assert!(!about.is_empty(), "somebody is slandered");
        let about: Vec<MemberId> = about.iter().map(|node| world.member(*node)).collect();
        let (key, network, wall) = (world.key(liar).clone(), world.network(), world.wall());
        move |count| {
            let place = usize::try_from(count).unwrap_or_default() % about.len();
            Deed::Say(self.message(about[place], count, wall, (&network, &key)))
        }
    }

    fn message(self, member: MemberId, count: u64, wall: WallTime, by: (&[u8; 32], &SecretKey)) -> Message {
        let (incarnation, sequence) =
            (Incarnation::from_millis(wall.as_millis() + count), Sequence::new(count));
        match self {
            Self::Questions => {
                let far = if count.is_multiple_of(2) { u64::MAX } else { 0 };
                let subject = Mark { member, incarnation, sequence: Sequence::new(far) };
                Message::Question { subject, passed_on: count.is_multiple_of(3) }
            }
            Self::Ticks => {
                let hash = Digest::of_parts(&[member.as_bytes(), &count.to_be_bytes()]);
                let mut bytes = [0; ledgercast_protocol::types::TICK_BYTES];
                bytes.iter_mut().zip(hash.as_bytes()).for_each(|(byte, of_hash)| *byte = *of_hash);
                Message::Ticks(vec![Tick::from_bytes(bytes)])
            }
            Self::Leaves => {
                let leave = Leave { member, incarnation, sequence };
                Message::Leave(Signed::sign(leave, by.0, by.1))
            }
            Self::Alives => Message::Alives(vec![forged(member, (incarnation, sequence), wall, by)]),
            Self::Conflicts => {
                let first = forged(member, (incarnation, sequence), wall, by);
                let second = forged(member, (incarnation, sequence), WallTime::from_millis(0), by);
                Message::Conflict(Box::new(Conflict { first, second }))
            }
        }
    }
}

fn forged(
    member: MemberId,
    (incarnation, sequence): (Incarnation, Sequence),
    wall_time: WallTime,
    (network, key): (&[u8; 32], &SecretKey),
) -> AliveRecord {
    let alive = Alive {
        member,
        incarnation,
        sequence,
        wall_time,
        external_endpoint: None,
        internal_hash: Digest::ZERO,
        ticks: None,
    };
    AliveRecord { alive: Signed::sign(alive, network, key), internal: None, tick: None }
}
