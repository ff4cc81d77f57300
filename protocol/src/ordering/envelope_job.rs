//! The costly checks of an envelope: the creator's certificate and right, size, signature. Run anywhere.

use super::SubmitRefusal;
use crate::channel::{ChannelConfig, ConfigUpdate};
use crate::ledger::{Envelope, EnvelopeId, EnvelopeKind};
use crate::types::ChannelId;
use crate::wire::CertificateChain;
use ledgercast_crypto::Role;
use ledgercast_crypto::digest::Digest;
use std::sync::Arc;

/// One verification for a [`Sequencer`](super::Sequencer).
#[derive(Clone, Debug)]
pub struct EnvelopeJob {
    pub(super) digest: Digest,
    pub(super) envelope: Envelope,
    /// Length of the envelope as it came, in bytes.
    pub(super) bytes: usize,
    pub(super) creator: CertificateChain,
    pub(super) config: Arc<ChannelConfig>,
    /// Seconds since the Unix epoch, for the certificate's validity.
    pub(super) at: u64,
}

/// The answer to an [`EnvelopeJob`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeVerdict {
    pub(super) channel: ChannelId,
    /// The config that it was judged under.
    pub(super) config_number: u64,
    pub(super) digest: Digest,
    pub(super) judgement: Judgement,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Right(EnvelopeId),
    Refused(SubmitRefusal),
    Overloaded,
}

impl EnvelopeJob {
    /// Does the work: one certificate chain, one signature, one SHA-256 pass.
    pub fn run(self) -> EnvelopeVerdict {
        let judgement = match self.check() {
            Ok(()) => Judgement::Right(self.envelope.id()),
            Err(refusal) => Judgement::Refused(refusal),
        };
        self.verdict(judgement)
    }

    /// The verdict when there is no room for the work: nothing was checked.
    pub fn overloaded(self) -> EnvelopeVerdict {
        self.verdict(Judgement::Overloaded)
    }

    fn verdict(self, judgement: Judgement) -> EnvelopeVerdict {
        let config_number = self.config.number();
        EnvelopeVerdict { channel: self.config.channel(), config_number, digest: self.digest, judgement }
    }

    /// The creator's right comes first: whoever has none learns nothing of the channel, not even its limits.
    fn check(&self) -> Result<(), SubmitRefusal> {
        let CertificateChain { certificate, intermediates } = &self.creator;
        let identity = self
            .config
            .roster()
            .verify(certificate, intermediates, self.at)
            .map_err(|error| SubmitRefusal::NotPermitted { cause: error.to_string() })?;
        let is_update = self.envelope.content().kind == EnvelopeKind::Config;
        let is_permitted = match is_update {
            // Whether the channel wants the update is said by its signatures.
            true => identity.role == Role::Admin,
            false => self.config.may_write(&identity),
        };
        if !is_permitted {
            let cause = format!("{} of {} may not write", identity.role, identity.org_name);
            return Err(SubmitRefusal::NotPermitted { cause });
        }
        let limit = self.config.limits().envelope_bytes_max as usize;
        if self.bytes > limit {
            return Err(SubmitRefusal::TooLarge { bytes: self.bytes, limit });
        }
        self.envelope.verify(&identity.public_key()).map_err(SubmitRefusal::Signature)?;
        if is_update { self.check_update() } else { Ok(()) }
    }

    fn check_update(&self) -> Result<(), SubmitRefusal> {
        let update = ConfigUpdate::decode(self.envelope.content().payload.clone());
        let next = update
            .and_then(|update| update.judge_at(&self.config, self.at).map(|_| update))
            .and_then(|update| update.judge(&self.config))
            .map_err(SubmitRefusal::ConfigUpdate)?;
        match next.quorum() {
            1 => Ok(()),
            quorum => Err(SubmitRefusal::Quorum { quorum }),
        }
    }
}
