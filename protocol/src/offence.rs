//! What is wrong to every observer, whoever looks. Everything else is refused and counted, never punished.

use crate::evidence::EquivocationError;
use crate::ledger::BlockError;
use crate::types::{BlockNumber, ChannelId};
use thiserror::Error;

/// What a peer did that no honest peer does.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Offence {
    /// A frame that does not decode.
    #[error("sent a malformed frame: {0}")]
    Malformed(String),
    /// A signed statement whose signature is wrong.
    #[error("sent a {0} whose signature is wrong")]
    BadSignature(&'static str),
    /// A header that no quorum of its own config certified.
    #[error("sent a false header: {0}")]
    FalseHeader(BlockError),
    /// A body that is not the one its certified header names.
    #[error("sent a false body: {0}")]
    FalseBody(BlockError),
    /// An answer that is not what was asked, or that nobody asked.
    #[error("sent headers from {first} of {channel:?} that do not answer the question")]
    UnaskedHeaders {
        /// The channel.
        channel: ChannelId,
        /// The first header's number.
        first: BlockNumber,
    },
    /// Evidence that proves nothing.
    #[error("sent false evidence: {0}")]
    FalseEvidence(EquivocationError),
    /// A message where the session's state allows none of its kind.
    #[error("sent {0} out of turn")]
    OutOfTurn(&'static str),
    /// A message on a lane that messages of its kind do not travel on.
    #[error("sent {0} on a lane of other messages")]
    WrongLane(&'static str),
}

impl Offence {
    /// A short name, for counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::BadSignature(_) => "bad_signature",
            Self::FalseHeader(_) => "false_header",
            Self::FalseBody(_) => "false_body",
            Self::UnaskedHeaders { .. } => "unasked_headers",
            Self::FalseEvidence(_) => "false_evidence",
            Self::OutOfTurn(_) => "out_of_turn",
            Self::WrongLane(_) => "wrong_lane",
        }
    }
}
