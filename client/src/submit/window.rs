//! The envelopes that are in flight: bounded, each kept until it is answered for good.

use super::{Config, Submission, SubmitError, SubmitOutcome, never};
use crate::connection::Connection;
use bytes::Bytes;
use ledgercast_protocol::ledger::EnvelopeId;
use ledgercast_protocol::types::BlockNumber;
use ledgercast_protocol::wire::proto;
use ledgercast_protocol::wire::proto::submit_reply::Outcome;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;
use tokio_stream::{Stream, StreamExt as _};

type Items<'a, T> = Pin<Box<dyn Stream<Item = Result<Submission<T>, String>> + 'a>>;

pub(super) struct Window<'a, T> {
    config: Config,
    items: Option<Items<'a, T>>,
    in_flight: BTreeMap<u64, InFlight<T>>,
    bytes: usize,
    /// Tickets not yet sent on this stream, oldest first.
    unsent: VecDeque<u64>,
    /// Tickets refused for now, to be sent again at `retry_at`.
    refused: Vec<u64>,
    retry_at: Option<Instant>,
    backoff: Duration,
    next_ticket: u64,
    answered: u64,
    last_answer: Instant,
    input_error: Option<String>,
    /// An item that did not fit beside those in flight.
    held: Option<Submission<T>>,
}

struct InFlight<T> {
    tag: T,
    id: EnvelopeId,
    bytes: Bytes,
}

impl<'a, T> Window<'a, T> {
    pub(super) fn new(
        config: &Config,
        items: impl Stream<Item = Result<Submission<T>, String>> + 'a,
    ) -> Self {
        Self {
            config: config.clone(),
            items: Some(Box::pin(items)),
            in_flight: BTreeMap::new(),
            bytes: 0,
            unsent: VecDeque::new(),
            refused: Vec::new(),
            retry_at: None,
            backoff: config.backoff_min,
            next_ticket: 0,
            answered: 0,
            last_answer: Instant::now(),
            input_error: None,
            held: None,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.in_flight.is_empty() && self.items.is_none() && self.held.is_none()
    }

    pub(super) fn unanswered(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn answered(&self) -> u64 {
        self.answered
    }

    pub(super) fn last_answer(&self) -> Instant {
        self.last_answer
    }

    pub(super) fn silent_for(&self) -> Duration {
        self.last_answer.elapsed()
    }

    pub(super) fn input_error(self) -> Option<String> {
        self.input_error
    }

    pub(super) fn has_next(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// A new stream: nothing was sent on it yet.
    pub(super) fn send_all_again(&mut self) {
        self.refused.clear();
        self.retry_at = None;
        self.unsent = self.in_flight.keys().copied().collect();
    }

    pub(super) fn next_request(&mut self, creator: &proto::CertificateChain) -> Option<proto::SubmitRequest> {
        let ticket = self.unsent.pop_front()?;
        let envelope = self.in_flight.get(&ticket)?.bytes.clone();
        Some(proto::SubmitRequest { ticket, envelope, creator: Some(creator.clone()) })
    }

    /// When the envelopes that were refused for now are to be sent again.
    pub(super) fn next_retry(&self) -> Instant {
        self.retry_at.unwrap_or_else(never)
    }

    pub(super) fn retry_refused(&mut self) {
        self.retry_at = None;
        self.unsent.extend(self.refused.drain(..));
    }

    /// Takes an answer; one that may change is not passed on but sought again.
    pub(super) fn answer(
        &mut self,
        connection: &Connection,
        reply: proto::SubmitReply,
        on_answer: &mut impl FnMut(T, EnvelopeId, SubmitOutcome),
    ) -> Result<(), SubmitError> {
        let ticket = reply.ticket;
        let wrong = || SubmitError::WrongAnswer { endpoint: connection.endpoint().clone(), ticket };
        let Some(asked) = self.in_flight.get(&ticket) else { return Ok(()) };
        let outcome = match reply.outcome.ok_or_else(wrong)? {
            Outcome::Accepted(accepted) if accepted.envelope_id[..] != asked.id.0.as_bytes()[..] => {
                return Err(wrong());
            }
            Outcome::Accepted(accepted) => {
                SubmitOutcome::Accepted { block: BlockNumber::new(accepted.block), index: accepted.index }
            }
            Outcome::Refused(refused) => match refused.reason() {
                proto::SubmitRefusal::Overloaded | proto::SubmitRefusal::Unavailable => {
                    self.refuse_for_now(ticket);
                    return Ok(());
                }
                reason => SubmitOutcome::Refused { reason, message: refused.message },
            },
        };
        if let Some(asked) = self.in_flight.remove(&ticket) {
            self.bytes -= asked.bytes.len();
            self.answered += 1;
            self.last_answer = Instant::now();
            self.backoff = self.config.backoff_min;
            on_answer(asked.tag, asked.id, outcome);
        }
        Ok(())
    }

    fn refuse_for_now(&mut self, ticket: u64) {
        self.refused.push(ticket);
        if self.retry_at.is_none() {
            self.retry_at = Some(Instant::now() + self.backoff);
            self.backoff = self.backoff.saturating_mul(2).min(self.config.backoff_max);
        }
    }

    /// Whether another item may be taken, as far as is known before it is seen.
    pub(super) fn has_room(&self) -> bool {
        let is_fitting = match &self.held {
            Some(held) => self.has_room_for(held.envelope.encode().len()),
            None => self.items.is_some(),
        };
        is_fitting && self.in_flight.len() < self.config.in_flight_max
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        self.in_flight.is_empty() || self.bytes + bytes <= self.config.in_flight_bytes_max
    }

    /// Waits for an item, and takes what else is there already and fits. Nothing is lost if it is cancelled.
    pub(super) async fn fill(&mut self) {
        let item = match self.held.take() {
            Some(held) => Some(Ok(held)),
            None => match &mut self.items {
                Some(items) => items.next().await,
                None => return,
            },
        };
        self.take(item);
        while self.has_room() {
            let ready = match (self.held.take(), &mut self.items) {
                (Some(held), _) => Poll::Ready(Some(Ok(held))),
                (None, Some(items)) => items.as_mut().poll_next(&mut Context::from_waker(Waker::noop())),
                (None, None) => return,
            };
            match ready {
                Poll::Ready(item) => self.take(item),
                Poll::Pending => return,
            }
        }
    }

    fn take(&mut self, item: Option<Result<Submission<T>, String>>) {
        let item = match item {
            Some(Ok(item)) => item,
            Some(Err(error)) => {
                self.input_error = Some(error);
                self.items = None;
                return;
            }
            None => {
                self.items = None;
                return;
            }
        };
        let bytes = item.envelope.encode();
        if !self.has_room_for(bytes.len()) {
            self.held = Some(item);
            return;
        }
        if self.in_flight.is_empty() {
            self.last_answer = Instant::now();
        }
        self.bytes += bytes.len();
        let id = item.envelope.id();
        self.in_flight.insert(self.next_ticket, InFlight { tag: item.tag, id, bytes });
        self.unsent.push_back(self.next_ticket);
        self.next_ticket += 1;
    }
}
