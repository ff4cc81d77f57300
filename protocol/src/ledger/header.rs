//! Block headers: what the orderers sign, and what names a height.

use super::{QuorumCertificate, QuorumCertificateError};
use crate::time::WallTime;
use crate::types::{BlockNumber, ChannelId};
use crate::wire::proto;
use crate::wire::shape::{self, tables};
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use prost::Message as _;
use thiserror::Error;

/// The only header version so far: whole bodies, no coding.
pub const HEADER_VERSION: u32 = 1;

/// The longest header that is decoded, in bytes (about 200 are needed).
const HEADER_BYTES_MAX: usize = 512;

/// The fields of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderFields {
    /// The channel.
    pub channel: ChannelId,
    /// The block's place in the chain.
    pub number: BlockNumber,
    /// Hash of the header before; zero in block 0.
    pub previous_hash: Digest,
    /// Merkle tree hash of the body's parts.
    pub body_root: Digest,
    /// Length of the body in bytes.
    pub body_bytes: u64,
    /// Number of parts: certificates and envelopes.
    pub part_count: u32,
    /// Number of envelopes.
    pub envelope_count: u32,
    /// Number of the config that this block is certified under.
    pub config_number: u64,
    /// The orderer's clock.
    pub timestamp: WallTime,
}

/// A header with its exact bytes and their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    fields: HeaderFields,
    bytes: Bytes,
    hash: Digest,
}

/// A header and what is said to certify it; nothing is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedHeader {
    /// The header.
    pub header: Header,
    /// The orderers' signatures; absent for block 0.
    pub certificate: Option<QuorumCertificate>,
}

/// Why bytes are not a header.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HeaderError {
    /// The bytes are not a protobuf `Header` or `CertifiedHeader`.
    #[error("header does not decode: {0}")]
    Malformed(String),
    /// A version that this program does not know.
    #[error("header version {0} is not known (known: {HEADER_VERSION}); a newer release may know it")]
    Version(u32),
    /// A field has the wrong length or value.
    #[error("header field {field} is wrong: {found}")]
    Field {
        /// The field's name in `ledger.proto`.
        field: &'static str,
        /// What it holds.
        found: String,
    },
    /// The certificate's shape is wrong.
    #[error(transparent)]
    Certificate(#[from] QuorumCertificateError),
}

impl Header {
    /// Encodes the fields; the bytes are what is hashed and signed.
    pub fn new(fields: HeaderFields) -> Self {
        let bytes: Bytes = proto::Header {
            version: HEADER_VERSION,
            channel: Bytes::copy_from_slice(fields.channel.as_bytes()),
            number: fields.number.as_u64(),
            previous_hash: Bytes::copy_from_slice(fields.previous_hash.as_bytes()),
            body_root: Bytes::copy_from_slice(fields.body_root.as_bytes()),
            body_bytes: fields.body_bytes,
            part_count: fields.part_count,
            envelope_count: fields.envelope_count,
            config_number: fields.config_number,
            timestamp_ms: fields.timestamp.as_millis(),
        }
        .encode_to_vec()
        .into();
        let hash = Digest::of(&bytes);
        Self { fields, bytes, hash }
    }

    /// Decodes a header and checks its shape. Its bytes are copied: they are kept for long, and the frame
    /// that they came in would be kept with them.
    ///
    /// # Errors
    /// [`HeaderError`] names the field that is wrong.
    pub fn decode(bytes: Bytes) -> Result<Self, HeaderError> {
        let wrong = |field, found: String| HeaderError::Field { field, found };
        if bytes.len() > HEADER_BYTES_MAX {
            return Err(wrong("header", format!("{} bytes, more than {HEADER_BYTES_MAX}", bytes.len())));
        }
        let wire = proto::Header::decode(bytes.clone())
            .map_err(|error| HeaderError::Malformed(error.to_string()))?;
        if wire.version != HEADER_VERSION {
            return Err(HeaderError::Version(wire.version));
        }
        if wire.envelope_count > wire.part_count {
            return Err(wrong(
                "envelope_count",
                format!("{} of {} parts", wire.envelope_count, wire.part_count),
            ));
        }
        let digest = |field, value: &Bytes| {
            Digest::try_from(&value[..]).map_err(|_| wrong(field, format!("{} bytes", value.len())))
        };
        let fields = HeaderFields {
            channel: ChannelId::from_bytes(*digest("channel", &wire.channel)?.as_bytes()),
            number: BlockNumber::new(wire.number),
            previous_hash: digest("previous_hash", &wire.previous_hash)?,
            body_root: digest("body_root", &wire.body_root)?,
            body_bytes: wire.body_bytes,
            part_count: wire.part_count,
            envelope_count: wire.envelope_count,
            config_number: wire.config_number,
            timestamp: WallTime::from_millis(wire.timestamp_ms),
        };
        let hash = Digest::of(&bytes);
        Ok(Self { fields, bytes: Bytes::copy_from_slice(&bytes), hash })
    }

    /// The fields.
    pub fn fields(&self) -> &HeaderFields {
        &self.fields
    }

    /// The block's number.
    pub fn number(&self) -> BlockNumber {
        self.fields.number
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// SHA-256 of the exact bytes.
    pub fn hash(&self) -> Digest {
        self.hash
    }
}

impl CertifiedHeader {
    /// Decodes from protobuf bytes and checks the shape.
    ///
    /// # Errors
    /// [`HeaderError`] names what is wrong.
    pub fn decode(bytes: Bytes) -> Result<Self, HeaderError> {
        let malformed = |error: &dyn std::fmt::Display| HeaderError::Malformed(error.to_string());
        shape::check(tables::CERTIFIED_HEADER, &bytes).map_err(|error| malformed(&error))?;
        let wire = proto::CertifiedHeader::decode(bytes).map_err(|error| malformed(&error))?;
        Self::try_from(wire)
    }

    /// The bytes of a protobuf `CertifiedHeader`.
    pub fn encode(&self) -> Bytes {
        proto::CertifiedHeader::from(self).encode_to_vec().into()
    }

    /// The header's hash.
    pub fn hash(&self) -> Digest {
        self.header.hash()
    }
}

impl TryFrom<proto::CertifiedHeader> for CertifiedHeader {
    type Error = HeaderError;

    fn try_from(wire: proto::CertifiedHeader) -> Result<Self, Self::Error> {
        Ok(Self {
            header: Header::decode(wire.header)?,
            certificate: wire.certificate.map(QuorumCertificate::try_from).transpose()?,
        })
    }
}

impl From<&CertifiedHeader> for proto::CertifiedHeader {
    fn from(certified: &CertifiedHeader) -> Self {
        Self {
            header: certified.header.bytes().clone(),
            certificate: certified.certificate.as_ref().map(Into::into),
        }
    }
}
