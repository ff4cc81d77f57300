//! Streams from orderers, one task each: the core says to whom, and how far there is room; a task connects
//! once, hands on what comes, and says how it ended. What to do then is the core's to decide.

use crate::rpc::deliver_client::DeliverClient;
use bytes::Bytes;
use ledgercast_crypto::msp::TlsFiles;
use ledgercast_protocol::Input;
use ledgercast_protocol::channel::{BLOCK_MESSAGE_BYTES_MAX, OrdererEndpoint};
use ledgercast_protocol::feed;
use ledgercast_protocol::ledger::{Block, CertifiedHeader};
use ledgercast_protocol::types::{BlockNumber, ChannelId, Endpoint as OwnEndpoint, EndpointError, FeedId};
use ledgercast_protocol::wire::proto::{self, blocks_request::Start};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Streaming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// Times of feeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedConfig {
    /// A connection must stand after this time. Default 3 s, the reference system's.
    pub connect_timeout: Duration,
    /// Keep-alive pings on an idle stream. Default 10 s (guess): a dead orderer is noticed within two.
    pub keepalive_interval: Duration,
    /// Headers of one stream that the core has not handled yet; above, the stream is not read. Default 256
    /// (derived: four seconds at 64 blocks a second).
    pub headers_in_flight_max: usize,
    /// Where to connect instead of an endpoint that the channel's config names; whose TLS certificate is
    /// expected stays the same. Default none.
    pub address_overrides: BTreeMap<String, String>,
    /// See [`feed::Config`].
    pub backoff_min: Duration,
    /// See [`feed::Config`].
    pub backoff_max: Duration,
    /// See [`feed::Config`].
    pub lag_allowance: Duration,
    /// See [`feed::Config`].
    pub lag_tolerance: Duration,
    /// See [`feed::Config`].
    pub lag_blocks: usize,
    /// See [`feed::Config`].
    pub suspicion_min: Duration,
    /// See [`feed::Config`].
    pub suspicion_max: Duration,
}

impl Default for FeedConfig {
    fn default() -> Self {
        let protocol = feed::Config::default();
        Self {
            connect_timeout: Duration::from_secs(3),
            keepalive_interval: Duration::from_secs(10),
            headers_in_flight_max: 256,
            address_overrides: BTreeMap::new(),
            backoff_min: protocol.backoff_min,
            backoff_max: protocol.backoff_max,
            lag_allowance: protocol.lag_allowance,
            lag_tolerance: protocol.lag_tolerance,
            lag_blocks: protocol.lag_blocks,
            suspicion_min: protocol.suspicion_min,
            suspicion_max: protocol.suspicion_max,
        }
    }
}

impl FeedConfig {
    /// # Errors
    /// The first override that is no endpoint.
    pub fn check(&self) -> Result<(), EndpointError> {
        let texts = self.address_overrides.iter().flat_map(|(named, address)| [named, address]);
        texts.map(|text| text.parse::<OwnEndpoint>()).find_map(Result::err).map_or(Ok(()), Err)
    }

    /// What the protocol decides by.
    pub fn protocol(&self) -> feed::Config {
        feed::Config {
            backoff_min: self.backoff_min,
            backoff_max: self.backoff_max,
            lag_allowance: self.lag_allowance,
            lag_tolerance: self.lag_tolerance,
            lag_blocks: self.lag_blocks,
            suspicion_min: self.suspicion_min,
            suspicion_max: self.suspicion_max,
            is_follower: false,
        }
    }
}

/// All open streams.
pub(crate) struct Feeds {
    config: FeedConfig,
    tls: Arc<TlsFiles>,
    inputs: mpsc::UnboundedSender<Input>,
    running: BTreeMap<(ChannelId, FeedId), Running>,
    tasks: TaskTracker,
}

struct Running {
    through: watch::Sender<BlockNumber>,
    /// One permit for each header that the core may still be handed.
    headers: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Feeds {
    pub(crate) fn new(
        config: FeedConfig,
        tls: Arc<TlsFiles>,
        inputs: mpsc::UnboundedSender<Input>,
        tasks: TaskTracker,
    ) -> Self {
        Self { config, tls, inputs, running: BTreeMap::new(), tasks }
    }

    /// Opens a stream of blocks, or of headers.
    pub(crate) fn open(
        &mut self,
        (channel, feed): (ChannelId, FeedId),
        source: Arc<OrdererEndpoint>,
        blocks: Option<(BlockNumber, BlockNumber)>,
    ) {
        let (sender, room) = watch::channel(blocks.map(|(_, through)| through).unwrap_or_default());
        let headers = Arc::new(Semaphore::new(self.config.headers_in_flight_max));
        let stop = CancellationToken::new();
        let task = Feed {
            channel,
            feed,
            source,
            config: self.config.clone(),
            tls: Arc::clone(&self.tls),
            inputs: self.inputs.clone(),
            next: blocks.map(|(next, _)| next),
            room,
            headers: Arc::clone(&headers),
        };
        let token = stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = task.run() => {}
            }
        });
        self.running.insert((channel, feed), Running { through: sender, headers, stop });
    }

    /// Gives a running stream more room.
    pub(crate) fn extend(&mut self, channel: ChannelId, feed: FeedId, through: BlockNumber) {
        if let Some(running) = self.running.get(&(channel, feed)) {
            running.through.send_replace(through);
        }
    }

    /// The core has handled an input of a stream: a header's place is free again, an ended one is forgotten.
    pub(crate) fn handled(&mut self, input: &Handled) {
        match *input {
            Handled::Header(channel, feed) => {
                if let Some(running) = self.running.get(&(channel, feed)) {
                    running.headers.add_permits(1);
                }
            }
            Handled::End(channel, feed) => self.close(channel, feed),
            Handled::Other => {}
        }
    }

    /// Closes a stream.
    pub(crate) fn close(&mut self, channel: ChannelId, feed: FeedId) {
        if let Some(running) = self.running.remove(&(channel, feed)) {
            running.stop.cancel();
        }
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        self.running.values().for_each(|running| running.stop.cancel());
    }
}

/// What an input that was handled means to the streams.
pub(crate) enum Handled {
    /// A header of this stream.
    Header(ChannelId, FeedId),
    /// The end of this stream.
    End(ChannelId, FeedId),
    /// Nothing.
    Other,
}

impl From<&Input> for Handled {
    fn from(input: &Input) -> Self {
        match input {
            Input::FedHeader { channel, feed, .. } => Self::Header(*channel, *feed),
            Input::FeedEnded { channel, feed, .. } => Self::End(*channel, *feed),
            _ => Self::Other,
        }
    }
}

/// One stream.
struct Feed {
    channel: ChannelId,
    feed: FeedId,
    source: Arc<OrdererEndpoint>,
    config: FeedConfig,
    tls: Arc<TlsFiles>,
    inputs: mpsc::UnboundedSender<Input>,
    /// The next block; `None`: headers.
    next: Option<BlockNumber>,
    room: watch::Receiver<BlockNumber>,
    headers: Arc<Semaphore>,
}

impl Feed {
    async fn run(mut self) {
        if let Err(cause) = self.stream().await {
            let (channel, feed) = (self.channel, self.feed);
            let _ = self.inputs.send(Input::FeedEnded { channel, feed, cause });
        }
    }

    /// Hands on what comes until the stream ends (an error, also without one) or the core is gone.
    async fn stream(&mut self) -> Result<(), String> {
        // One deadline up to the first answer: a paused orderer accepts connections and says nothing.
        let opening = tokio::time::timeout(self.config.connect_timeout, self.open()).await;
        let mut blocks = opening.map_err(|_| "no answer within the connect time-out".to_owned())??;
        let _ = self.inputs.send(Input::FeedOpened { channel: self.channel, feed: self.feed });
        while self.has_room().await {
            let received = blocks.message().await.map_err(|status| describe(&status))?;
            let block = received.ok_or("the orderer ended the stream")?;
            let input = self.input(block)?;
            if self.inputs.send(input).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits until the core takes one more; `false` when it is gone.
    async fn has_room(&mut self) -> bool {
        match self.next {
            Some(next) => self.room.wait_for(|through| *through >= next).await.is_ok(),
            None => self.headers.acquire().await.map(tokio::sync::SemaphorePermit::forget).is_ok(),
        }
    }

    fn input(&mut self, block: proto::Block) -> Result<Input, String> {
        let (channel, feed) = (self.channel, self.feed);
        if self.next.is_none() {
            let header = block.header.ok_or("a header is missing")?;
            let header = CertifiedHeader::try_from(header).map_err(|error| error.to_string())?;
            return Ok(Input::FedHeader { channel, feed, header });
        }
        let block = Block::try_from(block).map_err(|error| error.to_string())?;
        self.next = Some(block.number().next());
        Ok(Input::Fed { channel, feed, block })
    }

    async fn open(&self) -> Result<Streaming<proto::Block>, String> {
        let channel = connect(&self.config, &self.tls, &self.source).await?;
        let mut client = DeliverClient::new(channel).max_decoding_message_size(BLOCK_MESSAGE_BYTES_MAX);
        let id = Bytes::copy_from_slice(self.channel.as_bytes());
        let start = match self.next {
            Some(next) => Start::From(next.as_u64()),
            None => Start::Newest(proto::Newest {}),
        };
        let request = proto::BlocksRequest {
            channel: Some(proto::ChannelReference {
                reference: Some(proto::channel_reference::Reference::Id(id)),
            }),
            start: Some(start),
            stop: None,
            headers_only: self.next.is_none(),
        };
        let response = client.blocks(request).await.map_err(|status| describe(&status))?;
        Ok(response.into_inner())
    }
}

/// A connection to an orderer, by its own TLS roots, showing my TLS certificate.
///
/// # Errors
/// What is wrong, with its causes.
pub(crate) async fn connect(
    config: &FeedConfig,
    tls: &TlsFiles,
    orderer: &OrdererEndpoint,
) -> Result<Channel, String> {
    let roots = orderer
        .tls_roots
        .iter()
        .map(|der| Certificate::from_pem(ledgercast_crypto::tls::to_certificate_pem(der)));
    let tls = ClientTlsConfig::new()
        .ca_certificates(roots)
        .identity(Identity::from_pem(&tls.certificate_pem, tls.key_pem.as_bytes()))
        .domain_name(orderer.endpoint.host());
    let named = orderer.endpoint.as_str();
    let address = config.address_overrides.get(named).map_or(named, String::as_str);
    let endpoint = Endpoint::from_shared(format!("https://{address}"))
        .map_err(|error| error.to_string())?
        .tls_config(tls)
        .map_err(|error| error.to_string())?
        .connect_timeout(config.connect_timeout)
        .http2_keep_alive_interval(config.keepalive_interval)
        .keep_alive_timeout(config.keepalive_interval)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(STREAM_WINDOW_BYTES)
        .tcp_nodelay(true);
    endpoint.connect().await.map_err(|error| with_causes(&error))
}

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
