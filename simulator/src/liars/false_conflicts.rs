//! Shows two genuine alives of one member, one after the other, as if two processes had made them (A3, A5).

use super::{Crime, Lie};
use crate::traffic::SentFrame;
use ledgercast_protocol::types::MemberId;
use ledgercast_protocol::wire::{AliveRecord, Conflict, Message};
use std::collections::BTreeMap;

/// The last alive of each member that was passed on.
#[derive(Clone, Debug, Default)]
pub struct FalseConflicts {
    last: BTreeMap<MemberId, AliveRecord>,
}

impl Crime for FalseConflicts {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        let mut lies = Lie::truth(sent);
        if sent.peek.kind != "alives" {
            return lies;
        }
        let Ok(Message::Alives(records)) = Message::decode(sent.frame.clone()) else {
            return lies;
        };
        for second in records {
            let before = self.last.insert(second.alive.member(), second.clone());
            if let Some(first) = before.filter(|first| first.alive != second.alive) {
                let conflict = Message::Conflict(Box::new(Conflict { first, second }));
                lies.push(Lie::frame(conflict.encode()));
            }
        }
        lies
    }
}
