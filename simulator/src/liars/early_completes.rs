//! Says of each block that it has it as soon as it has proven its header (A17): who believes that asks the
//! liar first.

use super::{Crime, Lie, channel_message};
use crate::traffic::SentFrame;
use ledgercast_protocol::wire::ChannelMessage;

/// The crime; it has nothing to choose.
#[derive(Clone, Copy, Debug)]
pub struct EarlyCompletes;

impl Crime for EarlyCompletes {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        let mut lies = Lie::truth(sent);
        if let Some((channel, ChannelMessage::Announce(tip))) = channel_message(sent, &["announce"]) {
            lies.push(Lie::channel(channel, ChannelMessage::Complete(tip)));
        }
        lies
    }
}
