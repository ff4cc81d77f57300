//! Says twice a second that others are alive still: what they last said, a number further, with its own
//! signature.

use super::{Crime, Scene, Sending};
use bytes::Bytes;
use ledgercast_protocol::types::{MemberId, Sequence, SessionId};
use ledgercast_protocol::wire::{Alive, AliveRecord, Message, Signed};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Of the calls of [`Crime::act`], one in so many is used.
const PAUSE: u64 = 10;

/// Far enough from the genuine one, which goes on meanwhile.
const AHEAD: u64 = 1000;

#[derive(Debug, Default)]
pub(super) struct ForgedAlives {
    calls: u64,
    sent: u64,
    genuine: BTreeMap<MemberId, AliveRecord>,
}

impl Crime for ForgedAlives {
    fn act(&mut self, scene: &Scene) -> Vec<Sending> {
        self.calls += 1;
        if !self.calls.is_multiple_of(PAUSE) {
            return Vec::new();
        }
        let mut sendings = Vec::new();
        for (session, listener) in &scene.sessions {
            let Some(listener) = listener else { continue };
            for (victim, record) in self.genuine.iter().filter(|(victim, _)| *victim != listener) {
                let genuine = record.alive.statement();
                let alive = Alive {
                    member: *victim,
                    sequence: Sequence::new(genuine.sequence.as_u64() + AHEAD),
                    wall_time: scene.wall,
                    ..genuine.clone()
                };
                let alive = Signed::sign(alive, &scene.network, &scene.key);
                let message = Message::Alives(vec![AliveRecord { alive, internal: None, tick: None }]);
                sendings.push(Sending::message(*session, &message));
                self.sent += 1;
            }
        }
        sendings
    }

    fn heard(&mut self, _: SessionId, frame: &Bytes) {
        if let Ok(Message::Alives(records)) = Message::decode(frame.clone()) {
            self.genuine.extend(records.into_iter().map(|record| (record.alive.member(), record)));
        }
    }

    fn report(&self) -> Value {
        json!({ "sent": self.sent, "in_the_names_of": self.genuine.len() })
    }
}
