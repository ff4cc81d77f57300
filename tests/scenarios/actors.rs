//! What scenarios send in a peer's name: whole blocks, forged headers, captured alives.

use ledgercast_crypto::Digest;
use ledgercast_protocol::ledger::{CertifiedHeader, VerifiedBlock};
use ledgercast_protocol::types::{ChannelId, Incarnation, Lane, Mark, MemberId, Sequence};
use ledgercast_protocol::wire::{AliveRecord, BODY_FRAME_BYTES, ChannelMessage, Message, Push};
use ledgercast_simulator::{NodeId, World};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Pushes a genuine block from one node to another, whoever should.
pub(crate) fn push_block(world: &mut World, from: NodeId, to: NodeId, block: &VerifiedBlock) {
    push_header(world, (from, to), block.header().channel(), block.header().certified().clone());
    for (index, payload) in block.body().bytes().chunks(BODY_FRAME_BYTES).enumerate() {
        let message = ChannelMessage::BodyFrame {
            header_hash: block.header().hash(),
            index: u32::try_from(index).expect("a body has few frames"),
            payload: block.body().bytes().slice_ref(payload),
        };
        let frame = Message::Channel(block.header().channel(), message).encode();
        world.inject_frame(from, to, Lane::Data, frame);
    }
}

/// Opens the push of a header on a channel of choice.
pub(crate) fn push_header(
    world: &mut World,
    (from, to): (NodeId, NodeId),
    channel: ChannelId,
    header: CertifiedHeader,
) {
    let push = Push { header, relay_set: Digest::of(b"nobody's set"), children: Vec::new() };
    world.inject(from, to, &Message::Channel(channel, ChannelMessage::Push(push)));
}

/// Alives as they passed over the wires, the newest of each member.
#[derive(Clone, Default)]
pub(crate) struct Alives(Rc<RefCell<BTreeMap<MemberId, Vec<AliveRecord>>>>);

impl Alives {
    /// Starts to listen on all wires.
    pub(crate) fn listen(world: &mut World) -> Self {
        let alives = Self::default();
        let heard = alives.clone();
        world.inspect(move |sent| {
            if sent.peek.kind == "alives"
                && let Ok(Message::Alives(records)) = Message::decode(sent.frame.clone())
            {
                heard.take(records);
            }
            Ok(())
        });
        alives
    }

    fn take(&self, records: Vec<AliveRecord>) {
        let mut heard = self.0.borrow_mut();
        for record in records {
            let known = heard.entry(record.alive.member()).or_default();
            if !known.iter().any(|other| other.alive == record.alive) {
                known.push(record);
            }
        }
    }

    /// All that were heard of a member, oldest first.
    pub(crate) fn of(&self, member: MemberId) -> Vec<AliveRecord> {
        self.0.borrow().get(&member).cloned().unwrap_or_default()
    }
}

/// Who lacks everything of a member names it so.
pub(crate) fn nothing_of(member: MemberId) -> Mark {
    Mark { member, incarnation: Incarnation::default(), sequence: Sequence::default() }
}
