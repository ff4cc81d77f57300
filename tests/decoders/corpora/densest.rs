//! Inputs that cost the most memory for their length: lists of the shortest right entries, one more than a
//! growing vector had room for, lists of entries of nothing, and names of nothing in certificates.

mod der;

use bytes::{BufMut as _, Bytes, BytesMut};
use ledgercast_crypto::{Digest, MemberId, RevocationNumber, SecretKey};
use ledgercast_decoders::{Target, body, config, config_update, evidence, frame, kept_evidence};
use ledgercast_protocol::WallTime;
use ledgercast_protocol::ledger::{CertifiedHeader, Header, HeaderFields, QuorumCertificate};
use ledgercast_protocol::store::suite::Chain;
use ledgercast_protocol::types::{BlockNumber, ChannelId, Height, Incarnation, Mark, Sequence, Tick};
use ledgercast_protocol::wire::{
    Alive, AliveRecord, ChannelMessage, Message, Push, RevocationMark, Signed, StateInfo,
};

const FRAME_BYTES_MAX: usize = 1024 * 1024;
const MEMBER: MemberId = MemberId::from_digest(Digest::ZERO);
const CHANNEL: ChannelId = ChannelId::from_bytes([7; 32]);

/// What is tried, of which decoder.
pub(crate) fn inputs() -> Vec<(&'static Target, String, Bytes)> {
    let mut inputs = Vec::new();
    for (kind, make) in KINDS.iter().enumerate() {
        for doublings in 0..13 {
            let count = (1 << doublings) + 1;
            let frame = make(count);
            if frame.len() <= FRAME_BYTES_MAX && Message::decode(frame.clone()).is_ok() {
                inputs.push((&frame::TARGET, format!("list {kind} of {count} entries"), frame));
            }
        }
    }
    inputs.extend(empty_entries());
    inputs.extend(der::inputs());
    let parts = Bytes::from(vec![0; 4 * 65_537]);
    inputs.push((&body::TARGET, "parts of nothing".to_owned(), parts));
    inputs
}

const KINDS: [fn(usize) -> Bytes; 14] = [
    |count| Message::Channels(vec![CHANNEL; count]).encode(),
    |count| Message::Certificates(vec![Chain::new(1).client().chain(); count]).encode(),
    |count| Message::WantCertificates(vec![MEMBER; count]).encode(),
    |count| Message::Alives(vec![alive(); count]).encode(),
    |count| Message::AliveDigest(vec![mark(); count]).encode(),
    |count| Message::Ticks(vec![Tick::from_bytes([7; 16]); count]).encode(),
    |count| Message::RevocationDigest(vec![revocation_mark(); count]).encode(),
    |count| Message::WantRevocations(vec![Digest::ZERO; count]).encode(),
    |count| on_channel(ChannelMessage::StateDigest(vec![mark(); count])),
    |count| on_channel(ChannelMessage::States(vec![state(); count])),
    |count| on_channel(ChannelMessage::WantStates(vec![MEMBER; count])),
    |count| {
        on_channel(ChannelMessage::Headers { first: BlockNumber::GENESIS, headers: headers(count, false) })
    },
    |count| {
        on_channel(ChannelMessage::Headers { first: BlockNumber::GENESIS, headers: headers(count, true) })
    },
    |count| on_channel(ChannelMessage::Push(push(count))),
];

fn on_channel(message: ChannelMessage) -> Bytes {
    Message::Channel(CHANNEL, message).encode()
}

fn key() -> SecretKey {
    SecretKey::from_seed([7; 32])
}

fn mark() -> Mark {
    Mark { member: MEMBER, incarnation: Incarnation::from_millis(0), sequence: Sequence::new(0) }
}

fn revocation_mark() -> RevocationMark {
    let number = RevocationNumber::from_bytes(&[]).expect("zero");
    RevocationMark { authority: Digest::ZERO, number }
}

fn alive() -> AliveRecord {
    let alive = Alive {
        member: MEMBER,
        incarnation: Incarnation::from_millis(0),
        sequence: Sequence::new(0),
        wall_time: WallTime::from_millis(0),
        external_endpoint: None,
        internal_hash: Digest::ZERO,
        ticks: None,
    };
    AliveRecord { alive: Signed::sign(alive, &[0; 32], &key()), internal: None, tick: None }
}

fn state() -> Signed<StateInfo> {
    let state = StateInfo {
        member: MEMBER,
        incarnation: Incarnation::from_millis(0),
        sequence: Sequence::new(0),
        tip_hash: Digest::ZERO,
        height: Height::new(0),
        first_block: BlockNumber::GENESIS,
    };
    Signed::sign(state, &[0; 32], &key())
}

fn headers(count: usize, is_certified: bool) -> Vec<CertifiedHeader> {
    let header = Header::new(HeaderFields {
        channel: CHANNEL,
        number: BlockNumber::GENESIS,
        previous_hash: Digest::ZERO,
        body_root: Digest::ZERO,
        body_bytes: 0,
        part_count: 0,
        envelope_count: 0,
        config_number: 0,
        timestamp: WallTime::from_millis(0),
    });
    let certificate = is_certified.then(|| QuorumCertificate::sign(CHANNEL, header.hash(), 0, &key()));
    vec![CertifiedHeader { header, certificate }; count]
}

fn push(count: usize) -> Push {
    let header = headers(1, true).remove(0);
    Push { header, relay_set: Digest::ZERO, children: vec![MEMBER; count] }
}

/// Two bytes an entry, 32,000 times: nothing is to be made of them.
fn empty_entries() -> Vec<(&'static Target, String, Bytes)> {
    let entries = |field: u8| Bytes::from([field << 3 | 2, 0].repeat(32_000));
    let at = |target, field: u8| (target, format!("entries of nothing in field {field}"), entries(field));
    let mut inputs =
        vec![at(&config_update::TARGET, 2), at(&evidence::TARGET, 1), at(&kept_evidence::TARGET, 1)];
    for field in [4, 5, 8] {
        let mut bytes = BytesMut::from(&[0x12, 32][..]);
        bytes.put_bytes(0, 32);
        bytes.put(entries(field));
        inputs.push((&config::TARGET, format!("entries of nothing in field {field}"), bytes.freeze()));
    }
    for field in [2, 3, 4, 5, 6, 13, 14, 15] {
        let frame = nested(field, &entries(1));
        inputs.push((&frame::TARGET, format!("entries of nothing in field {field}"), frame));
    }
    for (field, inside) in [(2, 1), (3, 1), (4, 1), (9, 2), (10, 3)] {
        let frame = nested(10, &nested(field, &entries(inside)));
        inputs.push((&frame::TARGET, format!("entries of nothing in field {field} of a channel's"), frame));
    }
    inputs
}

/// A length-delimited field with this content.
fn nested(field: u8, content: &[u8]) -> Bytes {
    let mut bytes = BytesMut::from(&[field << 3 | 2][..]);
    let mut length = content.len();
    while length > 127 {
        bytes.put_u8((length % 128) as u8 | 128);
        length /= 128;
    }
    bytes.put_u8(length as u8);
    bytes.put_slice(content);
    bytes.freeze()
}
