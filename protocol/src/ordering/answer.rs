//! What a submitter is told.

use crate::channel::UpdateError;
use crate::ledger::{EnvelopeError, EnvelopeId};
use crate::store::EnvelopePosition;
use thiserror::Error;

/// The one answer to one submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitAnswer {
    /// The envelope stands in a block that is certified and durable. The same envelope always gets the same
    /// answer.
    Accepted {
        /// The envelope.
        envelope: EnvelopeId,
        /// Where it stands.
        position: EnvelopePosition,
    },
    /// The envelope is not ordered by this submission.
    Refused(SubmitRefusal),
    /// Too much is waiting; nothing was kept, the same envelope may be submitted again later.
    Overloaded,
}

/// Why an envelope is not ordered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SubmitRefusal {
    /// The channel is not held here, or the creator may not write to it: one answer, so that nobody learns
    /// which channels exist.
    #[error("unknown channel, or not permitted")]
    NotPermitted {
        /// Which of both and why, for our own log only.
        cause: String,
    },
    /// The bytes are no envelope, or a field has no right value.
    #[error(transparent)]
    Malformed(EnvelopeError),
    /// The certificate shown is not the one that the envelope names.
    #[error("envelope names a creator other than the one whose certificate is shown")]
    OtherCreator,
    /// The creator's certificate does not fit into a body.
    #[error("creator's certificate has {bytes} bytes, the limit is {limit}")]
    CertificateTooLong {
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// A config update that peers would refuse too.
    #[error(transparent)]
    ConfigUpdate(UpdateError),
    /// A config update under which this orderer could not go on.
    #[error("config update asks for a quorum of {quorum} orderers: this release orders alone")]
    Quorum {
        /// How many orderers would have to sign.
        quorum: usize,
    },
    /// Another config update is on its way into the chain.
    #[error("another config update is being ordered: make yours anew on top of it")]
    UpdatePending,
    /// The envelope is longer than the channel's config allows.
    #[error("envelope has {bytes} bytes, the channel's limit is {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The config's limit.
        limit: usize,
    },
    /// The signature is not the creator's.
    #[error(transparent)]
    Signature(EnvelopeError),
    /// Another envelope of this creator has this nonce.
    #[error("another envelope of this creator has the same nonce")]
    NonceUsed,
    /// The channel orders nothing now. Whether the envelope was ordered before is not known: submitting it
    /// again, later, tells.
    #[error("the channel orders nothing now; submit again later")]
    Unavailable {
        /// Why, for our own log only.
        cause: String,
    },
}

impl SubmitAnswer {
    /// The answer's kind in snake case, for counters and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Refused(refusal) => refusal.kind(),
            Self::Overloaded => "overloaded",
        }
    }
}

impl SubmitRefusal {
    /// The reason's name in snake case, for counters and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotPermitted { .. } => "not_permitted",
            Self::Malformed(_) => "malformed",
            Self::OtherCreator => "other_creator",
            Self::CertificateTooLong { .. } => "certificate_too_long",
            Self::ConfigUpdate(_) | Self::Quorum { .. } | Self::UpdatePending => "config_update",
            Self::TooLarge { .. } => "too_large",
            Self::Signature(_) => "signature",
            Self::NonceUsed => "nonce_used",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    /// What submitters are not told: the cause, where it speaks of channels or of our disk.
    pub fn hidden_cause(&self) -> Option<&str> {
        match self {
            Self::NotPermitted { cause } | Self::Unavailable { cause } => Some(cause),
            _ => None,
        }
    }
}
