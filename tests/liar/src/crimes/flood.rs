//! Asks everybody for its own alive many thousand times a second.

use super::{Crime, Scene, Sending};
use ledgercast_protocol::types::{Incarnation, Mark, Sequence};
use ledgercast_protocol::wire::Message;
use serde_json::{Value, json};

/// Questions in each session and call: twenty times as many a second.
const QUESTIONS: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Flood {
    sent: u64,
    sessions_lost: u64,
}

impl Crime for Flood {
    fn act(&mut self, scene: &Scene) -> Vec<Sending> {
        let known = scene.sessions.iter().filter(|(_, member)| member.is_some());
        let (incarnation, sequence) = (Incarnation::default(), Sequence::default());
        let question = Message::WantAlives(vec![Mark { member: scene.member, incarnation, sequence }]);
        let sendings: Vec<Sending> = known
            .flat_map(|(session, _)| (0..QUESTIONS).map(|_| Sending::message(*session, &question)))
            .collect();
        self.sent += sendings.len() as u64;
        sendings
    }

    fn lost(&mut self, _: ledgercast_protocol::types::SessionId) {
        self.sessions_lost += 1;
    }

    fn report(&self) -> Value {
        json!({ "sent": self.sent, "sessions_lost": self.sessions_lost })
    }
}
