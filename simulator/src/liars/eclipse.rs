//! Lets nothing of membership through but what is about liars (A6).

use super::{Crime, Lie};
use crate::traffic::SentFrame;
use ledgercast_protocol::types::MemberId;
use ledgercast_protocol::wire::Message;
use std::collections::BTreeSet;

/// The members that are shown.
#[derive(Clone, Debug)]
pub struct Eclipse {
    /// The liars.
    pub shown: BTreeSet<MemberId>,
}

impl Crime for Eclipse {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        let Ok(message) = Message::decode(sent.frame.clone()) else {
            return Vec::new();
        };
        let altered = match message {
            Message::Alives(mut records) => {
                records.retain(|record| self.shown.contains(&record.alive.member()));
                Message::Alives(records)
            }
            Message::AliveDigest(mut marks) => {
                marks.retain(|mark| self.shown.contains(&mark.member));
                Message::AliveDigest(marks)
            }
            Message::Question { subject, .. } if !self.shown.contains(&subject.member) => return Vec::new(),
            other => other,
        };
        vec![Lie::frame(altered.encode())]
    }
}
