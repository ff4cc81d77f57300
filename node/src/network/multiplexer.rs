//! Yamux as our multiplexer, with what libp2p's own wrapper leaves open: a bounded receive window,
//! few streams, none from the side that accepted, and a close that never waits for a silent peer.

use super::limits::STREAMS_MAX;
use futures::future::{self, Ready};
use futures::io::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use thiserror::Error;
use tokio::time::Sleep;

/// Streams that a dialer may open: one for each lane.
const INBOUND_STREAMS_MAX: usize = 3;
/// How long a close may try to tell the peer (a guess; a shutdown has to end within a second).
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Why a multiplexed connection failed.
#[derive(Debug, Error)]
pub(super) enum MultiplexerError {
    #[error("peer opened more than {0} streams")]
    Streams(usize),
    #[error(transparent)]
    Yamux(#[from] yamux::ConnectionError),
}

/// The upgrade that multiplexes an authenticated connection.
#[derive(Clone, Debug)]
pub(super) struct Multiplex(yamux::Config);

impl Multiplex {
    /// `receive_window_bytes_max` has passed [`Limits::check`](super::limits::Limits::check).
    pub(super) fn new(receive_window_bytes_max: usize) -> Self {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(STREAMS_MAX);
        config.set_max_connection_receive_window(Some(receive_window_bytes_max));
        Self(config)
    }
}

impl UpgradeInfo for Multiplex {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<S> for Multiplex {
    type Output = Multiplexer<S>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, socket: S, _: &'static str) -> Self::Future {
        let connection = yamux::Connection::new(socket, self.0, yamux::Mode::Server);
        future::ready(Ok(Multiplexer::new(connection, INBOUND_STREAMS_MAX)))
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<S> for Multiplex {
    type Output = Multiplexer<S>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: S, _: &'static str) -> Self::Future {
        let connection = yamux::Connection::new(socket, self.0, yamux::Mode::Client);
        future::ready(Ok(Multiplexer::new(connection, 0)))
    }
}

/// One multiplexed connection.
#[derive(Debug)]
pub(super) struct Multiplexer<S> {
    connection: yamux::Connection<S>,
    /// Streams of the peer that nobody asked for yet, never more than `inbound_max`.
    waiting: VecDeque<yamux::Stream>,
    waiting_waker: Option<Waker>,
    inbound_count: usize,
    inbound_max: usize,
    close_timer: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Multiplexer<S> {
    fn new(connection: yamux::Connection<S>, inbound_max: usize) -> Self {
        let waiting = VecDeque::new();
        Self { connection, waiting, waiting_waker: None, inbound_count: 0, inbound_max, close_timer: None }
    }

    /// Moves the connection on until the peer opens a stream.
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Result<yamux::Stream, MultiplexerError>> {
        let stream = match futures::ready!(self.connection.poll_next_inbound(cx)) {
            Some(result) => result?,
            None => return Poll::Ready(Err(yamux::ConnectionError::Closed.into())),
        };
        if self.inbound_count == self.inbound_max {
            return Poll::Ready(Err(MultiplexerError::Streams(self.inbound_max)));
        }
        self.inbound_count += 1;
        Poll::Ready(Ok(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Multiplexer<S> {
    type Substream = yamux::Stream;
    type Error = MultiplexerError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        if let Some(stream) = self.waiting.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let polled = self.poll_stream(cx);
        if polled.is_pending() {
            self.waiting_waker = Some(cx.waker().clone());
        }
        polled
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        self.connection.poll_new_outbound(cx).map_err(Into::into)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if let Poll::Ready(result) = self.connection.poll_close(cx) {
            return Poll::Ready(result.map_err(Into::into));
        }
        let timer = self.close_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_TIMEOUT)));
        timer.as_mut().poll(cx).map(Ok)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        loop {
            let stream = futures::ready!(self.poll_stream(cx))?;
            self.waiting.push_back(stream);
            if let Some(waker) = self.waiting_waker.take() {
                waker.wake();
            }
        }
    }
}
