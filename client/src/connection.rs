//! Connections to peers and orderers: gRPC over mutual TLS, and what a failed call means to its caller.

use crate::rpc::admin_client::AdminClient;
use crate::rpc::broadcast_client::BroadcastClient;
use crate::rpc::deliver_client::DeliverClient;
use bytes::Bytes;
use ledgercast_crypto::msp::Msp;
use ledgercast_crypto::tls::to_certificate_pem;
use ledgercast_protocol::channel::BLOCK_MESSAGE_BYTES_MAX;
use ledgercast_protocol::types::Endpoint;
use std::error::Error as _;
use std::time::Duration;
use thiserror::Error;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Status};

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// How long calls may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands. Default 5 s (guess).
    pub connect: Duration,
    /// Until a single question is answered. Default 30 s (guess).
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), request: Duration::from_secs(30) }
    }
}

/// Opens connections with one TLS identity.
#[derive(Clone)]
pub struct Connector {
    identity: Identity,
    roots: Vec<String>,
    server_name: Option<String>,
    timeouts: Timeouts,
}

/// A connection to one server; clones share it.
#[derive(Clone, Debug)]
pub struct Connection {
    endpoint: Endpoint,
    channel: Channel,
    timeouts: Timeouts,
}

/// Why an identity cannot open connections.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CredentialsError {
    /// There is no TLS pair.
    #[error("no TLS pair beside the msp folder: put ca.crt, server.crt and server.key into tls/")]
    NoTls,
}

/// Why a call has no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CallError {
    /// Nobody answers there, or not now: trying again may help.
    #[error("{endpoint} is not available: {cause}")]
    Unavailable {
        /// Whom we asked.
        endpoint: Endpoint,
        /// Why.
        cause: String,
    },
    /// What was asked for is unknown there, or not for us; the server does not say which.
    #[error("{endpoint} answers: {message}")]
    NotFound {
        /// Whom we asked.
        endpoint: Endpoint,
        /// Its words.
        message: String,
    },
    /// The server refuses; trying again does not help.
    #[error("{endpoint} refuses ({code}): {message}")]
    Refused {
        /// Whom we asked.
        endpoint: Endpoint,
        /// The status code's name.
        code: String,
        /// Its words.
        message: String,
    },
}

impl Connector {
    /// Takes the TLS pair and roots of an identity. `server_name` is what servers' certificates must bear, if
    /// not the endpoint's host.
    ///
    /// # Errors
    /// [`CredentialsError::NoTls`] when the identity has no TLS pair.
    pub fn new(msp: &Msp, server_name: Option<String>, timeouts: Timeouts) -> Result<Self, CredentialsError> {
        let tls = msp.tls.as_ref().ok_or(CredentialsError::NoTls)?;
        let mut roots: Vec<String> = msp.org.tls_roots.iter().map(|der| to_certificate_pem(der)).collect();
        roots.push(tls.ca_pem.clone());
        let identity = Identity::from_pem(&tls.certificate_pem, tls.key_pem.as_bytes());
        Ok(Self { identity, roots, server_name, timeouts })
    }

    /// Connects; the server's certificate must chain to the own org's TLS roots or to `roots` (DER).
    ///
    /// # Errors
    /// [`CallError::Unavailable`] with the cause.
    pub async fn connect(&self, endpoint: &Endpoint, roots: &[Bytes]) -> Result<Connection, CallError> {
        let unavailable = |error: tonic::transport::Error| CallError::Unavailable {
            endpoint: endpoint.clone(),
            cause: with_causes(&error),
        };
        let added = roots.iter().map(|der| to_certificate_pem(der));
        let tls = ClientTlsConfig::new()
            .ca_certificates(self.roots.iter().cloned().chain(added).map(Certificate::from_pem))
            .identity(self.identity.clone())
            .domain_name(self.server_name.as_deref().unwrap_or_else(|| endpoint.host()));
        let channel = tonic::transport::Endpoint::from_shared(format!("https://{endpoint}"))
            .and_then(|target| target.tls_config(tls))
            .map_err(unavailable)?
            .connect_timeout(self.timeouts.connect)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(STREAM_WINDOW_BYTES)
            .connect()
            .await
            .map_err(unavailable)?;
        Ok(Connection { endpoint: endpoint.clone(), channel, timeouts: self.timeouts })
    }
}

impl Connection {
    /// Whom this connection leads to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Calls of the submission service.
    pub fn broadcast(&self) -> BroadcastClient<Channel> {
        BroadcastClient::new(self.channel.clone())
            .max_decoding_message_size(BLOCK_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(BLOCK_MESSAGE_BYTES_MAX)
    }

    /// Calls of the block service.
    pub fn deliver(&self) -> DeliverClient<Channel> {
        DeliverClient::new(self.channel.clone()).max_decoding_message_size(BLOCK_MESSAGE_BYTES_MAX)
    }

    /// Calls of the operators' service.
    pub fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel.clone())
            .max_decoding_message_size(BLOCK_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(BLOCK_MESSAGE_BYTES_MAX)
    }

    /// Waits for a single answer, at most as long as the profile's `request_timeout`.
    ///
    /// # Errors
    /// [`CallError`] says whether trying again may help.
    pub async fn answer<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, CallError> {
        match tokio::time::timeout(self.timeouts.request, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.error(&status)),
            Err(_) => Err(CallError::Unavailable {
                endpoint: self.endpoint.clone(),
                cause: format!("no answer within {:?}", self.timeouts.request),
            }),
        }
    }

    /// What a status means.
    pub fn error(&self, status: &Status) -> CallError {
        let (endpoint, message) = (self.endpoint.clone(), status.message().to_owned());
        match status.code() {
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded => {
                CallError::Unavailable { endpoint, cause: message }
            }
            // The server said nothing: the connection broke, and the status was made here.
            _ if status.source().is_some() => {
                CallError::Unavailable { endpoint, cause: format!("the connection broke: {message}") }
            }
            Code::NotFound | Code::PermissionDenied | Code::Unauthenticated => {
                CallError::NotFound { endpoint, message }
            }
            code => CallError::Refused { endpoint, code: code.to_string(), message },
        }
    }
}

/// An error with all its causes, each said once.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}
