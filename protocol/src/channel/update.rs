//! Config updates: the next config, signed by admins of a majority of the orgs of the one in force.
//!
//! ```text
//!  config k ──► block n: one envelope { ConfigUpdate { bytes of config k + 1, admins' signatures } }
//!  certified under k: blocks … n          certified under k + 1: blocks n + 1 …
//! ```
//!
//! A config envelope counts only alone in its block; among others it is bytes like any. Peers judge without a
//! clock, so that all reach one verdict; orderers judge at their time as well, when it is submitted.
//!
//! Floor: a config must allow envelopes in which an update as long as it fits, signed by as many as it asks
//! for with certificates as long as the longest here, so that a limit that is too low can be raised again.

use super::{ChannelConfig, ConfigError};
use crate::types::{ChannelId, OrgId};
use crate::wire::shape::{self, ShapeError, tables};
use crate::wire::{CertificateChain, proto};
use bytes::Bytes;
use ledgercast_crypto::certificate::{Certificate, CertificateError};
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::signature::Namespace;
use ledgercast_crypto::{Role, SecretKey, Signature};
use prost::Message as _;
use std::collections::BTreeSet;
use thiserror::Error;

/// The most signatures of one update: two admins of each of the most orgs.
pub const SIGNATURES_MAX: usize = 512;

/// What an envelope needs beside an update's bytes: ids, nonce, signature, protobuf's tags and lengths, and a
/// few longer numbers in the next update. Derived: under 256, doubled.
const ENVELOPE_OVERHEAD_BYTES: usize = 512;

/// Protobuf's tag and length of one signature. Derived: a length below 2^28.
const SIGNATURE_OVERHEAD_BYTES: usize = 5;

/// The next config with what speaks for it; nothing is judged yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigUpdate {
    config: Bytes,
    signatures: Vec<AdminSignature>,
}

/// One admin's signature over the next config's exact bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminSignature {
    /// The admin.
    pub chain: CertificateChain,
    /// Over the config's bytes, for the channel.
    pub signature: Signature,
}

/// Why an update is refused; the config in force stays.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UpdateError {
    /// The payload is not a protobuf `ConfigUpdate`, or a part of it has no right shape.
    #[error("config update does not decode: {0}")]
    Malformed(String),
    /// There are too many signatures to look at.
    #[error("config update carries {found} signatures, the limit is {SIGNATURES_MAX}")]
    TooManySignatures {
        /// How many there are.
        found: usize,
    },
    /// The config itself makes no sense.
    #[error("config update: {0}")]
    Config(#[from] ConfigError),
    /// It is not the next one.
    #[error("config update has number {found}, the next one is {expected}")]
    Number {
        /// Its number.
        found: u64,
        /// The number after the one in force.
        expected: u64,
    },
    /// It was made for another config than the one in force.
    #[error("config update replaces config {found:?}, in force is {expected:?}")]
    PreviousHash {
        /// The hash that it names.
        found: Digest,
        /// The hash of the config in force.
        expected: Digest,
    },
    /// A signer's certificate is not one of the orgs in force.
    #[error("signature {index} of the config update: {error}")]
    Signer {
        /// Which signature.
        index: usize,
        /// What is wrong.
        error: CertificateError,
    },
    /// A signature is not the signer's over this config for this channel.
    #[error("signature {index} of the config update is not the admin's over this config")]
    Signature {
        /// Which signature.
        index: usize,
    },
    /// No further update would fit into an envelope.
    #[error("config update allows envelopes of {found} bytes; one with an update like it needs {needed}")]
    EnvelopeLimit {
        /// The limit that it sets.
        found: u32,
        /// This update's length and what an envelope adds.
        needed: usize,
    },
    /// A key has signed already.
    #[error("signature {index} of the config update is of an admin who has signed it already")]
    SignedTwice {
        /// Which signature.
        index: usize,
    },
    /// Too few orgs agree.
    #[error("config update is signed by admins of {found} orgs, needed are {needed} of {orgs}")]
    TooFew {
        /// How many orgs have signed.
        found: usize,
        /// A majority.
        needed: usize,
        /// The orgs in force.
        orgs: usize,
    },
}

impl ConfigUpdate {
    /// An update that nobody has signed.
    pub fn new(config: Bytes) -> Self {
        Self { config, signatures: Vec::new() }
    }

    /// An update to a config of these fields, which nobody has signed.
    pub fn propose(config: &proto::ChannelConfig) -> Self {
        Self::new(config.encode_to_vec().into())
    }

    /// Decodes an envelope's payload and checks its shape.
    ///
    /// # Errors
    /// [`UpdateError::Malformed`] or [`UpdateError::TooManySignatures`].
    pub fn decode(bytes: Bytes) -> Result<Self, UpdateError> {
        shape::check(tables::CONFIG_UPDATE, &bytes).map_err(|error| match error {
            ShapeError::Count { found, max: SIGNATURES_MAX, .. } => UpdateError::TooManySignatures { found },
            error => UpdateError::Malformed(error.to_string()),
        })?;
        let wire =
            proto::ConfigUpdate::decode(bytes).map_err(|error| UpdateError::Malformed(error.to_string()))?;
        let signatures = wire.signatures.into_iter().map(AdminSignature::try_from);
        Ok(Self { config: wire.config, signatures: signatures.collect::<Result<_, _>>()? })
    }

    /// The bytes of a protobuf `ConfigUpdate`.
    pub fn encode(&self) -> Bytes {
        let signatures = self.signatures.iter().map(proto::AdminSignature::from).collect();
        proto::ConfigUpdate { config: self.config.clone(), signatures }.encode_to_vec().into()
    }

    /// Adds an admin's signature, in place of an earlier one with the same key.
    pub fn sign(&mut self, channel: ChannelId, chain: CertificateChain, key: &SecretKey) {
        let signature = key.sign(Namespace::Config, channel.as_bytes(), &self.config);
        let signer = chain.certificate.public_key();
        self.signatures.retain(|it| it.chain.certificate.public_key() != signer);
        self.signatures.push(AdminSignature { chain, signature });
    }

    /// The exact bytes of the next config.
    pub fn config(&self) -> &Bytes {
        &self.config
    }

    /// The signatures so far.
    pub fn signatures(&self) -> &[AdminSignature] {
        &self.signatures
    }

    /// How many orgs' admins must sign a config that replaces this one.
    pub fn majority_of(before: &ChannelConfig) -> usize {
        before.orgs().len() / 2 + 1
    }

    /// How long an envelope must be allowed to be, so that it can carry an update of `config_bytes` that
    /// replaces `before`, when each admin's signature with its certificates has `signature_bytes`.
    pub fn envelope_bytes_needed(
        before: &ChannelConfig,
        config_bytes: usize,
        signature_bytes: usize,
    ) -> usize {
        config_bytes + Self::majority_of(before) * signature_bytes + ENVELOPE_OVERHEAD_BYTES
    }

    /// Decides whether this update replaces `before`; without a clock, so everybody decides alike.
    ///
    /// # Errors
    /// [`UpdateError`] names the first check that fails.
    pub fn judge(&self, before: &ChannelConfig) -> Result<ChannelConfig, UpdateError> {
        self.judge_by(before, None)
    }

    /// The same at a time, as orderers do before they order it: expired and revoked admins are refused too.
    ///
    /// # Errors
    /// [`UpdateError`] names the first check that fails.
    pub fn judge_at(
        &self,
        before: &ChannelConfig,
        at_unix_seconds: u64,
    ) -> Result<ChannelConfig, UpdateError> {
        self.judge_by(before, Some(at_unix_seconds))
    }

    /// The orgs whose admins have signed; each signature must be right.
    ///
    /// # Errors
    /// [`UpdateError::Signer`] or [`UpdateError::Signature`].
    pub fn signing_orgs(&self, before: &ChannelConfig) -> Result<BTreeSet<OrgId>, UpdateError> {
        self.signers(before, None)
    }

    fn judge_by(&self, before: &ChannelConfig, at: Option<u64>) -> Result<ChannelConfig, UpdateError> {
        let next = ChannelConfig::decode(before.channel(), self.config.clone())?;
        let expected = before.number().saturating_add(1);
        if next.number() != expected {
            return Err(UpdateError::Number { found: next.number(), expected });
        }
        if next.previous_hash() != before.hash() {
            let (found, expected) = (next.previous_hash(), before.hash());
            return Err(UpdateError::PreviousHash { found, expected });
        }
        self.require_room_for_another(&next)?;
        let (needed, orgs) = (Self::majority_of(before), before.orgs().len());
        let found = self.signers(before, at)?.len();
        if found < needed {
            return Err(UpdateError::TooFew { found, needed, orgs });
        }
        Ok(next)
    }

    fn require_room_for_another(&self, next: &ChannelConfig) -> Result<(), UpdateError> {
        let found = next.limits().envelope_bytes_max;
        let signature = |it| proto::AdminSignature::from(it).encoded_len() + SIGNATURE_OVERHEAD_BYTES;
        let longest = self.signatures.iter().map(signature).max().unwrap_or(0);
        let needed = Self::envelope_bytes_needed(next, self.config.len(), longest);
        match (found as usize) < needed {
            true => Err(UpdateError::EnvelopeLimit { found, needed }),
            false => Ok(()),
        }
    }

    /// Each key may sign once, so that copies of a signature cost no verification.
    fn require_distinct_signers(&self) -> Result<(), UpdateError> {
        let mut keys = BTreeSet::new();
        for (index, signed) in self.signatures.iter().enumerate() {
            if !keys.insert(*signed.chain.certificate.public_key().as_bytes()) {
                return Err(UpdateError::SignedTwice { index });
            }
        }
        Ok(())
    }

    fn signers(&self, before: &ChannelConfig, at: Option<u64>) -> Result<BTreeSet<OrgId>, UpdateError> {
        self.require_distinct_signers()?;
        let mut orgs = BTreeSet::new();
        for (index, signed) in self.signatures.iter().enumerate() {
            let CertificateChain { certificate, intermediates } = &signed.chain;
            let identity = match at {
                Some(at) => before.roster().verify(certificate, intermediates, at),
                None => before.roster().verify_at_any_time(certificate, intermediates),
            };
            let identity = identity.and_then(|it| it.require_role(Role::Admin).map(|()| it));
            let identity = identity.map_err(|error| UpdateError::Signer { index, error })?;
            identity
                .public_key()
                .verify(Namespace::Config, before.channel().as_bytes(), &self.config, &signed.signature)
                .map_err(|_| UpdateError::Signature { index })?;
            orgs.insert(identity.org);
        }
        Ok(orgs)
    }
}

impl TryFrom<proto::AdminSignature> for AdminSignature {
    type Error = UpdateError;

    fn try_from(wire: proto::AdminSignature) -> Result<Self, Self::Error> {
        let malformed = |error: &dyn std::fmt::Display| UpdateError::Malformed(error.to_string());
        let certificate = |der: Bytes| Certificate::from_der(der).map_err(|error| malformed(&error));
        Ok(Self {
            chain: CertificateChain {
                certificate: certificate(wire.certificate)?,
                intermediates: wire.intermediates.into_iter().map(certificate).collect::<Result<_, _>>()?,
            },
            signature: Signature::try_from(&wire.signature[..]).map_err(|error| malformed(&error))?,
        })
    }
}

impl From<&AdminSignature> for proto::AdminSignature {
    fn from(signed: &AdminSignature) -> Self {
        Self {
            certificate: signed.chain.certificate.der().clone(),
            intermediates: signed.chain.intermediates.iter().map(|it| it.der().clone()).collect(),
            signature: Bytes::copy_from_slice(signed.signature.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests;
