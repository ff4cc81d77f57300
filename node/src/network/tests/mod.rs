//! Real swarms over loopback TCP. Every wait has a deadline that says what was missing.

mod hostile;
mod lanes;
mod limits;
mod sessions;

use super::{
    CloseReason, DialFailure, Lane, Limits, Network, NetworkConfig, NetworkEvent, NetworkEvents,
    NetworkHandle, SessionId,
};
use bytes::Bytes;
use ledgercast_crypto::keys::{PublicKey, SecretKey};
use std::net::SocketAddr;
use std::time::Duration;

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);
const NETWORK_ID: &[u8] = b"test network";

struct Node {
    handle: NetworkHandle,
    events: NetworkEvents,
    address: SocketAddr,
    key: PublicKey,
}

fn config(seed: u8, limits: Limits) -> NetworkConfig {
    NetworkConfig {
        listen: vec![([127, 0, 0, 1], 0).into()],
        key: SecretKey::from_seed([seed; 32]),
        network_id: NETWORK_ID.to_vec(),
        limits,
    }
}

impl Node {
    async fn start(seed: u8, limits: Limits) -> Self {
        Self::start_with(config(seed, limits)).await
    }

    async fn start_with(config: NetworkConfig) -> Self {
        let key = config.key.public();
        let (handle, mut events) = Network::start(config).expect("a free port");
        let NetworkEvent::Listening { address } = next(&mut events, "listening").await else {
            panic!("the first event is the listening address")
        };
        Self { handle, events, address, key }
    }

    async fn next(&mut self, missing: &str) -> NetworkEvent {
        next(&mut self.events, missing).await
    }

    async fn opened(&mut self) -> SessionId {
        match self.next("opened").await {
            NetworkEvent::Opened { session, .. } => session,
            other => panic!("{other:?} instead of opened"),
        }
    }

    async fn frame(&mut self) -> (Lane, Bytes) {
        match self.next("frame").await {
            NetworkEvent::Frame { lane, frame, .. } => (lane, frame),
            other => panic!("{other:?} instead of a frame"),
        }
    }

    /// The reason of the next close, whatever frames come before it.
    async fn closed(&mut self) -> (SessionId, CloseReason) {
        loop {
            match self.next("closed").await {
                NetworkEvent::Closed { session, reason } => return (session, reason),
                NetworkEvent::Frame { .. } => {}
                other => panic!("{other:?} instead of closed"),
            }
        }
    }

    async fn dial_failed(&mut self) -> (u64, DialFailure) {
        match self.next("dial failure").await {
            NetworkEvent::DialFailed { dial, cause } => (dial, cause),
            other => panic!("{other:?} instead of a failed dial"),
        }
    }

    fn dial(&self, dial: u64, address: SocketAddr, expect: Option<PublicKey>) {
        self.handle.dial(dial, &address.to_string(), expect).expect("few dials");
    }

    fn send(&self, session: SessionId, lane: Lane, frame: impl Into<Bytes>) {
        self.handle.send(session, lane, frame.into()).expect("room on the lane");
    }
}

async fn next(events: &mut NetworkEvents, missing: &str) -> NetworkEvent {
    tokio::time::timeout(DEADLINE, events.recv())
        .await
        .unwrap_or_else(|_| panic!("no {missing} within {DEADLINE:?}"))
        .unwrap_or_else(|| panic!("transport ended before {missing}"))
}

/// Dials from `a` to `b` and waits until both know; the session's number at each.
async fn connect(a: &mut Node, b: &mut Node) -> (SessionId, SessionId) {
    a.dial(1, b.address, Some(b.key));
    (a.opened().await, b.opened().await)
}

/// Polls a condition until it holds.
async fn until(missing: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{missing} did not happen within {DEADLINE:?}");
}

/// Bytes that differ everywhere, so that a lost or moved piece shows.
fn pattern(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}
