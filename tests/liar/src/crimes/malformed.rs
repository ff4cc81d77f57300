//! Sends frames that do not decode, another one on another lane in each new session.

use super::{Crime, Scene, Sending};
use bytes::Bytes;
use ledgercast_protocol::types::{Lane, SessionId};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Nothing, an endless number, a wrong length, an unknown shape, a long run of fields, zeros.
const GARBAGE: [&[u8]; 6] = [
    b"",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    &[0x52, 2, 0x0a, 0],
    &[0x0a, 0xff, 0xff, 3],
    &[8; 300],
    &[0; 9],
];

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
            let lane = [Lane::Control, Lane::Data, Lane::Pull][self.sent / GARBAGE.len() % 3];
            let frame = Bytes::from_static(GARBAGE[self.sent % GARBAGE.len()]);
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
