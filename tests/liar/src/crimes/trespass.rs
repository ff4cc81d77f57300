//! Asks for and announces things of a channel that it is no member of, and of one that does not exist.

use super::{Crime, Scene, Sending};
use bytes::Bytes;
use ledgercast_crypto::Digest;
use ledgercast_protocol::types::{BlockNumber, ChannelId, MemberId, SessionId};
use ledgercast_protocol::wire::{ChannelMessage, Message, Tip, WantBody, WantHeaders};
use serde_json::{Value, json};

/// Of the calls of [`Crime::act`], one in so many is used.
const PAUSE: u64 = 10;

/// What came back about one of the two channels.
#[derive(Debug, Default)]
struct Heard {
    /// "I know no such channel".
    unknown: u64,
    /// Anything else, which must not be.
    other: Vec<&'static str>,
    /// Bytes of all of it.
    bytes: u64,
}

#[derive(Debug)]
pub(super) struct Trespass {
    foreign: ChannelId,
    missing: ChannelId,
    calls: u64,
    asked: u64,
    of_foreign: Heard,
    of_missing: Heard,
}

impl Trespass {
    pub(super) fn new(foreign: ChannelId) -> Self {
        let missing = ChannelId::from_bytes(*Digest::of(foreign.as_bytes()).as_bytes());
        let (of_foreign, of_missing) = (Heard::default(), Heard::default());
        Self { foreign, missing, calls: 0, asked: 0, of_foreign, of_missing }
    }
}

/// Every kind of question, and what only members may say.
fn messages(member: MemberId) -> Vec<ChannelMessage> {
    let tip = Tip { number: BlockNumber::new(1), header_hash: Digest::of(b"a block") };
    vec![
        ChannelMessage::StateDigest(Vec::new()),
        ChannelMessage::WantStates(vec![member]),
        ChannelMessage::WantHeaders(WantHeaders { first: BlockNumber::new(0), count: 4 }),
        ChannelMessage::WantBody(WantBody { tip, first_frame: 0, frame_count: 1 }),
        ChannelMessage::Announce(tip),
        ChannelMessage::Complete(tip),
    ]
}

impl Crime for Trespass {
    fn act(&mut self, scene: &Scene) -> Vec<Sending> {
        self.calls += 1;
        if !self.calls.is_multiple_of(PAUSE) {
            return Vec::new();
        }
        // Each of the two comes first every other time.
        let is_foreign_first = (self.calls / PAUSE).is_multiple_of(2);
        let channels =
            if is_foreign_first { [self.foreign, self.missing] } else { [self.missing, self.foreign] };
        let known = scene.sessions.iter().filter(|(_, member)| member.is_some());
        let sendings: Vec<Sending> = known
            .flat_map(|(session, _)| {
                channels.into_iter().flat_map(move |channel| {
                    let of_channel = move |message| Message::Channel(channel, message);
                    messages(scene.member)
                        .into_iter()
                        .map(move |message| Sending::message(*session, &of_channel(message)))
                })
            })
            .collect();
        self.asked += sendings.len() as u64 / 2;
        sendings
    }

    fn heard(&mut self, _: SessionId, frame: &Bytes) {
        let Ok(Message::Channel(channel, message)) = Message::decode(frame.clone()) else { return };
        let heard = match channel {
            channel if channel == self.foreign => &mut self.of_foreign,
            channel if channel == self.missing => &mut self.of_missing,
            _ => return,
        };
        heard.bytes += frame.len() as u64;
        match message {
            ChannelMessage::Unknown => heard.unknown += 1,
            other => heard.other.push(other.kind()),
        }
    }

    fn report(&self) -> Value {
        let heard =
            |heard: &Heard| json!({ "unknown": heard.unknown, "other": heard.other, "bytes": heard.bytes });
        json!({
            "asked_of_each": self.asked,
            "foreign": heard(&self.of_foreign),
            "missing": heard(&self.of_missing),
        })
    }
}
