//! What an honest process sends of a chain is the orderers': no false header and no altered body is passed
//! on, whoever brought it (A9, A11). Of a fork both headers are theirs.

use super::Violation;
use crate::chain::SourceChain;
use crate::traffic::SentFrame;
use ledgercast_protocol::ledger::CertifiedHeader;
use ledgercast_protocol::wire::{BODY_FRAME_BYTES, ChannelMessage, Message};

/// The kinds that carry content.
const KINDS: [&str; 3] = ["push", "headers", "body_frame"];

/// Whether everything in a frame is part of its channel's chain.
pub(crate) fn on_sent(sent: &SentFrame<'_>, chains: &[SourceChain]) -> Result<(), Violation> {
    if !KINDS.contains(&sent.peek.kind) {
        return Ok(());
    }
    let chain = chains.iter().find(|chain| Some(chain.id()) == sent.peek.channel);
    let is_true = match (chain, Message::decode(sent.frame.clone())) {
        (Some(chain), Ok(Message::Channel(_, message))) => is_of_chain(chain, &message),
        _ => false,
    };
    match is_true {
        true => Ok(()),
        false => Err(Violation::FalseContent { from: sent.from, to: sent.to, kind: sent.peek.kind }),
    }
}

fn is_of_chain(chain: &SourceChain, message: &ChannelMessage) -> bool {
    match message {
        ChannelMessage::Push(push) => is_header_of(chain, &push.header),
        ChannelMessage::Headers { headers, .. } => headers.iter().all(|it| is_header_of(chain, it)),
        ChannelMessage::BodyFrame { header_hash, index, payload } => {
            let block = chain.number_of(*header_hash).and_then(|number| chain.block(number));
            let pieces = block.map(|block| block.body().bytes().chunks(BODY_FRAME_BYTES));
            pieces.and_then(|mut pieces| pieces.nth(*index as usize)) == Some(&payload[..])
        }
        _ => true,
    }
}

/// Orderers that sign two headers of a block have certified both: who passes the other one on tells no lie.
fn is_header_of(chain: &SourceChain, header: &CertifiedHeader) -> bool {
    let number = header.header.number();
    chain.block(number).is_some_and(|block| block.header().certified() == header)
        || chain.rival_of(number).is_some_and(|rival| rival == *header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Founding;
    use crate::identities::Org;
    use crate::node::NodeId;
    use crate::peek::Peek;
    use crate::random::Random;
    use bytes::Bytes;
    use ledgercast_protocol::types::BlockNumber;
    use std::time::Duration;

    fn chain() -> SourceChain {
        let mut random = Random::new(1, 1);
        let org = Org::create(0, &mut random).expect("an org");
        let founding = Founding { name: "trade", orgs: vec![&org], anchors: vec![Vec::new()], followers: 0 };
        let mut chain = SourceChain::found(&founding, random).expect("a channel");
        (0..3).for_each(|_| drop(chain.extend(100).clone()));
        chain
    }

    fn verdict(chain: &SourceChain, message: ChannelMessage) -> Result<(), Violation> {
        let message = Message::Channel(chain.id(), message);
        let frame = message.encode();
        let (from, to, at) = (NodeId(0), NodeId(1), Duration::ZERO);
        let sent = SentFrame { at, from, to, lane: message.lane(), peek: Peek::at(&frame), frame: &frame };
        on_sent(&sent, std::slice::from_ref(chain))
    }

    #[test]
    fn finds_an_altered_body_and_a_header_with_another_certificate() {
        let chain = chain();
        let [one, two] = [1, 2].map(|number| chain.block(BlockNumber::new(number)).expect("it was made"));
        let frame = |payload: Bytes| {
            let header_hash = one.header().hash();
            verdict(&chain, ChannelMessage::BodyFrame { header_hash, index: 0, payload })
        };
        let headers = |header: CertifiedHeader| {
            verdict(&chain, ChannelMessage::Headers { first: BlockNumber::new(1), headers: vec![header] })
        };
        let certified = one.header().certified().clone();

        assert!(frame(one.body().bytes().clone()).is_ok());
        assert!(matches!(frame(two.body().bytes().clone()), Err(Violation::FalseContent { .. })));
        assert!(headers(certified.clone()).is_ok());
        let certificate = two.header().certified().certificate.clone();
        let swapped = CertifiedHeader { certificate, ..certified };
        assert!(matches!(headers(swapped), Err(Violation::FalseContent { .. })));
    }
}
