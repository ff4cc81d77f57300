//! Answers a question for headers with something else than what was asked (A10).

use super::{Crime, Lie, channel_message};
use crate::traffic::SentFrame;
use crate::world::World;
use ledgercast_protocol::ledger::CertifiedHeader;
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use ledgercast_protocol::wire::{ChannelMessage, Tip};
use std::time::Duration;

/// What is wrong with the answer; every header in it is genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeLie {
    /// One from the middle is missing.
    Gap,
    /// It begins one block later than asked, and says so.
    OtherBlocks,
    /// It is in reverse order.
    Reverse,
    /// It brings the newest headers instead.
    FarFuture,
    /// It brings everything twice.
    TooMany,
    /// It brings the first header only, whatever was asked.
    One,
    /// It comes this much later.
    Late(Duration),
    /// It never comes.
    Never,
    /// It says that there are no such headers.
    Lacking,
}

/// Answers in one wrong way.
#[derive(Clone, Debug)]
pub struct WrongRanges {
    lie: RangeLie,
    channel: ChannelId,
    newest: Vec<CertifiedHeader>,
}

impl WrongRanges {
    /// Answers wrongly about a channel, whose newest headers are taken from the orderers.
    pub fn new(world: &World, channel: ChannelId, lie: RangeLie) -> Self {
        let chain = world.channels.iter().find(|chain| chain.id() == channel);
        let height = chain.map_or(0, |chain| chain.height());
        let newest = (height.saturating_sub(16).max(1)..height).filter_map(|number| {
            let block = chain?.block(BlockNumber::new(number))?;
            Some(block.header().certified().clone())
        });
        Self { lie, channel, newest: newest.collect() }
    }
}

impl Crime for WrongRanges {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        let Some((channel, ChannelMessage::Headers { mut first, mut headers })) =
            channel_message(sent, &["headers"]).filter(|(channel, _)| *channel == self.channel)
        else {
            return Lie::truth(sent);
        };
        match self.lie {
            RangeLie::Gap => drop(headers.remove(headers.len() / 2)),
            RangeLie::OtherBlocks => {
                headers.remove(0);
                first = first.next();
            }
            RangeLie::Reverse => headers.reverse(),
            RangeLie::FarFuture => headers.clone_from(&self.newest),
            RangeLie::TooMany => headers.extend(headers.clone()),
            RangeLie::One => headers.truncate(1),
            RangeLie::Late(after) => return vec![Lie { frame: sent.frame.clone(), after }],
            RangeLie::Never => return Vec::new(),
            RangeLie::Lacking => {
                let tip = Tip { number: first, header_hash: ledgercast_crypto::Digest::ZERO };
                return vec![Lie::channel(channel, ChannelMessage::Lacking(tip))];
            }
        }
        // An empty list is no frame at all.
        match headers.is_empty() {
            true => Vec::new(),
            false => vec![Lie::channel(channel, ChannelMessage::Headers { first, headers })],
        }
    }
}
