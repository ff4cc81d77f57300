//! TCP, Noise and Yamux put together, and what their failures mean to a dial. The network id is the
//! Noise prologue: peers of two networks cannot even finish a handshake.

use super::counted::{Counted, WireBytes};
use super::event::{CloseReason, DialFailure};
use super::limits::Limits;
use super::multiplexer::{Multiplex, MultiplexerError};
use either::Either;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::{TransportTimeout, TransportTimeoutError};
use libp2p::core::transport::{Boxed, TransportError};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::{ConnectionError, DialError};
use libp2p::{PeerId, Transport, noise, tcp};
use std::error::Error;
use std::io;
use std::sync::Arc;

/// What every prologue begins with; the network id follows.
const PROLOGUE: &[u8] = b"ledgercast/1 network ";

/// Bytes that the kernel may hold unsent for one connection before it takes no more (a guess: at
/// 100 Mbit/s they leave in 10 ms).
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 128 * 1024;

/// The transport of a swarm.
pub(super) type NodeTransport = Boxed<(PeerId, StreamMuxerBox)>;

/// Why a connection was not set up.
#[derive(Debug, thiserror::Error)]
enum SetupError {
    #[error("timed out")]
    Timeout,
    #[error("{0}")]
    System(io::Error),
    #[error("handshake failed: {0}")]
    Handshake(String),
}

/// Builds the transport. Every connection attempt, ours or a peer's, has a deadline.
///
/// # Errors
/// The Noise key could not be signed.
pub(super) fn build(
    keypair: &Keypair,
    network_id: &[u8],
    limits: &Limits,
    bytes: Arc<WireBytes>,
) -> Result<NodeTransport, noise::Error> {
    let noise = noise::Config::new(keypair)?.with_prologue([PROLOGUE, network_id].concat());
    let layers = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .map(move |stream, _| {
            limit_unsent(&stream.0);
            Counted::new(stream, bytes)
        })
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(Multiplex::new(limits.receive_window_bytes_max));
    let inbound =
        TransportTimeout::with_ingoing_timeout(layers, limits.handshake_timeout).map_err(setup_error);
    let both =
        TransportTimeout::with_outgoing_timeout(inbound, limits.dial_timeout).map_err(|error| match error {
            TransportTimeoutError::Other(inner) => inner,
            _ => SetupError::Timeout,
        });
    Ok(both.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))).boxed())
}

/// Keeps the kernel's queue short: what is in it, no control frame can overtake.
#[cfg(target_os = "linux")]
fn limit_unsent(socket: &tokio::net::TcpStream) {
    if let Err(error) = socket2::SockRef::from(socket).set_tcp_notsent_lowat(UNSENT_BYTES) {
        tracing::debug!(%error, "kernel queue stays at its default");
    }
}

#[cfg(not(target_os = "linux"))]
fn limit_unsent(_: &tokio::net::TcpStream) {}

/// Tells the system's refusals (TCP, innermost) from those of Noise and Yamux.
fn setup_error<N: Error, Y: Error>(
    error: TransportTimeoutError<Either<Either<io::Error, N>, Y>>,
) -> SetupError {
    match error {
        TransportTimeoutError::Timeout | TransportTimeoutError::TimerError(_) => SetupError::Timeout,
        TransportTimeoutError::Other(Either::Left(Either::Left(system))) => SetupError::System(system),
        TransportTimeoutError::Other(Either::Left(Either::Right(error))) => handshake(&error),
        TransportTimeoutError::Other(Either::Right(error)) => handshake(&error),
    }
}

fn handshake(error: &dyn Error) -> SetupError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    SetupError::Handshake(text)
}

/// What a failed dial tells its caller.
pub(super) fn dial_failure(error: &DialError) -> DialFailure {
    match error {
        DialError::LocalPeerId { .. } | DialError::NoAddresses => DialFailure::OwnAddress,
        DialError::WrongPeerId { .. } => DialFailure::WrongKey,
        DialError::Denied { .. } => DialFailure::OwnLimit,
        DialError::Transport(errors) => match errors.last() {
            Some((_, TransportError::Other(error))) => setup_failure(error),
            Some((address, TransportError::MultiaddrNotSupported(_))) => {
                DialFailure::Other(format!("{address} is no address of tcp"))
            }
            None => DialFailure::Other("no address was tried".to_owned()),
        },
        DialError::DialPeerConditionFalse(_) | DialError::Aborted => {
            DialFailure::Other("dial was aborted".to_owned())
        }
    }
}

fn setup_failure(error: &io::Error) -> DialFailure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<SetupError>()) {
        Some(SetupError::Timeout) => DialFailure::Timeout,
        Some(SetupError::System(system)) if system.kind() == io::ErrorKind::TimedOut => DialFailure::Timeout,
        Some(SetupError::System(system)) => DialFailure::RefusedByOs(system.to_string()),
        Some(SetupError::Handshake(text)) => DialFailure::Other(format!("handshake failed: {text}")),
        None => DialFailure::Other(error.to_string()),
    }
}

/// What the end of a connection means when our own side had no reason to end it.
pub(super) fn close_reason(cause: Option<&ConnectionError>) -> CloseReason {
    let error = match cause {
        None => return CloseReason::RemoteClosed,
        Some(ConnectionError::KeepAliveTimeout) => return CloseReason::Transport("idle".to_owned()),
        Some(ConnectionError::IO(error)) => error,
    };
    match error.get_ref().and_then(|inner| inner.downcast_ref::<MultiplexerError>()) {
        Some(MultiplexerError::Streams(_)) => CloseReason::LaneRules(error.to_string()),
        Some(MultiplexerError::Yamux(yamux::ConnectionError::Closed)) => CloseReason::RemoteClosed,
        Some(MultiplexerError::Yamux(yamux::ConnectionError::Io(system))) if is_leaving(system) => {
            CloseReason::RemoteClosed
        }
        _ => CloseReason::Transport(error.to_string()),
    }
}

fn is_leaving(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof, WriteZero};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof | WriteZero)
}
