//! Two different headers of one number, and who signed both.

use crate::channel::ChannelConfig;
use crate::ledger::{CertifiedHeader, HeaderError, QuorumCertificateError};
use crate::types::{BlockNumber, ChannelId};
use crate::wire::proto;
use crate::wire::shape::{self, tables};
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::keys::PublicKey;
use prost::Message as _;
use std::collections::BTreeSet;
use thiserror::Error;

/// Two headers of one number with signatures of orderers; their shape is checked, no signature is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equivocation {
    /// The one with the smaller hash.
    first: CertifiedHeader,
    second: CertifiedHeader,
}

/// What an equivocation proves under the config that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// These orderers signed two headers of one number.
    DoubleSignature {
        /// The number.
        number: BlockNumber,
        /// Their keys, in the config's order.
        guilty: Vec<PublicKey>,
    },
    /// Two different headers of one number are certified.
    Fork {
        /// The number.
        number: BlockNumber,
        /// Keys of the orderers that signed both, in the config's order.
        guilty: Vec<PublicKey>,
    },
}

/// Why two headers prove nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EquivocationError {
    /// The bytes are not a protobuf `Equivocation`, or a header has no right shape.
    #[error("equivocation does not decode: {0}")]
    Malformed(String),
    /// The headers are of two channels, or not of the one expected.
    #[error("headers are of {first:?} and {second:?}")]
    Channels {
        /// The first one's channel.
        first: ChannelId,
        /// The second one's, or the one expected.
        second: ChannelId,
    },
    /// The headers have two numbers.
    #[error("headers are of blocks {first} and {second}")]
    Numbers {
        /// The first one's number.
        first: BlockNumber,
        /// The second one's.
        second: BlockNumber,
    },
    /// Block 0 is signed by nobody.
    #[error("block 0 is a trust anchor, nobody signs it")]
    Genesis,
    /// The headers name two configs, or not the one given.
    #[error("headers name configs {first} and {second}")]
    Configs {
        /// The first one's config.
        first: u64,
        /// The second one's, or the one given.
        second: u64,
    },
    /// It is one header twice.
    #[error("both headers of block {0} are the same")]
    SameHeader(BlockNumber),
    /// A header comes without signatures.
    #[error("a header of block {0} comes without signatures")]
    NoCertificate(BlockNumber),
    /// A signature is wrong, or of no orderer of the config.
    #[error("header of block {number}: {error}")]
    Certificate {
        /// The number.
        number: BlockNumber,
        /// What is wrong.
        error: QuorumCertificateError,
    },
    /// Different orderers signed, too few for a certificate: no single one did wrong.
    #[error("no orderer signed both headers of block {0}, and they are not both certified")]
    NobodyGuilty(BlockNumber),
}

impl Equivocation {
    /// Puts two headers side by side.
    ///
    /// # Errors
    /// [`EquivocationError`] names what keeps them from contradicting each other.
    pub fn try_new(one: CertifiedHeader, other: CertifiedHeader) -> Result<Self, EquivocationError> {
        let (first, second) = if one.hash() <= other.hash() { (one, other) } else { (other, one) };
        let (a, b) = (first.header.fields(), second.header.fields());
        if a.channel != b.channel {
            return Err(EquivocationError::Channels { first: a.channel, second: b.channel });
        }
        if a.number != b.number {
            return Err(EquivocationError::Numbers { first: a.number, second: b.number });
        }
        if a.number == BlockNumber::GENESIS {
            return Err(EquivocationError::Genesis);
        }
        if a.config_number != b.config_number {
            return Err(EquivocationError::Configs { first: a.config_number, second: b.config_number });
        }
        if first.hash() == second.hash() {
            return Err(EquivocationError::SameHeader(a.number));
        }
        if first.certificate.is_none() || second.certificate.is_none() {
            return Err(EquivocationError::NoCertificate(a.number));
        }
        Ok(Self { first, second })
    }

    /// Decodes a protobuf `Equivocation` and checks its shape. Bounded by what the caller hands over.
    ///
    /// # Errors
    /// [`EquivocationError`] names what is wrong.
    pub fn decode(bytes: Bytes) -> Result<Self, EquivocationError> {
        let malformed = |error: &dyn std::fmt::Display| EquivocationError::Malformed(error.to_string());
        shape::check(tables::EQUIVOCATION, &bytes).map_err(|error| malformed(&error))?;
        Self::try_from(proto::Equivocation::decode(bytes).map_err(|error| malformed(&error))?)
    }

    /// The bytes of a protobuf `Equivocation`.
    pub fn encode(&self) -> Bytes {
        proto::Equivocation::from(self).encode_to_vec().into()
    }

    /// The channel of both headers.
    pub fn channel(&self) -> ChannelId {
        self.first.header.fields().channel
    }

    /// The number of both headers.
    pub fn number(&self) -> BlockNumber {
        self.first.header.number()
    }

    /// The config that both headers name.
    pub fn config_number(&self) -> u64 {
        self.first.header.fields().config_number
    }

    /// Both headers, the one with the smaller hash first.
    pub fn headers(&self) -> [&CertifiedHeader; 2] {
        [&self.first, &self.second]
    }

    /// Names the contradiction, whoever signed: SHA-256 over both headers' hashes.
    pub fn id(&self) -> Digest {
        Digest::of_parts(&[self.first.hash().as_bytes(), self.second.hash().as_bytes()])
    }

    /// Whether both headers come with as many signatures as certify, right or not.
    pub fn claims_fork(&self, config: &ChannelConfig) -> bool {
        self.headers().iter().all(|header| {
            let certificate = header.certificate.as_ref();
            certificate.is_some_and(|it| it.signers().count() >= config.quorum())
        })
    }

    /// The same with only those signatures that are right under a config.
    ///
    /// # Errors
    /// [`EquivocationError::NoCertificate`] when one header has none.
    pub fn only_right(self, config: &ChannelConfig) -> Result<Self, EquivocationError> {
        let trimmed = |header: CertifiedHeader| {
            let (number, hash) = (header.header.number(), header.hash());
            let certificate = header.certificate.as_ref().and_then(|it| it.only_right(config, hash));
            match certificate.is_some() {
                true => Ok(CertifiedHeader { certificate, ..header }),
                false => Err(EquivocationError::NoCertificate(number)),
            }
        };
        Ok(Self { first: trimmed(self.first)?, second: trimmed(self.second)? })
    }

    /// Decides what the two headers prove under the config that they name.
    ///
    /// # Errors
    /// [`EquivocationError`]: nothing.
    pub fn judge(&self, config: &ChannelConfig) -> Result<Verdict, EquivocationError> {
        let (number, channel) = (self.number(), self.channel());
        if channel != config.channel() {
            return Err(EquivocationError::Channels { first: channel, second: config.channel() });
        }
        if self.config_number() != config.number() {
            let (first, second) = (self.config_number(), config.number());
            return Err(EquivocationError::Configs { first, second });
        }
        let first = signers(&self.first, config)?;
        let second = signers(&self.second, config)?;
        let both = first.intersection(&second).filter_map(|index| config.orderers().get(*index));
        let guilty: Vec<PublicKey> = both.map(|orderer| orderer.key).collect();
        let is_certified = |signers: &BTreeSet<usize>| signers.len() >= config.quorum();
        if is_certified(&first) && is_certified(&second) {
            Ok(Verdict::Fork { number, guilty })
        } else if guilty.is_empty() {
            Err(EquivocationError::NobodyGuilty(number))
        } else {
            Ok(Verdict::DoubleSignature { number, guilty })
        }
    }
}

/// Who signed a header; every signature must be right.
fn signers(
    certified: &CertifiedHeader,
    config: &ChannelConfig,
) -> Result<BTreeSet<usize>, EquivocationError> {
    let number = certified.header.number();
    let certificate = certified.certificate.as_ref().ok_or(EquivocationError::NoCertificate(number))?;
    certificate
        .verify_signatures(config, certified.hash())
        .map_err(|error| EquivocationError::Certificate { number, error })?;
    Ok(certificate.signers().collect())
}

impl Verdict {
    /// The number that two headers claim.
    pub fn number(&self) -> BlockNumber {
        match self {
            Self::DoubleSignature { number, .. } | Self::Fork { number, .. } => *number,
        }
    }

    /// Keys of the orderers that signed both headers.
    pub fn guilty(&self) -> &[PublicKey] {
        match self {
            Self::DoubleSignature { guilty, .. } | Self::Fork { guilty, .. } => guilty,
        }
    }

    /// A short name, for counters and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DoubleSignature { .. } => "double_signature",
            Self::Fork { .. } => "fork",
        }
    }
}

impl TryFrom<proto::Equivocation> for Equivocation {
    type Error = EquivocationError;

    fn try_from(wire: proto::Equivocation) -> Result<Self, Self::Error> {
        let header = |wire: Option<proto::CertifiedHeader>| {
            let wire = wire.ok_or_else(|| EquivocationError::Malformed("a header is missing".to_owned()))?;
            let header = CertifiedHeader::try_from(wire);
            header.map_err(|error: HeaderError| EquivocationError::Malformed(error.to_string()))
        };
        Self::try_new(header(wire.first)?, header(wire.second)?)
    }
}

impl From<&Equivocation> for proto::Equivocation {
    fn from(equivocation: &Equivocation) -> Self {
        Self { first: Some((&equivocation.first).into()), second: Some((&equivocation.second).into()) }
    }
}
