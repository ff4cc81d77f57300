//! Another member as a channel sees it: somebody to ask, to push to, or to hear from.

use super::{BlockNumber, Height, MemberId, OrgId};

/// A live member of a channel with an open session on which both sides named the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Who.
    pub member: MemberId,
    /// Of which org.
    pub org: OrgId,
    /// The height that it claims; taken on trust only to choose whom to ask.
    pub claimed_height: Height,
    /// The oldest block that it claims to serve.
    pub first_block: BlockNumber,
    /// Its offences that are not forgiven; who has fewer is asked first.
    pub offences: u32,
}
