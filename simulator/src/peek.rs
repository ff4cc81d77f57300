//! Reads a frame's kind and channel without decoding it: every frame is looked at, few are taken apart.

use ledgercast_protocol::types::ChannelId;

const CHANNEL_FIELD: u64 = 10;

/// What a frame shows at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek {
    /// The kind's name, as [`Message::kind`](ledgercast_protocol::wire::Message::kind) gives it.
    pub kind: &'static str,
    /// The channel that it names, if it is a channel's message.
    pub channel: Option<ChannelId>,
}

impl Peek {
    /// Looks at a frame; `malformed` is the kind of what is none.
    pub fn at(frame: &[u8]) -> Self {
        Self::try_at(frame).unwrap_or(Self { kind: "malformed", channel: None })
    }

    fn try_at(frame: &[u8]) -> Option<Self> {
        let mut bytes = frame;
        let field = take_delimited_tag(&mut bytes)?;
        if field != CHANNEL_FIELD {
            return Some(Self { kind: session_kind(field)?, channel: None });
        }
        take_varint(&mut bytes)?;
        if take_delimited_tag(&mut bytes)? != 1 || take_varint(&mut bytes)? != 32 {
            return None;
        }
        let (id, mut rest) = bytes.split_at_checked(32)?;
        let channel = ChannelId::from_bytes(id.try_into().ok()?);
        Some(Self { kind: channel_kind(take_delimited_tag(&mut rest)?)?, channel: Some(channel) })
    }
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(bytes).ok()
}

/// The field number of a tag whose value is length-delimited.
fn take_delimited_tag(bytes: &mut &[u8]) -> Option<u64> {
    let tag = take_varint(bytes)?;
    (tag & 7 == 2).then_some(tag >> 3)
}

fn session_kind(field: u64) -> Option<&'static str> {
    let kinds = [
        "hello",
        "channels",
        "certificates",
        "want_certificates",
        "alives",
        "alive_digest",
        "want_alives",
        "question",
        "leave",
    ];
    match field {
        12 => Some("conflict"),
        13 => Some("revocation_digest"),
        14 => Some("want_revocations"),
        15 => Some("revocations"),
        7 => None,
        20 => Some("want_alives"),
        21 => Some("ticks"),
        22 => Some("want_anchors"),
        23 => Some("view_digest"),
        field => kinds.get(usize::try_from(field).ok()?.checked_sub(1)?).copied(),
    }
}

fn channel_kind(field: u64) -> Option<&'static str> {
    let kinds = [
        "state_digest",
        "states",
        "want_states",
        "leadership",
        "announce",
        "complete",
        "want_headers",
        "headers",
        "push",
        "body_frame",
        "want_body",
        "lacking",
        "channel_leave",
        "unknown",
        "evidence",
    ];
    if field == 20 {
        return Some("state_summary");
    }
    kinds.get(usize::try_from(field).ok()?.checked_sub(2)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::Digest;
    use ledgercast_protocol::types::BlockNumber;
    use ledgercast_protocol::wire::{ChannelMessage, Message, Summary, Tip, WantBody, WantHeaders};

    #[test]
    fn a_glance_agrees_with_decoding() {
        let tip = Tip { number: BlockNumber::new(300), header_hash: Digest::of(b"x") };
        let of_channel = [
            ChannelMessage::StateSummary(Summary([1; 16])),
            ChannelMessage::StateDigest(Vec::new()),
            ChannelMessage::WantStates(Vec::new()),
            ChannelMessage::Announce(tip),
            ChannelMessage::Complete(tip),
            ChannelMessage::WantHeaders(WantHeaders { first: BlockNumber::GENESIS, count: 1 }),
            ChannelMessage::Headers { first: BlockNumber::GENESIS, headers: Vec::new() },
            ChannelMessage::BodyFrame {
                header_hash: tip.header_hash,
                index: 0,
                payload: vec![7; 300].into(),
            },
            ChannelMessage::WantBody(WantBody { tip, first_frame: 0, frame_count: 2 }),
            ChannelMessage::Lacking(tip),
            ChannelMessage::Unknown,
        ];
        let channel = ChannelId::from_bytes([9; 32]);
        let messages = of_channel.into_iter().map(|message| Message::Channel(channel, message)).chain([
            Message::Channels(vec![channel]),
            Message::Certificates(Vec::new()),
            Message::WantCertificates(Vec::new()),
            Message::Alives(Vec::new()),
            Message::AliveDigest(Vec::new()),
            Message::WantAlives(Vec::new()),
            Message::Ticks(Vec::new()),
            Message::WantAnchors(Vec::new()),
            Message::ViewDigest(Summary([1; 16])),
            Message::RevocationDigest(Vec::new()),
            Message::WantRevocations(Vec::new()),
            Message::Revocations(Vec::new()),
        ]);

        for message in messages {
            let is_of_channel = matches!(message, Message::Channel(..));
            let expected = Peek { kind: message.kind(), channel: is_of_channel.then_some(channel) };
            assert_eq!(Peek::at(&message.encode()), expected);
        }
    }

    #[test]
    fn what_is_no_frame_is_malformed() {
        for bytes in [&b""[..], &[0xff; 20], &[0x52, 5, 0x0a, 32, 1], &[0x08, 1]] {
            assert_eq!(Peek::at(bytes).kind, "malformed");
        }
    }
}
