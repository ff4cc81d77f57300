//! Envelopes that wait for a block, in order of admission, and the rule by which they are cut into batches.

use crate::channel::ChannelLimits;
use crate::ledger::EnvelopeId;
use crate::time::Monotonic;
use crate::wire::CertificateChain;
use bytes::Bytes;
use std::collections::VecDeque;

/// An envelope that passed every check.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) id: EnvelopeId,
    /// The bytes that go into the body.
    pub(super) bytes: Bytes,
    pub(super) creator: CertificateChain,
    /// A config update: it gets a block of its own, and nothing goes before its time into one behind it.
    pub(super) is_update: bool,
    pub(super) admitted: Monotonic,
}

/// The queue of one channel; bounded by whoever fills it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    envelopes: VecDeque<Queued>,
    bytes: usize,
    updates: usize,
}

impl Queue {
    pub(super) fn push(&mut self, envelope: Queued) {
        self.bytes += envelope.bytes.len();
        self.updates += usize::from(envelope.is_update);
        self.envelopes.push_back(envelope);
    }

    /// When the oldest envelope must go into a block at the latest.
    pub(super) fn due_at(&self, limits: &ChannelLimits) -> Option<Monotonic> {
        self.envelopes.front().map(|oldest| oldest.admitted.saturating_add(limits.batch_timeout))
    }

    /// Whether a batch can be cut that waiting would not make larger.
    pub(super) fn has_full_batch(&self, limits: &ChannelLimits) -> bool {
        self.updates > 0
            || self.envelopes.len() >= limits.batch_envelopes_max as usize
            || self.bytes >= limits.batch_bytes_max as usize
    }

    /// Takes the oldest envelopes as far as the limits reach, at least one if there is any.
    pub(super) fn take_batch(&mut self, limits: &ChannelLimits) -> Vec<Queued> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.envelopes.front() {
            let fits = bytes + next.bytes.len() <= limits.batch_bytes_max as usize;
            if batch.len() == limits.batch_envelopes_max as usize || !(fits || batch.is_empty()) {
                break;
            }
            let is_update = next.is_update;
            if is_update && !batch.is_empty() {
                break;
            }
            bytes += next.bytes.len();
            self.updates -= usize::from(is_update);
            batch.extend(self.envelopes.pop_front());
            if is_update {
                break;
            }
        }
        self.bytes -= bytes;
        batch
    }

    /// Whether a config update waits.
    pub(super) fn has_update(&self) -> bool {
        self.updates > 0
    }

    /// Takes everything out, in order.
    pub(super) fn take_all(&mut self) -> VecDeque<Queued> {
        std::mem::take(self).envelopes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.envelopes.is_empty()
    }
}
