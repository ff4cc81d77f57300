//! Everything that can happen to a peer.

use crate::channel::Genesis;
use crate::job::Verdict;
use crate::ledger::{Block, CertifiedHeader};
use crate::store::StoreError;
use crate::timer::Timer;
use crate::types::{BlockNumber, ChannelId, ChannelName, Endpoint, FeedId, Lane, MemberId, SessionId};
use crate::wire::CertificateChain;
use bytes::Bytes;
use ledgercast_crypto::keys::PublicKey;
use ledgercast_crypto::{Identity, RevocationList};

/// One input of [`crate::peer::Peer::handle`].
#[derive(Clone, Debug)]
pub enum Input {
    /// The process is ready; comes once, first.
    Start,
    /// A connection was authenticated: the other side holds the private half of `key`.
    Opened {
        /// The new session.
        session: SessionId,
        /// The other side's host key.
        key: PublicKey,
        /// Whether we dialed; the endpoint that we dialed then.
        dialed: Option<Endpoint>,
    },
    /// A session ended, whoever ended it.
    Closed {
        /// The session.
        session: SessionId,
    },
    /// A dial did not lead to a session.
    DialFailed {
        /// What was dialed.
        endpoint: Endpoint,
        /// Whether the operating system refused (nobody listens there), as opposed to a time-out or a limit.
        is_refused: bool,
    },
    /// A frame arrived.
    Received {
        /// From which session.
        session: SessionId,
        /// On which lane.
        lane: Lane,
        /// Its bytes.
        frame: Bytes,
    },
    /// A timer that was set is due.
    TimerDue(Timer),
    /// A verification is done.
    Judged(Verdict),
    /// Blocks of a channel are durable up to this number.
    Committed {
        /// The channel.
        channel: ChannelId,
        /// The newest durable block.
        through: BlockNumber,
    },
    /// A commit failed; nothing of it is in the store.
    CommitFailed {
        /// The channel.
        channel: ChannelId,
        /// The first block that is not durable.
        number: BlockNumber,
        /// Why.
        error: StoreError,
    },
    /// A block that was asked for was read.
    BlockRead {
        /// The channel.
        channel: ChannelId,
        /// The block's number.
        number: BlockNumber,
        /// The block; `None` when the store does not have it or could not read it.
        block: Option<Block>,
    },
    /// Headers that were asked for were read: contiguous from `first`, possibly fewer than asked.
    HeadersRead {
        /// The channel.
        channel: ChannelId,
        /// Who asked, as given in [`crate::Output::ReadHeaders`].
        asker: MemberId,
        /// Number of the first one.
        first: BlockNumber,
        /// The headers.
        headers: Vec<CertifiedHeader>,
    },
    /// A stream from an orderer brought a block.
    Fed {
        /// The channel.
        channel: ChannelId,
        /// The stream.
        feed: FeedId,
        /// The block, unchecked.
        block: Block,
    },
    /// A stream from an orderer brought a header.
    FedHeader {
        /// The channel.
        channel: ChannelId,
        /// The stream.
        feed: FeedId,
        /// The header, unchecked.
        header: CertifiedHeader,
    },
    /// A stream from an orderer stands.
    FeedOpened {
        /// The channel.
        channel: ChannelId,
        /// The stream.
        feed: FeedId,
    },
    /// A stream from an orderer ended without having been closed, or was never opened.
    FeedEnded {
        /// The channel.
        channel: ChannelId,
        /// The stream.
        feed: FeedId,
        /// Why, for people.
        cause: String,
    },
    /// The operator or the process wants something.
    Command(Command),
}

/// What an operator or the process asks of a peer.
#[derive(Clone, Debug)]
pub enum Command {
    /// Take part in a channel; its genesis block is in the store already.
    Join {
        /// The alias.
        name: ChannelName,
        /// Block 0.
        genesis: Genesis,
        /// Join although block 0 does not name my org: a later config does, or will.
        is_newcomer: bool,
    },
    /// Leave a channel, announced to its members.
    Leave {
        /// The channel.
        channel: ChannelId,
    },
    /// Let a channel go on that stands still for a fork, on the branch that is here.
    LiftHalt {
        /// The channel.
        channel: ChannelId,
    },
    /// My certificate was renewed: the same key, judged by my own roots already.
    Renew {
        /// What it says now.
        identity: Identity,
        /// The certificate, as I show it from now on.
        chain: CertificateChain,
    },
    /// A revocation list lies in my own folder.
    Revoke(RevocationList),
    /// Say good-bye to everybody; the process closes its sessions afterwards.
    Shutdown,
}
