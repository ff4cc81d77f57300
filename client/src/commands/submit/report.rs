//! What becomes of the envelopes: a line each for programs, a progress bar for people, a summary for both.

use super::input::{Inputs, Item};
use super::stop::Cause;
use super::{Exit, Failure, Output};
use crate::submit::SubmitOutcome;
use indicatif::{ProgressBar, ProgressStyle};
use ledgercast_protocol::ledger::EnvelopeId;
use ledgercast_protocol::types::BlockNumber;
use ledgercast_protocol::wire::proto::SubmitRefusal;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Places that the orderer promised, by block and index.
pub(in crate::commands) type Accepted = BTreeMap<(BlockNumber, u32), EnvelopeId>;

pub(super) struct Report<'a> {
    output: &'a mut Output,
    progress: ProgressBar,
    started: Instant,
    submitted_in: Duration,
    skipped: u64,
    accepted_count: u64,
    accepted_bytes: u64,
    first_block: Option<BlockNumber>,
    last_block: Option<BlockNumber>,
    /// Kept only if they are checked later: a long run would fill memory.
    places: Option<Accepted>,
    refused_count: u64,
    first_refusal: Option<(String, SubmitRefusal, String)>,
    output_failure: Option<Failure>,
}

impl<'a> Report<'a> {
    pub(super) fn new(inputs: &Inputs, keeps_places: bool, output: &'a mut Output) -> Self {
        let progress = match output.has_progress() {
            true => ProgressBar::new(inputs.bytes()).with_style(style()),
            false => ProgressBar::hidden(),
        };
        Self {
            output,
            progress,
            started: Instant::now(),
            submitted_in: Duration::ZERO,
            skipped: inputs.skipped(),
            accepted_count: 0,
            accepted_bytes: 0,
            first_block: None,
            last_block: None,
            places: keeps_places.then(Accepted::new),
            refused_count: 0,
            first_refusal: None,
            output_failure: None,
        }
    }

    /// Takes an answer; says whether its line, if it has one, could be written.
    pub(super) fn answer(&mut self, item: &Item, id: EnvelopeId, outcome: SubmitOutcome) -> bool {
        self.progress.inc(item.input_bytes);
        let value = match outcome {
            SubmitOutcome::Accepted { block, index } => {
                self.accept(item, id, block, index);
                json!({
                    "source": item.source, "envelope_id": id.to_string(), "outcome": "accepted",
                    "block": block.as_u64(), "index": index, "bytes": item.payload.len(),
                })
            }
            SubmitOutcome::Refused { reason, message } => {
                self.refused_count += 1;
                let value = json!({
                    "source": item.source, "envelope_id": id.to_string(), "outcome": "refused",
                    "reason": word(reason), "message": message, "bytes": item.payload.len(),
                });
                self.first_refusal.get_or_insert((item.source.clone(), reason, message));
                value
            }
        };
        self.progress.set_message(format!("{} accepted", self.accepted_count));
        if self.output.is_json()
            && let Err(failure) = self.output.line(&value, String::new)
        {
            self.output_failure.get_or_insert(failure);
        }
        self.output_failure.is_none()
    }

    fn accept(&mut self, item: &Item, id: EnvelopeId, block: BlockNumber, index: u32) {
        self.accepted_count += 1;
        self.accepted_bytes += item.payload.len() as u64;
        self.first_block = Some(self.first_block.map_or(block, |first| first.min(block)));
        self.last_block = Some(self.last_block.map_or(block, |last| last.max(block)));
        if let Some(places) = &mut self.places {
            places.insert((block, index), id);
        }
    }

    /// All answers are there, or none will come.
    pub(super) fn finish_submission(&mut self) {
        self.submitted_in = self.started.elapsed();
        self.progress.finish_and_clear();
    }

    /// Not all input was submitted: prints the totals of what was, and says why not the rest.
    pub(super) fn broken_off(mut self, failure: Option<Failure>, stopped: Option<Cause>) -> Failure {
        let count = self.accepted_count + self.refused_count;
        let unread = self.output_failure.take();
        if count > 0 && unread.is_none() {
            // The cause below is the first to be known; a refusal among the answers is in the totals.
            let _ = self.summarise(false);
        }
        if let Some(failure) = failure {
            return failure;
        }
        let cure = "run it again to submit the rest; with --resume in both runs nothing is submitted twice";
        match (stopped, unread) {
            (Some(Cause::Interrupted), _) => {
                let cause = format!("interrupted: what was not read by then is not submitted, {count} are");
                Failure::new(Exit::Interrupted, cause).cure(cure)
            }
            (_, Some(unread)) => {
                let cause = format!("{}; stopped after {count} answers", unread.cause());
                Failure::new(Exit::Failed, cause).cure(cure)
            }
            (_, None) => Failure::new(Exit::Failed, format!("stopped after {count} answers")).cure(cure),
        }
    }

    /// The places that were promised.
    pub(super) fn accepted(&self) -> Option<&Accepted> {
        self.places.as_ref()
    }

    /// Prints the totals; refusals are a failure.
    pub(super) fn summarise(self, was_waited: bool) -> Result<(), Failure> {
        let seconds = self.submitted_in.as_secs_f64();
        let rate = if seconds > 0.0 { self.accepted_count as f64 / seconds } else { 0.0 };
        let value = json!({
            "accepted": self.accepted_count, "refused": self.refused_count, "skipped": self.skipped,
            "bytes": self.accepted_bytes,
            "first_block": self.first_block.map(BlockNumber::as_u64),
            "last_block": self.last_block.map(BlockNumber::as_u64),
            "seconds": seconds, "envelopes_per_second": rate, "is_committed_by_peer": was_waited,
        });
        self.output.line(&value, || {
            let blocks = match (self.first_block, self.last_block) {
                (Some(first), Some(last)) if first == last => format!(" in block {first}"),
                (Some(first), Some(last)) => format!(" in blocks {first} to {last}"),
                _ => String::new(),
            };
            let skipped = match self.skipped {
                0 => String::new(),
                count => format!(", {count} too large and skipped"),
            };
            let refused = match self.refused_count {
                0 => String::new(),
                count => format!(", {count} refused"),
            };
            let committed = if was_waited { "; committed by the peer" } else { "" };
            format!(
                "{} envelopes ({}) accepted{blocks} in {seconds:.2} s, {rate:.0} a second\
                 {refused}{skipped}{committed}",
                self.accepted_count,
                indicatif::HumanBytes(self.accepted_bytes),
            )
        })?;
        let Some((source, reason, message)) = self.first_refusal else { return Ok(()) };
        let cause =
            format!("{} refused; the first, {source}: {}: {message}", self.refused_count, word(reason));
        Err(match reason {
            SubmitRefusal::NotPermitted => Failure::new(Exit::NotFound, cause).cure(
                "check that the genesis file is this channel's and names this identity's org as writer",
            ),
            _ => Failure::new(Exit::Failed, cause),
        })
    }
}

fn style() -> ProgressStyle {
    let template = "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {msg}  {elapsed}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn word(reason: SubmitRefusal) -> &'static str {
    match reason {
        SubmitRefusal::Unspecified => "unspecified",
        SubmitRefusal::NotPermitted => "not_permitted",
        SubmitRefusal::Invalid => "invalid",
        SubmitRefusal::TooLarge => "too_large",
        SubmitRefusal::NonceUsed => "nonce_used",
        SubmitRefusal::Overloaded => "overloaded",
        SubmitRefusal::Unavailable => "unavailable",
    }
}
