//! What operators, metrics and logs are told; nothing in the protocol depends on it.

use crate::channel::ChannelConfig;
use crate::feed::FeedKind;
use crate::ledger::VerifiedHeader;
use crate::offence::Offence;
use crate::output::CloseReason;
use crate::time::Monotonic;
use crate::types::{
    BlockNumber, ChannelId, ChannelName, Endpoint, Incarnation, MemberId, OrgId, SessionId, SourceId,
};
use ledgercast_crypto::{CertificateError, PublicKey, RevocationNumber};
use std::sync::Arc;
use std::time::Duration;

/// Something that happened, with its reason.
#[derive(Clone, Debug)]
pub enum Event {
    /// A session showed a valid certificate.
    SessionReady {
        /// The session.
        session: SessionId,
        /// With whom.
        member: MemberId,
        /// Of which org.
        org: OrgId,
        /// Whether we dialed.
        is_dialed: bool,
    },
    /// A session ended; `reason` is ours, `None` when the other side or the network ended it.
    SessionClosed {
        /// The session.
        session: SessionId,
        /// With whom, if it got that far.
        member: Option<MemberId>,
        /// Why we ended it.
        reason: Option<CloseReason>,
    },
    /// A member was seen for the first time, or again after it was evicted or left.
    MemberJoined {
        /// Who.
        member: MemberId,
        /// Of which org.
        org: OrgId,
        /// In which life.
        incarnation: Incarnation,
        /// Where to reach it from here.
        endpoint: Option<Endpoint>,
        /// Whether it was a member before.
        is_return: bool,
    },
    /// A member restarted: a newer incarnation without a gap.
    MemberRestarted {
        /// Who.
        member: MemberId,
        /// In which life now.
        incarnation: Incarnation,
    },
    /// A member was silent for too long.
    MemberEvicted {
        /// Who.
        member: MemberId,
        /// My awake time since its last news.
        silent_for: Duration,
        /// Why it was judged when it was.
        reason: EvictionReason,
    },
    /// A member said good-bye.
    MemberLeft {
        /// Who.
        member: MemberId,
    },
    /// A member's org shares no channel with mine any more: it is nobody to judge.
    MemberForgotten {
        /// Who.
        member: MemberId,
    },
    /// A member's certificate was replaced by one of the same key that is valid for longer; mine as well.
    CertificateRenewed {
        /// Who.
        member: MemberId,
        /// Last second, since 1970, in which its chain is valid.
        valid_until: u64,
    },
    /// My own certificate no longer holds: others end their sessions with me.
    OwnCertificateRefused {
        /// Why.
        error: CertificateError,
    },
    /// A revocation list came into force.
    RevocationListTaken {
        /// The name of the CA.
        issuer: String,
        /// Its number.
        number: RevocationNumber,
        /// How many certificates it revokes.
        revoked: usize,
    },
    /// A member's identity is in use twice: two alives that one process cannot have signed.
    DuplicateIdentity {
        /// Whose.
        member: MemberId,
        /// The newer of the two lives.
        incarnation: Incarnation,
        /// Where the two processes say that they are, as far as I may know.
        endpoints: [Option<Endpoint>; 2],
        /// Whether it is mine.
        is_me: bool,
    },
    /// A newer life of the member cleared that alarm.
    DuplicateCleared {
        /// Whose.
        member: MemberId,
        /// The life that cleared it.
        incarnation: Incarnation,
    },
    /// An earlier life of mine, which my disk does not remember, was ahead of me: I took a newer incarnation.
    IncarnationRaised {
        /// Mine, from now on.
        incarnation: Incarnation,
    },
    /// Most members of most orgs look wrong by time, so that my own wall clock is suspect; or no longer.
    ClockSuspect {
        /// Whether it is suspect now.
        is_suspect: bool,
        /// How many members look wrong.
        wrong: usize,
        /// Of how many.
        members: usize,
    },
    /// My own process was paused or overloaded: that time counts as nobody's silence.
    Paused {
        /// How much time was lost.
        lost: Duration,
    },
    /// A message was refused without blame; counted by reason.
    Refused {
        /// The kind of message.
        kind: &'static str,
        /// Why, in snake case.
        reason: &'static str,
        /// From whom, if known.
        member: Option<MemberId>,
    },
    /// A peer did what no honest peer does.
    Offence {
        /// Who.
        member: MemberId,
        /// What.
        offence: Offence,
    },
    /// A member's standing fell below zero: nothing is exchanged with it for a while.
    MemberQuarantined {
        /// Who.
        member: MemberId,
        /// Of which org.
        org: OrgId,
        /// The last offence, in snake case.
        reason: &'static str,
        /// For how long, in my awake time.
        lasts: Duration,
        /// The how manyth quarantine it is.
        count: u32,
    },
    /// A member's quarantine is over.
    QuarantineEnded {
        /// Who.
        member: MemberId,
    },
    /// A channel was joined; it stands at this height.
    ChannelJoined {
        /// The channel.
        channel: ChannelId,
        /// Its alias.
        name: ChannelName,
        /// Number of blocks held.
        height: u64,
    },
    /// A channel was left.
    ChannelLeft {
        /// The channel.
        channel: ChannelId,
    },
    /// I lead, or no longer lead, my org on this channel.
    LeadershipChanged {
        /// The channel.
        channel: ChannelId,
        /// Who leads in my view.
        leader: Option<MemberId>,
        /// Whether that is me.
        is_me: bool,
    },
    /// A stream from an orderer came, went, or changed its standing.
    Feed {
        /// The channel.
        channel: ChannelId,
        /// The source's number on this channel.
        source: SourceId,
        /// Where it is.
        endpoint: Endpoint,
        /// What happened.
        change: FeedChange,
    },
    /// A leader of my org had time to push a block and did not: it leads no more in my view of this epoch.
    LeaderPassedOver {
        /// The channel.
        channel: ChannelId,
        /// Who.
        leader: MemberId,
        /// The block of which no byte came by push.
        number: BlockNumber,
    },
    /// A block is durable and may be served.
    BlockCommitted {
        /// Its header.
        header: VerifiedHeader,
        /// How it came here.
        trace: BlockTrace,
    },
    /// A config block is durable: its config is in force from the next block on.
    ConfigChanged {
        /// The channel.
        channel: ChannelId,
        /// The config block.
        number: BlockNumber,
        /// The config.
        config: Arc<ChannelConfig>,
    },
    /// A quorum of orderers certified a block whose config is not right: an alarm. The channel stands still
    /// before it.
    ConfigRefused {
        /// The channel.
        channel: ChannelId,
        /// The block.
        number: BlockNumber,
        /// Why.
        error: String,
    },
    /// Orderers signed two headers of one number: an alarm, with what proves it kept.
    EvidenceFound {
        /// The channel.
        channel: ChannelId,
        /// The number.
        number: BlockNumber,
        /// `fork` or `double_signature`.
        kind: &'static str,
        /// Keys of the orderers that signed both.
        guilty: Vec<PublicKey>,
    },
    /// Two headers of a number are certified: an alarm. The channel stands still before it, or where it is if
    /// that is above, until an operator lifts that.
    ChannelHalted {
        /// The channel.
        channel: ChannelId,
        /// The number.
        number: BlockNumber,
    },
    /// An operator has decided that a channel goes on.
    HaltLifted {
        /// The channel.
        channel: ChannelId,
    },
    /// My org is no reader of a channel any more, from the block after this one on.
    ReaderRemoved {
        /// The channel.
        channel: ChannelId,
        /// The last block that my org may have.
        number: BlockNumber,
    },
    /// A block could not be stored; the channel stands still until the process restarts.
    CommitFailed {
        /// The channel.
        channel: ChannelId,
        /// The first block that is not durable.
        number: BlockNumber,
        /// Why.
        error: String,
    },
}

/// Why a member was judged gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvictionReason {
    /// Nothing new for the whole expiry.
    Silence,
    /// Its session broke, its endpoints refuse connections, and a question brought nothing.
    Refused,
    /// Its certificate, or one above it, has expired.
    Expired,
    /// Its certificate, or one above it, was revoked.
    Revoked,
}

impl EvictionReason {
    /// A short name, for counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// What happened to a stream from an orderer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedChange {
    /// It stands.
    Opened(FeedKind),
    /// It ended, or an attempt led nowhere.
    Lost {
        /// Why, for people.
        cause: String,
        /// How many times in a row.
        failures: u32,
    },
    /// Its blocks lag behind their headers, or do not come: it is tried last for a while.
    Suspected {
        /// The block that did not come in time.
        number: BlockNumber,
        /// By how much its last blocks lag together.
        lag: Duration,
    },
    /// It brought something false: it is tried last for a while.
    False {
        /// What, in snake case.
        reason: &'static str,
    },
}

/// Where a header or a body came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A peer.
    Peer(MemberId),
    /// An orderer of the channel, by its number there.
    Orderer(SourceId),
}

impl Source {
    /// The member, if it is one.
    pub const fn member(self) -> Option<MemberId> {
        match self {
            Self::Peer(member) => Some(member),
            Self::Orderer(_) => None,
        }
    }
}

/// By which mechanism a body came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// Pulled from an orderer.
    Feed,
    /// Pushed along the tree.
    Push,
    /// Asked for, because the push did not come.
    Repair,
    /// Fetched as history.
    RangeSync,
}

/// How one block came to this peer. Times are on this peer's monotonic clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockTrace {
    /// Who announced it first, and when.
    pub announced: Option<(MemberId, Monotonic)>,
    /// When its header was proven, and from whom it came.
    pub header: Option<(Source, Monotonic)>,
    /// When its body was complete, from whom the last piece came, and how.
    pub body: Option<(Source, Route, Monotonic)>,
    /// When its body was verified.
    pub verified: Option<Monotonic>,
    /// When it was durable.
    pub committed: Option<Monotonic>,
    /// How many questions for its body were asked.
    pub questions: u32,
    /// Bytes of its body that came more than once.
    pub duplicate_bytes: u64,
}
