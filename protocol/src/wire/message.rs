//! The messages of a session, with their shapes checked.

use super::{Alive, ChannelLeave, Leadership, Leave, Signed, StateInfo};
use crate::evidence::Equivocation;
use crate::ledger::CertifiedHeader;
use crate::types::{BlockNumber, ChannelId, Endpoint, Incarnation, Lane, Mark, MemberId, Tick};
use bytes::Bytes;
use ledgercast_crypto::certificate::Certificate;
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::{RevocationList, RevocationNumber};

/// The version of this wire format; sessions of another one end after `Hello`.
pub const WIRE_VERSION: u32 = 2;

/// One frame's content.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// First on every session.
    Hello(Hello),
    /// Channels that the sender has joined and the receiver may know; replaces the list before.
    Channels(Vec<ChannelId>),
    /// Certificates: asked for, or renewed.
    Certificates(Vec<CertificateChain>),
    /// Asks for certificates.
    WantCertificates(Vec<MemberId>),
    /// Alive statements.
    Alives(Vec<AliveRecord>),
    /// The newest alive that the sender has, per member.
    AliveDigest(Vec<Mark>),
    /// Asks for what is newer than these; sequence and incarnation 0: for anything.
    WantAlives(Vec<Mark>),
    /// Ticks of whichever members: links of the chains that their alives name.
    Ticks(Vec<Tick>),
    /// Asks for the alives to whose chains these ticks belong.
    WantAnchors(Vec<Tick>),
    /// Summarises whom the sender sees, as far as the receiver may know; who sees others sends its digest.
    ViewDigest(Summary),
    /// Asks whether the receiver has anything newer of a member.
    Question {
        /// What the asker has.
        subject: Mark,
        /// Whether this was passed on to its subject; it is not passed on again.
        passed_on: bool,
    },
    /// A member says good-bye.
    Leave(Signed<Leave>),
    /// The newest revocation lists that the sender has and the receiver may know of.
    RevocationDigest(Vec<RevocationMark>),
    /// Asks for the revocation lists of these CAs.
    WantRevocations(Vec<Digest>),
    /// Revocation lists.
    Revocations(Vec<RevocationList>),
    /// Proof that a member's identity is in use twice.
    Conflict(Box<Conflict>),
    /// A message of a channel.
    Channel(ChannelId, ChannelMessage),
}

/// A message of one channel.
#[derive(Clone, Debug, PartialEq)]
pub enum ChannelMessage {
    /// Summarises the state infos that the sender has; who has others sends its digest.
    StateSummary(Summary),
    /// The newest state info that the sender has, per member.
    StateDigest(Vec<Mark>),
    /// State infos.
    States(Vec<Signed<StateInfo>>),
    /// Asks for state infos.
    WantStates(Vec<MemberId>),
    /// A claim to lead, inside an org.
    Leadership(Signed<Leadership>),
    /// The sender has proven this header.
    Announce(Tip),
    /// The sender has committed this block.
    Complete(Tip),
    /// Asks for headers.
    WantHeaders(WantHeaders),
    /// Answers [`ChannelMessage::WantHeaders`]: contiguous from `first`.
    Headers {
        /// Number of the first header.
        first: BlockNumber,
        /// The headers.
        headers: Vec<CertifiedHeader>,
    },
    /// Opens the transfer of a body along the tree.
    Push(Push),
    /// A piece of a body.
    BodyFrame {
        /// Which body.
        header_hash: Digest,
        /// Which piece.
        index: u32,
        /// Its bytes.
        payload: Bytes,
    },
    /// Asks for pieces of a body.
    WantBody(WantBody),
    /// The sender does not have this body.
    Lacking(Tip),
    /// A member leaves the channel.
    Leave(Signed<ChannelLeave>),
    /// The sender knows no such channel, as far as the receiver is concerned.
    Unknown,
    /// Orderers signed two headers of one number.
    Evidence(Box<Equivocation>),
}

/// Who the sender is.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    /// Version of the sender's wire format.
    pub version: u32,
    /// From the dialer: the life of its process; zero from the listener.
    pub incarnation: Incarnation,
    /// From the dialer: which dial of that life this is, so that of two the later one is kept.
    pub dial: u64,
    /// The sender's certificate.
    pub certificate: CertificateChain,
}

/// A member's certificate with the intermediates up to the root's child.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateChain {
    /// The member's own.
    pub certificate: Certificate,
    /// Intermediates, if any.
    pub intermediates: Vec<Certificate>,
}

/// Which revocation list is meant: a CA's newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationMark {
    /// SHA-256 of the CA's public key.
    pub authority: Digest,
    /// The list's number.
    pub number: RevocationNumber,
}

/// An alive with what travels beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct AliveRecord {
    /// The statement.
    pub alive: Signed<Alive>,
    /// Inside the member's org only.
    pub internal: Option<InternalEndpoint>,
    /// The newest tick that the sender has of it.
    pub tick: Option<Tick>,
}

/// A short digest over what both sides may know: equal where nothing differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary(pub [u8; 16]);

impl Summary {
    /// Summarises marks; their order counts.
    pub fn of(marks: impl IntoIterator<Item = Mark>) -> Self {
        const PARTS: usize = 3;
        let marks = marks.into_iter();
        let mut bytes = Vec::with_capacity(marks.size_hint().0.saturating_mul(PARTS * 16));
        for mark in marks {
            bytes.extend_from_slice(mark.member.as_bytes());
            bytes.extend_from_slice(&mark.incarnation.as_millis().to_be_bytes());
            bytes.extend_from_slice(&mark.sequence.as_u64().to_be_bytes());
        }
        let mut short = [0; 16];
        short.copy_from_slice(&Digest::of(&bytes).as_bytes()[..16]);
        Self(short)
    }
}

/// Two alives of one member that one process cannot have made.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// One of them.
    pub first: AliveRecord,
    /// The other.
    pub second: AliveRecord,
}

/// A member's endpoint inside its org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalEndpoint {
    /// Random, so that the alive's hash tells nothing outside the org.
    pub salt: [u8; 16],
    /// Where it listens.
    pub endpoint: Endpoint,
}

/// A block by number and header hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tip {
    /// Its number.
    pub number: BlockNumber,
    /// Its header's hash.
    pub header_hash: Digest,
}

/// A question for headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantHeaders {
    /// The first one.
    pub first: BlockNumber,
    /// How many, at least one.
    pub count: u32,
}

/// A body's way down the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// The block's header.
    pub header: CertifiedHeader,
    /// Digest of the relay set that the leader used.
    pub relay_set: Digest,
    /// Whom the receiver is to serve.
    pub children: Vec<MemberId>,
}

/// A question for a run of body frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantBody {
    /// The block.
    pub tip: Tip,
    /// The first frame.
    pub first_frame: u32,
    /// How many, at least one.
    pub frame_count: u32,
}

impl CertificateChain {
    /// About as many bytes as it takes in a frame.
    pub fn encoded_bytes(&self) -> usize {
        const FIELD_BYTES: usize = 8;
        let all = std::iter::once(&self.certificate).chain(&self.intermediates);
        all.map(|certificate| certificate.der().len() + FIELD_BYTES).sum()
    }
}

impl InternalEndpoint {
    /// What the member's alive commits to.
    pub fn hash(&self) -> Digest {
        Digest::of_parts(&[&self.salt, self.endpoint.as_str().as_bytes()])
    }
}

impl Message {
    /// The lane that this message travels on.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Channel(_, ChannelMessage::Push(_)) => Lane::Data,
            Self::Channel(_, ChannelMessage::BodyFrame { .. } | ChannelMessage::Headers { .. }) => Lane::Pull,
            Self::Revocations(_) => Lane::Pull,
            _ => Lane::Control,
        }
    }

    /// Whether this may come on that lane: bodies are pushed on one and answered on another. Frames of each
    /// lane have a limit of their own.
    pub fn travels_on(&self, lane: Lane) -> bool {
        let is_body = matches!(self, Self::Channel(_, ChannelMessage::BodyFrame { .. }));
        lane == self.lane() || is_body && lane == Lane::Data
    }

    /// The channel whose data this carries; a refusal carries none.
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Channel(_, ChannelMessage::Unknown) => None,
            Self::Channel(channel, _) => Some(*channel),
            _ => None,
        }
    }

    /// The kind's name, for counters and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Channels(_) => "channels",
            Self::Certificates(_) => "certificates",
            Self::WantCertificates(_) => "want_certificates",
            Self::Alives(_) => "alives",
            Self::AliveDigest(_) => "alive_digest",
            Self::WantAlives(_) => "want_alives",
            Self::Ticks(_) => "ticks",
            Self::WantAnchors(_) => "want_anchors",
            Self::ViewDigest(_) => "view_digest",
            Self::Question { .. } => "question",
            Self::Leave(_) => "leave",
            Self::RevocationDigest(_) => "revocation_digest",
            Self::WantRevocations(_) => "want_revocations",
            Self::Revocations(_) => "revocations",
            Self::Conflict(_) => "conflict",
            Self::Channel(_, message) => message.kind(),
        }
    }

    /// The members whose certificates the receiver needs to judge this message; it asks for what it lacks.
    pub fn mentioned_members(&self) -> Vec<MemberId> {
        match self {
            Self::Alives(records) => records.iter().map(|record| record.alive.statement().member).collect(),
            Self::Leave(leave) => vec![leave.statement().member],
            Self::Conflict(conflict) => vec![conflict.first.alive.statement().member],
            Self::Channel(_, ChannelMessage::States(states)) => {
                states.iter().map(|state| state.statement().member).collect()
            }
            Self::Channel(_, ChannelMessage::Leadership(claim)) => vec![claim.statement().member],
            Self::Channel(_, ChannelMessage::Leave(leave)) => vec![leave.statement().member],
            _ => Vec::new(),
        }
    }
}

impl ChannelMessage {
    /// The kind's name, for counters and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::StateSummary(_) => "state_summary",
            Self::StateDigest(_) => "state_digest",
            Self::States(_) => "states",
            Self::WantStates(_) => "want_states",
            Self::Leadership(_) => "leadership",
            Self::Announce(_) => "announce",
            Self::Complete(_) => "complete",
            Self::WantHeaders(_) => "want_headers",
            Self::Headers { .. } => "headers",
            Self::Push(_) => "push",
            Self::BodyFrame { .. } => "body_frame",
            Self::WantBody(_) => "want_body",
            Self::Lacking(_) => "lacking",
            Self::Leave(_) => "channel_leave",
            Self::Unknown => "unknown",
            Self::Evidence(_) => "evidence",
        }
    }

    /// Whether this is a question, to which an unknown channel is answered with [`ChannelMessage::Unknown`].
    pub fn is_question(&self) -> bool {
        matches!(
            self,
            Self::StateSummary(_)
                | Self::StateDigest(_)
                | Self::WantStates(_)
                | Self::WantHeaders(_)
                | Self::WantBody(_)
        )
    }
}
