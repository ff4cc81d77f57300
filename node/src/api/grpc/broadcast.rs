//! `Broadcast`: envelopes from clients and admins of writer orgs, to the sequencer. Checks the caller's
//! right; the envelope's creator, who may be somebody else, is judged by the sequencer.

use super::caller::Caller;
use super::directory::{ChannelDirectory, Submitted, Submitter};
use super::gate::Passage;
use super::slots::Slots;
use super::status::{UNKNOWN_CHANNEL, stopping, too_many};
use crate::rpc::broadcast_server::Broadcast;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use ledgercast_crypto::Certificate;
use ledgercast_protocol::ledger::Envelope;
use ledgercast_protocol::ordering::{SubmitAnswer, SubmitRefusal as Refusal};
use ledgercast_protocol::wire::CertificateChain;
use ledgercast_protocol::wire::proto::{self, SubmitRefusal as Reason, submit_reply::Outcome};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, async_trait};

/// The most intermediates beside a creator's certificate, as between peers.
const INTERMEDIATES_MAX: usize = 4;

/// The service.
pub(super) struct BroadcastService(Arc<Shared>);

struct Shared {
    submitter: Arc<dyn Submitter>,
    streams: Arc<Slots>,
    in_flight_max: usize,
    stop: CancellationToken,
}

impl BroadcastService {
    pub(super) fn new(
        submitter: Arc<dyn Submitter>,
        streams: Arc<Slots>,
        in_flight_max: usize,
        stop: CancellationToken,
    ) -> Self {
        let in_flight_max = in_flight_max.max(1);
        Self(Arc::new(Shared { submitter, streams, in_flight_max, stop }))
    }

    /// The longest message that can hold an envelope of a channel held here. Twice that, so that whoever is a
    /// little above a limit is told so by name.
    pub(super) fn message_bytes_max(directory: &dyn ChannelDirectory) -> usize {
        let table = directory.channels();
        let longest = table.iter().map(|(_, _, config)| config.limits().envelope_bytes_max).max();
        (longest.unwrap_or_default() as usize).saturating_mul(2).saturating_add(CHAIN_BYTES_MAX)
    }
}

/// Room for the creator's certificates and the message around them.
const CHAIN_BYTES_MAX: usize = 64 * 1024;

#[async_trait]
impl Broadcast for BroadcastService {
    async fn submit(
        &self,
        request: Request<proto::SubmitRequest>,
    ) -> Result<Response<proto::SubmitReply>, Status> {
        let caller = Caller::of(&request)?;
        let _passage = Passage::of(&request);
        if self.0.stop.is_cancelled() {
            return Err(stopping());
        }
        Ok(Response::new(self.0.submit(&caller, request.into_inner()).await))
    }

    type SubmitStreamStream = BoxStream<'static, Result<proto::SubmitReply, Status>>;

    async fn submit_stream(
        &self,
        request: Request<Streaming<proto::SubmitRequest>>,
    ) -> Result<Response<Self::SubmitStreamStream>, Status> {
        let caller = Caller::of(&request)?;
        let shared = Arc::clone(&self.0);
        let slot = shared.streams.try_take(caller.org()?).ok_or_else(|| too_many("submission streams"))?;
        let passage = Passage::of(&request);
        let stop = shared.stop.clone();
        let in_flight_max = shared.in_flight_max;
        let replies = request
            .into_inner()
            .take_until(stop.clone().cancelled_owned())
            .map(move |received| {
                let (shared, caller) = (Arc::clone(&shared), caller.clone());
                async move { Ok(shared.submit(&caller, received?).await) }
            })
            // At the bound the stream is not read: flow control holds the caller back.
            .buffer_unordered(in_flight_max);
        let end = stream::once(async move {
            drop((slot, passage));
            stop.is_cancelled().then(|| Err(stopping()))
        });
        Ok(Response::new(replies.chain(end.filter_map(std::future::ready)).boxed()))
    }
}

impl Shared {
    async fn submit(&self, caller: &Caller, request: proto::SubmitRequest) -> proto::SubmitReply {
        let ticket = request.ticket;
        let outcome = match self.admit(caller, request) {
            Ok((envelope, creator)) => match self.submitter.submit(envelope, creator).await {
                Submitted::Answered(answer) => outcome(answer),
                Submitted::PassedOn(outcome) => outcome,
            },
            Err(refused) => Outcome::Refused(refused),
        };
        proto::SubmitReply { ticket, outcome: Some(outcome) }
    }

    /// The caller's right comes first: whoever has none learns nothing more.
    fn admit(
        &self,
        caller: &Caller,
        request: proto::SubmitRequest,
    ) -> Result<(Bytes, CertificateChain), proto::SubmitRefused> {
        let envelope = Envelope::decode(request.envelope.clone())
            .map_err(|error| refused(Reason::Invalid, error.to_string()))?;
        if !caller.standing().may_write(envelope.content().channel) {
            return Err(refused(Reason::NotPermitted, UNKNOWN_CHANNEL.to_owned()));
        }
        let creator = chain(request.creator).map_err(|cause| refused(Reason::Invalid, cause))?;
        Ok((request.envelope, creator))
    }
}

fn chain(wire: Option<proto::CertificateChain>) -> Result<CertificateChain, String> {
    let wire = wire.ok_or_else(|| "the creator's certificate is missing".to_owned())?;
    let found = wire.intermediates.len();
    if found > INTERMEDIATES_MAX {
        return Err(format!("the creator shows {found} intermediates, the limit is {INTERMEDIATES_MAX}"));
    }
    let decode = |der: Bytes| {
        Certificate::from_der(der).map_err(|error| format!("the creator's certificate: {error}"))
    };
    Ok(CertificateChain {
        certificate: decode(wire.certificate)?,
        intermediates: wire.intermediates.into_iter().map(decode).collect::<Result<_, _>>()?,
    })
}

fn outcome(answer: SubmitAnswer) -> Outcome {
    match answer {
        SubmitAnswer::Accepted { envelope, position } => Outcome::Accepted(proto::SubmitAccepted {
            envelope_id: Bytes::copy_from_slice(envelope.0.as_bytes()),
            block: position.block.as_u64(),
            index: position.index,
        }),
        SubmitAnswer::Refused(refusal) => Outcome::Refused(refused(reason(&refusal), refusal.to_string())),
        SubmitAnswer::Overloaded => Outcome::Refused(refused(
            Reason::Overloaded,
            "too much waits to be ordered: try again later".into(),
        )),
    }
}

fn reason(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::NotPermitted { cause } => {
            tracing::debug!(cause, "an envelope's creator was refused");
            Reason::NotPermitted
        }
        Refusal::Malformed(_)
        | Refusal::OtherCreator
        | Refusal::CertificateTooLong { .. }
        | Refusal::ConfigUpdate(_)
        | Refusal::Quorum { .. }
        | Refusal::UpdatePending
        | Refusal::Signature(_) => Reason::Invalid,
        Refusal::TooLarge { .. } => Reason::TooLarge,
        Refusal::NonceUsed => Reason::NonceUsed,
        Refusal::Unavailable { .. } => Reason::Unavailable,
    }
}

fn refused(reason: Reason, message: String) -> proto::SubmitRefused {
    proto::SubmitRefused { reason: reason.into(), message }
}
