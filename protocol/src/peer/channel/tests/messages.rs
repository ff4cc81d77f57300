//! What a ghost says of true blocks, and headers that the true orderer has certified beside them.

use super::network::Net;
use crate::ledger::{CertifiedHeader, Header, HeaderFields, QuorumCertificate};
use crate::types::MemberId;
use crate::wire::{BODY_FRAME_BYTES, ChannelMessage, Push};
use bytes::Bytes;
use ledgercast_crypto::Digest;
use std::time::Duration;

/// Longer than any proof, shorter than any question's patience.
pub(super) const MOMENT: Duration = Duration::from_millis(10);

/// Opens the transfer of a header's body, without anybody to serve.
pub(super) fn push_of(header: CertifiedHeader) -> ChannelMessage {
    ChannelMessage::Push(Push { header, relay_set: Digest::ZERO, children: Vec::new() })
}

/// The same of a true block.
pub(super) fn push(net: &Net, number: usize) -> ChannelMessage {
    push_of(net.truth[number].header().certified().clone())
}

/// The pieces of a true block's body.
pub(super) fn frames(net: &Net, number: usize) -> Vec<ChannelMessage> {
    let block = &net.truth[number];
    let header_hash = block.header().hash();
    let frame = |(index, chunk): (u32, &[u8])| ChannelMessage::BodyFrame {
        header_hash,
        index,
        payload: Bytes::copy_from_slice(chunk),
    };
    (0..).zip(block.body().bytes().chunks(BODY_FRAME_BYTES)).map(frame).collect()
}

/// A ghost pushes the header of a true block.
pub(super) fn push_header(net: &mut Net, ghost: MemberId, number: usize) {
    let push = push(net, number);
    net.say(ghost, 0, push);
    net.run_for(MOMENT);
}

/// A ghost pushes a true block.
pub(super) fn push_block(net: &mut Net, ghost: MemberId, number: usize) {
    push_header(net, ghost, number);
    for frame in frames(net, number) {
        net.say(ghost, 0, frame);
    }
    net.run_for(MOMENT);
}

/// The header of a true block with other fields, certified by the true orderer.
pub(super) fn certified(
    net: &Net,
    number: usize,
    change: impl FnOnce(HeaderFields) -> HeaderFields,
) -> CertifiedHeader {
    let header = Header::new(change(net.truth[number].header().header().fields().clone()));
    let (channel, orderer) = (net.chain.channel(), net.chain.orderer());
    let certificate = Some(QuorumCertificate::sign(channel, header.hash(), 0, orderer));
    CertifiedHeader { header, certificate }
}
