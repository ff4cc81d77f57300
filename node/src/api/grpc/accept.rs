//! From a listening socket to authenticated connections. A stranger holds a place for the handshake's time at
//! most, and nothing else.

use super::caller::{Access, Caller};
use super::server::GrpcLimits;
use crate::thinning::thinned;
use ledgercast_crypto::CertificateError;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// Pause after the system refused to hand out a connection (no file descriptors left, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What accepts, and what it is bound to.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) tls: TlsAcceptor,
    pub(super) access: Arc<Access>,
    pub(super) limits: GrpcLimits,
    /// Ends every connection when cancelled.
    pub(super) cut: CancellationToken,
}

/// An authenticated connection.
pub(super) struct Connection {
    io: TlsStream<TcpStream>,
    caller: Caller,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _place: OwnedSemaphorePermit,
}

impl Acceptor {
    /// Accepts until whoever takes the connections goes away; handshakes under way end with it.
    pub(super) fn start(self) -> mpsc::Receiver<io::Result<Connection>> {
        let (sender, connections) = mpsc::channel(self.limits.accepted_waiting_max.max(1));
        tokio::spawn(async move {
            tokio::select! {
                () = sender.closed() => {}
                () = self.run(&sender) => {}
            }
        });
        connections
    }

    async fn run(&self, sender: &mpsc::Sender<io::Result<Connection>>) {
        let places = Arc::new(Semaphore::new(self.limits.connections_max));
        let mut handshakes = JoinSet::new();
        loop {
            while handshakes.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, remote)) => {
                    handshakes.spawn(self.handshake(stream, remote, place, sender.clone()));
                }
                Err(error) => {
                    thinned!(warn, "cannot accept a gRPC connection", %error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn handshake(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        place: OwnedSemaphorePermit,
        sender: mpsc::Sender<io::Result<Connection>>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (tls, access) = (self.tls.clone(), Arc::clone(&self.access));
        let (cut, timeout) = (Box::pin(self.cut.clone().cancelled_owned()), self.limits.handshake_timeout);
        async move {
            match tokio::time::timeout(timeout, shake(&tls, &access, stream, remote)).await {
                Ok(Ok((io, caller))) => {
                    tracing::debug!(%caller, "gRPC connection");
                    let connection = Connection { io, caller, cut, _place: place };
                    // Nobody receives once the server stops.
                    let _ = sender.send(Ok(connection)).await;
                }
                Ok(Err(error)) => tracing::debug!(%remote, %error, "gRPC handshake failed"),
                Err(_) => tracing::debug!(%remote, ?timeout, "gRPC handshake timed out"),
            }
        }
    }
}

async fn shake(
    tls: &TlsAcceptor,
    access: &Arc<Access>,
    stream: TcpStream,
    remote: SocketAddr,
) -> io::Result<(TlsStream<TcpStream>, Caller)> {
    stream.set_nodelay(true)?;
    let io = tls.accept(stream).await?;
    let chain = io.get_ref().1.peer_certificates().map(<[_]>::to_vec).unwrap_or_default();
    if chain.is_empty() {
        let error = CertificateError::Malformed { what: "an empty chain".to_owned() };
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, error));
    }
    let caller = Caller::new(access, chain, remote);
    Ok((io, caller))
}

impl Connection {
    /// An error once the connection was cut; registers for being woken then.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
