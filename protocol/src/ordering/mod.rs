//! The orderer's sequencer: envelopes in, certified blocks out. It agrees with nobody: one orderer, quorum
//! one, in the certificate format of several.
//!
//! Rules: an envelope is ordered when its creator's certificate gives the right to write by the channel's
//! config, the signature is the creator's, its size is within the config's limit, and no other envelope of
//! the creator (the certificate's fingerprint) has its nonce. A block is cut at a count, before a number of
//! bytes, or a time after its first envelope; a larger envelope gets a block of its own. A submission is
//! acknowledged when its block is durable; the same envelope again gets the same answer, after a restart too.
//! Whom a revocation list names submits nothing more and signs no updates; the lists are the operator's, as
//! the chain does not carry them. What was right before stays in its place.
//! A config update gets a block of its own, certified under the config before it; what waits behind it is
//! judged anew under the new one. Without a key that the new config names, the channel is ordered no more: it
//! is halted, after a restart too, until the key is there.
//! A block that cannot be stored stops its channel until the process starts anew: what is on disk is not
//! known then.
//!
//! Limits: submissions and bytes that wait, by channel and in all (above them: overloaded, at once); nonces
//! remembered (see [`Nonces`]); blocks on their way to the disk (above them: envelopes wait).
//!
//! Attacks resisted: who may not write gets one answer for known and unknown channels (only a full line can
//! tell them apart); a content submitted with a false signature does not hold up the right one, as unjudged
//! submissions are told apart by all their bytes; a flood fills its channel's share only.

mod answer;
mod assembly;
mod envelope_job;
mod line;
mod nonces;
mod queue;
#[cfg(test)]
mod tests;

pub use answer::{SubmitAnswer, SubmitRefusal};
pub use envelope_job::{EnvelopeJob, EnvelopeVerdict};
pub use line::Load;
pub use nonces::Nonces;

use crate::channel::{CREATOR_CERTIFICATE_BYTES, ChannelConfig};
use crate::ledger::{Envelope, EnvelopeId, VerifiedBlock, VerifiedHeader};
use crate::store::{EnvelopePosition, StoreError};
use crate::time::{Monotonic, Now};
use crate::types::{BlockNumber, ChannelId, Height};
use crate::wire::CertificateChain;
use bytes::Bytes;
use ledgercast_crypto::RevocationList;
use ledgercast_crypto::keys::SecretKey;
use line::{Context, Line, OwnKey, SUBMISSION_BYTES, held_bytes};
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// Bounds of a [`Sequencer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Submissions of one channel that may wait for their answer, copies of one envelope counted each; above,
    /// they are refused as overload. Default 10,000 (guess: twenty full blocks).
    pub pending_envelopes_max: usize,
    /// Bytes of one channel that may wait: see [`Load::bytes`]. Default 32 MiB (guess: sixteen full blocks).
    pub pending_bytes_max: usize,
    /// Bytes of all channels that may wait. Default 128 MiB (guess: four full channels).
    pub pending_bytes_total_max: usize,
    /// Blocks of one channel that may be on their way to the disk; above, envelopes wait. Default 4 (guess:
    /// while one is written others gather into the next write).
    pub commits_in_flight_max: usize,
    /// Nonces remembered for each channel; above, the oldest are forgotten. Default 1,000,000 (derived: about
    /// 50 MB for a channel that has ordered so many).
    pub nonces_max: usize,
    /// Channels that may be open. Default 256 (guess).
    pub channels_max: usize,
}

/// Names one submission; chosen by whoever submits, given back with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What happens to a [`Sequencer`].
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody wants an envelope ordered; answered by one [`Output::Acknowledge`].
    Submit {
        /// Names the submission.
        ticket: Ticket,
        /// Bytes of an envelope; the channel stands in it.
        envelope: Bytes,
        /// The creator's certificate, not judged yet.
        creator: CertificateChain,
    },
    /// Answers [`Output::Verify`].
    Judged(EnvelopeVerdict),
    /// Answers [`Output::Find`].
    Found {
        /// The channel.
        channel: ChannelId,
        /// The envelope.
        envelope: EnvelopeId,
        /// Where it stands, if it does.
        position: Result<Option<EnvelopePosition>, StoreError>,
    },
    /// The channel's timer is due.
    TimerDue(ChannelId),
    /// Blocks of a channel are durable up to this number.
    Committed {
        /// The channel.
        channel: ChannelId,
        /// The newest durable block.
        through: BlockNumber,
    },
    /// A block could not be stored.
    CommitFailed {
        /// The channel.
        channel: ChannelId,
        /// The block.
        number: BlockNumber,
        /// Why.
        error: StoreError,
    },
}

/// What a [`Sequencer`] wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Run this; answered by [`Input::Judged`], with [`EnvelopeJob::overloaded`] when there is no room.
    Verify(EnvelopeJob),
    /// Ask the store for an envelope; answered by [`Input::Found`].
    Find {
        /// The channel.
        channel: ChannelId,
        /// The envelope.
        envelope: EnvelopeId,
    },
    /// Append to the store, durably; answered by [`Input::Committed`] or [`Input::CommitFailed`]. Blocks of a
    /// channel come in order.
    Commit(VerifiedBlock),
    /// The block just handed over brings a config: it is in force from the next one on.
    ConfigChanged {
        /// The config block.
        number: BlockNumber,
        /// The config.
        config: Arc<ChannelConfig>,
    },
    /// Nothing more is ordered for a channel: an alarm.
    Halted {
        /// The channel.
        channel: ChannelId,
        /// Why, and what cures it.
        cause: String,
    },
    /// Call back at this time; replaces the channel's timer.
    SetTimer {
        /// The channel.
        channel: ChannelId,
        /// When.
        at: Monotonic,
    },
    /// The answer to one submission.
    Acknowledge {
        /// The submission.
        ticket: Ticket,
        /// The answer.
        answer: SubmitAnswer,
    },
}

/// A channel to order for, as the store holds it.
#[derive(Clone, Debug)]
pub struct OpenChannel {
    /// The config in force.
    pub config: Arc<ChannelConfig>,
    /// The header of the newest durable block.
    pub tip: VerifiedHeader,
    /// The nonces used in the chain.
    pub nonces: Nonces,
}

/// Why a channel is not opened; nothing has changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OpenError {
    /// It is open.
    #[error("channel {0} is open already")]
    AlreadyOpen(ChannelId),
    /// The tip is not of this channel.
    #[error("channel {channel}: its tip is of channel {found}")]
    OtherTip {
        /// The channel.
        channel: ChannelId,
        /// The tip's channel.
        found: ChannelId,
    },
    /// The config does not name our key.
    #[error("channel {0}: its config names other orderers' keys, none of ours")]
    NotItsOrderer(ChannelId),
    /// One signature does not certify.
    #[error("channel {channel}: its quorum is {quorum} orderers, this release orders alone")]
    Quorum {
        /// The channel.
        channel: ChannelId,
        /// How many orderers must sign.
        quorum: usize,
    },
    /// There are too many.
    #[error("channel {channel} would be one more than the {limit} that may be open")]
    TooMany {
        /// The channel.
        channel: ChannelId,
        /// [`Config::channels_max`].
        limit: usize,
    },
}

/// How one channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Blocks that are durable.
    pub height: Height,
    /// What waits for an answer.
    pub load: Load,
    /// Why nothing is ordered any more, if that is so.
    pub halted: Option<String>,
}

/// Orders the envelopes of many channels, each into a chain of its own.
#[derive(Debug)]
pub struct Sequencer {
    config: Config,
    keys: Vec<SecretKey>,
    /// The newest of each CA that was given.
    revocations: Vec<RevocationList>,
    lines: BTreeMap<ChannelId, Line>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            pending_envelopes_max: 10_000,
            pending_bytes_max: 32 * 1024 * 1024,
            pending_bytes_total_max: 128 * 1024 * 1024,
            commits_in_flight_max: 4,
            nonces_max: 1_000_000,
            channels_max: 256,
        }
    }
}

impl Ticket {
    /// A ticket from its number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl Sequencer {
    /// Orders for no channel yet; of `keys` that one signs headers which a channel's config names.
    pub fn new(config: Config, keys: Vec<SecretKey>) -> Self {
        Self { config, keys, revocations: Vec::new(), lines: BTreeMap::new() }
    }

    /// Takes up a channel where its chain ends. When an update has brought a config under which this orderer
    /// cannot order alone, the channel is opened halted, as it was when the update came.
    ///
    /// # Errors
    /// [`OpenError`] when this orderer was never to order for it alone, or has no room.
    pub fn open(&mut self, open: OpenChannel) -> Result<(), OpenError> {
        let channel = open.config.channel();
        if open.tip.channel() != channel {
            return Err(OpenError::OtherTip { channel, found: open.tip.channel() });
        }
        match self.check_config(&open.config) {
            Err(OpenError::NotItsOrderer(_) | OpenError::Quorum { .. }) if open.config.number() > 0 => {}
            checked => checked?,
        }
        let signer = OwnKey::alone(&open.config, &self.keys);
        let mut line = Line::new(open.config, signer, open.tip, open.nonces);
        line.revoke(&self.revocations);
        self.lines.insert(channel, line);
        Ok(())
    }

    /// Puts a revocation list in force for every channel that knows its CA, those that are opened later too:
    /// whom it names submits nothing more and signs no config updates. Says for how many channels; `None`
    /// when the list was given before. An older list than the one in force changes nothing.
    pub fn revoke(&mut self, list: RevocationList) -> Option<usize> {
        if self.revocations.iter().any(|held| held.fingerprint() == list.fingerprint()) {
            return None;
        }
        let signer = |list: &RevocationList| self.lines.values().find_map(|line| line.signer_of(list));
        // Of CAs that no channel knows one cannot be told from another of its name.
        let of_the_same = |held: &RevocationList| {
            let known = signer(&list).filter(|_| held.issuer() == list.issuer());
            known.is_some() && signer(held) == known
        };
        // Numbers count up: what a newer list of the CA replaces need not be kept.
        let kept = self.revocations.iter().filter(|held| !of_the_same(held) || !list.is_newer_than(held));
        let kept = kept.cloned().collect();
        let channels = self.lines.values().filter(|line| line.signer_of(&list).is_some()).count();
        self.revocations = kept;
        self.revocations.push(list);
        self.lines.values_mut().for_each(|line| line.revoke(&self.revocations));
        Some(channels)
    }

    /// Whether this orderer can take up a channel of this config.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot.
    pub fn check_config(&self, config: &ChannelConfig) -> Result<(), OpenError> {
        let (channel, quorum, limit) = (config.channel(), config.quorum(), self.config.channels_max);
        if self.lines.contains_key(&channel) {
            return Err(OpenError::AlreadyOpen(channel));
        }
        if self.lines.len() >= limit {
            return Err(OpenError::TooMany { channel, limit });
        }
        if quorum != 1 {
            return Err(OpenError::Quorum { channel, quorum });
        }
        OwnKey::find(config, &self.keys).map(|_| ()).ok_or(OpenError::NotItsOrderer(channel))
    }

    /// Gives a channel up; says whether it was open. What waits is answered as unavailable.
    pub fn close(&mut self, channel: ChannelId, out: &mut Vec<Output>) -> bool {
        let Some(mut line) = self.lines.remove(&channel) else { return false };
        line.halt("the orderer leaves the channel", out);
        true
    }

    /// Handles one input. An answer for a channel that is no longer open is dropped: its submitters know.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Submit { ticket, envelope, creator } => {
                let refusal = self.on_submit(now, ticket, envelope, creator, out).err();
                out.extend(refusal.map(|answer| Output::Acknowledge { ticket, answer }));
            }
            Input::Judged(verdict) => self.step(now, verdict.channel, |line, context| {
                line.on_judged(verdict, context, out);
            }),
            Input::Found { channel, envelope, position } => self.step(now, channel, |line, context| {
                line.on_found(envelope, position, context, out);
            }),
            Input::TimerDue(channel) => self.step(now, channel, |line, context| line.on_timer(context, out)),
            Input::Committed { channel, through } => {
                self.step(now, channel, |line, context| line.on_committed(through, context, out));
            }
            Input::CommitFailed { channel, number, error } => self.step(now, channel, |line, _| {
                line.halt(&format!("block {number} could not be stored: {error}"), out);
            }),
        }
    }

    /// The open channels and how they stand.
    pub fn statuses(&self) -> impl Iterator<Item = (ChannelId, Status)> + '_ {
        self.lines.iter().map(|(channel, line)| {
            let halted = line.halted().map(str::to_owned);
            (*channel, Status { height: line.durable(), load: line.load(), halted })
        })
    }

    fn step(&mut self, now: Now, channel: ChannelId, step: impl FnOnce(&mut Line, &Context<'_>)) {
        let Self { config, keys, revocations, lines } = self;
        if let Some(line) = lines.get_mut(&channel) {
            step(line, &Context { now, config, keys, revocations });
        }
    }

    /// The checks that cost nothing; none of their answers depends on the channel but that it is known, or
    /// full.
    fn on_submit(
        &mut self,
        now: Now,
        ticket: Ticket,
        bytes: Bytes,
        creator: CertificateChain,
        out: &mut Vec<Output>,
    ) -> Result<(), SubmitAnswer> {
        let refused = SubmitAnswer::Refused;
        let envelope =
            Envelope::decode(bytes.clone()).map_err(|error| refused(SubmitRefusal::Malformed(error)))?;
        if envelope.content().creator != creator.certificate.fingerprint() {
            return Err(refused(SubmitRefusal::OtherCreator));
        }
        let limit = CREATOR_CERTIFICATE_BYTES as usize;
        let certificate_bytes = creator.certificate.der().len();
        if certificate_bytes > limit {
            return Err(refused(SubmitRefusal::CertificateTooLong { bytes: certificate_bytes, limit }));
        }
        let channel = envelope.content().channel;
        if !self.lines.contains_key(&channel) {
            let cause = format!("channel {channel} is not open here");
            return Err(refused(SubmitRefusal::NotPermitted { cause }));
        }
        if !self.has_room(channel, held_bytes(bytes.len(), &creator) + SUBMISSION_BYTES) {
            return Err(SubmitAnswer::Overloaded);
        }
        self.step(now, channel, |line, context| {
            line.on_submit(ticket, (envelope, bytes), creator, context, out);
        });
        Ok(())
    }

    fn has_room(&self, channel: ChannelId, bytes: usize) -> bool {
        let own = self.lines.get(&channel).map(Line::load).unwrap_or_default();
        let total: usize = self.lines.values().map(|line| line.load().bytes).sum();
        own.submissions < self.config.pending_envelopes_max
            && own.bytes.saturating_add(bytes) <= self.config.pending_bytes_max
            && total.saturating_add(bytes) <= self.config.pending_bytes_total_max
    }
}
