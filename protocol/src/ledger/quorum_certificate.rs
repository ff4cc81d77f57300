//! The orderers' signatures over one header hash.

use crate::channel::ChannelConfig;
use crate::types::ChannelId;
use crate::wire::proto;
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::signature::Namespace;
use ledgercast_crypto::{SecretKey, Signature};
use thiserror::Error;

/// The most orderers that a config may name.
pub const ORDERERS_MAX: usize = 64;

/// Which orderers signed a header hash, by their place in the config, and their signatures in that order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumCertificate {
    signatures: Vec<(usize, Signature)>,
}

/// Why a certificate does not certify a header.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum QuorumCertificateError {
    /// The bitmap and the signatures do not fit together.
    #[error("certificate marks {marked} signers in {bitmap_bytes} bytes and carries {signatures} signatures")]
    Shape {
        /// Bits that are set.
        marked: usize,
        /// Length of the bitmap.
        bitmap_bytes: usize,
        /// Number of signatures.
        signatures: usize,
    },
    /// A signature is not 64 bytes.
    #[error("certificate carries a signature of {0} bytes")]
    SignatureLength(usize),
    /// Too few orderers signed.
    #[error("certificate has {found} signatures, the config's quorum is {quorum}")]
    BelowQuorum {
        /// How many signed.
        found: usize,
        /// How many must.
        quorum: usize,
    },
    /// The config has no such orderer.
    #[error("certificate names orderer {index}, the config has {orderers}")]
    UnknownOrderer {
        /// The index named.
        index: usize,
        /// How many the config has.
        orderers: usize,
    },
    /// A signature does not verify.
    #[error("signature of orderer {index} does not verify")]
    Signature {
        /// The orderer's index.
        index: usize,
    },
}

impl QuorumCertificate {
    /// Signs a header hash as the orderer at `index` of the config: a certificate of one signature.
    pub fn sign(channel: ChannelId, header_hash: Digest, index: usize, key: &SecretKey) -> Self {
        let signature = key.sign(Namespace::Header, channel.as_bytes(), header_hash.as_bytes());
        Self { signatures: vec![(index, signature)] }
    }

    /// Checks that a quorum of the config's orderers signed this header hash.
    ///
    /// # Errors
    /// [`QuorumCertificateError`] names the first check that fails.
    pub fn verify(&self, config: &ChannelConfig, header_hash: Digest) -> Result<(), QuorumCertificateError> {
        let quorum = config.quorum();
        if self.signatures.len() < quorum {
            return Err(QuorumCertificateError::BelowQuorum { found: self.signatures.len(), quorum });
        }
        self.verify_signatures(config, header_hash)
    }

    /// Checks each signature, however many there are: that of the config's orderer over this header hash.
    ///
    /// # Errors
    /// [`QuorumCertificateError`] names the first one that is not.
    pub fn verify_signatures(
        &self,
        config: &ChannelConfig,
        header_hash: Digest,
    ) -> Result<(), QuorumCertificateError> {
        let checks = self.signatures.iter().map(|it| check(it, config, header_hash));
        checks.collect()
    }

    /// The same certificate with only those signatures that are right; `None` when none is.
    pub fn only_right(&self, config: &ChannelConfig, header_hash: Digest) -> Option<Self> {
        let right = self.signatures.iter().filter(|it| check(it, config, header_hash).is_ok());
        let signatures: Vec<_> = right.copied().collect();
        (!signatures.is_empty()).then_some(Self { signatures })
    }

    /// The indexes of the orderers that signed.
    pub fn signers(&self) -> impl Iterator<Item = usize> + '_ {
        self.signatures.iter().map(|(index, _)| *index)
    }
}

fn check(
    (index, signature): &(usize, Signature),
    config: &ChannelConfig,
    header_hash: Digest,
) -> Result<(), QuorumCertificateError> {
    let (index, orderers) = (*index, config.orderers());
    let unknown = QuorumCertificateError::UnknownOrderer { index, orderers: orderers.len() };
    let orderer = orderers.get(index).ok_or(unknown)?;
    orderer
        .key
        .verify(Namespace::Header, config.channel().as_bytes(), header_hash.as_bytes(), signature)
        .map_err(|_| QuorumCertificateError::Signature { index })
}

impl TryFrom<proto::QuorumCertificate> for QuorumCertificate {
    type Error = QuorumCertificateError;

    fn try_from(wire: proto::QuorumCertificate) -> Result<Self, Self::Error> {
        let marked = wire.signers.iter().map(|byte| byte.count_ones() as usize).sum();
        let is_canonical = wire.signers.last().is_none_or(|last| *last != 0);
        if marked != wire.signatures.len() || wire.signers.len() > ORDERERS_MAX / 8 || !is_canonical {
            return Err(QuorumCertificateError::Shape {
                marked,
                bitmap_bytes: wire.signers.len(),
                signatures: wire.signatures.len(),
            });
        }
        let indexes =
            (0..wire.signers.len() * 8).filter(|index| wire.signers[index / 8] & (1 << (index % 8)) != 0);
        let signatures = indexes
            .zip(&wire.signatures)
            .map(|(index, bytes)| {
                let signature = Signature::try_from(&bytes[..])
                    .map_err(|_| QuorumCertificateError::SignatureLength(bytes.len()))?;
                Ok((index, signature))
            })
            .collect::<Result<_, QuorumCertificateError>>()?;
        Ok(Self { signatures })
    }
}

impl From<&QuorumCertificate> for proto::QuorumCertificate {
    fn from(certificate: &QuorumCertificate) -> Self {
        let length = certificate.signers().max().map_or(0, |highest| highest / 8 + 1);
        let mut signers = vec![0u8; length];
        for index in certificate.signers() {
            signers[index / 8] |= 1 << (index % 8);
        }
        let signatures = certificate
            .signatures
            .iter()
            .map(|(_, signature)| Bytes::copy_from_slice(signature.as_bytes()))
            .collect();
        Self { signers: signers.into(), signatures }
    }
}
