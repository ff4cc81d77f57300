//! The evidence that a peer keeps of one channel, and what it stopped for; on disk too.

use super::{Equivocation, Verdict};
use crate::types::{BlockNumber, ChannelId};
use crate::wire::proto;
use crate::wire::shape::{self, tables};
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::keys::PublicKey;
use prost::Message as _;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Double signatures kept against one orderer of a channel; later ones tell nothing new. A guess.
pub const PROOFS_PER_ORDERER_MAX: usize = 4;
/// Proofs kept of one channel: a fork between certificates that no orderer shares accuses none. A guess.
pub const PROOFS_MAX: usize = 64;

/// Proofs of one channel, by their ids. At the bound a fork displaces what matters less, see `Weight`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    proofs: BTreeMap<Digest, Proof>,
    /// Ids of the forks among them that the channel must stop for.
    stopping: BTreeSet<Digest>,
}

/// An equivocation and what it was found to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The two headers.
    pub equivocation: Equivocation,
    /// The verdict under the config that they name.
    pub verdict: Verdict,
}

/// What a proof is worth when there is no room: of one kind the lower number is worth more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    DoubleSignature(Reverse<BlockNumber>),
    /// Lifted, or of orderers that were replaced.
    PastFork(Reverse<BlockNumber>),
    StoppingFork(Reverse<BlockNumber>),
}

impl Proof {
    /// Whether two headers of one number are certified.
    pub fn is_fork(&self) -> bool {
        matches!(self.verdict, Verdict::Fork { .. })
    }

    fn weight(&self, must_stop: bool) -> Weight {
        let number = Reverse(self.verdict.number());
        match (self.is_fork(), must_stop) {
            (false, _) => Weight::DoubleSignature(number),
            (true, false) => Weight::PastFork(number),
            (true, true) => Weight::StoppingFork(number),
        }
    }
}

impl Kept {
    /// Keeps a proof; a fork that must stop the channel does so until it is lifted. `false` when it is known,
    /// accuses only those of whom enough is known already, or matters less than all that are kept: then the
    /// channel stands still for one as low. A fork takes the place of a double signature of the same two
    /// headers, which anybody can make of it by leaving signatures out.
    pub fn insert(&mut self, proof: Proof, must_stop: bool) -> bool {
        let id = proof.equivocation.id();
        let is_known = self.proofs.get(&id).is_some_and(|known| known.is_fork() || !proof.is_fork());
        if is_known || !proof.is_fork() && !self.is_news(&proof) {
            return false;
        }
        self.proofs.remove(&id);
        if self.proofs.len() >= PROOFS_MAX && !self.displace_below(proof.weight(must_stop)) {
            return false;
        }
        if proof.is_fork() && must_stop {
            self.stopping.insert(id);
        }
        self.proofs.insert(id, proof);
        true
    }

    /// Whether somebody is accused of whom not enough is known yet.
    fn is_news(&self, proof: &Proof) -> bool {
        let of =
            |key: &PublicKey| self.proofs.values().filter(|it| it.verdict.guilty().contains(key)).count();
        let guilty = proof.verdict.guilty();
        guilty.is_empty() || guilty.iter().any(|key| of(key) < PROOFS_PER_ORDERER_MAX)
    }

    /// Drops the proof that matters least, if it matters less than this: so nothing that was displaced comes
    /// back in the place of what displaced it.
    fn displace_below(&mut self, weight: Weight) -> bool {
        let weights = self.proofs.iter().map(|(id, it)| (it.weight(self.stopping.contains(id)), *id));
        let Some((_, least)) = weights.min().filter(|(least, _)| *least < weight) else {
            return false;
        };
        self.stopping.remove(&least);
        self.proofs.remove(&least);
        true
    }

    /// What two headers are known to prove, whoever's signatures are with them.
    pub fn verdict(&self, equivocation: &Equivocation) -> Option<&Verdict> {
        self.proofs.get(&equivocation.id()).map(|proof| &proof.verdict)
    }

    /// An operator has looked: no fork that is kept stops the channel any more. Says whether one did.
    pub fn lift(&mut self) -> bool {
        !std::mem::take(&mut self.stopping).is_empty()
    }

    /// The lowest fork that the channel must stop for.
    pub fn stopping(&self) -> Option<&Proof> {
        let stopping = self.stopping.iter().filter_map(|id| self.proofs.get(id));
        stopping.min_by_key(|proof| proof.verdict.number())
    }

    /// Its number.
    pub fn halted_at(&self) -> Option<BlockNumber> {
        self.stopping().map(|proof| proof.verdict.number())
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
        let proofs = self.proofs.iter().map(|(id, proof)| proto::KeptProof {
            equivocation: Some((&proof.equivocation).into()),
            is_fork: proof.is_fork(),
            stops: self.stopping.contains(id),
            guilty: proof.verdict.guilty().iter().map(|key| key.as_bytes().to_vec().into()).collect(),
        });
        proto::KeptEvidence {
            channel: Bytes::copy_from_slice(channel.as_bytes()),
            proofs: proofs.collect(),
            halted_at: self.halted_at().map(BlockNumber::as_u64),
        }
    }

    /// Reads it back, with its channel; `None` when it is not what was written.
    pub fn from_wire(wire: proto::KeptEvidence) -> Option<(ChannelId, Self)> {
        let channel = ChannelId::from_bytes(wire.channel[..].try_into().ok()?);
        let mut kept = Self::default();
        for proof in wire.proofs {
            let equivocation = Equivocation::try_from(proof.equivocation?).ok()?;
            let keys = proof.guilty.iter().map(|key| PublicKey::try_from(&key[..]).ok());
            let (number, guilty) = (equivocation.number(), keys.collect::<Option<Vec<_>>>()?);
            let verdict = match proof.is_fork {
                true => Verdict::Fork { number, guilty },
                false => Verdict::DoubleSignature { number, guilty },
            };
            let id = equivocation.id();
            if proof.is_fork && proof.stops {
                kept.stopping.insert(id);
            }
            kept.proofs.insert(id, Proof { equivocation, verdict });
        }
        // Saved before each proof said whether it stops the channel.
        if let (Some(number), true) = (wire.halted_at.map(BlockNumber::new), kept.stopping.is_empty()) {
            let disputed = kept.proofs.iter().filter(|(_, it)| it.is_fork() && it.verdict.number() == number);
            kept.stopping = disputed.map(|(id, _)| *id).collect();
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
    shape::check(tables::KEPT_EVIDENCE_LIST, &saved).ok()?;
    let wire = proto::KeptEvidenceList::decode(saved).ok()?;
    wire.channels.into_iter().map(Kept::from_wire).collect()
}
