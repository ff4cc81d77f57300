//! Messages to bytes.

use super::message::{AliveRecord, CertificateChain, ChannelMessage, Message, RevocationMark, Summary, Tip};
use super::{Signed, proto};
use crate::types::{ChannelId, Mark, MemberId, Tick};
use bytes::Bytes;
use ledgercast_crypto::certificate::Certificate;
use prost::Message as _;

fn channel(id: &ChannelId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

fn members(list: &[MemberId]) -> Vec<Bytes> {
    list.iter().map(|member| Bytes::copy_from_slice(member.as_bytes())).collect()
}

fn mark(mark: &Mark) -> proto::Mark {
    proto::Mark {
        member: Bytes::copy_from_slice(mark.member.as_bytes()),
        incarnation: mark.incarnation.as_millis(),
        sequence: mark.sequence.as_u64(),
    }
}

fn marks(list: &[Mark]) -> proto::MarkList {
    proto::MarkList { marks: list.iter().map(mark).collect() }
}

fn ticks(list: &[Tick]) -> proto::TickList {
    proto::TickList { ticks: list.iter().flat_map(|tick| *tick.as_bytes()).collect() }
}

fn summary(summary: &Summary) -> proto::Summary {
    proto::Summary { digest: Bytes::copy_from_slice(&summary.0) }
}

fn signed<T>(statement: &Signed<T>) -> proto::Signed {
    proto::Signed {
        statement: statement.bytes().clone(),
        signature: Bytes::copy_from_slice(statement.signature().as_bytes()),
    }
}

impl From<&CertificateChain> for proto::CertificateChain {
    fn from(certificates: &CertificateChain) -> Self {
        chain(certificates)
    }
}

fn chain(chain: &CertificateChain) -> proto::CertificateChain {
    let der = |certificate: &Certificate| certificate.der().clone();
    proto::CertificateChain {
        certificate: der(&chain.certificate),
        intermediates: chain.intermediates.iter().map(der).collect(),
    }
}

fn revocation_mark(mark: &RevocationMark) -> proto::RevocationMark {
    proto::RevocationMark {
        authority: Bytes::copy_from_slice(mark.authority.as_bytes()),
        number: Bytes::copy_from_slice(mark.number.as_bytes()),
    }
}

fn alive_record(record: &AliveRecord) -> proto::AliveRecord {
    proto::AliveRecord {
        alive: Some(signed(&record.alive)),
        internal: record.internal.as_ref().map(|internal| proto::InternalEndpoint {
            salt: Bytes::copy_from_slice(&internal.salt),
            endpoint: internal.endpoint.as_str().to_owned(),
        }),
        tick: record.tick.map_or_else(Bytes::new, |tick| Bytes::copy_from_slice(tick.as_bytes())),
    }
}

fn tip(tip: &Tip) -> proto::Tip {
    proto::Tip {
        number: tip.number.as_u64(),
        header_hash: Bytes::copy_from_slice(tip.header_hash.as_bytes()),
    }
}

fn channel_message(message: &ChannelMessage) -> proto::channel_frame::Message {
    use proto::channel_frame::Message as Wire;
    match message {
        ChannelMessage::StateSummary(summary) => Wire::StateSummary(self::summary(summary)),
        ChannelMessage::StateDigest(list) => Wire::StateDigest(marks(list)),
        ChannelMessage::States(states) => {
            Wire::States(proto::SignedList { statements: states.iter().map(signed).collect() })
        }
        ChannelMessage::WantStates(list) => Wire::WantStates(proto::MemberList { members: members(list) }),
        ChannelMessage::Leadership(claim) => Wire::Leadership(signed(claim)),
        ChannelMessage::Announce(announced) => Wire::Announce(tip(announced)),
        ChannelMessage::Complete(complete) => Wire::Complete(tip(complete)),
        ChannelMessage::WantHeaders(want) => {
            Wire::WantHeaders(proto::WantHeaders { first: want.first.as_u64(), count: want.count })
        }
        ChannelMessage::Headers { first, headers } => Wire::Headers(proto::HeaderList {
            first: first.as_u64(),
            headers: headers.iter().map(Into::into).collect(),
        }),
        ChannelMessage::Push(push) => Wire::Push(proto::Push {
            header: Some((&push.header).into()),
            relay_set: Bytes::copy_from_slice(push.relay_set.as_bytes()),
            children: members(&push.children),
        }),
        ChannelMessage::BodyFrame { header_hash, index, payload } => Wire::BodyFrame(proto::BodyFrame {
            header_hash: Bytes::copy_from_slice(header_hash.as_bytes()),
            index: *index,
            payload: payload.clone(),
        }),
        ChannelMessage::WantBody(want) => Wire::WantBody(proto::WantBody {
            number: want.tip.number.as_u64(),
            header_hash: Bytes::copy_from_slice(want.tip.header_hash.as_bytes()),
            first_frame: want.first_frame,
            frame_count: want.frame_count,
        }),
        ChannelMessage::Lacking(lacking) => Wire::Lacking(tip(lacking)),
        ChannelMessage::Leave(leave) => Wire::ChannelLeave(signed(leave)),
        ChannelMessage::Unknown => Wire::Unknown(proto::Unknown {}),
        ChannelMessage::Evidence(evidence) => Wire::Evidence((&**evidence).into()),
    }
}

impl Message {
    /// The bytes of one frame.
    pub fn encode(&self) -> Bytes {
        use proto::frame::Message as Wire;
        let message = match self {
            Self::Hello(hello) => Wire::Hello(proto::Hello {
                version: hello.version,
                incarnation: hello.incarnation.as_millis(),
                dial: hello.dial,
                certificate: Some(chain(&hello.certificate)),
            }),
            Self::Channels(list) => {
                Wire::Channels(proto::ChannelList { channels: list.iter().map(channel).collect() })
            }
            Self::Certificates(list) => {
                Wire::Certificates(proto::CertificateList { certificates: list.iter().map(chain).collect() })
            }
            Self::WantCertificates(list) => {
                Wire::WantCertificates(proto::MemberList { members: members(list) })
            }
            Self::Alives(list) => {
                Wire::Alives(proto::AliveList { alives: list.iter().map(alive_record).collect() })
            }
            Self::AliveDigest(list) => Wire::AliveDigest(marks(list)),
            Self::WantAlives(list) => Wire::WantAlives(marks(list)),
            Self::Ticks(list) => Wire::Ticks(ticks(list)),
            Self::WantAnchors(list) => Wire::WantAnchors(ticks(list)),
            Self::ViewDigest(summary) => Wire::ViewDigest(self::summary(summary)),
            Self::Question { subject, passed_on } => {
                Wire::Question(proto::Question { subject: Some(mark(subject)), passed_on: *passed_on })
            }
            Self::Leave(leave) => Wire::Leave(signed(leave)),
            Self::RevocationDigest(list) => Wire::RevocationDigest(proto::RevocationMarkList {
                marks: list.iter().map(revocation_mark).collect(),
            }),
            Self::WantRevocations(list) => Wire::WantRevocations(proto::DigestList {
                digests: list.iter().map(|it| Bytes::copy_from_slice(it.as_bytes())).collect(),
            }),
            Self::Revocations(lists) => Wire::Revocations(proto::RevocationList {
                lists: lists.iter().map(|list| list.der().clone()).collect(),
            }),
            Self::Conflict(conflict) => Wire::Conflict(proto::Conflict {
                first: Some(alive_record(&conflict.first)),
                second: Some(alive_record(&conflict.second)),
            }),
            Self::Channel(id, message) => Wire::Channel(proto::ChannelFrame {
                channel: channel(id),
                message: Some(channel_message(message)),
            }),
        };
        proto::Frame { message: Some(message) }.encode_to_vec().into()
    }
}
