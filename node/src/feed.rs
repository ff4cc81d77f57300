//! Feeds: while this peer leads, blocks are pulled from the channel's orderers, one stream a channel.
//!
//! The core says from where and how far there is room; a feed waits there. A lost stream is opened anew at
//! the next endpoint with capped back-off, which progress resets.

use crate::rpc::deliver_client::DeliverClient;
use bytes::Bytes;
use ledgercast_crypto::msp::TlsFiles;
use ledgercast_protocol::Input;
use ledgercast_protocol::channel::{ChannelConfig, Orderer};
use ledgercast_protocol::ledger::Block;
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use ledgercast_protocol::wire::proto;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Streaming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// Times of feeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedConfig {
    /// A connection must stand after this time. Default 3 s, the reference system's.
    pub connect_timeout: Duration,
    /// First back-off after a failure; doubles. Default 100 ms, the reference system's.
    pub backoff_min: Duration,
    /// Longest back-off. Default 2 s (derived: a failover should cost no more).
    pub backoff_max: Duration,
    /// Keep-alive pings on an idle stream. Default 10 s (guess): a dead orderer is noticed within two.
    pub keepalive_interval: Duration,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
            keepalive_interval: Duration::from_secs(10),
        }
    }
}

/// The orderers of every channel that this peer has joined.
pub(crate) type Configs = Arc<Mutex<BTreeMap<ChannelId, Arc<ChannelConfig>>>>;

/// All running feeds.
pub(crate) struct Feeds {
    config: FeedConfig,
    tls: Arc<TlsFiles>,
    configs: Configs,
    inputs: mpsc::UnboundedSender<Input>,
    running: BTreeMap<ChannelId, Running>,
    tasks: TaskTracker,
}

struct Running {
    through: watch::Sender<BlockNumber>,
    stop: CancellationToken,
}

impl Feeds {
    pub(crate) fn new(
        config: FeedConfig,
        tls: Arc<TlsFiles>,
        configs: Configs,
        inputs: mpsc::UnboundedSender<Input>,
        tasks: TaskTracker,
    ) -> Self {
        Self { config, tls, configs, inputs, running: BTreeMap::new(), tasks }
    }

    /// Starts a feed at `next`, or gives a running one more room.
    pub(crate) fn feed(&mut self, channel: ChannelId, next: BlockNumber, through: BlockNumber) {
        if let Some(running) = self.running.get(&channel) {
            running.through.send_replace(through);
            return;
        }
        let known = self.configs.lock().ok().and_then(|configs| configs.get(&channel).cloned());
        let Some(config) = known else {
            tracing::warn!(%channel, "no orderers are known for a channel that should be pulled");
            return;
        };
        let (sender, room) = watch::channel(through);
        let stop = CancellationToken::new();
        let feed = Feed {
            channel,
            orderers: config.orderers().to_vec(),
            config: self.config.clone(),
            tls: Arc::clone(&self.tls),
            inputs: self.inputs.clone(),
            next,
            room,
        };
        let token = stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = feed.run() => {}
            }
        });
        self.running.insert(channel, Running { through: sender, stop });
    }

    /// Stops a feed.
    pub(crate) fn stop(&mut self, channel: ChannelId) {
        if let Some(running) = self.running.remove(&channel) {
            running.stop.cancel();
        }
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        self.running.values().for_each(|running| running.stop.cancel());
    }
}

struct Feed {
    channel: ChannelId,
    orderers: Vec<Orderer>,
    config: FeedConfig,
    tls: Arc<TlsFiles>,
    inputs: mpsc::UnboundedSender<Input>,
    next: BlockNumber,
    room: watch::Receiver<BlockNumber>,
}

/// Why a stream ended.
enum FeedEnd {
    /// Nobody wants blocks any more.
    Unwanted,
    /// Try the next endpoint.
    Failed(String),
}

impl Feed {
    async fn run(mut self) {
        let mut backoff = self.config.backoff_min;
        let orderers = self.orderers.clone();
        for orderer in orderers.iter().cycle() {
            let before = self.next;
            match self.pull(orderer).await {
                FeedEnd::Unwanted => return,
                FeedEnd::Failed(cause) => {
                    let (channel, next) = (self.channel, self.next);
                    let endpoint = &orderer.endpoint;
                    tracing::warn!(%channel, %endpoint, %next, %cause, "orderer feed lost");
                }
            }
            self.tell(false);
            if self.next > before {
                backoff = self.config.backoff_min;
            }
            tokio::time::sleep(backoff).await;
            backoff = backoff.saturating_mul(2).min(self.config.backoff_max);
        }
    }

    fn tell(&self, is_up: bool) {
        let _ = self.inputs.send(Input::FeedState { channel: self.channel, is_up });
    }

    async fn pull(&mut self, orderer: &Orderer) -> FeedEnd {
        match self.stream(orderer).await {
            Ok(()) => FeedEnd::Unwanted,
            Err(cause) => FeedEnd::Failed(cause),
        }
    }

    /// Hands on blocks until the stream ends (an error, also without one) or the core is gone.
    async fn stream(&mut self, orderer: &Orderer) -> Result<(), String> {
        // One deadline up to the first answer: a paused orderer accepts connections and says nothing.
        let opening = tokio::time::timeout(self.config.connect_timeout, self.open(orderer)).await;
        let mut blocks = opening.map_err(|_| "no answer within the connect time-out".to_owned())??;
        self.tell(true);
        loop {
            if self.room.wait_for(|through| *through >= self.next).await.is_err() {
                return Ok(());
            }
            let block = match blocks.message().await.map_err(|status| describe(&status))? {
                Some(block) => Block::try_from(block).map_err(|error| error.to_string())?,
                None => return Err("the orderer ended the stream".to_owned()),
            };
            if block.number() != self.next {
                return Err(format!("expected block {}, got block {}", self.next, block.number()));
            }
            self.next = self.next.next();
            if self.inputs.send(Input::Fed { channel: self.channel, block }).is_err() {
                return Ok(());
            }
        }
    }

    async fn open(&self, orderer: &Orderer) -> Result<Streaming<proto::Block>, String> {
        let channel = self.connect(orderer).await?;
        let mut client = DeliverClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let id = Bytes::copy_from_slice(self.channel.as_bytes());
        let request = proto::BlocksRequest {
            channel: Some(proto::ChannelReference {
                reference: Some(proto::channel_reference::Reference::Id(id)),
            }),
            start: Some(proto::blocks_request::Start::From(self.next.as_u64())),
            stop: None,
            headers_only: false,
        };
        let response = client.blocks(request).await.map_err(|status| describe(&status))?;
        Ok(response.into_inner())
    }

    async fn connect(&self, orderer: &Orderer) -> Result<Channel, String> {
        let host = orderer.endpoint.host();
        let roots = orderer
            .tls_roots
            .iter()
            .map(|der| Certificate::from_pem(ledgercast_crypto::tls::to_certificate_pem(der)));
        let tls = ClientTlsConfig::new()
            .ca_certificates(roots)
            .identity(Identity::from_pem(&self.tls.certificate_pem, self.tls.key_pem.as_bytes()))
            .domain_name(host);
        let endpoint = Endpoint::from_shared(format!("https://{}", orderer.endpoint))
            .map_err(|error| error.to_string())?
            .tls_config(tls)
            .map_err(|error| error.to_string())?
            .connect_timeout(self.config.connect_timeout)
            .http2_keep_alive_interval(self.config.keepalive_interval)
            .keep_alive_timeout(self.config.keepalive_interval)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(STREAM_WINDOW_BYTES)
            .tcp_nodelay(true);
        endpoint.connect().await.map_err(|error| with_causes(&error))
    }
}

/// The largest block message: the ceiling of channel configs and room for its header.
pub(crate) const MESSAGE_BYTES_MAX: usize = 65 * 1024 * 1024;

/// What an orderer may have on its way to us; the default 64 KiB would cost a round trip each.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

fn describe(status: &tonic::Status) -> String {
    format!("{}: {}", status.code(), status.message())
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
