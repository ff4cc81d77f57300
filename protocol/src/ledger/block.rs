//! A whole block as it travels and lies on disk; nothing is checked yet but its shape.

use super::{CertifiedHeader, HeaderError};
use crate::types::BlockNumber;
use crate::wire::proto;
use crate::wire::shape::{self, tables};
use bytes::Bytes;
use prost::Message as _;

/// A header with what certifies it, and a body that should be its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: CertifiedHeader,
    /// The body's bytes.
    pub body: Bytes,
}

impl Block {
    /// Decodes a protobuf `Block`.
    ///
    /// # Errors
    /// [`HeaderError`] when it is none, or when the header's shape is wrong.
    pub fn decode(bytes: Bytes) -> Result<Self, HeaderError> {
        shape::check(tables::BLOCK, &bytes).map_err(|error| HeaderError::Malformed(error.to_string()))?;
        let wire = proto::Block::decode(bytes).map_err(|error| HeaderError::Malformed(error.to_string()))?;
        Self::try_from(wire)
    }

    /// The bytes of a protobuf `Block`.
    pub fn encode(&self) -> Bytes {
        proto::Block::from(self).encode_to_vec().into()
    }

    /// The block's number.
    pub fn number(&self) -> BlockNumber {
        self.header.header.number()
    }
}

impl TryFrom<proto::Block> for Block {
    type Error = HeaderError;

    fn try_from(wire: proto::Block) -> Result<Self, Self::Error> {
        let header =
            wire.header.ok_or_else(|| HeaderError::Field { field: "header", found: "nothing".to_owned() })?;
        Ok(Self { header: CertifiedHeader::try_from(header)?, body: wire.body })
    }
}

impl From<&Block> for proto::Block {
    fn from(block: &Block) -> Self {
        Self { header: Some((&block.header).into()), body: block.body.clone() }
    }
}
