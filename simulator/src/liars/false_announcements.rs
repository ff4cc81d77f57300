//! Announces, beside each block that exists, some that do not (A8): other hashes of its number and of numbers
//! far above it.

use super::{Crime, Lie, channel_message};
use crate::traffic::SentFrame;
use ledgercast_crypto::Digest;
use ledgercast_protocol::wire::{ChannelMessage, Tip};

/// What is announced that does not exist.
#[derive(Clone, Copy, Debug)]
pub struct FalseAnnouncements {
    /// How far above the truth the false ones reach.
    pub ahead: u64,
    /// How many there are for each true one.
    pub count: u64,
}

impl Crime for FalseAnnouncements {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        let mut lies = Lie::truth(sent);
        if let Some((channel, ChannelMessage::Announce(tip))) = channel_message(sent, &["announce"]) {
            for index in 0..self.count {
                let name = [tip.header_hash.as_bytes(), &index.to_be_bytes()[..], &sent.from.0.to_be_bytes()];
                let far = self.ahead * index / self.count.max(1);
                let nothing =
                    Tip { number: tip.number.saturating_add(far), header_hash: Digest::of_parts(&name) };
                lies.insert(0, Lie::channel(channel, ChannelMessage::Announce(nothing)));
            }
        }
        lies
    }
}
