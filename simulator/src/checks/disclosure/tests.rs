//! The oracle finds what it is there for, in every kind of message that can name somebody.

use super::*;
use crate::peek::Peek;
use ledgercast_crypto::issue::{Authority, Enrolment, Validity};
use ledgercast_crypto::{Role, SecretKey};
use ledgercast_protocol::types::Lane;
use std::time::Duration;

const TRADE: ChannelId = ChannelId::from_bytes([1; 32]);
const AUDIT: ChannelId = ChannelId::from_bytes([2; 32]);

fn member(node: usize) -> MemberId {
    MemberId::from_digest(Digest::of(&[u8::try_from(node).expect("few nodes")]))
}

/// The certificate of a node, and its key.
fn certificate(node: usize) -> (Certificate, [u8; 32]) {
    let validity = Validity { not_before: 1_600_000_000, not_after: 4_000_000_000 };
    let byte = u8::try_from(node).expect("few nodes");
    let authority = Authority::reproducible(SecretKey::from_seed([99; 32]), "any", validity).expect("a CA");
    let key = SecretKey::from_seed([byte; 32]).public();
    let enrolment = Enrolment { common_name: "peer", role: Role::Peer, unit: None, validity };
    (authority.enrol(&key, &enrolment).expect("it is issued"), *key.as_bytes())
}

fn chain(node: usize) -> proto::CertificateChain {
    proto::CertificateChain { certificate: certificate(node).0.der().clone(), intermediates: Vec::new() }
}

fn id(node: usize) -> Bytes {
    Bytes::copy_from_slice(member(node).as_bytes())
}

/// The end of a node's chain of ticks.
fn end(node: usize) -> Bytes {
    Bytes::copy_from_slice(&[u8::try_from(node).expect("few nodes"); 16])
}

/// Nodes 0 and 1 are of the first org, 2 of the second, 3 of the third; the first two share `TRADE`, the
/// last two `AUDIT`. Node 1 is hidden.
fn verdict(from: usize, to: usize, message: &frame::Message) -> Result<(), Violation> {
    let mut disclosure = Disclosure {
        org_of: vec![0, 0, 1, 2],
        node_of: (0..4).map(|node| (member(node), NodeId(node))).collect(),
        node_of_key: (0..4).map(|node| (certificate(node).1, NodeId(node))).collect(),
        is_external: [0, 2, 3].map(NodeId).into(),
        ticks: (0..4).map(|node| ([u8::try_from(node).expect("few nodes"); 16], NodeId(node))).collect(),
        ..Disclosure::default()
    };
    let mut isolation = Isolation::default();
    isolation.found(TRADE, [0, 1, 2].map(NodeId).into());
    isolation.found(AUDIT, [2, 3].map(NodeId).into());
    let joined = [vec![TRADE], vec![TRADE], vec![TRADE, AUDIT], vec![AUDIT]][from].clone();
    let frame = Bytes::from(proto::Frame { message: Some(message.clone()) }.encode_to_vec());
    let peek = Peek::at(&frame);
    assert_ne!(peek.kind, "malformed", "{message:?}");
    let sent = SentFrame {
        at: Duration::ZERO,
        from: NodeId(from),
        to: NodeId(to),
        lane: Lane::Control,
        peek,
        frame: &frame,
    };
    disclosure.on_sent(&sent, &isolation, &joined.into_iter().collect())
}

fn marks(node: usize) -> proto::MarkList {
    proto::MarkList { marks: vec![proto::Mark { member: id(node), incarnation: 1, sequence: 1 }] }
}

/// A statement of a member; all kinds of them begin alike.
fn signed(node: usize) -> proto::Signed {
    let statement = proto::Leave { member: id(node), incarnation: 1, sequence: 1 };
    proto::Signed { statement: statement.encode_to_vec().into(), signature: Bytes::new() }
}

fn record(node: usize) -> proto::AliveRecord {
    proto::AliveRecord { alive: Some(signed(node)), internal: None, tick: Bytes::new() }
}

fn on_channel(channel: ChannelId, message: channel_frame::Message) -> frame::Message {
    let channel = Bytes::copy_from_slice(channel.as_bytes());
    frame::Message::Channel(proto::ChannelFrame { channel, message: Some(message) })
}

/// One message of every kind that can name this node, and is not for its org alone.
fn all_about(node: usize) -> Vec<frame::Message> {
    let members = || proto::MemberList { members: vec![id(node)] };
    let ticks = || proto::TickList { ticks: end(node) };
    let question = proto::Question { subject: marks(node).marks.pop(), ..Default::default() };
    let tick_alone = proto::AliveRecord { alive: None, internal: None, tick: end(node) };
    let channel = [
        channel_frame::Message::StateDigest(marks(node)),
        channel_frame::Message::States(proto::SignedList { statements: vec![signed(node)] }),
        channel_frame::Message::WantStates(members()),
        channel_frame::Message::ChannelLeave(signed(node)),
        channel_frame::Message::Push(proto::Push { children: vec![id(node)], ..Default::default() }),
    ];
    let certificates = proto::CertificateList { certificates: vec![chain(node)] };
    let session = [
        frame::Message::Certificates(certificates),
        frame::Message::WantCertificates(members()),
        frame::Message::WantAlives(marks(node)),
        frame::Message::Ticks(ticks()),
        frame::Message::WantAnchors(ticks()),
        frame::Message::Alives(proto::AliveList { alives: vec![record(node)] }),
        frame::Message::Alives(proto::AliveList { alives: vec![tick_alone] }),
        frame::Message::AliveDigest(marks(node)),
        frame::Message::Question(question),
        frame::Message::Conflict(proto::Conflict { first: None, second: Some(record(node)) }),
        frame::Message::Leave(signed(node)),
    ];
    session.into_iter().chain(channel.map(|message| on_channel(TRADE, message))).collect()
}

#[test]
fn a_member_is_named_inside_its_org_and_from_its_org_to_those_that_share_a_channel() {
    for (from, to, node) in [(0, 1, 1), (0, 2, 0), (0, 1, 2), (0, 2, 2)] {
        for message in all_about(node) {
            assert!(verdict(from, to, &message).is_ok(), "{from} to {to} of {node}: {message:?}");
        }
    }
}

#[test]
fn finds_a_hidden_member_a_third_org_and_a_stranger_in_every_kind_of_message() {
    for (from, to, node) in [(0, 2, 1), (2, 3, 0), (0, 3, 0)] {
        for message in all_about(node) {
            let verdict = verdict(from, to, &message);
            assert!(
                matches!(verdict, Err(Violation::Disclosed { .. })),
                "{from} to {to} of {node}: {message:?}"
            );
        }
    }
}

#[test]
fn a_hello_shows_its_sender_to_anybody_and_nobody_else() {
    let hello =
        |node| frame::Message::Hello(proto::Hello { certificate: Some(chain(node)), ..Default::default() });

    assert!(verdict(1, 3, &hello(1)).is_ok(), "who shares nothing sees who it is");
    assert!(matches!(verdict(0, 2, &hello(1)), Err(Violation::Disclosed { .. })));
}

#[test]
fn who_shares_no_channel_is_sent_no_summary_of_a_view() {
    let summary = frame::Message::ViewDigest(proto::Summary::default());

    assert!(verdict(0, 2, &summary).is_ok());
    assert!(matches!(verdict(0, 3, &summary), Err(Violation::Disclosed { .. })));
}

#[test]
fn finds_what_is_for_an_org_alone_outside_it() {
    let inner = proto::AliveRecord { internal: Some(proto::InternalEndpoint::default()), ..record(0) };
    let endpoint = frame::Message::Alives(proto::AliveList { alives: vec![inner] });
    let claim = on_channel(TRADE, channel_frame::Message::Leadership(signed(0)));

    for message in [endpoint, claim] {
        assert!(verdict(0, 1, &message).is_ok(), "{message:?}");
        assert!(matches!(verdict(0, 2, &message), Err(Violation::Disclosed { .. })), "{message:?}");
    }
}
