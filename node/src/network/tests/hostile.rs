//! Peers that hold a good key and then break every rule of the lanes.

use super::*;
use crate::network::counted::WireBytes;
use crate::network::{address, identity, transport};
use futures::StreamExt;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use libp2p::Transport;
use libp2p::core::Endpoint;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::transport::{DialOpts, ListenerId, PortUse, TransportEvent};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Instant;

/// A peer below our handler: it has an authenticated, multiplexed connection and raw streams.
struct Stranger {
    open: tokio::sync::mpsc::Sender<tokio::sync::oneshot::Sender<SubstreamBox>>,
    frozen: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<String>,
}

impl Stranger {
    async fn connect(victim: SocketAddr) -> Self {
        let keypair = identity::keypair(&SecretKey::from_seed([66; 32])).expect("a seed");
        let bytes = Arc::<WireBytes>::default();
        let mut transport = transport::build(&keypair, NETWORK_ID, &Limits::default(), bytes).expect("a key");
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let dial = transport.dial(address::to_multiaddr(victim), options);
        let (_, muxer) = dial.expect("an address of tcp").await.expect("a peer of the same network");
        let (open, requests) = tokio::sync::mpsc::channel(8);
        let frozen = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(drive(muxer, requests, Arc::clone(&frozen)));
        Self { open, frozen, task }
    }

    /// Neither reads nor writes its socket from now on, and keeps it open.
    fn freeze(&self) {
        self.frozen.store(true, Ordering::Release);
    }

    /// Opens a stream and writes `bytes` after the negotiation of `protocol`.
    async fn stream(&self, protocol: &str, bytes: &[u8]) -> SubstreamBox {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.open.send(sender).await.expect("the connection lives");
        let mut stream = receiver.await.expect("a stream");
        for line in ["/multistream/1.0.0", protocol] {
            stream.write_all(&[line.len() as u8 + 1]).await.expect("open");
            stream.write_all(line.as_bytes()).await.expect("open");
            stream.write_all(b"\n").await.expect("open");
        }
        stream.write_all(bytes).await.expect("open");
        stream.flush().await.expect("open");
        stream
    }

    async fn lane(&self, number: u8) -> SubstreamBox {
        self.stream("/ledgercast/1", &[number]).await
    }

    /// Opens all lanes and reads until the other side says that it is ready.
    async fn lanes(&self) -> [SubstreamBox; 3] {
        let mut lanes = [self.lane(0).await, self.lane(1).await, self.lane(2).await];
        // Two lines of negotiation, each with its length in front, then the ready byte.
        let mut answer = vec![0; "\x13/multistream/1.0.0\n\x0e/ledgercast/1\n\x01".len()];
        lanes[0].read_exact(&mut answer).await.expect("ready");
        assert_eq!(answer.last(), Some(&1));
        lanes
    }

    /// Waits until the victim has closed the connection.
    async fn cut(self) {
        tokio::time::timeout(DEADLINE, self.task).await.expect("the victim closes").expect("no panic");
    }
}

/// Moves the connection on and opens the streams that are asked for, until it fails.
async fn drive(
    mut muxer: StreamMuxerBox,
    mut requests: tokio::sync::mpsc::Receiver<tokio::sync::oneshot::Sender<SubstreamBox>>,
    frozen: Arc<AtomicBool>,
) -> String {
    let mut asked = None;
    poll_fn(move |cx| {
        while !frozen.load(Ordering::Acquire) {
            if asked.is_none() {
                match requests.poll_recv(cx) {
                    Poll::Ready(Some(request)) => asked = Some(request),
                    Poll::Ready(None) | Poll::Pending => {}
                }
            }
            if let Some(request) = asked.take() {
                match muxer.poll_outbound_unpin(cx) {
                    Poll::Ready(Ok(stream)) => {
                        let _ = request.send(stream);
                        continue;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(error.to_string()),
                    Poll::Pending => asked = Some(request),
                }
            }
            return match muxer.poll_unpin(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(error.to_string()),
                Poll::Ready(Ok(_)) => continue,
                Poll::Pending => Poll::Pending,
            };
        }
        Poll::Pending
    })
    .await
}

/// Accepts one connection of the right network and then keeps it without ever taking a stream.
async fn silent_listener() -> SocketAddr {
    let keypair = identity::keypair(&SecretKey::from_seed([66; 32])).expect("a seed");
    let mut transport =
        transport::build(&keypair, NETWORK_ID, &Limits::default(), Arc::default()).expect("a key");
    let any = address::to_multiaddr(([127, 0, 0, 1], 0).into());
    transport.listen_on(ListenerId::next(), any).expect("a free port");
    let Some(TransportEvent::NewAddress { listen_addr, .. }) = transport.next().await else {
        panic!("the first event is the address")
    };
    tokio::spawn(async move {
        while let Some(event) = transport.next().await {
            if let TransportEvent::Incoming { upgrade, .. } = event {
                let (_, muxer) = upgrade.await.expect("a peer of the same network");
                let (_open, requests) = tokio::sync::mpsc::channel(1);
                drive(muxer, requests, Arc::default()).await;
            }
        }
    });
    address::to_socket_address(&listen_addr).expect("an address of tcp")
}

async fn victim() -> Node {
    let limits = Limits { handshake_timeout: Duration::from_secs(2), ..Limits::default() };
    Node::start(1, limits).await
}

/// The victim still serves others.
async fn assert_lives(mut victim: Node) {
    let mut friend = Node::start(2, Limits::default()).await;
    let (at_friend, _) = connect(&mut friend, &mut victim).await;
    friend.send(at_friend, Lane::Data, "still served");
    assert_eq!(victim.frame().await, (Lane::Data, "still served".into()));
}

#[tokio::test]
async fn a_stranger_that_follows_the_rules_is_served() {
    let mut victim = victim().await;
    let stranger = Stranger::connect(victim.address).await;
    let mut lanes = stranger.lanes().await;
    victim.opened().await;

    lanes[2].write_all(b"\0\0\0\x02ok").await.expect("open");
    lanes[2].flush().await.expect("open");

    assert_eq!(victim.frame().await, (Lane::Pull, "ok".into()));
}

#[tokio::test]
async fn an_oversize_frame_ends_the_session_before_its_bytes() {
    let mut victim = victim().await;
    let stranger = Stranger::connect(victim.address).await;
    let mut lanes = stranger.lanes().await;
    let session = victim.opened().await;

    lanes[0].write_all(&[0xff; 4]).await.expect("open");
    lanes[0].flush().await.expect("open");

    let reason =
        CloseReason::FrameTooLong { lane: Lane::Control, bytes: u32::MAX as usize, bytes_max: 65_536 };
    assert_eq!(victim.closed().await, (session, reason));
    stranger.cut().await;
    assert_lives(victim).await;
}

#[tokio::test]
async fn garbage_on_a_lane_ends_the_session() {
    let mut victim = victim().await;
    let stranger = Stranger::connect(victim.address).await;
    let mut lanes = stranger.lanes().await;
    let session = victim.opened().await;

    let _ = lanes[1].write_all(&pattern(100_000, 5)).await;
    let _ = lanes[1].flush().await;

    let (closed, reason) = victim.closed().await;
    assert_eq!(closed, session);
    assert!(matches!(reason, CloseReason::FrameTooLong { lane: Lane::Data, .. }), "{reason:?}");
    assert_lives(victim).await;
}

#[tokio::test]
async fn a_second_lane_of_a_kind_ends_the_connection() {
    let victim = victim().await;
    let stranger = Stranger::connect(victim.address).await;

    let _first = stranger.lane(0).await;
    let _second = stranger.lane(0).await;

    stranger.cut().await;
    assert_lives(victim).await;
}

#[tokio::test]
async fn an_unknown_lane_ends_the_connection() {
    let victim = victim().await;
    let stranger = Stranger::connect(victim.address).await;

    let _lane = stranger.lane(3).await;

    stranger.cut().await;
    assert_lives(victim).await;
}

#[tokio::test]
async fn an_unknown_protocol_ends_the_connection() {
    let victim = victim().await;
    let stranger = Stranger::connect(victim.address).await;

    let _stream = stranger.stream("/ipfs/ping/1.0.0", &[0]).await;

    stranger.cut().await;
    assert_lives(victim).await;
}

#[tokio::test]
async fn a_fourth_stream_ends_an_open_session() {
    let mut victim = victim().await;
    let stranger = Stranger::connect(victim.address).await;
    let _lanes = stranger.lanes().await;
    let session = victim.opened().await;

    let _fourth = stranger.stream("/ipfs/ping/1.0.0", &[]).await;

    let (closed, reason) = victim.closed().await;
    assert_eq!(closed, session);
    assert!(matches!(reason, CloseReason::LaneRules(_)), "{reason:?}");
    stranger.cut().await;
    assert_lives(victim).await;
}

#[tokio::test]
async fn a_stranger_that_opens_no_lane_is_cut() {
    let mut victim = victim().await;
    let stranger = Stranger::connect(victim.address).await;
    let _only = stranger.lane(0).await;

    stranger.cut().await;

    victim.handle.shutdown().await;
    assert_eq!(victim.events.recv().await, None, "nothing was ever reported of it");
}

#[tokio::test]
async fn a_listener_that_takes_no_lane_times_the_dial_out() {
    let limits = Limits { handshake_timeout: Duration::from_millis(300), ..Limits::default() };
    let mut node = Node::start(1, limits).await;

    node.dial(1, silent_listener().await, None);

    assert_eq!(node.dial_failed().await, (1, DialFailure::Timeout));
}

#[tokio::test]
async fn a_closed_lane_ends_the_session() {
    let mut victim = victim().await;
    let stranger = Stranger::connect(victim.address).await;
    let mut lanes = stranger.lanes().await;
    let session = victim.opened().await;

    lanes[1].close().await.expect("open");

    assert_eq!(victim.closed().await, (session, CloseReason::RemoteClosed));
    stranger.cut().await;
}

#[tokio::test]
async fn random_bytes_instead_of_a_handshake_harm_nobody() {
    use tokio::io::AsyncWriteExt as _;
    let victim = victim().await;
    for seed in 0..20 {
        let mut socket = tokio::net::TcpStream::connect(victim.address).await.expect("listening");
        let _ = socket.write_all(&pattern(5000, seed)).await; // it may be closed while we write
    }

    assert_lives(victim).await;
}

/// A session with a peer that is frozen and has filled every buffer up to our own queue.
async fn session_with_frozen_peer(victim: &mut Node) -> (SessionId, Stranger, [SubstreamBox; 3]) {
    let stranger = Stranger::connect(victim.address).await;
    let lanes = stranger.lanes().await;
    let session = victim.opened().await;
    stranger.freeze();
    let written = |node: &Node| {
        let counters = node.handle.counters(session).expect("open");
        counters.lane(Lane::Data).bytes_out + counters.lane(Lane::Pull).bytes_out
    };
    let mut before = u64::MAX;
    until("a connection that takes no more", || {
        while victim.handle.send(session, Lane::Data, vec![0; 250_000].into()).is_ok() {}
        while victim.handle.send(session, Lane::Pull, vec![0; 250_000].into()).is_ok() {}
        std::mem::replace(&mut before, written(victim)) == written(victim)
    })
    .await;
    (session, stranger, lanes)
}

#[tokio::test]
async fn a_frozen_peer_cannot_hold_a_closing_session() {
    let mut victim = victim().await;
    let (session, _stranger, _lanes) = session_with_frozen_peer(&mut victim).await;
    let begun = Instant::now();

    victim.handle.close(session);

    assert_eq!(victim.closed().await, (session, CloseReason::Requested));
    assert!(begun.elapsed() < Duration::from_secs(5), "took {:?}", begun.elapsed());
    assert_lives(victim).await;
}

#[tokio::test]
async fn a_frozen_peer_cannot_hold_a_shutdown() {
    let mut victim = victim().await;
    let (session, _stranger, _lanes) = session_with_frozen_peer(&mut victim).await;
    let begun = Instant::now();

    victim.handle.shutdown().await;

    assert!(begun.elapsed() < Duration::from_secs(2), "took {:?}", begun.elapsed());
    assert_eq!(victim.closed().await, (session, CloseReason::Shutdown));
}
