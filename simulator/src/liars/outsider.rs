//! Says, asks and forwards everything that can be said of a channel without being its member (A16).

use crate::world::World;
use ledgercast_crypto::Digest;
use ledgercast_protocol::ledger::VerifiedBlock;
use ledgercast_protocol::types::{BlockNumber, ChannelId, Height, Incarnation, Mark, MemberId, Sequence};
use ledgercast_protocol::wire::{
    ChannelLeave, ChannelMessage, Leadership, Push, Signed, StateInfo, Tip, WantBody, WantHeaders,
};

/// One message of each kind about a channel, in a node's name and as near to the truth as it can be: this
/// block's header and body, and statements signed for this channel.
pub fn everything_about(
    world: &World,
    channel: ChannelId,
    block: &VerifiedBlock,
    teller: crate::NodeId,
) -> Vec<ChannelMessage> {
    let member = world.member(teller);
    let key = &world.nodes[teller.0].credentials.key;
    let incarnation = Incarnation::from_millis(world.wall().as_millis());
    let sequence = Sequence::new(1);
    let mark = Mark { member, incarnation, sequence };
    let certified = block.header().certified().clone();
    let tip = Tip { number: block.number(), header_hash: block.header().hash() };
    let state = StateInfo {
        member,
        incarnation,
        sequence,
        tip_hash: tip.header_hash,
        height: Height::new(tip.number.as_u64() + 1),
        first_block: BlockNumber::GENESIS,
    };
    let until = world.wall().saturating_add(std::time::Duration::from_secs(9));
    let leadership = Leadership { member, epoch: 0, incarnation, sequence, leading: true, until };
    let leave = ChannelLeave { member, incarnation, sequence };
    let children: Vec<MemberId> = vec![member];
    vec![
        ChannelMessage::StateDigest(vec![mark]),
        ChannelMessage::States(vec![Signed::sign(state, channel.as_bytes(), key)]),
        ChannelMessage::WantStates(vec![member]),
        ChannelMessage::Leadership(Signed::sign(leadership, channel.as_bytes(), key)),
        ChannelMessage::Announce(tip),
        ChannelMessage::Complete(tip),
        ChannelMessage::WantHeaders(WantHeaders { first: BlockNumber::GENESIS, count: 1 }),
        ChannelMessage::WantHeaders(WantHeaders { first: tip.number, count: 1 }),
        ChannelMessage::Headers { first: tip.number, headers: vec![certified.clone()] },
        ChannelMessage::Push(Push { header: certified, relay_set: Digest::ZERO, children }),
        ChannelMessage::BodyFrame {
            header_hash: tip.header_hash,
            index: 0,
            payload: block.body().bytes().clone(),
        },
        ChannelMessage::WantBody(WantBody { tip, first_frame: 0, frame_count: 1 }),
        ChannelMessage::Lacking(tip),
        ChannelMessage::Leave(Signed::sign(leave, channel.as_bytes(), key)),
        ChannelMessage::Unknown,
    ]
}
