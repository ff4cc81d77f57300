//! Envelopes: a creator's signed transaction for one channel.

use crate::types::ChannelId;
use crate::wire::proto;
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::signature::Namespace;
use ledgercast_crypto::{PublicKey, SecretKey, Signature};
use prost::Message as _;
use std::fmt;
use std::ops::RangeInclusive;
use thiserror::Error;

/// How long a nonce is, in bytes.
pub const ENVELOPE_NONCE_BYTES: RangeInclusive<usize> = 16..=32;

/// SHA-256 of an envelope's content bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvelopeId(pub Digest);

/// What an envelope carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeKind {
    /// Application bytes.
    Transaction,
    /// A channel config.
    Config,
}

/// The decoded content of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeContent {
    /// The channel that the creator meant.
    pub channel: ChannelId,
    /// Fingerprint of the creator's certificate; zero in block 0.
    pub creator: Digest,
    /// Never used twice by one creator.
    pub nonce: Bytes,
    /// Opaque to the service unless `kind` is [`EnvelopeKind::Config`].
    pub payload: Bytes,
    /// What the payload is.
    pub kind: EnvelopeKind,
}

/// An envelope whose shape is right; its signature is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    content: EnvelopeContent,
    content_bytes: Bytes,
    signature: Option<Signature>,
}

/// Why bytes are not an envelope, or not one of this creator.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EnvelopeError {
    /// The bytes are not a protobuf `Envelope`.
    #[error("envelope does not decode: {0}")]
    Malformed(String),
    /// A field has the wrong length or value.
    #[error("envelope field {field} is wrong: {found}")]
    Field {
        /// The field's name in `ledger.proto`.
        field: &'static str,
        /// What it holds.
        found: String,
    },
    /// The signature does not verify under the creator's key.
    #[error("envelope {0} is not signed by its creator")]
    Signature(Digest),
}

impl Envelope {
    /// Signs a content with its creator's key.
    pub fn sign(content: EnvelopeContent, key: &SecretKey) -> Self {
        let content_bytes = content.encode();
        let signature = key.sign(Namespace::Envelope, content.channel.as_bytes(), &content_bytes);
        Self { content, content_bytes, signature: Some(signature) }
    }

    /// The unsigned envelope of a genesis block; its block hash is the trust anchor.
    pub fn genesis(channel: ChannelId, config: Bytes) -> Self {
        let content = EnvelopeContent {
            channel,
            creator: Digest::ZERO,
            nonce: Bytes::new(),
            payload: config,
            kind: EnvelopeKind::Config,
        };
        let content_bytes = content.encode();
        Self { content, content_bytes, signature: None }
    }

    /// Decodes an envelope and checks its shape, not its signature.
    ///
    /// # Errors
    /// [`EnvelopeError`] names the field that is wrong.
    pub fn decode(bytes: Bytes) -> Result<Self, EnvelopeError> {
        let wire =
            proto::Envelope::decode(bytes).map_err(|error| EnvelopeError::Malformed(error.to_string()))?;
        let signature = match wire.signature.len() {
            0 => None,
            64 => Signature::try_from(&wire.signature[..]).ok(),
            other => {
                return Err(EnvelopeError::Field { field: "signature", found: format!("{other} bytes") });
            }
        };
        Ok(Self {
            content: EnvelopeContent::decode(wire.content.clone())?,
            content_bytes: wire.content,
            signature,
        })
    }

    /// The bytes of a protobuf `Envelope`.
    pub fn encode(&self) -> Bytes {
        let signature =
            self.signature.map_or_else(Bytes::new, |signature| Bytes::copy_from_slice(signature.as_bytes()));
        proto::Envelope { content: self.content_bytes.clone(), signature }.encode_to_vec().into()
    }

    /// SHA-256 of the content bytes.
    pub fn id(&self) -> EnvelopeId {
        EnvelopeId(Digest::of(&self.content_bytes))
    }

    /// The decoded content.
    pub fn content(&self) -> &EnvelopeContent {
        &self.content
    }

    /// Checks the creator's signature.
    ///
    /// # Errors
    /// [`EnvelopeError::Signature`] when it is missing or wrong.
    pub fn verify(&self, creator: &PublicKey) -> Result<(), EnvelopeError> {
        let refused = || EnvelopeError::Signature(self.id().0);
        let signature = self.signature.as_ref().ok_or_else(refused)?;
        creator
            .verify(Namespace::Envelope, self.content.channel.as_bytes(), &self.content_bytes, signature)
            .map_err(|_| refused())
    }
}

impl EnvelopeContent {
    fn encode(&self) -> Bytes {
        let is_genesis = self.creator == Digest::ZERO;
        proto::EnvelopeContent {
            channel: Bytes::copy_from_slice(self.channel.as_bytes()),
            creator: if is_genesis { Bytes::new() } else { Bytes::copy_from_slice(self.creator.as_bytes()) },
            nonce: self.nonce.clone(),
            payload: self.payload.clone(),
            kind: match self.kind {
                EnvelopeKind::Transaction => proto::EnvelopeKind::Transaction,
                EnvelopeKind::Config => proto::EnvelopeKind::Config,
            } as i32,
        }
        .encode_to_vec()
        .into()
    }

    fn decode(bytes: Bytes) -> Result<Self, EnvelopeError> {
        let wire = proto::EnvelopeContent::decode(bytes)
            .map_err(|error| EnvelopeError::Malformed(error.to_string()))?;
        let wrong = |field, found: String| EnvelopeError::Field { field, found };
        let channel = <[u8; 32]>::try_from(&wire.channel[..])
            .map_err(|_| wrong("channel", format!("{} bytes", wire.channel.len())))?;
        let creator = match wire.creator.len() {
            0 => Digest::ZERO,
            _ => Digest::try_from(&wire.creator[..])
                .map_err(|_| wrong("creator", format!("{} bytes", wire.creator.len())))?,
        };
        let is_nonce_right = match creator {
            Digest::ZERO => wire.nonce.is_empty(),
            _ => ENVELOPE_NONCE_BYTES.contains(&wire.nonce.len()),
        };
        if !is_nonce_right {
            return Err(wrong("nonce", format!("{} bytes", wire.nonce.len())));
        }
        let kind = match proto::EnvelopeKind::try_from(wire.kind) {
            Ok(proto::EnvelopeKind::Transaction) => EnvelopeKind::Transaction,
            Ok(proto::EnvelopeKind::Config) => EnvelopeKind::Config,
            Err(_) => return Err(wrong("kind", wire.kind.to_string())),
        };
        Ok(Self {
            channel: ChannelId::from_bytes(channel),
            creator,
            nonce: wire.nonce,
            payload: wire.payload,
            kind,
        })
    }
}

impl fmt::Display for EnvelopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
