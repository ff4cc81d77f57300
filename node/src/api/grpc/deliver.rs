//! `Deliver`: certified blocks in order, to those who may read them.
//!
//! A stream holds one block at a time and reads the next one when the caller took it: a slow reader holds
//! back itself.

use super::caller::Caller;
use super::channel_table::Reference;
use super::directory::ChannelDirectory;
use super::slots::{Slot, Slots};
use super::status::{damaged, stopping, too_many, unknown_channel, unreadable};
use crate::rpc::deliver_server::Deliver;
use crate::thinning::thinned;
use futures::stream::{BoxStream, StreamExt as _, try_unfold};
use ledgercast_protocol::ledger::CertifiedHeader;
use ledgercast_protocol::store::BlockStore;
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use ledgercast_protocol::wire::proto::{self, blocks_request};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, async_trait};

/// A stream that waits looks again after this time whether its caller may still read, whatever it is told.
/// Guess.
const RECHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The service.
pub(super) struct DeliverService {
    pub(super) directory: Arc<dyn ChannelDirectory>,
    pub(super) streams: Arc<Slots>,
    pub(super) stop: CancellationToken,
}

/// One stream of blocks.
struct Reading {
    directory: Arc<dyn ChannelDirectory>,
    heights: watch::Receiver<BTreeMap<ChannelId, u64>>,
    stop: CancellationToken,
    caller: Caller,
    channel: ChannelId,
    next: BlockNumber,
    /// The last block to send; `None`: the stream follows.
    last: Option<BlockNumber>,
    /// Blocks below this height are known to be there.
    height: u64,
    /// Whether the node has told a height of the channel; once it has, silence means that the channel was
    /// left.
    is_height_told: bool,
    is_headers_only: bool,
    _slot: Slot,
}

#[async_trait]
impl Deliver for DeliverService {
    type ConfigsStream = BoxStream<'static, Result<proto::Block, Status>>;

    async fn configs(
        &self,
        request: Request<proto::ConfigsRequest>,
    ) -> Result<Response<Self::ConfigsStream>, Status> {
        let caller = Caller::of(&request)?;
        let channel = caller.standing().readable(&Reference::try_new(request.into_inner().channel)?)?;
        let slot = self.streams.try_take(caller.org()?).ok_or_else(|| too_many("block streams"))?;
        let store = Arc::clone(self.directory.store());
        let numbers = blocking(move || store.config_blocks(channel)).await?;
        let mut numbers = numbers.map_err(|error| unreadable(BlockNumber::GENESIS, &error))?;
        numbers.retain(|number| caller.standing().may_read(channel, *number));
        let store = Arc::clone(self.directory.store());
        let reading = (numbers.into_iter(), store, slot);
        let blocks = try_unfold(reading, move |(mut numbers, store, slot)| async move {
            let Some(number) = numbers.next() else { return Ok(None) };
            let source = Arc::clone(&store);
            let block = blocking(move || read_block(source.as_ref(), channel, number)).await??;
            Ok(Some((block, (numbers, store, slot))))
        });
        Ok(Response::new(blocks.boxed()))
    }

    type BlocksStream = BoxStream<'static, Result<proto::Block, Status>>;

    async fn blocks(
        &self,
        request: Request<proto::BlocksRequest>,
    ) -> Result<Response<Self::BlocksStream>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let channel = caller.standing().readable(&Reference::try_new(request.channel)?)?;
        let slot = self.streams.try_take(caller.org()?).ok_or_else(|| too_many("block streams"))?;
        if self.stop.is_cancelled() {
            return Err(stopping());
        }
        let height = height(&self.directory, channel).await?;
        let newest = BlockNumber::new(height.saturating_sub(1));
        let reading = Reading {
            directory: Arc::clone(&self.directory),
            heights: self.directory.heights(),
            stop: self.stop.clone(),
            caller,
            channel,
            next: start(request.start, newest)?,
            last: stop(request.stop, newest),
            height,
            is_height_told: false,
            is_headers_only: request.headers_only,
            _slot: slot,
        };
        tracing::debug!(caller = %reading.caller, %channel, from = %reading.next, "blocks asked for");
        Ok(Response::new(try_unfold(reading, Reading::step).boxed()))
    }
}

fn start(start: Option<blocks_request::Start>, newest: BlockNumber) -> Result<BlockNumber, Status> {
    match start {
        Some(blocks_request::Start::Oldest(_)) => Ok(BlockNumber::GENESIS),
        Some(blocks_request::Start::Newest(_)) => Ok(newest),
        Some(blocks_request::Start::From(number)) => Ok(BlockNumber::new(number)),
        None => Err(Status::invalid_argument("no start is given: say oldest, newest or a number")),
    }
}

fn stop(stop: Option<blocks_request::Stop>, newest: BlockNumber) -> Option<BlockNumber> {
    stop.map(|stop| match stop {
        blocks_request::Stop::Through(number) => BlockNumber::new(number),
        blocks_request::Stop::ThroughNewest(_) => newest,
    })
}

async fn height(directory: &Arc<dyn ChannelDirectory>, channel: ChannelId) -> Result<u64, Status> {
    let store = Arc::clone(directory.store());
    let height = blocking(move || store.height(channel)).await?;
    height.map(|height| height.as_u64()).map_err(|error| unreadable(BlockNumber::GENESIS, &error))
}

/// Runs a read of the disk off the async threads.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    tokio::task::spawn_blocking(read).await.map_err(|error| {
        tracing::error!(%error, "a read of the store did not finish");
        Status::internal("a read of the store did not finish")
    })
}

impl Reading {
    async fn step(mut self) -> Result<Option<(proto::Block, Self)>, Status> {
        if self.last.is_some_and(|last| self.next > last) {
            return Ok(None);
        }
        self.wait_for_next().await?;
        let block = self.read().await?;
        self.next = self.next.next();
        Ok(Some((block, self)))
    }

    /// Returns once the next block is durable.
    async fn wait_for_next(&mut self) -> Result<(), Status> {
        loop {
            // The right to read may have ended since the last block: channel left, certificate expired.
            if !self.caller.standing().may_read(self.channel, self.next) {
                return Err(unknown_channel());
            }
            if self.stop.is_cancelled() {
                return Err(stopping());
            }
            match self.heights.borrow_and_update().get(&self.channel) {
                Some(height) => {
                    self.is_height_told = true;
                    self.height = self.height.max(*height);
                }
                None if self.is_height_told => return Err(unknown_channel()),
                None => {}
            }
            if self.next.as_u64() < self.height {
                return Ok(());
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(RECHECK_INTERVAL) => {}
                changed = self.heights.changed() => changed.map_err(|_| stopping())?,
            }
        }
    }

    async fn read(&self) -> Result<proto::Block, Status> {
        let (store, channel, number) = (Arc::clone(self.directory.store()), self.channel, self.next);
        let is_headers_only = self.is_headers_only;
        blocking(move || match is_headers_only {
            true => read_header(store.as_ref(), channel, number),
            false => read_block(store.as_ref(), channel, number),
        })
        .await?
    }
}

fn read_block(
    store: &dyn BlockStore,
    channel: ChannelId,
    number: BlockNumber,
) -> Result<proto::Block, Status> {
    match store.read(channel, number) {
        Ok(Some(block)) => Ok((&block).into()),
        Ok(None) => Err(missing(number)),
        Err(error) => Err(unreadable(number, &error)),
    }
}

fn read_header(
    store: &dyn BlockStore,
    channel: ChannelId,
    number: BlockNumber,
) -> Result<proto::Block, Status> {
    let bytes = match store.read_header(channel, number) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(missing(number)),
        Err(error) => return Err(unreadable(number, &error)),
    };
    let header = CertifiedHeader::decode(bytes).map_err(|error| {
        thinned!(error, "a stored header is damaged", %channel, block = %number, %error);
        damaged(number)
    })?;
    Ok(proto::Block { header: Some((&header).into()), body: bytes::Bytes::new() })
}

/// Below the height nothing is missing, unless the channel was left and joined anew between two reads.
fn missing(number: BlockNumber) -> Status {
    thinned!(error, "a block below the height is missing", block = %number);
    Status::data_loss(format!("block {number} is missing on this node's disk: ask another one"))
}
