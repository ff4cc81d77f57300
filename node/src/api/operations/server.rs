//! The HTTP server under operations: connections are bounded, and none is held by who does not ask.

use super::OperationsLimits;
use super::health::unavailable;
use crate::thinning::thinned;
use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A client that takes nothing of an answer for this long has gone, as far as we are concerned.
#[cfg(target_os = "linux")]
const UNREAD_TIMEOUT: Duration = Duration::from_secs(60);

/// How long open responses may go on after the stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Pause after the system refused to hand out a connection (no file descriptors left, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The longest request header with its names and values; a longer one is answered 431.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Serves until `stop` is cancelled. A client that reads slowly does not hold the process: after a grace its
/// connection is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: OperationsLimits,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let mut connections = JoinSet::new();
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept(&listener, &router, limits, &places, &mut connections, &stop) => {}
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    // What is left is dropped with the set.
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, ended).await;
}

/// Accepts while there are places; a connection beyond waits to be accepted.
async fn accept(
    listener: &TcpListener,
    router: &Router,
    limits: OperationsLimits,
    places: &Arc<Semaphore>,
    connections: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    let _place = place;
                    answer(stream, router, limits, stop).await;
                });
            }
            Err(error) => {
                thinned!(warn, "cannot accept an operations connection", %error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Gives up a request whose body does not come, or whose answer the node's task does not give. Streams are
/// answers once they begin.
pub(super) async fn in_time(limits: OperationsLimits, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(limits.request_timeout, next.run(request)).await;
    answer.unwrap_or_else(|_| unavailable("no answer in time; see [operations] request_timeout"))
}

/// Answers requests on one connection until it idles, breaks or the node stops.
async fn answer(stream: TcpStream, router: Router, limits: OperationsLimits, stop: CancellationToken) {
    drop_when_unread(&stream);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request_timeout)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an operations connection ended");
    }
}

/// Lets the system end a connection whose other side takes nothing. Where it cannot, such a connection keeps
/// its place.
fn drop_when_unread(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNREAD_TIMEOUT)) {
        thinned!(warn, "an operations connection has no time-out for unread answers", %error);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}
