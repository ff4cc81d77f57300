//! Sends frames that do not decode, another one on another lane in each new session.

use super::{Crime, Scene, Sending};
use bytes::Bytes;
use ledgercast_protocol::types::{Lane, SessionId};
use ledgercast_tests::malformed::FRAMES;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Malformed {
    sent: usize,
    spoilt: BTreeSet<SessionId>,
    lost: usize,
}

impl Crime for Malformed {
    fn act(&mut self, scene: &Scene) -> Vec<Sending> {
        let mut sendings = Vec::new();
        for (session, member) in &scene.sessions {
            // Once each, and only after the certificates: before, they would be half a handshake.
            if member.is_none() || !self.spoilt.insert(*session) {
                continue;
            }
            let lane = [Lane::Control, Lane::Data, Lane::Pull][self.sent / FRAMES.len() % 3];
            let frame = Bytes::from_static(FRAMES[self.sent % FRAMES.len()]);
            sendings.push(Sending { session: *session, lane, frame });
            self.sent += 1;
        }
        sendings
    }

    fn lost(&mut self, session: SessionId) {
        self.lost += usize::from(self.spoilt.remove(&session));
    }

    fn report(&self) -> Value {
        json!({ "sent": self.sent, "sessions_lost": self.lost })
    }
}
