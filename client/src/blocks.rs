//! The verified block stream of a channel from one server. What comes out was checked; what is wrong ends the
//! stream.

use crate::connection::{CallError, Connection};
use crate::verify::{ChainVerifier, VerifyError};
use bytes::Bytes;
use ledgercast_protocol::ledger::{
    Block, BlockError, CertifiedHeader, HeaderError, VerifiedBlock, VerifiedHeader,
};
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use ledgercast_protocol::wire::proto;
use thiserror::Error;
use tonic::Streaming;

/// Where a stream starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first block that the server holds.
    Oldest,
    /// At the newest block that the server holds.
    Newest,
    /// At this block.
    At(BlockNumber),
}

/// Where a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// After this block, which may not exist yet.
    At(BlockNumber),
    /// After the block that is the newest at the start.
    Newest,
    /// Never.
    Never,
}

/// Which blocks are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub start: Start,
    /// The last.
    pub stop: Stop,
}

/// Blocks of a channel, one after the other.
#[derive(Debug)]
pub struct BlockStream {
    connection: Connection,
    blocks: Streaming<proto::Block>,
    verifier: ChainVerifier,
    stop: Stop,
    is_over: bool,
}

/// Why a stream ended before its stop.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StreamError {
    /// The server, or the way to it, failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What came is no block.
    #[error("{endpoint} sent what is no block: {error}")]
    Shape {
        /// Who.
        endpoint: String,
        /// What is wrong.
        error: HeaderError,
    },
    /// A block is not what the channel's orderers certified.
    #[error("{endpoint} sent a block that does not verify: {error}")]
    Verify {
        /// Who.
        endpoint: String,
        /// What is wrong.
        error: VerifyError,
    },
}

impl BlockStream {
    /// Asks for whole blocks; `verifier` says how they are checked.
    ///
    /// # Errors
    /// [`CallError`] when the server does not serve them.
    pub async fn open(
        connection: &Connection,
        verifier: ChainVerifier,
        range: Range,
    ) -> Result<Self, CallError> {
        Self::ask(connection, verifier, range, false).await
    }

    /// Asks for headers only: take them by [`BlockStream::next_header`].
    ///
    /// # Errors
    /// [`CallError`] when the server does not serve them.
    pub async fn open_headers(
        connection: &Connection,
        verifier: ChainVerifier,
        range: Range,
    ) -> Result<Self, CallError> {
        Self::ask(connection, verifier, range, true).await
    }

    async fn ask(
        connection: &Connection,
        verifier: ChainVerifier,
        range: Range,
        headers_only: bool,
    ) -> Result<Self, CallError> {
        let mut verifier = verifier;
        let request = request(verifier.genesis().channel(), range, headers_only);
        // Who starts below its configs learns them on the way; the others need them first.
        learn_configs(connection, &mut verifier).await?;
        // Only the call is timed: blocks may come much later.
        let blocks = connection.answer(connection.deliver().blocks(request)).await?;
        Ok(Self { connection: connection.clone(), blocks, verifier, stop: range.stop, is_over: false })
    }

    /// The next block, verified; `None` after the last one.
    ///
    /// # Errors
    /// [`StreamError`] ends the stream.
    pub async fn next(&mut self) -> Result<Option<VerifiedBlock>, StreamError> {
        let Some(wire) = self.receive().await? else { return Ok(None) };
        let block = Block::try_from(wire).map_err(|error| self.shape(error))?;
        let verified = self.verifier.check(block).map_err(|error| self.refused(error))?;
        self.is_over = self.stop == Stop::At(verified.number());
        Ok(Some(verified))
    }

    /// The next header, verified; `None` after the last one.
    ///
    /// # Errors
    /// [`StreamError`] ends the stream.
    pub async fn next_header(&mut self) -> Result<Option<VerifiedHeader>, StreamError> {
        let Some(wire) = self.receive().await? else { return Ok(None) };
        let nothing = || HeaderError::Field { field: "header", found: "nothing".to_owned() };
        let header = wire.header.ok_or_else(nothing).and_then(CertifiedHeader::try_from);
        let header = header.map_err(|error| self.shape(error))?;
        let mut verified = self.verifier.check_header(header.clone());
        // Headers alone do not bring their configs.
        if let Err(VerifyError::Block(BlockError::WrongConfig { .. })) = verified {
            learn_configs(&self.connection, &mut self.verifier).await?;
            verified = self.verifier.check_header(header);
        }
        let verified = verified.map_err(|error| self.refused(error))?;
        self.is_over = self.stop == Stop::At(verified.number());
        Ok(Some(verified))
    }

    /// The state of the check, to go on with another stream after a failure.
    pub fn verifier(&self) -> &ChainVerifier {
        &self.verifier
    }

    /// The next message; a server that ends the stream early, or never after its end, is not followed.
    async fn receive(&mut self) -> Result<Option<proto::Block>, StreamError> {
        if self.is_over {
            return Ok(None);
        }
        let received = self.blocks.message().await.map_err(|status| self.connection.error(&status))?;
        if received.is_none() && self.stop != Stop::Newest {
            let next =
                self.verifier.next_number().map_or_else(String::new, |next| format!(" before block {next}"));
            let endpoint = self.connection.endpoint().clone();
            return Err(CallError::Unavailable { endpoint, cause: format!("ended the stream{next}") }.into());
        }
        Ok(received)
    }

    fn shape(&self, error: HeaderError) -> StreamError {
        StreamError::Shape { endpoint: self.connection.endpoint().to_string(), error }
    }

    fn refused(&self, error: VerifyError) -> StreamError {
        StreamError::Verify { endpoint: self.connection.endpoint().to_string(), error }
    }
}

/// Fetches the channel's config blocks and checks them. What does not verify is left out: then blocks under
/// it do not verify either.
///
/// # Errors
/// [`CallError`] when the server does not serve them.
pub async fn learn_configs(connection: &Connection, verifier: &mut ChainVerifier) -> Result<(), CallError> {
    let channel = Some(channel_reference(verifier.genesis().channel()));
    let mut deliver = connection.deliver();
    let call = deliver.configs(proto::ConfigsRequest { channel });
    let mut blocks = connection.answer(call).await?;
    while let Some(wire) = blocks.message().await.map_err(|status| connection.error(&status))? {
        let Ok(block) = Block::try_from(wire) else { break };
        if verifier.take_config(block).is_err() {
            break;
        }
    }
    Ok(())
}

/// Fetches at most so many of the channel's config blocks, ascending, unchecked.
///
/// # Errors
/// [`CallError`] when the server does not serve them.
pub async fn config_blocks(
    connection: &Connection,
    channel: ChannelId,
    count_max: usize,
) -> Result<Vec<Block>, CallError> {
    let channel = Some(channel_reference(channel));
    let mut deliver = connection.deliver();
    let mut blocks = connection.answer(deliver.configs(proto::ConfigsRequest { channel })).await?;
    let mut fetched = Vec::new();
    while fetched.len() < count_max
        && let Some(wire) = blocks.message().await.map_err(|status| connection.error(&status))?
    {
        let Ok(block) = Block::try_from(wire) else { break };
        fetched.push(block);
    }
    Ok(fetched)
}

fn request(channel: ChannelId, range: Range, headers_only: bool) -> proto::BlocksRequest {
    use proto::blocks_request::{Start as WireStart, Stop as WireStop};
    let start = match range.start {
        Start::Oldest => WireStart::Oldest(proto::Oldest {}),
        Start::Newest => WireStart::Newest(proto::Newest {}),
        Start::At(number) => WireStart::From(number.as_u64()),
    };
    let stop = match range.stop {
        Stop::At(number) => Some(WireStop::Through(number.as_u64())),
        Stop::Newest => Some(WireStop::ThroughNewest(proto::Newest {})),
        Stop::Never => None,
    };
    proto::BlocksRequest { channel: Some(channel_reference(channel)), start: Some(start), stop, headers_only }
}

/// Names a channel by its id.
pub fn channel_reference(channel: ChannelId) -> proto::ChannelReference {
    use proto::channel_reference::Reference;
    proto::ChannelReference { reference: Some(Reference::Id(Bytes::copy_from_slice(channel.as_bytes()))) }
}
