//! Serves and forwards bodies with the last byte of each piece changed.

use super::Crime;
use bytes::{Bytes, BytesMut};
use ledgercast_protocol::types::SessionId;
use ledgercast_protocol::wire::{ChannelMessage, Message};
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(super) struct FalseBodies {
    altered: u64,
}

impl Crime for FalseBodies {
    fn alter(&mut self, _: SessionId, frame: Bytes) -> Vec<Bytes> {
        let Ok(Message::Channel(channel, message)) = Message::decode(frame.clone()) else {
            return vec![frame];
        };
        let ChannelMessage::BodyFrame { header_hash, index, payload } = message else { return vec![frame] };
        let mut payload = BytesMut::from(&payload[..]);
        if let Some(last) = payload.last_mut() {
            *last ^= 1;
            self.altered += 1;
        }
        let altered = ChannelMessage::BodyFrame { header_hash, index, payload: payload.freeze() };
        vec![Message::Channel(channel, altered).encode()]
    }

    fn report(&self) -> Value {
        json!({ "altered": self.altered })
    }
}
