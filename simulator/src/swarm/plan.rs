//! What happens in one run, written down: drawn from a seed, or given as a line of text, which a test can
//! hold.
//!
//! ```text
//! seed=7 orgs=4,3 channels=0+1 blocks=30 payload=9000 pause=250 latency=800 loss=5 followers=1
//!   faults=crash@12000-31000:0.2,partition@9000-15000:1.0+1.1 liars=1.2:replays+eclipse updates=org1@14000:0
//! ```
//!
//! Times are milliseconds from the world's start, but for `latency`: microseconds. A peer is `org.peer`, a
//! channel its place in the list; `fork=0@12` lets the orderers fork its block 12. A liar with `/`
//! after its place lies to half of the others only.

use super::crime_kind::CrimeKind;
use thiserror::Error;

/// A peer by its org and its place there, both counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The org.
    pub org: usize,
    /// Its how manyth peer.
    pub peer: usize,
}

/// Everything about a run but the world's own chance, which follows from the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What all chance in the world follows from.
    pub seed: u64,
    /// Peers of each org.
    pub orgs: Vec<usize>,
    /// Orgs of each channel.
    pub channels: Vec<Vec<usize>>,
    /// Blocks of each channel.
    pub blocks: u64,
    /// Bytes of each block.
    pub payload: usize,
    /// Milliseconds between two blocks.
    pub pause: u64,
    /// Microseconds one way.
    pub latency: u64,
    /// Frames lost, in percent, all the time.
    pub loss: u32,
    /// Orderers that follow the one that signs.
    pub followers: usize,
    /// What breaks, and is mended.
    pub faults: Vec<Fault>,
    /// Config updates.
    pub updates: Vec<Update>,
    /// Who lies.
    pub liars: Vec<Liar>,
    /// The channel and block of which colluding orderers certify two headers.
    pub fork: Option<(usize, u64)>,
}

/// What breaks, when, and when it is mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// From when.
    pub from: u64,
    /// Until when.
    pub until: u64,
    /// Whom it hits.
    pub places: Vec<Place>,
}

/// What can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// These are cut off from the others and the orderers.
    Partition,
    /// These are cut off from the others, and not from the orderers.
    Split,
    /// Killed, and started again.
    Crash,
    /// Killed, and started again on an empty disk.
    Loss,
    /// Stopped in good order, and started again.
    Stop,
    /// Frozen, and going on.
    Pause,
    /// Cut off from the orderers.
    NoOrderer,
    /// The orderers are down for all.
    OrdererDown,
    /// The first orderer's streams stand still.
    Stall,
    /// The first orderer sends each block two seconds after its header.
    Lag,
    /// Wall clocks are two minutes ahead.
    Ahead,
    /// Wall clocks are two minutes behind.
    Behind,
    /// A disk takes 80 ms for each write.
    SlowDisk,
}

/// A config update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// What changes.
    pub kind: UpdateKind,
    /// When.
    pub at: u64,
    /// On which channel.
    pub channel: usize,
}

/// What a config can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateKind {
    /// The orderer's key and endpoint.
    Orderer,
    /// The anchors of the first org.
    Anchors,
    /// A limit.
    Limits,
    /// This org is removed if it is there, and added else.
    Org(usize),
}

/// Who lies, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liar {
    /// Who.
    pub place: Place,
    /// To half of the others only.
    pub is_partial: bool,
    /// Each on what the one before has left.
    pub crimes: Vec<CrimeKind>,
}

/// Why a line describes no run.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// A word is no `name=value` that is known.
    #[error("unknown word {0:?}")]
    Word(String),
    /// A value is not of its kind.
    #[error("no {0}: {1:?}")]
    Value(&'static str, String),
    /// The world could not be built, or the run would prove nothing.
    #[error("the plan contradicts itself: {0}")]
    Contradiction(&'static str),
}

impl FaultKind {
    /// All of them, by their names.
    pub const ALL: [(&'static str, Self); 13] = [
        ("partition", Self::Partition),
        ("split", Self::Split),
        ("crash", Self::Crash),
        ("loss", Self::Loss),
        ("stop", Self::Stop),
        ("pause", Self::Pause),
        ("no-orderer", Self::NoOrderer),
        ("orderer-down", Self::OrdererDown),
        ("stall", Self::Stall),
        ("lag", Self::Lag),
        ("ahead", Self::Ahead),
        ("behind", Self::Behind),
        ("slow-disk", Self::SlowDisk),
    ];
}

impl Plan {
    /// Peers of all orgs.
    pub fn peers(&self) -> usize {
        self.orgs.iter().sum()
    }

    /// Everybody of an org.
    pub(crate) fn places(&self) -> Vec<Place> {
        let of_org = |(org, size): (usize, &usize)| (0..*size).map(move |peer| Place { org, peer });
        self.orgs.iter().enumerate().flat_map(of_org).collect()
    }

    /// Whether the place is one of this plan's.
    pub(crate) fn has(&self, place: Place) -> bool {
        self.orgs.get(place.org).is_some_and(|size| place.peer < *size)
    }

    /// Leaves out whatever names a peer or a channel that is not there.
    pub(crate) fn prune(&mut self) {
        let Self { orgs, channels, faults, updates, liars, fork, .. } = self;
        let has = |place: &Place| orgs.get(place.org).is_some_and(|size| place.peer < *size);
        for fault in faults.iter_mut() {
            let was_named = !fault.places.is_empty();
            fault.places.retain(has);
            if was_named && fault.places.is_empty() {
                fault.until = fault.from;
            }
        }
        faults.retain(|fault| fault.from < fault.until);
        liars.retain(|liar| has(&liar.place) && !liar.crimes.is_empty());
        updates.retain(|update| update.channel < channels.len());
        fork.take_if(|(channel, _)| *channel >= channels.len());
    }

    /// # Errors
    /// [`PlanError::Contradiction`] when no world can be built from this, or nobody honest is left in it.
    pub(crate) fn check(&self) -> Result<(), PlanError> {
        let refuse = |why| Err(PlanError::Contradiction(why));
        let liars = |org: usize| self.liars.iter().filter(|liar| liar.place.org == org).count();
        if self.orgs.is_empty() || self.orgs.contains(&0) || self.channels.is_empty() {
            return refuse("orgs with peers, and a channel, are needed");
        }
        if self.peers() > PEERS_MAX || self.blocks > BLOCKS_MAX || self.payload > PAYLOAD_MAX {
            return refuse("it is too large");
        }
        let is_org = |org: &usize| *org < self.orgs.len();
        if self.channels.iter().any(|orgs| orgs.is_empty() || !orgs.iter().all(is_org)) {
            return refuse("a channel has orgs that are there");
        }
        let named = self.faults.iter().flat_map(|fault| &fault.places);
        if !named.chain(self.liars.iter().map(|liar| &liar.place)).all(|place| self.has(*place)) {
            return refuse("a fault or a liar is of a peer that is not there");
        }
        if (0..self.orgs.len()).any(|org| liars(org) >= self.orgs[org]) {
            return refuse("each org has somebody honest");
        }
        if self.updates.iter().any(|it| it.channel >= self.channels.len()) {
            return refuse("an update is of a channel that is there");
        }
        if self.updates.iter().any(|it| matches!(it.kind, UpdateKind::Org(org) if !is_org(&org))) {
            return refuse("an update is of an org that is there");
        }
        match self.fork {
            Some((channel, _)) if channel >= self.channels.len() => {
                refuse("a fork is of a channel that is there")
            }
            Some(_) if !self.updates.is_empty() => refuse("a fork and config updates are two runs"),
            _ => Ok(()),
        }
    }
}

/// A line of text cannot ask for more than this: a guess at what a test may cost.
const PEERS_MAX: usize = 200;
const BLOCKS_MAX: u64 = 10_000;
const PAYLOAD_MAX: usize = 4_000_000;
