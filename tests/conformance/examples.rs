//! One message of each kind, the same in every run: keys from seeds, times and numbers made up.

use bytes::Bytes;
use ledgercast_crypto::issue::{Authority, Enrolment, Validity};
use ledgercast_crypto::{Digest, MemberId, RevocationList, Role, SecretKey};
use ledgercast_protocol::WallTime;
use ledgercast_protocol::evidence::Equivocation;
use ledgercast_protocol::ledger::{CertifiedHeader, Header, HeaderFields, QuorumCertificate};
use ledgercast_protocol::types::{BlockNumber, ChannelId, Height, Incarnation, Mark, Sequence, Tick};
use ledgercast_protocol::wire::{
    Alive, AliveRecord, CertificateChain, ChannelLeave, ChannelMessage, Conflict, Hello, InternalEndpoint,
    Leadership, Leave, Message, Push, RevocationMark, Signed, StateInfo, Summary, TickChain, Tip,
    WIRE_VERSION, WantBody, WantHeaders,
};

const NETWORK: [u8; 32] = [1; 32];
const CHANNEL: ChannelId = ChannelId::from_bytes([2; 32]);

fn member(byte: u8) -> MemberId {
    MemberId::from_digest(Digest::from_bytes([byte; 32]))
}

fn mark(byte: u8) -> Mark {
    Mark {
        member: member(byte),
        incarnation: Incarnation::from_millis(1_750_000_000_000),
        sequence: Sequence::new(u64::from(byte)),
    }
}

fn key() -> SecretKey {
    SecretKey::from_seed([3; 32])
}

fn tip() -> Tip {
    Tip { number: BlockNumber::new(300), header_hash: Digest::from_bytes([4; 32]) }
}

const VALIDITY: Validity = Validity { not_before: 1_750_000_000, not_after: 1_850_000_000 };

fn authority() -> Authority {
    Authority::reproducible(SecretKey::from_seed([5; 32]), "org1", VALIDITY).expect("a CA")
}

fn revocation_list() -> RevocationList {
    authority().revoke(&[&chain().certificate], 258, VALIDITY).expect("a list")
}

fn chain() -> CertificateChain {
    let authority = authority();
    let enrolment = Enrolment { common_name: "peer0.org1", role: Role::Peer, validity: VALIDITY, unit: None };
    let certificate = authority.enrol(&key().public(), &enrolment).expect("a member");
    CertificateChain { certificate, intermediates: Vec::new() }
}

fn header() -> CertifiedHeader {
    header_with(7)
}

fn equivocation() -> Equivocation {
    Equivocation::try_new(header_with(7), header_with(8)).expect("they contradict each other")
}

/// With a body root of this byte.
fn header_with(root: u8) -> CertifiedHeader {
    let header = Header::new(HeaderFields {
        channel: CHANNEL,
        number: BlockNumber::new(7),
        previous_hash: Digest::from_bytes([6; 32]),
        body_root: Digest::from_bytes([root; 32]),
        body_bytes: 4096,
        part_count: 5,
        envelope_count: 4,
        config_number: 0,
        timestamp: WallTime::from_millis(1_750_000_000_123),
    });
    let certificate = QuorumCertificate::sign(CHANNEL, header.hash(), 9, &key());
    CertifiedHeader { header, certificate: Some(certificate) }
}

/// The wall time, in seconds, tells two of one order apart.
fn alive(second: u64) -> AliveRecord {
    let internal = InternalEndpoint { salt: [8; 16], endpoint: "10.0.0.1:7051".parse().expect("endpoint") };
    let alive = Alive {
        member: member(9),
        incarnation: Incarnation::from_millis(1_750_000_000_000),
        sequence: Sequence::new(12),
        wall_time: WallTime::from_millis(1_750_000_048_000 + 1000 * second),
        external_endpoint: Some("peer0.org1.example:7051".parse().expect("endpoint")),
        internal_hash: internal.hash(),
        ticks: Some(TickChain { end: tick(14), links: 24, interval_millis: 5_000 }),
    };
    let alive = Signed::sign(alive, &NETWORK, &key());
    AliveRecord { alive, internal: Some(internal), tick: Some(tick(15)) }
}

fn tick(byte: u8) -> Tick {
    Tick::from_bytes([byte; 16])
}

/// Name (its kind first) and message.
pub(crate) fn messages() -> Vec<(&'static str, Message)> {
    let on_channel = |message| Message::Channel(CHANNEL, message);
    let Mark { member: who, incarnation, sequence } = mark(10);
    let leave = Signed::sign(Leave { member: who, incarnation, sequence }, &NETWORK, &key());
    let state = StateInfo {
        member: who,
        incarnation,
        sequence,
        tip_hash: tip().header_hash,
        height: Height::new(301),
        first_block: BlockNumber::GENESIS,
    };
    let claim = Leadership {
        member: who,
        epoch: 2,
        incarnation,
        sequence,
        leading: true,
        until: WallTime::from_millis(1_750_000_010_000),
    };
    let channel_leave = ChannelLeave { member: who, incarnation, sequence };
    let hello = Hello { version: WIRE_VERSION, incarnation, dial: 3, certificate: chain() };
    let number = revocation_list().number().clone();
    let list_mark = RevocationMark { authority: Digest::from_bytes([13; 32]), number };
    let push = Push { header: header(), relay_set: Digest::from_bytes([11; 32]), children: vec![member(12)] };
    let frame = ChannelMessage::BodyFrame {
        header_hash: header().hash(),
        index: 1,
        payload: Bytes::from_static(b"part of a body"),
    };
    vec![
        ("hello", Message::Hello(hello)),
        ("channels", Message::Channels(vec![CHANNEL])),
        ("channels_none", Message::Channels(Vec::new())),
        ("certificates", Message::Certificates(vec![chain()])),
        ("want_certificates", Message::WantCertificates(vec![member(1), member(2)])),
        ("alives", Message::Alives(vec![alive(12)])),
        ("alive_digest", Message::AliveDigest(vec![mark(1), mark(2)])),
        ("want_alives", Message::WantAlives(vec![mark(1)])),
        ("ticks", Message::Ticks(vec![tick(1), tick(2)])),
        ("want_anchors", Message::WantAnchors(vec![tick(3)])),
        ("view_digest", Message::ViewDigest(Summary([4; 16]))),
        ("question", Message::Question { subject: mark(3), passed_on: true }),
        ("leave", Message::Leave(leave)),
        ("revocation_digest", Message::RevocationDigest(vec![list_mark])),
        ("want_revocations", Message::WantRevocations(vec![Digest::from_bytes([13; 32])])),
        ("revocations", Message::Revocations(vec![revocation_list()])),
        ("conflict", Message::Conflict(Box::new(Conflict { first: alive(12), second: alive(13) }))),
        ("state_summary", on_channel(ChannelMessage::StateSummary(Summary([5; 16])))),
        ("state_digest", on_channel(ChannelMessage::StateDigest(vec![mark(4)]))),
        ("states", on_channel(ChannelMessage::States(vec![Signed::sign(state, CHANNEL.as_bytes(), &key())]))),
        ("want_states", on_channel(ChannelMessage::WantStates(vec![member(5)]))),
        (
            "leadership",
            on_channel(ChannelMessage::Leadership(Signed::sign(claim, CHANNEL.as_bytes(), &key()))),
        ),
        ("announce", on_channel(ChannelMessage::Announce(tip()))),
        ("complete", on_channel(ChannelMessage::Complete(tip()))),
        (
            "want_headers",
            on_channel(ChannelMessage::WantHeaders(WantHeaders { first: BlockNumber::new(7), count: 3 })),
        ),
        (
            "headers",
            on_channel(ChannelMessage::Headers { first: BlockNumber::new(7), headers: vec![header()] }),
        ),
        ("push", on_channel(ChannelMessage::Push(push))),
        ("body_frame", on_channel(frame)),
        (
            "want_body",
            on_channel(ChannelMessage::WantBody(WantBody { tip: tip(), first_frame: 1, frame_count: 2 })),
        ),
        ("lacking", on_channel(ChannelMessage::Lacking(tip()))),
        (
            "channel_leave",
            on_channel(ChannelMessage::Leave(Signed::sign(channel_leave, CHANNEL.as_bytes(), &key()))),
        ),
        ("unknown", on_channel(ChannelMessage::Unknown)),
        ("evidence", on_channel(ChannelMessage::Evidence(Box::new(equivocation())))),
    ]
}
