//! The bounds on connections and handshakes, and the clocks behind them.

use super::*;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn sessions_beyond_the_limit_are_denied_on_both_sides() {
    let limits = Limits { sessions_max: 1, ..Limits::default() };
    let mut a = Node::start(1, limits).await;
    let mut b = Node::start(2, Limits::default()).await;
    let mut c = Node::start(3, Limits::default()).await;
    connect(&mut b, &mut a).await;

    c.dial(1, a.address, Some(a.key));
    let (_, cause) = c.dial_failed().await;
    assert!(matches!(cause, DialFailure::Other(_)), "{cause:?}");
    assert_eq!(a.handle.refused_counters().sessions, 1);

    a.dial(2, c.address, Some(c.key));
    assert_eq!(a.dial_failed().await, (2, DialFailure::OwnLimit));
}

#[tokio::test]
async fn a_place_is_free_again_once_its_close_was_taken() {
    let limits = Limits { sessions_max: 1, ..Limits::default() };
    let mut a = Node::start(1, limits).await;
    let mut b = Node::start(2, Limits::default()).await;
    let (at_a, _) = connect(&mut a, &mut b).await;
    a.handle.close(at_a);
    a.closed().await;
    b.closed().await;

    connect(&mut a, &mut b).await;
}

#[tokio::test]
async fn inbound_sessions_leave_room_for_our_dials() {
    let limits = Limits { sessions_max: 2, sessions_inbound_max: 1, ..Limits::default() };
    let mut a = Node::start(1, limits).await;
    let mut b = Node::start(2, Limits::default()).await;
    let mut c = Node::start(3, Limits::default()).await;
    connect(&mut b, &mut a).await;

    c.dial(1, a.address, None);
    c.dial_failed().await;

    connect(&mut a, &mut c).await;
}

#[tokio::test]
async fn a_handshake_that_never_ends_blocks_nobody_and_is_cut() {
    let limits = Limits {
        handshake_timeout: Duration::from_millis(500),
        sessions_pending_max: 3,
        ..Limits::default()
    };
    let mut a = Node::start(1, limits).await;
    let mut b = Node::start(2, Limits::default()).await;
    let mut silent = TcpStream::connect(a.address).await.expect("listening");

    connect(&mut b, &mut a).await;

    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, silent.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the silent connection was not closed");
}

#[tokio::test]
async fn pending_handshakes_are_bounded() {
    let limits = Limits { sessions_pending_max: 2, ..Limits::default() };
    let a = Node::start(1, limits).await;
    let mut strangers = Vec::new();
    for _ in 0..5 {
        strangers.push(TcpStream::connect(a.address).await.expect("listening"));
    }

    // Three of five are closed long before the handshake time-out of five seconds.
    let mut closed = 0;
    for stranger in &mut strangers {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_millis(700), stranger.read(&mut byte)).await;
        closed += usize::from(matches!(read, Ok(Ok(0) | Err(_))));
    }

    assert_eq!(closed, 3);
    assert_eq!(a.handle.refused_counters().pending, 3);
}

#[tokio::test]
async fn a_cut_handshake_gives_its_place_back() {
    let limits = Limits {
        handshake_timeout: Duration::from_millis(500),
        sessions_pending_max: 1,
        ..Limits::default()
    };
    let mut a = Node::start(1, limits).await;
    let mut b = Node::start(2, Limits::default()).await;
    let mut silent = TcpStream::connect(a.address).await.expect("listening");

    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, silent.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the silent connection was not closed");
    until("the count of the cut handshake", || a.handle.refused_counters().handshakes == 1).await;

    connect(&mut b, &mut a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_is_closed_by_the_watchdog() {
    let watchful = Limits { stall_timeout: Duration::from_millis(600), ..Limits::default() };
    let lazy = Limits { inbound_queue_bytes_max: 1000, ..Limits::default() };
    let mut a = Node::start(1, watchful).await;
    let mut b = Node::start(2, lazy).await;
    let (at_a, _) = connect(&mut a, &mut b).await;

    for _ in 0..20 {
        a.send(at_a, Lane::Pull, vec![0; 200_000]);
    }

    assert_eq!(a.closed().await, (at_a, CloseReason::Stalled { lane: Lane::Pull }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_outlives_every_timeout() {
    let short = Limits {
        stall_timeout: Duration::from_millis(200),
        handshake_timeout: Duration::from_millis(500),
        dial_timeout: Duration::from_millis(500),
        ..Limits::default()
    };
    let mut a = Node::start(1, short.clone()).await;
    let mut b = Node::start(2, short).await;
    let (at_a, _) = connect(&mut a, &mut b).await;

    tokio::time::sleep(Duration::from_millis(1500)).await; // three times the longest of them

    a.send(at_a, Lane::Control, "still here");
    assert_eq!(b.frame().await, (Lane::Control, "still here".into()));
}
