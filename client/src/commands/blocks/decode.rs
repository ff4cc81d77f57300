//! Envelopes of a verified block as people and programs read them.

use super::super::output::hex;
use bytes::Bytes;
use ledgercast_crypto::{Certificate, Digest};
use ledgercast_protocol::ledger::{Envelope, EnvelopeKind, VerifiedBlock};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PREVIEW_CHARACTERS: usize = 48;

/// One part of a block that should be an envelope.
pub(super) struct Decoded {
    index: usize,
    envelope: Result<Envelope, String>,
    creator: Option<String>,
}

/// The envelopes of a block with the names of their creators.
pub(super) fn envelopes(block: &VerifiedBlock) -> Vec<Decoded> {
    let names: BTreeMap<Digest, String> = block
        .creator_certificates()
        .filter_map(|der| Certificate::from_der(der).ok())
        .map(|certificate| (certificate.fingerprint(), certificate.subject().to_string()))
        .collect();
    let decode = |(index, part): (usize, Bytes)| {
        let envelope = Envelope::decode(part).map_err(|error| error.to_string());
        let creator = envelope.as_ref().ok().and_then(|it| names.get(&it.content().creator).cloned());
        Decoded { index, envelope, creator }
    };
    block.envelopes().enumerate().map(decode).collect()
}

impl Decoded {
    pub(super) fn to_json(&self) -> Value {
        match &self.envelope {
            Ok(envelope) => json!({
                "index": self.index,
                "id": envelope.id().to_string(),
                "kind": kind(envelope),
                "creator": self.creator,
                "creator_fingerprint": envelope.content().creator.to_string(),
                "nonce": hex(&envelope.content().nonce),
                "payload": hex(&envelope.content().payload),
            }),
            Err(error) => json!({ "index": self.index, "error": error }),
        }
    }

    pub(super) fn to_text(&self) -> String {
        match &self.envelope {
            Ok(envelope) => {
                let payload = &envelope.content().payload;
                format!(
                    "{:>4}  {}  {}  {}  {} bytes  {}",
                    self.index,
                    envelope.id().0.short(),
                    kind(envelope),
                    self.creator.as_deref().unwrap_or("-"),
                    payload.len(),
                    preview(payload),
                )
            }
            Err(error) => format!("{:>4}  {error}", self.index),
        }
    }
}

fn kind(envelope: &Envelope) -> &'static str {
    match envelope.content().kind {
        EnvelopeKind::Transaction => "transaction",
        EnvelopeKind::Config => "config",
    }
}

/// The start of a payload as text, if it is text, else as hex; nothing that a terminal would obey.
fn preview(payload: &[u8]) -> String {
    let start = &payload[..payload.len().min(4 * PREVIEW_CHARACTERS)];
    let valid = start.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let is_text = valid.len() + 3 >= start.len() && !valid.is_empty();
    let shown: String = match is_text {
        true => {
            valid.chars().map(|it| if it.is_control() { ' ' } else { it }).take(PREVIEW_CHARACTERS).collect()
        }
        false => hex(&payload[..payload.len().min(PREVIEW_CHARACTERS / 2)]),
    };
    if shown.len() < payload.len() { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_hide_control_characters_and_show_bytes_as_hex() {
        assert_eq!(preview(b"a\x1b[2Jb"), "a [2Jb");
        assert_eq!(preview(&[0xff, 0xfe, 0x00, 0x01]), "fffe0001");
        assert!(preview(&[b'x'; 1000]).ends_with('…'));
    }
}
