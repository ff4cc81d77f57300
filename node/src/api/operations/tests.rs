//! Operations HTTP over the loopback: what holds a connection, and for how long.

use super::{Check, LogSpec, Observed, Operations, OperationsLimits, events};
use crate::core::Stopped;
use axum::response::Response;
use ledgercast_protocol::Event;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::async_trait;

/// Everything here takes milliseconds; whoever waits longer waits for what does not come.
const DEADLINE: Duration = Duration::from_secs(20);

/// A node whose view of members never comes; its events do.
struct Stuck {
    events: broadcast::Sender<Arc<Event>>,
    places: Arc<Semaphore>,
}

#[async_trait]
impl Observed for Stuck {
    fn kind(&self) -> &'static str {
        "peer"
    }

    async fn checks(&self) -> Result<Vec<Check>, Stopped> {
        Ok(Vec::new())
    }

    async fn metrics(&self) -> Result<String, Stopped> {
        Ok(String::new())
    }

    async fn channels(&self) -> Result<Value, Stopped> {
        Ok(json!([]))
    }

    async fn members(&self) -> Result<Value, Stopped> {
        std::future::pending().await
    }

    async fn peers(&self) -> Result<Value, Stopped> {
        Ok(json!([]))
    }

    fn events(&self) -> Option<Response> {
        Some(events::stream(self.events.subscribe(), &self.places))
    }
}

struct NoLog;

impl LogSpec for NoLog {
    fn current(&self) -> String {
        "info".to_owned()
    }

    fn replace(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

struct Served {
    address: SocketAddr,
    events: broadcast::Sender<Arc<Event>>,
    task: JoinHandle<()>,
    stop: DropGuard,
}

async fn serve(connections_max: usize, request_timeout: Duration) -> Served {
    let limits = OperationsLimits { connections_max, request_timeout };
    let any_port = (Ipv4Addr::LOCALHOST, 0).into();
    let events = broadcast::channel(4).0;
    let node = Arc::new(Stuck { events: events.clone(), places: Arc::new(Semaphore::new(1)) });
    let bound = Operations::bind(any_port, limits, node, Arc::new(NoLog)).await.expect("bound");
    let (address, stop) = (bound.address().expect("an address"), CancellationToken::new());
    Served { address, events, task: tokio::spawn(bound.serve(stop.clone())), stop: stop.drop_guard() }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the system accepts")
    }
}

async fn ask(stream: &mut TcpStream, request: &str) {
    stream.write_all(request.as_bytes()).await.expect("sent");
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

/// Reads until a text has come, or the other side has closed.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&read).contains(text) {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.unwrap_or_else(|_| panic!("no {text:?} in time"));
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn a_connection_beyond_the_bound_is_served_when_another_ends() {
    let served = serve(1, DEADLINE).await;
    let (mut first, mut second) = (served.connect().await, served.connect().await);
    ask(&mut first, &get("/livez")).await;
    assert!(read_until(&mut first, "ok\n").await.starts_with("HTTP/1.1 200"));
    ask(&mut second, &get("/livez")).await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.readable()).await;
    assert!(early.is_err(), "it was answered beside the first");

    drop(first);

    assert!(read_until(&mut second, "ok\n").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn who_does_not_finish_a_header_or_asks_no_more_is_disconnected() {
    const TIMEOUT: Duration = Duration::from_millis(200);
    let served = serve(16, TIMEOUT).await;
    let started = Instant::now();
    let (mut silent, mut slow, mut idle) =
        (served.connect().await, served.connect().await, served.connect().await);
    ask(&mut slow, "GET /livez HTTP/1.1\r\nhost: loc").await;
    ask(&mut idle, &get("/livez")).await;
    read_until(&mut idle, "ok\n").await;

    for stream in [&mut silent, &mut slow, &mut idle] {
        let rest = read_until(stream, "nothing that is sent").await;
        assert!(!rest.contains("200 OK"), "{rest}");
    }

    assert!(started.elapsed() >= TIMEOUT);
}

#[tokio::test]
async fn a_request_that_is_not_complete_or_not_answered_in_time_gets_503() {
    let served = serve(16, Duration::from_millis(200)).await;
    let put = "PUT /logspec HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
               content-length: 20\r\n\r\n{\"spec\"";

    for request in [get("/members"), put.to_owned()] {
        let mut stream = served.connect().await;
        ask(&mut stream, &request).await;
        let answer = read_until(&mut stream, "request_timeout").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
}

#[tokio::test]
async fn an_event_stream_outlives_the_time_for_requests_and_has_a_bound_of_its_own() {
    const TIMEOUT: Duration = Duration::from_millis(100);
    let served = serve(16, TIMEOUT).await;
    let (mut first, mut second) = (served.connect().await, served.connect().await);
    ask(&mut first, &get("/events")).await;
    assert!(read_until(&mut first, "text/event-stream").await.starts_with("HTTP/1.1 200"));
    ask(&mut second, &get("/events")).await;
    assert!(read_until(&mut second, "event_streams_max").await.starts_with("HTTP/1.1 503"));

    tokio::time::sleep(3 * TIMEOUT).await;
    served.events.send(Arc::new(Event::Paused { lost: TIMEOUT })).expect("the stream listens");

    assert!(read_until(&mut first, "\"lost_ms\":100").await.contains("event: paused"));
}

#[tokio::test]
async fn a_long_body_is_refused() {
    let served = serve(16, DEADLINE).await;
    let mut stream = served.connect().await;
    let body = "x".repeat(70_000);
    let header = "PUT /logspec HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";

    ask(&mut stream, &format!("{header}\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;

    assert!(read_until(&mut stream, "HTTP/1.1 413").await.contains("413"));
}

#[tokio::test]
async fn a_stop_ends_idle_connections_at_once() {
    let served = serve(16, DEADLINE).await;
    let mut idle = served.connect().await;
    ask(&mut idle, &get("/livez")).await;
    read_until(&mut idle, "ok\n").await;

    drop(served.stop);

    assert_eq!(read_until(&mut idle, "nothing that is sent").await, "");
    tokio::time::timeout(DEADLINE, served.task).await.expect("in time").expect("no panic");
}
