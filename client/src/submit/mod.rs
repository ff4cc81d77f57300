//! Submission of envelopes: many in flight, bounded in number and bytes, sent again after failures.
//!
//! Sending again is safe: the orderer gives the same envelope the same answer, so each stands in the chain
//! once.
//!
//! ```text
//! items ─► window (in flight ≤ in_flight_max, ≤ in_flight_bytes_max) ─► stream ─► orderer
//!             ▲ all of it again, to the next orderer, after a lost stream │
//!             └──────── answers, in any order, by ticket ◄────────────────┘
//! ```

mod config;
mod window;

pub use config::Config;

use crate::connection::{CallError, Connection, Connector};
use bytes::Bytes;
use ledgercast_crypto::msp::Msp;
use ledgercast_protocol::channel::{ChannelConfig, OrdererEndpoint};
use ledgercast_protocol::ledger::{Envelope, EnvelopeId};
use ledgercast_protocol::types::{BlockNumber, Endpoint};
use ledgercast_protocol::wire::proto;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use window::Window;

/// Requests handed to the transport before it has written them; the window counts them too.
const STREAM_BUFFER: usize = 64;

/// An envelope to submit, with whatever the caller wants to recognise its answer by.
#[derive(Clone, Debug)]
pub struct Submission<T> {
    /// Given back with the answer.
    pub tag: T,
    /// The signed envelope.
    pub envelope: Envelope,
}

/// What became of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// It stands in the chain: its block is certified and durable, says the orderer.
    Accepted {
        /// The block.
        block: BlockNumber,
        /// Index among the block's envelopes.
        index: u32,
    },
    /// It was refused, and would be again.
    Refused {
        /// Why.
        reason: proto::SubmitRefusal,
        /// The orderer's words.
        message: String,
    },
}

/// Why submission stopped; envelopes without an answer may or may not stand in the chain.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SubmitError {
    /// The channel has no orderer to send to.
    #[error("no orderer is known")]
    NoOrderer,
    /// The orderer does not take the stream.
    #[error(transparent)]
    Call(#[from] CallError),
    /// No orderer answered for too long.
    #[error("{unanswered} envelopes have no answer, none came for {waited:?}; last failure: {cause}")]
    GaveUp {
        /// Envelopes in flight.
        unanswered: usize,
        /// How long nothing was answered.
        waited: Duration,
        /// The last failure.
        cause: String,
    },
    /// The orderer answers for an envelope that was not sent under this ticket.
    #[error("{endpoint} answered ticket {ticket} for another envelope or without an outcome")]
    WrongAnswer {
        /// Who.
        endpoint: Endpoint,
        /// The ticket.
        ticket: u64,
    },
    /// The source of envelopes failed; those before it have their answers.
    #[error("{0}")]
    Input(String),
}

/// An orderer and what vouches for its TLS certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its gRPC endpoint.
    pub endpoint: Endpoint,
    /// DER roots of its TLS CAs, besides the own org's.
    pub roots: Vec<Bytes>,
}

/// Submits one creator's envelopes to a channel's orderers.
pub struct Submitter {
    connector: Connector,
    targets: Vec<Target>,
    creator: proto::CertificateChain,
    config: Config,
}

impl Target {
    /// The orderers of a channel, those that sign first; at `instead` if that names any.
    pub fn of(channel: &ChannelConfig, instead: &[Endpoint]) -> Vec<Self> {
        let orderers = channel.sources();
        let all_roots: Vec<Bytes> = orderers.iter().flat_map(|orderer| orderer.tls_roots.clone()).collect();
        if instead.is_empty() {
            let target = |it: OrdererEndpoint| Self { endpoint: it.endpoint, roots: it.tls_roots };
            return orderers.into_iter().map(target).collect();
        }
        instead.iter().map(|endpoint| Self { endpoint: endpoint.clone(), roots: all_roots.clone() }).collect()
    }
}

impl Submitter {
    /// Submits envelopes that the identity `creator` has signed.
    ///
    /// # Errors
    /// [`SubmitError::NoOrderer`] when there is no target.
    pub fn new(
        connector: Connector,
        targets: Vec<Target>,
        creator: &Msp,
        config: Config,
    ) -> Result<Self, SubmitError> {
        if targets.is_empty() {
            return Err(SubmitError::NoOrderer);
        }
        let creator = proto::CertificateChain {
            certificate: creator.certificate.der().clone(),
            intermediates: creator.chain.iter().map(|certificate| certificate.der().clone()).collect(),
        };
        Ok(Self { connector, targets, creator, config })
    }

    /// Submits one envelope and waits for its answer.
    ///
    /// # Errors
    /// [`SubmitError`] when there is none.
    pub async fn submit(&self, envelope: Envelope) -> Result<SubmitOutcome, SubmitError> {
        let mut answer = None;
        let items = std::iter::once(Ok(Submission { tag: (), envelope }));
        self.submit_all(items, |(), _, outcome| answer = Some(outcome)).await?;
        Ok(answer.expect("success means that each submission was answered"))
    }

    /// Submits all envelopes that `items` gives and calls `on_answer` for each, in the order of the answers.
    /// An error among the items ends the submission once those before it are answered.
    ///
    /// # Errors
    /// [`SubmitError`] when not all were answered.
    pub async fn submit_all<T>(
        &self,
        items: impl Iterator<Item = Result<Submission<T>, String>>,
        on_answer: impl FnMut(T, EnvelopeId, SubmitOutcome),
    ) -> Result<(), SubmitError> {
        self.submit_stream(tokio_stream::iter(items), on_answer).await
    }

    /// As [`Self::submit_all`], of items that come when they come: each is sent at once if the window has
    /// room, and waiting for the next holds back no answer.
    ///
    /// # Errors
    /// [`SubmitError`] when not all were answered.
    pub async fn submit_stream<T>(
        &self,
        items: impl Stream<Item = Result<Submission<T>, String>>,
        mut on_answer: impl FnMut(T, EnvelopeId, SubmitOutcome),
    ) -> Result<(), SubmitError> {
        let mut window = Window::new(&self.config, items);
        let mut targets = self.targets.iter().cycle();
        let mut backoff = self.config.backoff_min;
        loop {
            // No stream without a first request: a server may answer the call only after it.
            while window.unanswered() == 0 && window.has_room() {
                window.fill().await;
            }
            if window.is_done() {
                break;
            }
            let target = targets.next().ok_or(SubmitError::NoOrderer)?;
            let answered = window.answered();
            let cause = match self.session(target, &mut window, &mut on_answer).await {
                Ok(()) => break,
                Err(SubmitError::Call(CallError::Unavailable { endpoint, cause })) => {
                    format!("{endpoint}: {cause}")
                }
                Err(error) => return Err(error),
            };
            if window.answered() > answered {
                backoff = self.config.backoff_min;
            }
            if window.unanswered() == 0 {
                continue;
            }
            let waited = window.silent_for();
            if waited + backoff >= self.config.give_up_after {
                return Err(SubmitError::GaveUp { unanswered: window.unanswered(), waited, cause });
            }
            tokio::time::sleep(backoff).await;
            backoff = backoff.saturating_mul(2).min(self.config.backoff_max);
        }
        window.input_error().map_or(Ok(()), |error| Err(SubmitError::Input(error)))
    }

    /// Sends the window and what follows until all is answered or the stream is lost.
    async fn session<T>(
        &self,
        target: &Target,
        window: &mut Window<'_, T>,
        on_answer: &mut impl FnMut(T, EnvelopeId, SubmitOutcome),
    ) -> Result<(), SubmitError> {
        let connection = self.connector.connect(&target.endpoint, &target.roots).await?;
        let (requests, receiver) = mpsc::channel(STREAM_BUFFER);
        window.send_all_again();
        while let Ok(permit) = requests.try_reserve() {
            let Some(request) = window.next_request(&self.creator) else { break };
            permit.send(request);
        }
        let stream = ReceiverStream::new(receiver);
        let mut replies = connection.answer(connection.broadcast().submit_stream(stream)).await?;
        while !window.is_done() {
            let give_up = window.last_answer() + self.config.give_up_after;
            let (retry_at, has_room) = (window.next_retry(), window.has_room());
            let (has_next, is_waiting) = (window.has_next(), window.unanswered() > 0);
            tokio::select! {
                permit = requests.reserve(), if has_next => {
                    let Ok(permit) = permit else { return Err(ended(&connection).into()) };
                    if let Some(request) = window.next_request(&self.creator) {
                        permit.send(request);
                    }
                }
                reply = next_reply(&connection, &mut replies) => {
                    window.answer(&connection, reply?, on_answer)?;
                }
                () = window.fill(), if has_room => {}
                () = tokio::time::sleep_until(retry_at) => window.retry_refused(),
                () = tokio::time::sleep_until(give_up), if is_waiting => {
                    return Err(CallError::Unavailable {
                        endpoint: target.endpoint.clone(),
                        cause: "connected, but answers nothing".to_owned(),
                    }.into());
                }
            }
        }
        Ok(())
    }
}

async fn next_reply(
    connection: &Connection,
    replies: &mut Streaming<proto::SubmitReply>,
) -> Result<proto::SubmitReply, CallError> {
    let reply = replies.message().await.map_err(|status| connection.error(&status))?;
    reply.ok_or_else(|| ended(connection))
}

fn ended(connection: &Connection) -> CallError {
    CallError::Unavailable { endpoint: connection.endpoint().clone(), cause: "ended the stream".to_owned() }
}

/// A time that does not come while anything waits.
fn never() -> Instant {
    Instant::now() + Duration::from_secs(24 * 60 * 60)
}
