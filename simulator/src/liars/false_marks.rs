//! Says in its digests that it has alives of the others which nobody has made (A4, A5): who believes that
//! asks for them, and hears of nothing.

use super::{Crime, Lie};
use crate::traffic::SentFrame;
use ledgercast_protocol::types::{Incarnation, MemberId, Sequence};
use ledgercast_protocol::wire::Message;

/// Whose digests; its own marks stay true.
#[derive(Clone, Copy, Debug)]
pub struct FalseMarks {
    /// The liar.
    pub member: MemberId,
    /// How many milliseconds later the lives begin that it claims to know of.
    pub later_by: u64,
}

impl Crime for FalseMarks {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        if sent.peek.kind != "alive_digest" {
            return Lie::truth(sent);
        }
        let Ok(Message::AliveDigest(mut marks)) = Message::decode(sent.frame.clone()) else {
            return Lie::truth(sent);
        };
        for mark in marks.iter_mut().filter(|mark| mark.member != self.member) {
            let later = mark.incarnation.as_millis().saturating_add(self.later_by);
            mark.incarnation = Incarnation::from_millis(later);
            mark.sequence = Sequence::new(u64::MAX);
        }
        vec![Lie::frame(Message::AliveDigest(marks).encode())]
    }
}
