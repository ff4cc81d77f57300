//! Passes envelopes on to the orderers that sign, one after the other until one answers; its words are ours.

use crate::feed::{FeedConfig, connect};
use crate::rpc::broadcast_client::BroadcastClient;
use bytes::Bytes;
use ledgercast_crypto::msp::TlsFiles;
use ledgercast_protocol::channel::{ChannelConfig, OrdererEndpoint};
use ledgercast_protocol::types::Endpoint;
use ledgercast_protocol::wire::CertificateChain;
use ledgercast_protocol::wire::proto::{self, submit_reply::Outcome};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tonic::transport::Channel;

/// How long an orderer has to answer: the time that a client gives it. Submitting again is harmless.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct Relay {
    config: FeedConfig,
    tls: Arc<TlsFiles>,
    /// Of orderers that answered; one each, shared by all submissions.
    connections: Mutex<BTreeMap<Endpoint, Channel>>,
}

impl Relay {
    pub(super) fn new(config: FeedConfig, tls: Arc<TlsFiles>) -> Self {
        Self { config, tls, connections: Mutex::default() }
    }

    /// Has an envelope ordered by whoever signs on its channel.
    pub(super) async fn pass_on(
        &self,
        config: &ChannelConfig,
        envelope: Bytes,
        creator: &CertificateChain,
    ) -> Outcome {
        let request = proto::SubmitRequest { ticket: 0, envelope, creator: Some(creator.into()) };
        for orderer in config.signing_sources() {
            match self.ask(&orderer, request.clone()).await {
                Ok(outcome) => return outcome,
                Err(cause) => {
                    tracing::warn!(orderer = %orderer.endpoint, cause, "an envelope was not passed on");
                    self.connections().remove(&orderer.endpoint);
                }
            }
        }
        Outcome::Refused(proto::SubmitRefused {
            reason: proto::SubmitRefusal::Unavailable.into(),
            message: "no orderer that signs can be reached from here; submit again later".to_owned(),
        })
    }

    async fn ask(&self, orderer: &OrdererEndpoint, request: proto::SubmitRequest) -> Result<Outcome, String> {
        let held = self.connections().get(&orderer.endpoint).cloned();
        let connection = match held {
            Some(connection) => connection,
            None => connect(&self.config, &self.tls, orderer).await?,
        };
        self.connections().insert(orderer.endpoint.clone(), connection.clone());
        let mut client = BroadcastClient::new(connection);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.submit(request)).await;
        let answer = answer.map_err(|_| "no answer within the time-out".to_owned())?;
        let reply = answer.map_err(|status| format!("{}: {}", status.code(), status.message()))?;
        reply.into_inner().outcome.ok_or_else(|| "an answer without outcome".to_owned())
    }

    /// A panic of another thread leaves a whole map.
    fn connections(&self) -> std::sync::MutexGuard<'_, BTreeMap<Endpoint, Channel>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
