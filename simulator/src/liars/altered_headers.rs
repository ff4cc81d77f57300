//! Alters a field of each header that it passes on, and leaves the certificate as it was (A9).

use super::{Crime, Lie, channel_message};
use crate::traffic::SentFrame;
use ledgercast_crypto::Digest;
use ledgercast_protocol::WallTime;
use ledgercast_protocol::ledger::{CertifiedHeader, Header};
use ledgercast_protocol::wire::ChannelMessage;

/// The field that is altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderAlteration {
    /// The hash of the header before.
    PreviousHash,
    /// The Merkle root of the parts.
    BodyRoot,
    /// The length of the body.
    BodyBytes,
    /// The number of parts.
    PartCount,
    /// The number of envelopes.
    EnvelopeCount,
    /// The config's number.
    ConfigNumber,
    /// The orderer's clock.
    Timestamp,
}

impl HeaderAlteration {
    /// Every field but channel and number, which are claims of their own (A8).
    pub const ALL: [Self; 7] = [
        Self::PreviousHash,
        Self::BodyRoot,
        Self::BodyBytes,
        Self::PartCount,
        Self::EnvelopeCount,
        Self::ConfigNumber,
        Self::Timestamp,
    ];

    /// The header with its field altered.
    pub fn apply(self, header: &CertifiedHeader) -> CertifiedHeader {
        let mut fields = header.header.fields().clone();
        let other = Digest::of(b"something else");
        match self {
            Self::PreviousHash => fields.previous_hash = other,
            Self::BodyRoot => fields.body_root = other,
            Self::BodyBytes => fields.body_bytes += 1,
            Self::PartCount => fields.part_count += 1,
            Self::EnvelopeCount => fields.envelope_count -= 1,
            Self::ConfigNumber => fields.config_number += 1,
            Self::Timestamp => fields.timestamp = WallTime::from_millis(fields.timestamp.as_millis() + 1),
        }
        CertifiedHeader { header: Header::new(fields), certificate: header.certificate.clone() }
    }
}

/// Alters the fields in turn, another one in each message.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlteredHeaders {
    next: usize,
}

impl Crime for AlteredHeaders {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        let Some((channel, mut message)) = channel_message(sent, &["push", "headers"]) else {
            return Lie::truth(sent);
        };
        let alteration = HeaderAlteration::ALL[self.next % HeaderAlteration::ALL.len()];
        self.next += 1;
        match &mut message {
            ChannelMessage::Push(push) => push.header = alteration.apply(&push.header),
            ChannelMessage::Headers { headers, .. } => {
                headers.iter_mut().for_each(|header| *header = alteration.apply(header));
            }
            _ => {}
        }
        vec![Lie::channel(channel, message)]
    }
}
