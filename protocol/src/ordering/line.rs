//! One channel's line of envelopes: in judgement, looked up, waiting for a block, in a block that is not
//! durable yet.

use super::assembly::{Signer, assemble};
use super::envelope_job::Judgement;
use super::queue::{Queue, Queued};
use super::{Config, EnvelopeJob, EnvelopeVerdict, Nonces, Output, SubmitAnswer, SubmitRefusal, Ticket};
use crate::channel::{ChannelConfig, ConfigUpdate, UpdateError};
use crate::ledger::{Envelope, EnvelopeError, EnvelopeId, EnvelopeKind, VerifiedHeader};
use crate::store::{EnvelopePosition, StoreError};
use crate::time::{Monotonic, Now};
use crate::types::{BlockNumber, Height};
use crate::wire::CertificateChain;
use bytes::Bytes;
use ledgercast_crypto::RevocationList;
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::keys::{PublicKey, SecretKey};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What waits for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Submissions, copies of one envelope counted each.
    pub submissions: usize,
    /// Bytes of their distinct envelopes and certificates, and 256 for each submission.
    pub bytes: usize,
}

/// What a waiting submission is taken to cost beside its envelope's bytes (guess: map entries, channel,
/// ticket).
pub(super) const SUBMISSION_BYTES: usize = 256;

/// Which of the config's orderers this one is, and by which of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnKey {
    pub(super) index: usize,
    pub(super) key: usize,
}

impl OwnKey {
    /// By which key this orderer can order alone under a config, or why it cannot.
    pub(super) fn alone(config: &ChannelConfig, keys: &[SecretKey]) -> Result<Self, String> {
        let (number, quorum) = (config.number(), config.quorum());
        if quorum != 1 {
            return Err(format!("config {number} asks for {quorum} orderers, this release orders alone"));
        }
        Self::find(config, keys).ok_or_else(|| {
            format!(
                "config {number} names no key of this orderer's keystore: put the key there and start again"
            )
        })
    }

    /// The first orderer of the config whose key is among these.
    pub(super) fn find(config: &ChannelConfig, keys: &[SecretKey]) -> Option<Self> {
        config.orderers().iter().enumerate().find_map(|(index, orderer)| {
            let key = keys.iter().position(|key| key.public() == orderer.key)?;
            Some(Self { index, key })
        })
    }
}

/// What one step of a line may use.
pub(super) struct Context<'a> {
    pub(super) now: Now,
    pub(super) config: &'a Config,
    pub(super) keys: &'a [SecretKey],
    pub(super) revocations: &'a [RevocationList],
}

#[derive(Debug)]
pub(super) struct Line {
    config: Arc<ChannelConfig>,
    /// The config in force with what is revoked now: by this one envelopes are judged.
    judging_config: Arc<ChannelConfig>,
    /// Which orderer of the config this one is, and which of its keys that says; none: it is halted.
    signer: Option<OwnKey>,
    /// The newest block made, durable or not.
    tip: VerifiedHeader,
    durable: Height,
    /// By digest of envelope and certificates, exactly as they came: a copy waits for the first one's
    /// verdict.
    judging: BTreeMap<Digest, Submission>,
    /// Right, but perhaps in the chain already; the store is being asked.
    finding: BTreeMap<EnvelopeId, Lookup>,
    /// To be in a block: waiting for one, or in one that is not durable.
    ordered: BTreeMap<EnvelopeId, Waiting>,
    queue: Queue,
    /// Of the queue, judged anew because the config has changed; they keep their place among `ordered`.
    judging_again: BTreeMap<Digest, Queued>,
    in_flight: VecDeque<InFlight>,
    nonces: Nonces,
    timer: Option<Monotonic>,
    load: Load,
    halted: Option<String>,
}

/// Who waits for one envelope, and what it holds of the load.
#[derive(Debug)]
struct Waiting {
    tickets: Vec<Ticket>,
    bytes: usize,
}

#[derive(Debug)]
struct Submission {
    envelope: Envelope,
    /// Length of the envelope as it came.
    bytes: usize,
    creator: CertificateChain,
    waiting: Waiting,
}

#[derive(Debug)]
struct Lookup {
    submission: Submission,
    digest: Digest,
    /// The config that it was right under: another one may be in force when the store answers.
    config_number: u64,
    is_nonce_used: bool,
}

#[derive(Debug)]
struct InFlight {
    number: BlockNumber,
    envelopes: Vec<EnvelopeId>,
}

impl Line {
    /// Without a signer it orders nothing, for the cause that stands in its place.
    pub(super) fn new(
        config: Arc<ChannelConfig>,
        signer: Result<OwnKey, String>,
        tip: VerifiedHeader,
        nonces: Nonces,
    ) -> Self {
        let durable = tip.number().height();
        let (signer, halted) = match signer {
            Ok(signer) => (Some(signer), None),
            Err(cause) => (None, Some(cause)),
        };
        Self {
            judging_config: Arc::clone(&config),
            config,
            signer,
            tip,
            durable,
            judging: BTreeMap::new(),
            finding: BTreeMap::new(),
            ordered: BTreeMap::new(),
            queue: Queue::default(),
            judging_again: BTreeMap::new(),
            in_flight: VecDeque::new(),
            nonces,
            timer: None,
            load: Load::default(),
            halted,
        }
    }

    /// From now on envelopes are judged with these lists beside the config. What was found right before stays
    /// so.
    pub(super) fn revoke(&mut self, lists: &[RevocationList]) {
        self.judging_config = Arc::new(self.config.revoking(lists));
    }

    /// The CA by which this channel knows a list, if any.
    pub(super) fn signer_of(&self, list: &RevocationList) -> Option<PublicKey> {
        self.config.roster().signer_of(list).ok().map(|owner| owner.signer)
    }

    pub(super) fn load(&self) -> Load {
        self.load
    }

    pub(super) fn durable(&self) -> Height {
        self.durable
    }

    pub(super) fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    /// Takes a submission that the load allows. `bytes` is the envelope's length as it came.
    pub(super) fn on_submit(
        &mut self,
        ticket: Ticket,
        (envelope, bytes): (Envelope, Bytes),
        creator: CertificateChain,
        context: &Context<'_>,
        out: &mut Vec<Output>,
    ) {
        let digest = submission_digest(&bytes, &creator);
        self.load.submissions += 1;
        self.load.bytes += SUBMISSION_BYTES;
        if let Some(first) = self.judging.get_mut(&digest) {
            first.waiting.tickets.push(ticket);
            return;
        }
        let held_bytes = held_bytes(bytes.len(), &creator);
        self.load.bytes += held_bytes;
        let waiting = Waiting { tickets: vec![ticket], bytes: held_bytes };
        let submission = Submission { envelope, bytes: bytes.len(), creator, waiting };
        self.judge_submission(context, digest, &submission, out);
        self.judging.insert(digest, submission);
    }

    pub(super) fn on_judged(
        &mut self,
        verdict: EnvelopeVerdict,
        context: &Context<'_>,
        out: &mut Vec<Output>,
    ) {
        if let Some(queued) = self.judging_again.remove(&verdict.digest) {
            return self.on_judged_again(queued, verdict, context, out);
        }
        // The config has changed meanwhile: its verdict is not worth anything.
        if verdict.config_number != self.config.number()
            && let Some(submission) = self.judging.get(&verdict.digest)
        {
            return self.judge_submission(context, verdict.digest, submission, out);
        }
        // Answered already, if the channel was halted in between.
        let Some(submission) = self.judging.remove(&verdict.digest) else { return };
        match verdict.judgement {
            Judgement::Overloaded => self.answer(submission.waiting, &SubmitAnswer::Overloaded, out),
            Judgement::Refused(refusal) => self.refuse(submission.waiting, refusal, out),
            Judgement::Right(id) => self.on_right((verdict.digest, id), submission, context, out),
        }
    }

    fn on_right(
        &mut self,
        (digest, id): (Digest, EnvelopeId),
        submission: Submission,
        context: &Context<'_>,
        out: &mut Vec<Output>,
    ) {
        if let Some(cause) = self.halted.clone() {
            return self.refuse(submission.waiting, SubmitRefusal::Unavailable { cause }, out);
        }
        let first = self.finding.get_mut(&id).map(|lookup| &mut lookup.submission.waiting);
        if let Some(first) = first.or(self.ordered.get_mut(&id)) {
            self.load.bytes -= submission.waiting.bytes;
            first.tickets.extend(submission.waiting.tickets);
            return;
        }
        let is_nonce_used = self.nonces.contains(submission.envelope.content());
        if is_nonce_used || !self.nonces.is_complete() {
            out.push(Output::Find { channel: self.config.channel(), envelope: id });
            let config_number = self.config.number();
            self.finding.insert(id, Lookup { submission, digest, config_number, is_nonce_used });
        } else {
            self.admit(id, submission, context, out);
        }
    }

    pub(super) fn on_found(
        &mut self,
        id: EnvelopeId,
        position: Result<Option<EnvelopePosition>, StoreError>,
        context: &Context<'_>,
        out: &mut Vec<Output>,
    ) {
        let Some(lookup) = self.finding.remove(&id) else { return };
        let Lookup { submission, digest, config_number, is_nonce_used } = lookup;
        match position {
            Ok(Some(position)) => {
                let answer = SubmitAnswer::Accepted { envelope: id, position };
                self.answer(submission.waiting, &answer, out);
            }
            // Another envelope may have taken the nonce while the store was asked.
            Ok(None) if is_nonce_used || self.nonces.contains(submission.envelope.content()) => {
                self.refuse(submission.waiting, SubmitRefusal::NonceUsed, out);
            }
            Ok(None) if config_number != self.config.number() => {
                self.judge_submission_again(context, digest, submission, out);
            }
            Ok(None) => self.admit(id, submission, context, out),
            Err(error) => {
                let cause = error.to_string();
                self.refuse(submission.waiting, SubmitRefusal::Unavailable { cause }, out);
            }
        }
    }

    /// The config has changed since the verdict. A copy that came meanwhile is being judged for both.
    fn judge_submission_again(
        &mut self,
        context: &Context<'_>,
        digest: Digest,
        submission: Submission,
        out: &mut Vec<Output>,
    ) {
        if let Some(copy) = self.judging.get_mut(&digest) {
            self.load.bytes -= submission.waiting.bytes;
            copy.waiting.tickets.extend(submission.waiting.tickets);
            return;
        }
        self.judge_submission(context, digest, &submission, out);
        self.judging.insert(digest, submission);
    }

    fn admit(
        &mut self,
        id: EnvelopeId,
        submission: Submission,
        context: &Context<'_>,
        out: &mut Vec<Output>,
    ) {
        let Submission { envelope, creator, waiting, .. } = submission;
        let is_update = envelope.content().kind == EnvelopeKind::Config;
        // The second one would be made for a config that is in force no more.
        if is_update && self.queue.has_update() {
            return self.refuse(waiting, SubmitRefusal::UpdatePending, out);
        }
        self.nonces.insert(envelope.content());
        self.ordered.insert(id, waiting);
        // Encoded anew, so that bytes that an envelope does not need never enter a block.
        let (bytes, admitted) = (envelope.encode(), context.now.monotonic);
        self.queue.push(Queued { id, bytes, creator, is_update, admitted });
        self.cut(context, out);
    }

    pub(super) fn on_timer(&mut self, context: &Context<'_>, out: &mut Vec<Output>) {
        self.timer = None;
        self.cut(context, out);
    }

    /// Cuts every block that is due or full and has room on its way to the disk; sets the timer for the rest.
    fn cut(&mut self, context: &Context<'_>, out: &mut Vec<Output>) {
        while self.halted.is_none()
            && self.in_flight.len() < context.config.commits_in_flight_max
            && !self.queue.is_empty()
        {
            let limits = self.config.limits();
            let due_at = self.queue.due_at(limits);
            let is_due = due_at.is_some_and(|at| at <= context.now.monotonic);
            if !is_due && !self.queue.has_full_batch(limits) {
                return self.set_timer(due_at, out);
            }
            let batch = self.queue.take_batch(limits);
            self.make_block(&batch, context, out);
        }
    }

    fn make_block(&mut self, batch: &[Queued], context: &Context<'_>, out: &mut Vec<Output>) {
        let signer = self.signer.and_then(|OwnKey { index, key }| {
            let key = context.keys.get(key)?;
            Some(Signer { index, key })
        });
        let Some(signer) = signer else {
            return self.give_up("there is no key to sign blocks with", out);
        };
        // Peers stop before a certified update that is not right: nothing of it is ever signed.
        let next = match self.judge_update(batch) {
            Ok(next) => next,
            Err(error) => return self.drop_update(batch, error, out),
        };
        let block = match assemble(batch, &self.tip, &self.config, &signer, context.now.wall) {
            Ok(block) => block,
            Err(error) => {
                return self.give_up(&format!("a block of our own is not right: {error}"), out);
            }
        };
        self.tip = block.header().clone();
        let (number, envelopes) = (block.number(), batch.iter().map(|queued| queued.id).collect());
        self.in_flight.push_back(InFlight { number, envelopes });
        out.push(Output::Commit(block));
        if let Some(next) = next {
            self.follow_update(number, next, context, out);
        }
    }

    /// The config that a batch brings: one that holds an update holds nothing else.
    pub(super) fn judge_update(&self, batch: &[Queued]) -> Result<Option<Arc<ChannelConfig>>, UpdateError> {
        let [Queued { is_update: true, bytes, .. }] = batch else {
            return Ok(None);
        };
        let malformed = |error: EnvelopeError| UpdateError::Malformed(error.to_string());
        let envelope = Envelope::decode(bytes.clone()).map_err(malformed)?;
        let update = ConfigUpdate::decode(envelope.content().payload.clone())?;
        update.judge(&self.config).map(|next| Some(Arc::new(next)))
    }

    /// Refuses what the verifiers should have refused.
    fn drop_update(&mut self, batch: &[Queued], error: UpdateError, out: &mut Vec<Output>) {
        for queued in batch {
            self.turn_away(queued, &SubmitAnswer::Refused(SubmitRefusal::ConfigUpdate(error.clone())), out);
        }
    }

    /// Answers an envelope that was to be ordered and is not; its nonce is free again.
    fn turn_away(&mut self, queued: &Queued, answer: &SubmitAnswer, out: &mut Vec<Output>) {
        // It was decoded when it came.
        if let Ok(envelope) = Envelope::decode(queued.bytes.clone()) {
            self.nonces.remove(envelope.content());
        }
        if let Some(waiting) = self.ordered.remove(&queued.id) {
            self.answer(waiting, answer, out);
        }
    }

    fn set_timer(&mut self, at: Option<Monotonic>, out: &mut Vec<Output>) {
        if let Some(at) = at.filter(|at| self.timer != Some(*at)) {
            self.timer = Some(at);
            out.push(Output::SetTimer { channel: self.config.channel(), at });
        }
    }

    pub(super) fn on_committed(
        &mut self,
        through: BlockNumber,
        context: &Context<'_>,
        out: &mut Vec<Output>,
    ) {
        while self.in_flight.front().is_some_and(|block| block.number <= through) {
            let Some(block) = self.in_flight.pop_front() else { break };
            self.durable = block.number.height();
            for (envelope, index) in block.envelopes.into_iter().zip(0..) {
                let Some(waiting) = self.ordered.remove(&envelope) else { continue };
                let position = EnvelopePosition { block: block.number, index };
                self.answer(waiting, &SubmitAnswer::Accepted { envelope, position }, out);
            }
        }
        if let (true, Some(cause)) = (self.in_flight.is_empty(), self.halted.clone()) {
            return self.halt(&cause, out);
        }
        self.cut(context, out);
    }

    /// Answers all that waits, and orders nothing more.
    pub(super) fn halt(&mut self, cause: &str, out: &mut Vec<Output>) {
        let judging = std::mem::take(&mut self.judging).into_values().map(|submission| submission.waiting);
        let finding = std::mem::take(&mut self.finding).into_values().map(|lookup| lookup.submission.waiting);
        let ordered = std::mem::take(&mut self.ordered).into_values();
        for waiting in judging.chain(finding).chain(ordered).collect::<Vec<_>>() {
            self.refuse(waiting, SubmitRefusal::Unavailable { cause: cause.to_owned() }, out);
        }
        self.queue = Queue::default();
        self.judging_again.clear();
        self.in_flight.clear();
        self.halted.get_or_insert_with(|| cause.to_owned());
    }

    /// A block of ours brings a config: it is in force for the next one, and all that waits is judged by it.
    fn follow_update(
        &mut self,
        number: BlockNumber,
        next: Arc<ChannelConfig>,
        context: &Context<'_>,
        out: &mut Vec<Output>,
    ) {
        self.config = Arc::clone(&next);
        self.revoke(context.revocations);
        out.push(Output::ConfigChanged { number, config: Arc::clone(&next) });
        match OwnKey::alone(&next, context.keys) {
            Ok(signer) => self.signer = Some(signer),
            Err(cause) => return self.give_up(&cause, out),
        }
        for queued in self.queue.take_all() {
            // It was decoded when it came.
            let Ok(envelope) = Envelope::decode(queued.bytes.clone()) else { continue };
            let digest = submission_digest(&queued.bytes, &queued.creator);
            self.judge(context, digest, (envelope, queued.bytes.len()), queued.creator.clone(), out);
            self.judging_again.insert(digest, queued);
        }
    }

    fn judge_submission(
        &self,
        context: &Context<'_>,
        digest: Digest,
        submission: &Submission,
        out: &mut Vec<Output>,
    ) {
        let envelope = (submission.envelope.clone(), submission.bytes);
        self.judge(context, digest, envelope, submission.creator.clone(), out);
    }

    /// Has an envelope of so many bytes judged by the config in force.
    fn judge(
        &self,
        context: &Context<'_>,
        digest: Digest,
        (envelope, bytes): (Envelope, usize),
        creator: CertificateChain,
        out: &mut Vec<Output>,
    ) {
        let (config, at) = (Arc::clone(&self.judging_config), context.now.wall.as_seconds());
        out.push(Output::Verify(EnvelopeJob { digest, envelope, bytes, creator, config, at }));
    }

    fn on_judged_again(
        &mut self,
        queued: Queued,
        verdict: EnvelopeVerdict,
        context: &Context<'_>,
        out: &mut Vec<Output>,
    ) {
        let Ok(envelope) = Envelope::decode(queued.bytes.clone()) else { return };
        if verdict.config_number != self.config.number() {
            let envelope = (envelope, queued.bytes.len());
            self.judge(context, verdict.digest, envelope, queued.creator.clone(), out);
            self.judging_again.insert(verdict.digest, queued);
            return;
        }
        let answer = match verdict.judgement {
            Judgement::Right(_) => {
                self.queue.push(queued);
                return self.cut(context, out);
            }
            Judgement::Refused(refusal) => SubmitAnswer::Refused(refusal),
            Judgement::Overloaded => SubmitAnswer::Overloaded,
        };
        self.turn_away(&queued, &answer, out);
    }

    /// Orders nothing more and says why; what is on its way to the disk is still answered.
    fn give_up(&mut self, cause: &str, out: &mut Vec<Output>) {
        if self.halted.is_none() {
            self.halted = Some(cause.to_owned());
            out.push(Output::Halted { channel: self.config.channel(), cause: cause.to_owned() });
        }
        if self.in_flight.is_empty() {
            self.halt(cause, out);
        }
    }

    fn refuse(&mut self, waiting: Waiting, refusal: SubmitRefusal, out: &mut Vec<Output>) {
        self.answer(waiting, &SubmitAnswer::Refused(refusal), out);
    }

    fn answer(&mut self, waiting: Waiting, answer: &SubmitAnswer, out: &mut Vec<Output>) {
        self.load.submissions -= waiting.tickets.len();
        self.load.bytes -= waiting.bytes + waiting.tickets.len() * SUBMISSION_BYTES;
        let tickets = waiting.tickets.into_iter();
        out.extend(tickets.map(|ticket| Output::Acknowledge { ticket, answer: answer.clone() }));
    }
}

/// What a submission holds of the load's bytes.
pub(super) fn held_bytes(envelope_bytes: usize, creator: &CertificateChain) -> usize {
    let intermediates = creator.intermediates.iter().map(|certificate| certificate.der().len());
    envelope_bytes + creator.certificate.der().len() + intermediates.sum::<usize>()
}

fn submission_digest(envelope: &[u8], creator: &CertificateChain) -> Digest {
    let certificates = std::iter::once(&creator.certificate).chain(&creator.intermediates);
    let mut digests = vec![Digest::of(envelope)];
    digests.extend(certificates.map(|certificate| certificate.fingerprint()));
    Digest::of_parts(&digests.iter().map(|digest| &digest.as_bytes()[..]).collect::<Vec<_>>())
}
