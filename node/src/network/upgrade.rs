//! How a fresh stream becomes a lane: one protocol name, then one byte that says which lane.

use futures::future::BoxFuture;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use ledgercast_protocol::types::Lane;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::{Stream, StreamProtocol};
use std::io;
use thiserror::Error;

/// The one protocol that our streams speak.
pub(super) const PROTOCOL: &str = "/ledgercast/1";

/// Why a stream became no lane.
#[derive(Debug, Error)]
pub(super) enum LaneError {
    #[error("no lane has number {0}")]
    Unknown(u8),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Accepts whatever lane the peer names.
#[derive(Clone, Copy, Debug)]
pub(super) struct AcceptLane;

/// Opens one lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLane(pub(super) Lane);

fn number(lane: Lane) -> u8 {
    match lane {
        Lane::Control => 0,
        Lane::Data => 1,
        Lane::Pull => 2,
    }
}

fn lane(number: u8) -> Result<Lane, LaneError> {
    match number {
        0 => Ok(Lane::Control),
        1 => Ok(Lane::Data),
        2 => Ok(Lane::Pull),
        other => Err(LaneError::Unknown(other)),
    }
}

impl UpgradeInfo for AcceptLane {
    type Info = StreamProtocol;
    type InfoIter = std::iter::Once<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(StreamProtocol::new(PROTOCOL))
    }
}

impl UpgradeInfo for RequestLane {
    type Info = StreamProtocol;
    type InfoIter = std::iter::Once<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(StreamProtocol::new(PROTOCOL))
    }
}

impl InboundUpgrade<Stream> for AcceptLane {
    type Output = (Lane, Stream);
    type Error = LaneError;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, mut stream: Stream, _: StreamProtocol) -> Self::Future {
        Box::pin(async move {
            let mut byte = [0];
            stream.read_exact(&mut byte).await?;
            Ok((lane(byte[0])?, stream))
        })
    }
}

impl OutboundUpgrade<Stream> for RequestLane {
    type Output = (Lane, Stream);
    type Error = LaneError;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, mut stream: Stream, _: StreamProtocol) -> Self::Future {
        Box::pin(async move {
            stream.write_all(&[number(self.0)]).await?;
            stream.flush().await?;
            Ok((self.0, stream))
        })
    }
}
