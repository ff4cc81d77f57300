//! Bytes to messages: every length, count and enum is checked before anything is kept.

use super::message::{
    AliveRecord, CertificateChain, ChannelMessage, Conflict, Hello, InternalEndpoint, Message, Push,
};
use super::message::{RevocationMark, Summary, Tip, WantBody, WantHeaders};
use super::shape::{self, ShapeError, tables};
use super::{
    Alive, BODY_FRAME_BYTES, CERTIFICATES_MAX, CHANNELS_MAX, CHILDREN_MAX, HEADERS_MAX, INTERMEDIATES_MAX,
    LINKS_MAX, LIST_ENTRIES_MAX, REVOCATION_LISTS_MAX, REVOCATION_MARKS_MAX, Signed, Statement, TICKS_MAX,
    TickChain, WANT_ANCHORS_MAX, proto,
};
use crate::evidence::{Equivocation, EquivocationError};
use crate::ledger::{CertifiedHeader, HeaderError};
use crate::types::{
    BlockNumber, ChannelId, Endpoint, EndpointError, Incarnation, Mark, MemberId, Sequence, TICK_BYTES, Tick,
};
use bytes::Bytes;
use ledgercast_crypto::certificate::{Certificate, CertificateError};
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::{RevocationError, RevocationList, RevocationNumber, Signature};
use prost::Message as _;
use thiserror::Error;

/// Why bytes are not a message; an offence of whoever sent them.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Not the protobuf message that was expected.
    #[error("frame does not decode: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// A form of protobuf that nobody sends.
    #[error("frame is not decoded: {0}")]
    Shape(String),
    /// A `oneof` without value: empty, or of a kind that this version does not know.
    #[error("{0} has no content that this version knows")]
    NoContent(&'static str),
    /// A field has the wrong length.
    #[error("field {field} has {found} bytes")]
    Length {
        /// The field's name in `gossip.proto`.
        field: &'static str,
        /// Its length.
        found: usize,
    },
    /// A list has too many entries, or none.
    #[error("list {field} has {found} entries, allowed are 1 to {max}")]
    Count {
        /// The field's name in `gossip.proto`.
        field: &'static str,
        /// Its count.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// One process can have made both alives, or they are of two members.
    #[error("the two alives do not exclude each other")]
    NoConflict,
    /// An endpoint is none.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A header is none.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Two headers that do not contradict each other.
    #[error(transparent)]
    Equivocation(#[from] EquivocationError),
    /// A certificate is none.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A revocation list is none.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
}

impl From<ShapeError> for DecodeError {
    fn from(error: ShapeError) -> Self {
        match error {
            ShapeError::Count { field, found, max } => Self::Count { field, found, max },
            ShapeError::Short { field, found, .. } => Self::Length { field, found },
            ShapeError::Group(_) => Self::Shape(error.to_string()),
        }
    }
}

pub(super) fn digest(field: &'static str, bytes: &Bytes) -> Result<Digest, DecodeError> {
    Digest::try_from(&bytes[..]).map_err(|_| DecodeError::Length { field, found: bytes.len() })
}

pub(super) fn tick(field: &'static str, bytes: &[u8]) -> Result<Tick, DecodeError> {
    let bytes = bytes.try_into().map_err(|_| DecodeError::Length { field, found: bytes.len() })?;
    Ok(Tick::from_bytes(bytes))
}

pub(super) fn tick_chain(wire: &proto::TickChain) -> Result<TickChain, DecodeError> {
    let (links, interval_millis) = (wire.links, wire.interval_ms);
    let is_bounded = (1..=LINKS_MAX).contains(&links) && interval_millis > 0;
    match is_bounded {
        true => Ok(TickChain { end: tick("end", &wire.end)?, links, interval_millis }),
        false => Err(DecodeError::Count { field: "links", found: links as usize, max: LINKS_MAX as usize }),
    }
}

/// Ticks without borders between them.
fn ticks(field: &'static str, bytes: &Bytes, max: usize) -> Result<Vec<Tick>, DecodeError> {
    let count = bytes.len() / TICK_BYTES;
    match bytes.len() % TICK_BYTES {
        0 if (1..=max).contains(&count) => {
            bytes.chunks_exact(TICK_BYTES).map(|chunk| tick(field, chunk)).collect()
        }
        0 => Err(DecodeError::Count { field, found: count, max }),
        _ => Err(DecodeError::Length { field, found: bytes.len() }),
    }
}

fn summary(wire: &proto::Summary) -> Result<Summary, DecodeError> {
    let bytes = &wire.digest[..];
    let bytes = bytes.try_into().map_err(|_| DecodeError::Length { field: "digest", found: bytes.len() })?;
    Ok(Summary(bytes))
}

pub(super) fn member(bytes: &Bytes) -> Result<MemberId, DecodeError> {
    digest("member", bytes).map(MemberId::from_digest)
}

pub(super) fn opt_endpoint(text: &str) -> Result<Option<Endpoint>, DecodeError> {
    match text {
        "" => Ok(None),
        text => Ok(Some(text.parse()?)),
    }
}

fn channel(bytes: &Bytes) -> Result<ChannelId, DecodeError> {
    digest("channel", bytes).map(|digest| ChannelId::from_bytes(*digest.as_bytes()))
}

fn bounded<T>(field: &'static str, list: Vec<T>, min: usize, max: usize) -> Result<Vec<T>, DecodeError> {
    match (min..=max).contains(&list.len()) {
        true => Ok(list),
        false => Err(DecodeError::Count { field, found: list.len(), max }),
    }
}

fn members(
    field: &'static str,
    list: &[Bytes],
    min: usize,
    max: usize,
) -> Result<Vec<MemberId>, DecodeError> {
    if !(min..=max).contains(&list.len()) {
        return Err(DecodeError::Count { field, found: list.len(), max });
    }
    list.iter().map(member).collect()
}

fn mark(wire: &proto::Mark) -> Result<Mark, DecodeError> {
    Ok(Mark {
        member: member(&wire.member)?,
        incarnation: Incarnation::from_millis(wire.incarnation),
        sequence: Sequence::new(wire.sequence),
    })
}

fn marks(field: &'static str, list: proto::MarkList) -> Result<Vec<Mark>, DecodeError> {
    bounded(field, list.marks, 0, LIST_ENTRIES_MAX)?.iter().map(mark).collect()
}

fn signed<T: Statement>(wire: proto::Signed) -> Result<Signed<T>, DecodeError> {
    let signature = Signature::try_from(&wire.signature[..])
        .map_err(|_| DecodeError::Length { field: "signature", found: wire.signature.len() })?;
    Signed::decode(wire.statement, signature)
}

fn chain(wire: proto::CertificateChain) -> Result<CertificateChain, DecodeError> {
    let intermediates = bounded("intermediates", wire.intermediates, 0, INTERMEDIATES_MAX)?;
    Ok(CertificateChain {
        certificate: Certificate::from_der(wire.certificate)?,
        intermediates: intermediates.into_iter().map(Certificate::from_der).collect::<Result<_, _>>()?,
    })
}

fn required<T>(what: &'static str, value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::NoContent(what))
}

fn alive_record(wire: proto::AliveRecord) -> Result<AliveRecord, DecodeError> {
    let internal = wire.internal.map(|internal| {
        let salt = <[u8; 16]>::try_from(&internal.salt[..])
            .map_err(|_| DecodeError::Length { field: "salt", found: internal.salt.len() })?;
        Ok::<_, DecodeError>(InternalEndpoint { salt, endpoint: internal.endpoint.parse()? })
    });
    let tick = Some(&wire.tick[..]).filter(|bytes| !bytes.is_empty());
    Ok(AliveRecord {
        alive: signed(required("alive", wire.alive)?)?,
        internal: internal.transpose()?,
        tick: tick.map(|bytes| self::tick("tick", bytes)).transpose()?,
    })
}

fn revocation_mark(wire: &proto::RevocationMark) -> Result<RevocationMark, DecodeError> {
    let number = RevocationNumber::from_bytes(&wire.number)?;
    Ok(RevocationMark { authority: digest("authority", &wire.authority)?, number })
}

fn conflict(wire: proto::Conflict) -> Result<Conflict, DecodeError> {
    let first = alive_record(required("first", wire.first)?)?;
    let second = alive_record(required("second", wire.second)?)?;
    match Alive::exclude_each_other(&first.alive, &second.alive) {
        true => Ok(Conflict { first, second }),
        false => Err(DecodeError::NoConflict),
    }
}

fn tip(wire: &proto::Tip) -> Result<Tip, DecodeError> {
    Ok(Tip { number: BlockNumber::new(wire.number), header_hash: digest("header_hash", &wire.header_hash)? })
}

fn body_frame(wire: proto::BodyFrame) -> Result<ChannelMessage, DecodeError> {
    if wire.payload.is_empty() || wire.payload.len() > BODY_FRAME_BYTES {
        return Err(DecodeError::Length { field: "payload", found: wire.payload.len() });
    }
    let header_hash = digest("header_hash", &wire.header_hash)?;
    Ok(ChannelMessage::BodyFrame { header_hash, index: wire.index, payload: wire.payload })
}

fn headers(wire: proto::HeaderList) -> Result<ChannelMessage, DecodeError> {
    let headers = bounded("headers", wire.headers, 1, HEADERS_MAX)?;
    let headers = headers.into_iter().map(CertifiedHeader::try_from).collect::<Result<_, _>>()?;
    Ok(ChannelMessage::Headers { first: BlockNumber::new(wire.first), headers })
}

fn positive(field: &'static str, found: u32, max: usize) -> Result<u32, DecodeError> {
    match found {
        0 => Err(DecodeError::Count { field, found: 0, max }),
        count => Ok(count),
    }
}

fn channel_message(wire: proto::channel_frame::Message) -> Result<ChannelMessage, DecodeError> {
    use proto::channel_frame::Message as Wire;
    Ok(match wire {
        Wire::StateSummary(wire) => ChannelMessage::StateSummary(summary(&wire)?),
        Wire::StateDigest(list) => ChannelMessage::StateDigest(marks("state_digest", list)?),
        Wire::States(list) => {
            let states = bounded("states", list.statements, 1, LIST_ENTRIES_MAX)?;
            ChannelMessage::States(states.into_iter().map(signed).collect::<Result<_, _>>()?)
        }
        Wire::WantStates(list) => {
            ChannelMessage::WantStates(members("want_states", &list.members, 1, LIST_ENTRIES_MAX)?)
        }
        Wire::Leadership(claim) => ChannelMessage::Leadership(signed(claim)?),
        Wire::Announce(announced) => ChannelMessage::Announce(tip(&announced)?),
        Wire::Complete(complete) => ChannelMessage::Complete(tip(&complete)?),
        Wire::WantHeaders(want) => ChannelMessage::WantHeaders(WantHeaders {
            first: BlockNumber::new(want.first),
            count: positive("want_headers", want.count, HEADERS_MAX)?,
        }),
        Wire::Headers(list) => headers(list)?,
        Wire::Push(push) => ChannelMessage::Push(Push {
            header: CertifiedHeader::try_from(required("push", push.header)?)?,
            relay_set: digest("relay_set", &push.relay_set)?,
            children: members("children", &push.children, 0, CHILDREN_MAX)?,
        }),
        Wire::BodyFrame(frame) => body_frame(frame)?,
        Wire::WantBody(want) => ChannelMessage::WantBody(WantBody {
            tip: Tip {
                number: BlockNumber::new(want.number),
                header_hash: digest("header_hash", &want.header_hash)?,
            },
            first_frame: want.first_frame,
            frame_count: positive("want_body", want.frame_count, usize::MAX)?,
        }),
        Wire::Lacking(lacking) => ChannelMessage::Lacking(tip(&lacking)?),
        Wire::ChannelLeave(leave) => ChannelMessage::Leave(signed(leave)?),
        Wire::Unknown(proto::Unknown {}) => ChannelMessage::Unknown,
        Wire::Evidence(evidence) => ChannelMessage::Evidence(Box::new(Equivocation::try_from(evidence)?)),
    })
}

impl Message {
    /// Decodes one frame, the whole of it. The caller bounds the frame's length by lane.
    ///
    /// # Errors
    /// [`DecodeError`] names the field that is wrong.
    pub fn decode(frame: Bytes) -> Result<Self, DecodeError> {
        use proto::frame::Message as Wire;
        shape::check(tables::FRAME, &frame)?;
        Ok(match required("frame", proto::Frame::decode(frame)?.message)? {
            Wire::Hello(hello) => Self::Hello(Hello {
                version: hello.version,
                incarnation: Incarnation::from_millis(hello.incarnation),
                dial: hello.dial,
                certificate: chain(required("hello", hello.certificate)?)?,
            }),
            Wire::Channels(list) => {
                let list = bounded("channels", list.channels, 0, CHANNELS_MAX)?;
                Self::Channels(list.iter().map(channel).collect::<Result<_, _>>()?)
            }
            Wire::Certificates(list) => {
                let list = bounded("certificates", list.certificates, 1, CERTIFICATES_MAX)?;
                Self::Certificates(list.into_iter().map(chain).collect::<Result<_, _>>()?)
            }
            Wire::WantCertificates(list) => {
                Self::WantCertificates(members("want_certificates", &list.members, 1, LIST_ENTRIES_MAX)?)
            }
            Wire::Alives(list) => {
                let list = bounded("alives", list.alives, 1, LIST_ENTRIES_MAX)?;
                Self::Alives(list.into_iter().map(alive_record).collect::<Result<_, _>>()?)
            }
            Wire::AliveDigest(list) => Self::AliveDigest(marks("alive_digest", list)?),
            Wire::WantAlives(list) => {
                Self::WantAlives(bounded("want_alives", marks("want_alives", list)?, 1, LIST_ENTRIES_MAX)?)
            }
            Wire::Ticks(list) => Self::Ticks(ticks("ticks", &list.ticks, TICKS_MAX)?),
            Wire::WantAnchors(list) => {
                Self::WantAnchors(ticks("want_anchors", &list.ticks, WANT_ANCHORS_MAX)?)
            }
            Wire::ViewDigest(wire) => Self::ViewDigest(summary(&wire)?),
            Wire::Question(question) => Self::Question {
                subject: mark(&required("question", question.subject)?)?,
                passed_on: question.passed_on,
            },
            Wire::Leave(leave) => Self::Leave(signed(leave)?),
            Wire::RevocationDigest(list) => {
                let marks = bounded("revocation_digest", list.marks, 1, REVOCATION_MARKS_MAX)?;
                Self::RevocationDigest(marks.iter().map(revocation_mark).collect::<Result<_, _>>()?)
            }
            Wire::WantRevocations(list) => {
                let wanted = bounded("want_revocations", list.digests, 1, REVOCATION_MARKS_MAX)?;
                let authority = |bytes: &Bytes| digest("digests", bytes);
                Self::WantRevocations(wanted.iter().map(authority).collect::<Result<_, _>>()?)
            }
            Wire::Revocations(list) => {
                let lists = bounded("revocations", list.lists, 1, REVOCATION_LISTS_MAX)?;
                Self::Revocations(lists.into_iter().map(RevocationList::from_der).collect::<Result<_, _>>()?)
            }
            Wire::Conflict(pair) => Self::Conflict(Box::new(conflict(pair)?)),
            Wire::Channel(frame) => {
                let id = channel(&frame.channel)?;
                Self::Channel(id, channel_message(required("channel", frame.message)?)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite::{Chain, VALIDITY};
    use crate::wire::ChannelLeave;
    use ledgercast_crypto::SecretKey;
    use ledgercast_crypto::issue::Authority;

    fn leave() -> ChannelLeave {
        let member = MemberId::from_digest(Digest::of(b"somebody"));
        ChannelLeave { member, incarnation: Incarnation::from_millis(1), sequence: Sequence::new(1) }
    }

    #[test]
    fn what_is_kept_for_long_holds_nothing_of_the_frame_that_it_came_in() {
        let mut chain = Chain::new(1);
        let header = chain.next(&[b"x"]).header().certified().clone();
        let push = Push { header, relay_set: Digest::ZERO, children: Vec::new() };
        let signed = Signed::sign(leave(), &[0; 32], &SecretKey::from_seed([1; 32]));
        let authority = Authority::reproducible(SecretKey::from_seed([2; 32]), "org", VALIDITY).unwrap();
        let list = authority.revoke(&[], 1, VALIDITY).unwrap();
        let channel = chain.channel();

        for message in [
            Message::Channel(channel, ChannelMessage::Push(push)),
            Message::Channel(channel, ChannelMessage::Leave(signed)),
            Message::Certificates(vec![chain.client().chain()]),
            Message::Revocations(vec![list]),
        ] {
            let frame = message.encode();
            let decoded = Message::decode(frame.clone()).unwrap();
            assert!(frame.is_unique(), "{} holds it", decoded.kind());
        }
    }

    /// An alive of nothing has two bytes in a frame and 304 in memory.
    #[test]
    fn lists_are_counted_and_their_entries_measured_before_they_are_decoded() {
        let alives = |count: u16| {
            let entries = [10, 0].repeat(count.into());
            let mut frame = vec![5 << 3 | 2, (entries.len() % 128) as u8 | 128, (entries.len() / 128) as u8];
            frame.extend(entries);
            Message::decode(frame.into())
        };

        let (many, few) = (alives(4097), alives(100));

        assert!(matches!(many, Err(DecodeError::Count { field: "alives", found: 4097, .. })), "{many:?}");
        assert!(matches!(few, Err(DecodeError::Length { field: "alives", found: 0 })), "{few:?}");
    }

    #[test]
    fn what_stands_twice_is_not_put_together() {
        let frame = Message::WantCertificates(vec![leave().member]).encode();

        let refused = Message::decode(frame.repeat(2).into());

        let is_counted = matches!(refused, Err(DecodeError::Count { found: 2, max: 1, .. }));
        assert!(is_counted, "{refused:?}");
    }

    #[test]
    fn a_statement_that_is_longer_than_any_is_refused() {
        let mut bytes = leave().encode().to_vec();
        // An unknown field, as newer releases may add them: tag 100, length-delimited.
        bytes.extend([0xa2, 0x06, 0x80, 0x08]);
        bytes.extend([0; 1024]);
        let signature = SecretKey::from_seed([1; 32]).sign(ChannelLeave::NAMESPACE, &[0; 32], &bytes);

        let refused = Signed::<ChannelLeave>::decode(bytes.into(), signature);

        assert!(matches!(refused, Err(DecodeError::Length { field: "statement", .. })), "{refused:?}");
    }
}
