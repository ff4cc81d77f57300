//! Two headers of one number: evidence is kept and passed on once; a fork stops the channel until an operator
//! lifts that.
//!
//! - A header of a number at which another one is held is verified together with that one: either it is
//!   false, or it is evidence. Who announces another hash, or a header that does not follow the held one, is
//!   asked for its header, so that forks are found wherever their branches meet.
//! - A fork stops the channel before its number, or at once where that is durable already. Of the two headers
//!   none is the right one by anything that a peer can know. Under orderers that a later config has replaced
//!   it is an alarm only.
//! - Evidence that somebody shows is judged under the config that it names; false evidence is its sender's
//!   offence. While the channel stands still for a fork our configs may differ, and nobody is blamed.
//!
//! Limits: one verification of this kind for each source, one question a second for each member, proofs for
//! each orderer. Resists: A15, A23.

use super::Channel;
use super::deferred::Deferred;
use super::proving::Proving;
use super::step::Step;
use crate::channel::ChannelConfig;
use crate::event::{Event, Source};
use crate::evidence::{Equivocation, EquivocationError, Kept, Proof, Verdict};
use crate::feed;
use crate::job::Job;
use crate::ledger::{BlockError, CertifiedHeader, VerifiedHeader};
use crate::offence::Offence;
use crate::repair;
use crate::time::Monotonic;
use crate::types::{BlockNumber, MemberId};
use crate::wire::{ChannelMessage, WantHeaders};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often a member is asked for a header that contradicts mine. A guess: a fork is rare, a lie is cheap.
const RIVAL_INTERVAL: Duration = Duration::from_secs(1);

/// What a channel knows of contradictions, and what of them is under way.
#[derive(Debug, Default)]
pub(super) struct Forks {
    pub(super) kept: Kept,
    /// Whether `kept` has changed since it was last saved.
    pub(super) is_changed: bool,
    /// Whether it is a fork for which the channel stands still.
    pub(super) is_halted: bool,
    /// Whether that was lifted while blocks were on their way to the store: it goes on once they are durable.
    pub(super) is_lifting: bool,
    /// Whose headers or evidence are being verified.
    pending: BTreeSet<Source>,
    asked: BTreeMap<MemberId, Monotonic>,
}

impl Forks {
    pub(super) fn forget(&mut self, member: MemberId) {
        self.asked.remove(&member);
    }
}

impl Channel {
    /// Takes over what an earlier life kept; comes before the start.
    pub fn restore_evidence(&mut self, kept: Kept) {
        self.forks.kept = kept;
    }

    /// The evidence of this channel.
    pub fn evidence(&self) -> &Kept {
        &self.forks.kept
    }

    /// Whether the evidence has changed since the last call, so that it is to be saved.
    pub(crate) fn take_evidence_changed(&mut self) -> bool {
        std::mem::take(&mut self.forks.is_changed)
    }

    /// The header that is held of a number: proven above the tip, or of one of the newest durable blocks.
    pub(super) fn held_header(&self, number: BlockNumber) -> Option<&VerifiedHeader> {
        if let Some(slot) = self.window.slot(number) {
            return Some(&slot.header);
        }
        let tip = Some(self.window.tip()).filter(|tip| tip.number() == number);
        let mut recent = self.serving.recent_headers(number);
        tip.or_else(|| recent.next().filter(|header| header.number() == number))
    }

    /// Has a header verified against the one that is held of its number and config, if that is another one;
    /// says whether it is. One that names a later config waits for that, as ever.
    pub(super) fn judge_rival(
        &mut self,
        step: &mut Step<'_>,
        header: &CertifiedHeader,
        source: Source,
    ) -> bool {
        let (number, hash) = (header.header.number(), header.hash());
        let config_number = header.header.fields().config_number;
        let is_rival = |held: &&VerifiedHeader| {
            held.hash() != hash && held.header().fields().config_number == config_number
        };
        let Some(held) = self.held_header(number).filter(is_rival) else {
            return false;
        };
        let held = held.certified().clone();
        if !self.forks.pending.insert(source) {
            step.refuse("header", "rival_pending", source.member());
            return true;
        }
        let config = self.config_of(config_number).unwrap_or_else(|| self.config().clone());
        step.out.verify(Job::Rival { from: source, config, held, other: header.clone() });
        true
    }

    /// Asks a member for the header that it holds of a number at which mine is another one.
    pub(super) fn ask_rival(&mut self, step: &mut Step<'_>, member: MemberId, number: BlockNumber) {
        let now = step.now.monotonic;
        let is_recent = |at: &Monotonic| now.saturating_since(*at) < RIVAL_INTERVAL;
        if number == BlockNumber::GENESIS || self.forks.asked.get(&member).is_some_and(is_recent) {
            return;
        }
        self.forks.asked.insert(member, now);
        let question = WantHeaders { first: number, count: 1 };
        self.questions.note(member, question);
        self.counters.header_questions += 1;
        step.send(member, ChannelMessage::WantHeaders(question));
    }

    pub(super) fn handle_judged_rival(
        &mut self,
        step: &mut Step<'_>,
        from: Source,
        error: Option<BlockError>,
        proof: Result<Proof, EquivocationError>,
    ) {
        self.forks.pending.remove(&from);
        if let Ok(proof) = proof {
            self.keep_proof(step, proof, from.member());
        }
        match error {
            Some(error) => self.handle_false_headers(step, from, error),
            None => step.refuse("header", "conflicting_header", from.member()),
        }
    }

    /// Shows a neighbour the fork that the channel stands still for. One that was away when it was found,
    /// that did not know the config then or that goes on is shown it again; where it is known it costs a
    /// look-up.
    pub(super) fn show_halt(&mut self, step: &mut Step<'_>, member: MemberId) {
        let Some(proof) = self.forks.kept.stopping() else {
            return;
        };
        if step.is_neighbour(member) {
            step.send(member, ChannelMessage::Evidence(Box::new(proof.equivocation.clone())));
        }
    }

    /// Evidence that a neighbour shows.
    pub(super) fn on_evidence(&mut self, step: &mut Step<'_>, from: MemberId, shown: Equivocation) {
        if shown.channel() != step.channel {
            let (first, second) = (shown.channel(), step.channel);
            let error = EquivocationError::Channels { first, second };
            return step.out.offence(from, Offence::FalseEvidence(error));
        }
        let known = self.forks.kept.verdict(&shown);
        if matches!(known, Some(Verdict::Fork { .. })) {
            return step.refuse("evidence", "known", Some(from));
        }
        let Some(config) = self.config_of(shown.config_number()) else {
            return step.refuse("evidence", "config_unknown", Some(from));
        };
        // Of a fork somebody may have shown me a part, to keep the whole from being looked at.
        if known.is_some() && !shown.claims_fork(&config) {
            return step.refuse("evidence", "known", Some(from));
        }
        if !self.forks.pending.insert(Source::Peer(from)) {
            return step.refuse("evidence", "evidence_pending", Some(from));
        }
        step.out.verify(Job::Evidence { from, config, equivocation: Box::new(shown) });
    }

    pub(super) fn handle_judged_evidence(
        &mut self,
        step: &mut Step<'_>,
        from: MemberId,
        proof: Result<Proof, EquivocationError>,
    ) {
        self.forks.pending.remove(&Source::Peer(from));
        match proof {
            Ok(proof) => self.keep_proof(step, proof, Some(from)),
            Err(_) if self.forks.is_halted => {
                step.refuse("evidence", "judged_while_halted", Some(from));
            }
            Err(error) => step.out.offence(from, Offence::FalseEvidence(error)),
        }
    }

    /// A verification of this kind was not made: whoever shows it again is heard again.
    pub(super) fn give_up_rival(&mut self, step: &mut Step<'_>, from: Source) {
        self.forks.pending.remove(&from);
        step.refuse("evidence", "verifier_overloaded", from.member());
    }

    fn config_of(&self, number: u64) -> Option<Arc<ChannelConfig>> {
        let mut known = std::iter::once(self.config()).chain(self.configs.past());
        known.find(|config| config.number() == number).cloned()
    }

    fn keep_proof(&mut self, step: &mut Step<'_>, proof: Proof, from: Option<MemberId>) {
        let (verdict, equivocation) = (proof.verdict.clone(), proof.equivocation.clone());
        let must_stop = proof.is_fork() && self.are_orderers_in_force(equivocation.config_number());
        if !self.forks.kept.insert(proof, must_stop) {
            return step.refuse("evidence", "known", from);
        }
        self.forks.is_changed = true;
        let number = verdict.number();
        step.out.event(Event::EvidenceFound {
            channel: step.channel,
            number,
            kind: verdict.name(),
            guilty: verdict.guilty().to_vec(),
        });
        for neighbour in step.neighbours.iter().filter(|it| Some(it.member) != from) {
            let message = ChannelMessage::Evidence(Box::new(equivocation.clone()));
            step.out.send_channel(neighbour.member, step.channel, message);
        }
        self.follow_sources(step);
    }

    /// Whether the orderers of an earlier config are those of the one in force.
    fn are_orderers_in_force(&self, config_number: u64) -> bool {
        let keys = |config: &ChannelConfig| -> Vec<_> { config.orderers().iter().map(|it| it.key).collect() };
        self.config_of(config_number).is_some_and(|config| keys(&config) == keys(self.config()))
    }

    /// All blocks before a fork are durable: here the channel stands still.
    pub(super) fn stop_at_fork(&mut self, step: &mut Step<'_>) {
        let next = self.window.tip().number().next();
        let Some(number) = self.forks.kept.halted_at().filter(|number| next >= *number) else {
            return;
        };
        if self.is_stopped() {
            return;
        }
        self.forks.is_halted = true;
        self.failure = Some(format!("two headers of block {number} are certified: an operator must decide"));
        self.with_feed(step, feed::Input::Stop);
        step.out.event(Event::ChannelHalted { channel: step.channel, number });
    }

    /// What is not durable may be of the other branch: it comes again from whoever goes on.
    fn forget_above_tip(&mut self, step: &mut Step<'_>) {
        self.updates.clear();
        self.refused_update = None;
        // Verdicts that came while the channel stood still were dropped: their headers are to come again.
        self.proving = Proving::new(&self.settings);
        self.deferred = Deferred::new(self.settings.deferred_headers_max);
        self.refused_jobs.retain(|job| matches!(job, Job::Rival { .. } | Job::Evidence { .. }));
        self.window.drop_fed_all();
        for dropped in self.window.drop_above_tip(self.config().limits().body_bytes_max()) {
            self.with_repair(step, repair::Input::Complete(dropped));
        }
    }

    /// An operator has decided that the channel goes on, on the branch that is here.
    pub(super) fn handle_lift_halt(&mut self, step: &mut Step<'_>) {
        if !self.forks.is_halted || !self.forks.kept.lift() {
            return step.refuse("lift_halt", "not_halted", None);
        }
        self.forks.is_changed = true;
        step.out.event(Event::HaltLifted { channel: step.channel });
        self.forks.is_lifting = true;
        self.go_on_when_lifted(step);
    }

    /// Takes blocks again after a stop that was lifted, unless some are still on their way to the store: they
    /// may be of either branch, and what follows them is known when they are durable.
    pub(super) fn go_on_when_lifted(&mut self, step: &mut Step<'_>) {
        if !self.forks.is_lifting || self.commits_in_flight > 0 {
            return;
        }
        self.forks.is_lifting = false;
        self.forks.is_halted = false;
        self.failure = None;
        self.forget_above_tip(step);
        self.with_feed(step, feed::Input::Resume);
        self.follow_sources(step);
    }
}
