//! The evidence that a peer keeps of one channel, and what it stopped for; on disk too.

use super::{Equivocation, Verdict};
use crate::types::{BlockNumber, ChannelId};
use crate::wire::proto;
use bytes::Bytes;
use ledgercast_crypto::keys::PublicKey;
use prost::Message as _;
use std::collections::BTreeMap;

/// Proofs kept against one orderer of a channel; later ones tell nothing new. A guess.
pub const PROOFS_PER_ORDERER_MAX: usize = 4;
/// Proofs kept of one channel: a fork between certificates that no orderer shares accuses none. A guess.
pub const PROOFS_MAX: usize = 64;

/// Proofs of one channel, by their ids, never dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    proofs: BTreeMap<ledgercast_crypto::Digest, Proof>,
    /// The lowest fork that the channel must stop for.
    halted_at: Option<BlockNumber>,
    /// Forks up to here were looked at by an operator and stop nothing any more.
    lifted_through: Option<BlockNumber>,
}

/// An equivocation and what it was found to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The two headers.
    pub equivocation: Equivocation,
    /// The verdict under the config that they name.
    pub verdict: Verdict,
}

impl Kept {
    /// Keeps a proof; `false` when it is known, or accuses only those of whom enough is known already.
    pub fn insert(&mut self, proof: Proof) -> bool {
        let id = proof.equivocation.id();
        let of =
            |key: &PublicKey| self.proofs.values().filter(|it| it.verdict.guilty().contains(key)).count();
        let guilty = proof.verdict.guilty();
        let is_news = guilty.is_empty() || guilty.iter().any(|key| of(key) < PROOFS_PER_ORDERER_MAX);
        if self.proofs.contains_key(&id) || self.proofs.len() >= PROOFS_MAX || !is_news {
            return false;
        }
        self.proofs.insert(id, proof);
        true
    }

    /// Whether a contradiction is known already.
    pub fn contains(&self, equivocation: &Equivocation) -> bool {
        self.proofs.contains_key(&equivocation.id())
    }

    /// Notes a fork; whether the channel must stop for it now, or lower than before.
    pub fn halt(&mut self, number: BlockNumber) -> bool {
        let is_lifted = self.lifted_through.is_some_and(|through| number <= through);
        if is_lifted || self.halted_at.is_some_and(|halted| halted <= number) {
            return false;
        }
        self.halted_at = Some(number);
        true
    }

    /// An operator has looked: the channel goes on. Says whether it had to stop.
    pub fn lift(&mut self) -> bool {
        let lifted = self.halted_at.take();
        self.lifted_through = lifted.or(self.lifted_through);
        lifted.is_some()
    }

    /// The lowest fork that the channel must stop for.
    pub fn halted_at(&self) -> Option<BlockNumber> {
        self.halted_at
    }

    /// All proofs.
    pub fn proofs(&self) -> impl Iterator<Item = &Proof> {
        self.proofs.values()
    }

    /// Keys of orderers that were found to have signed two headers of one number.
    pub fn is_guilty(&self, key: &PublicKey) -> bool {
        self.proofs.values().any(|proof| proof.verdict.guilty().contains(key))
    }

    /// As it lies on disk, and as admins are shown it.
    pub fn to_wire(&self, channel: ChannelId) -> proto::KeptEvidence {
        let proofs = self.proofs.values().map(|proof| proto::KeptProof {
            equivocation: Some((&proof.equivocation).into()),
            is_fork: matches!(proof.verdict, Verdict::Fork { .. }),
            guilty: proof.verdict.guilty().iter().map(|key| key.as_bytes().to_vec().into()).collect(),
        });
        proto::KeptEvidence {
            channel: Bytes::copy_from_slice(channel.as_bytes()),
            proofs: proofs.collect(),
            halted_at: self.halted_at.map(BlockNumber::as_u64),
            lifted_through: self.lifted_through.map(BlockNumber::as_u64),
        }
    }

    /// Reads it back, with its channel; `None` when it is not what was written.
    pub fn from_wire(wire: proto::KeptEvidence) -> Option<(ChannelId, Self)> {
        let channel = ChannelId::from_bytes(wire.channel[..].try_into().ok()?);
        let mut kept = Self {
            proofs: BTreeMap::new(),
            halted_at: wire.halted_at.map(BlockNumber::new),
            lifted_through: wire.lifted_through.map(BlockNumber::new),
        };
        for proof in wire.proofs {
            let equivocation = Equivocation::try_from(proof.equivocation?).ok()?;
            let keys = proof.guilty.iter().map(|key| PublicKey::try_from(&key[..]).ok());
            let (number, guilty) = (equivocation.number(), keys.collect::<Option<Vec<_>>>()?);
            let verdict = match proof.is_fork {
                true => Verdict::Fork { number, guilty },
                false => Verdict::DoubleSignature { number, guilty },
            };
            kept.proofs.insert(equivocation.id(), Proof { equivocation, verdict });
        }
        Some((channel, kept))
    }
}

/// The evidence of all channels as one value for the disk.
pub fn to_saved<'a>(kept: impl Iterator<Item = (ChannelId, &'a Kept)>) -> Bytes {
    let channels = kept.map(|(channel, kept)| kept.to_wire(channel)).collect();
    proto::KeptEvidenceList { channels }.encode_to_vec().into()
}

/// Reads that value back; `None` when it is not what was saved.
pub fn from_saved(saved: Bytes) -> Option<BTreeMap<ChannelId, Kept>> {
    let wire = proto::KeptEvidenceList::decode(saved).ok()?;
    wire.channels.into_iter().map(Kept::from_wire).collect()
}
