//! Everything that a peer can want done, and the box in which a step collects it.

use crate::channel::OrdererEndpoint;
use crate::event::Event;
use crate::job::Job;
use crate::ledger::VerifiedBlock;
use crate::offence::Offence;
use crate::store::MetaKey;
use crate::time::Monotonic;
use crate::timer::Timer;
use crate::types::{BlockNumber, ChannelId, Endpoint, FeedId, Lane, MemberId, SessionId};
use crate::wire::{ChannelMessage, Message};
use bytes::Bytes;
use ledgercast_crypto::keys::PublicKey;
use std::sync::Arc;

/// One output of [`crate::peer::Peer::handle`]. Whoever drives the peer carries them out in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a frame. A full lane may refuse it: repair and digests make up for it.
    Send {
        /// On which session.
        session: SessionId,
        /// On which lane.
        lane: Lane,
        /// The channel whose data it carries, for accounts; none: membership and sessions.
        channel: Option<ChannelId>,
        /// Its bytes.
        frame: Bytes,
    },
    /// Try to connect; answered by `Opened` or `DialFailed`.
    Dial {
        /// Where.
        endpoint: Endpoint,
        /// Whose key must answer there, if known.
        expect: Option<PublicKey>,
    },
    /// End a session; answered by `Closed`.
    Close {
        /// The session.
        session: SessionId,
        /// Why, for the log.
        reason: CloseReason,
    },
    /// Call back at this time; replaces an earlier time of an equal timer.
    SetTimer {
        /// The timer.
        timer: Timer,
        /// When.
        at: Monotonic,
    },
    /// Check this on the pool; answered by `Judged`, also when the pool is full.
    Verify(Job),
    /// Append to the store, durably; answered by `Committed` or `CommitFailed`. Commits of a channel come in
    /// order.
    Commit(VerifiedBlock),
    /// Read a block; answered by `BlockRead`.
    ReadBlock {
        /// The channel.
        channel: ChannelId,
        /// The block.
        number: BlockNumber,
    },
    /// Read headers; answered by `HeadersRead`.
    ReadHeaders {
        /// The channel.
        channel: ChannelId,
        /// Who asks.
        asker: MemberId,
        /// The first one.
        first: BlockNumber,
        /// At most this many.
        count: u32,
    },
    /// Keep a small value.
    Save {
        /// Its key.
        key: MetaKey,
        /// The value.
        value: Bytes,
    },
    /// Open a stream from an orderer, once; answered by `FeedOpened` and, whenever it ends or if it is never
    /// opened, by `FeedEnded`.
    OpenFeed {
        /// The channel.
        channel: ChannelId,
        /// The stream's number, given back with everything that it brings.
        feed: FeedId,
        /// From whom.
        source: Arc<OrdererEndpoint>,
        /// The first block wanted and the last that there is room for, brought by `Fed`; `None`: headers from
        /// the newest one on, brought by `FedHeader`.
        blocks: Option<(BlockNumber, BlockNumber)>,
    },
    /// There is room for more blocks of a stream.
    ExtendFeed {
        /// The channel.
        channel: ChannelId,
        /// The stream.
        feed: FeedId,
        /// The last block that there is room for.
        through: BlockNumber,
    },
    /// Close a stream; not answered.
    CloseFeed {
        /// The channel.
        channel: ChannelId,
        /// The stream.
        feed: FeedId,
    },
    /// Something that operators, metrics and logs are told.
    Event(Event),
}

/// Why we end a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// It showed no certificate in time.
    HelloTimeout,
    /// Its certificate was refused; the text names the check.
    CertificateRefused(String),
    /// My verifiers were too busy to judge its certificate.
    Overloaded,
    /// It speaks another version of the wire format.
    VersionUnknown(u32),
    /// Its org has all the sessions, or certificates, that one org may have here.
    OrgQuota,
    /// It said too much for too long.
    Flooding,
    /// Another session with the same member is kept.
    Duplicate,
    /// It is a connection to ourselves.
    OwnKey,
    /// It was dialed only to see whether somebody listens there.
    Checked,
    /// Its member was evicted for silence.
    Evicted,
    /// Its member left.
    Left,
    /// What it sent is an offence.
    Offence(String),
    /// Its member is in quarantine for what it did.
    Quarantined,
    /// We share nothing with this member.
    NothingShared,
    /// We stop.
    Shutdown,
}

/// What one step of a state machine wants done. Members are addressed by identity; `peer` finds their
/// sessions.
#[derive(Debug, Default)]
pub struct Outbox {
    actions: Vec<Action>,
}

/// One entry of an [`Outbox`].
#[derive(Debug)]
pub enum Action {
    /// Send to a member, if a session with it is open.
    Send {
        /// To whom.
        to: MemberId,
        /// On which lane.
        lane: Lane,
        /// What.
        message: Message,
    },
    /// A peer did what no honest peer does.
    Offence {
        /// Who.
        member: MemberId,
        /// What.
        offence: Offence,
    },
    /// Passed on as it is.
    Output(Output),
}

impl Outbox {
    /// Sends on the lane that is usual for this message.
    pub fn send(&mut self, to: MemberId, message: Message) {
        self.send_on(to, message.lane(), message);
    }

    /// Sends a channel's message on its usual lane.
    pub fn send_channel(&mut self, to: MemberId, channel: ChannelId, message: ChannelMessage) {
        self.send(to, Message::Channel(channel, message));
    }

    /// Sends on a lane of choice.
    pub fn send_on(&mut self, to: MemberId, lane: Lane, message: Message) {
        self.actions.push(Action::Send { to, lane, message });
    }

    /// Sets or moves a timer.
    pub fn set_timer(&mut self, timer: Timer, at: Monotonic) {
        self.push(Output::SetTimer { timer, at });
    }

    /// Asks for a verification.
    pub fn verify(&mut self, job: Job) {
        self.push(Output::Verify(job));
    }

    /// Tells operators, metrics and logs.
    pub fn event(&mut self, event: Event) {
        self.push(Output::Event(event));
    }

    /// Reports an offence of a member.
    pub fn offence(&mut self, member: MemberId, offence: Offence) {
        self.actions.push(Action::Offence { member, offence });
    }

    /// Adds any other output.
    pub fn push(&mut self, output: Output) {
        self.actions.push(Action::Output(output));
    }

    /// Takes out all entries, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Action> {
        self.actions.drain(..)
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }
}
