//! The answers that several services give alike. No text here names a channel that the caller did not name.

use crate::thinning::thinned;
use ledgercast_protocol::store::StoreError;
use ledgercast_protocol::types::BlockNumber;
use tonic::Status;

/// The one sentence for a channel that is not known here and for one that the caller may not use.
pub(super) const UNKNOWN_CHANNEL: &str = "unknown channel, or not permitted";

pub(super) fn unknown_channel() -> Status {
    Status::not_found(UNKNOWN_CHANNEL)
}

pub(super) fn stopping() -> Status {
    Status::unavailable("this node is stopping: ask another one")
}

pub(super) fn too_many(what: &'static str) -> Status {
    Status::resource_exhausted(format!("too many {what} are open: try again later"))
}

/// A block that should be there cannot be read; the cause on our disk is for our own log.
pub(super) fn unreadable(number: BlockNumber, error: &StoreError) -> Status {
    match error {
        StoreError::UnknownChannel(_) => unknown_channel(),
        StoreError::Damaged { channel, .. } => {
            thinned!(error, "a stored block is damaged", %channel, block = %number, %error);
            damaged(number)
        }
        other => {
            thinned!(error, "a stored block cannot be read", block = %number, error = %other);
            Status::unavailable(format!("block {number} cannot be read now"))
        }
    }
}

pub(super) fn damaged(number: BlockNumber) -> Status {
    Status::data_loss(format!("block {number} is damaged on this node's disk: ask another one"))
}
