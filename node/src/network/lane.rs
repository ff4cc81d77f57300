//! One lane of a connection: a warm stream, the frame being put together and the bytes being
//! written. Knows nothing of the other lanes; reading never waits for writing.

use super::event::{CloseReason, EventSender, NetworkEvent, Receipt};
use super::frame::{self, FrameDecoder};
use super::session::Session;
use bytes::{Buf, Bytes};
use futures::io::{AsyncRead, AsyncWrite};
use ledgercast_protocol::types::Lane;
use libp2p::Stream;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What is handed to the stream at once: Yamux cuts larger pieces to this size anyway, and after
/// each piece a control frame may overtake.
pub(super) const PIECE_BYTES: usize = 16 * 1024;

/// What the accepting side says on the control lane once it has all lanes.
pub(super) const READY: u8 = 1;

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Nothing waits on this lane.
    Nothing,
    /// Some bytes were taken by the stream.
    Some,
}

/// A lane that is open on its side of the connection.
#[derive(Debug)]
pub(super) struct OpenLane {
    lane: Lane,
    stream: Stream,
    decoder: FrameDecoder,
    /// Bytes the stream has to take next, from `staged_at` on.
    staged: Vec<u8>,
    staged_at: usize,
    /// What is left of the frame that is being staged.
    rest: Bytes,
}

impl OpenLane {
    pub(super) fn new(lane: Lane, stream: Stream, frame_bytes_max: usize) -> Self {
        let decoder = FrameDecoder::new(frame_bytes_max);
        Self { lane, stream, decoder, staged: Vec::new(), staged_at: 0, rest: Bytes::new() }
    }

    /// Puts one byte in front of all frames.
    pub(super) fn stage_ready(&mut self) {
        self.staged.push(READY);
    }

    /// Waits for the byte of [`stage_ready`](Self::stage_ready).
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let mut byte = [0];
        match Pin::new(&mut self.stream).poll_read(cx, &mut byte) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => Poll::Ready(Err(CloseReason::RemoteClosed)),
            Poll::Ready(Ok(_)) if byte[0] == READY => Poll::Ready(Ok(())),
            Poll::Ready(Ok(_)) => {
                Poll::Ready(Err(CloseReason::LaneRules(format!("byte {} instead of ready", byte[0]))))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(failed(&error))),
        }
    }

    /// Reads frames and reports them until nothing is there or the lane's budget is used.
    pub(super) fn read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        session: &Arc<Session>,
        events: &EventSender,
    ) -> Result<(), CloseReason> {
        while !session.is_inbound_full(self.lane) {
            let mut input = match Pin::new(&mut self.stream).poll_read(cx, buffer) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(CloseReason::RemoteClosed),
                Poll::Ready(Ok(count)) => &buffer[..count],
                Poll::Ready(Err(error)) => return Err(failed(&error)),
            };
            session.count_bytes_in(self.lane, input.len());
            while !input.is_empty() {
                let whole = self.decoder.advance(&mut input).map_err(|long| CloseReason::FrameTooLong {
                    lane: self.lane,
                    bytes: long.bytes,
                    bytes_max: long.bytes_max,
                })?;
                if let Some(frame) = whole {
                    session.charge_inbound(self.lane, frame.len());
                    let event = NetworkEvent::Frame { session: session.id, lane: self.lane, frame };
                    events.send(event, Receipt::Frame(Arc::clone(session), self.lane));
                }
            }
        }
        Ok(())
    }

    /// Whether bytes wait that the stream has not taken.
    pub(super) fn is_waiting(&self, session: &Session) -> bool {
        self.staged_at < self.staged.len() || !self.rest.is_empty() || session.is_waiting(self.lane)
    }

    /// Hands the stream one piece; pending means that it takes none now.
    pub(super) fn write(
        &mut self,
        cx: &mut Context<'_>,
        session: &Session,
    ) -> Poll<Result<Written, CloseReason>> {
        if self.staged_at == self.staged.len() {
            self.stage(session);
        }
        if self.staged.is_empty() {
            return Poll::Ready(Ok(Written::Nothing));
        }
        match Pin::new(&mut self.stream).poll_write(cx, &self.staged[self.staged_at..]) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => Poll::Ready(Err(CloseReason::RemoteClosed)),
            Poll::Ready(Ok(count)) => {
                self.staged_at += count;
                session.count_out(self.lane, count, 0);
                Poll::Ready(Ok(Written::Some))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(failed(&error))),
        }
    }

    /// Passes on what a stream may hold back.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(failed(&error)),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Fills the piece: the rest of the current frame, then as many next ones as have room.
    fn stage(&mut self, session: &Session) {
        self.staged.clear();
        self.staged_at = 0;
        while self.staged.len() + frame::HEADER_BYTES < PIECE_BYTES {
            if self.rest.is_empty() {
                let Some(next) = session.pop(self.lane) else { break };
                self.staged.extend_from_slice(&frame::header(next.len()));
                self.rest = next;
            }
            let count = self.rest.len().min(PIECE_BYTES.saturating_sub(self.staged.len()));
            self.staged.extend_from_slice(&self.rest[..count]);
            self.rest.advance(count);
            if self.rest.is_empty() {
                session.count_out(self.lane, 0, 1);
            }
        }
        if self.staged.is_empty() {
            self.staged = Vec::new(); // an idle lane holds no memory
        }
    }
}

/// A stream that fails because its connection went is the peer's leaving, not a fault of ours.
fn failed(error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::WriteZero
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset => CloseReason::RemoteClosed,
        _ => CloseReason::Transport(error.to_string()),
    }
}
