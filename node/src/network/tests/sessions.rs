//! How sessions begin and end, and what a failed dial says.

use super::*;
use crate::network::{NetworkError, SendError};
use std::net::TcpListener;
use std::time::Instant;

#[tokio::test]
async fn both_sides_learn_the_proven_key_and_who_dialed() {
    let mut a = Node::start(1, Limits::default()).await;
    let mut b = Node::start(2, Limits::default()).await;

    a.dial(77, b.address, None);

    let NetworkEvent::Opened { key, dial, remote, .. } = a.next("opened").await else { panic!("not opened") };
    assert_eq!((key, dial, remote), (b.key, Some(77), b.address));
    let NetworkEvent::Opened { key, dial, .. } = b.next("opened").await else { panic!("not opened") };
    assert_eq!((key, dial), (a.key, None));
}

#[tokio::test]
async fn a_name_is_resolved() {
    let mut a = Node::start(1, Limits::default()).await;
    let mut b = Node::start(2, Limits::default()).await;

    a.handle.dial(1, &format!("localhost:{}", b.address.port()), Some(b.key)).expect("few dials");

    a.opened().await;
    b.opened().await;
}

#[tokio::test]
async fn dials_from_both_sides_make_two_sessions() {
    let mut a = Node::start(1, Limits::default()).await;
    let mut b = Node::start(2, Limits::default()).await;

    a.dial(1, b.address, Some(b.key));
    b.dial(2, a.address, Some(a.key));

    let at_a = [a.opened().await, a.opened().await];
    let at_b = [b.opened().await, b.opened().await];
    assert_ne!(at_a[0], at_a[1]);
    assert_ne!(at_b[0], at_b[1]);
    for session in at_a {
        a.send(session, Lane::Control, "on each");
        assert_eq!(b.frame().await, (Lane::Control, "on each".into()));
    }
}

#[tokio::test]
async fn close_delivers_queued_control_frames_first() {
    let mut a = Node::start(1, Limits::default()).await;
    let mut b = Node::start(2, Limits::default()).await;
    let (at_a, at_b) = connect(&mut a, &mut b).await;

    a.send(at_a, Lane::Control, "farewell");
    a.handle.close(at_a);

    assert_eq!(a.handle.send(at_a, Lane::Control, Bytes::new()), Err(SendError::Gone(at_a)));
    assert_eq!(b.frame().await, (Lane::Control, "farewell".into()));
    assert_eq!(b.closed().await, (at_b, CloseReason::RemoteClosed));
    assert_eq!(a.closed().await, (at_a, CloseReason::Requested));
    assert_eq!(a.handle.counters(at_a), None);
}

#[tokio::test]
async fn shutdown_closes_everything_within_a_second() {
    let mut a = Node::start(1, Limits::default()).await;
    let mut b = Node::start(2, Limits::default()).await;
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    let begun = Instant::now();

    a.handle.shutdown().await;

    assert!(begun.elapsed() < Duration::from_secs(1), "took {:?}", begun.elapsed());
    assert_eq!(a.closed().await, (at_a, CloseReason::Shutdown));
    assert_eq!(a.events.recv().await, None);
    assert_eq!(b.closed().await, (at_b, CloseReason::RemoteClosed));
    TcpListener::bind(a.address).expect("the port is free again");
}

#[tokio::test]
async fn dropping_the_last_handle_shuts_down() {
    let mut a = Node::start(1, Limits::default()).await;
    let mut b = Node::start(2, Limits::default()).await;
    let (_, at_b) = connect(&mut a, &mut b).await;

    drop(a);

    assert_eq!(b.closed().await, (at_b, CloseReason::RemoteClosed));
}

#[tokio::test]
async fn another_network_id_finishes_no_handshake() {
    let mut a = Node::start(1, Limits::default()).await;
    let mut b =
        Node::start_with(NetworkConfig { network_id: b"other".to_vec(), ..config(2, Limits::default()) })
            .await;

    a.dial(5, b.address, Some(b.key));

    let (dial, cause) = a.dial_failed().await;
    assert_eq!(dial, 5);
    assert!(matches!(&cause, DialFailure::Other(text) if text.contains("handshake")), "{cause:?}");
    b.dial(6, a.address, None);
    assert_eq!(b.dial_failed().await.0, 6, "and b never opened a session");
}

#[tokio::test]
async fn an_unexpected_key_is_named_so() {
    let mut a = Node::start(1, Limits::default()).await;
    let b = Node::start(2, Limits::default()).await;
    let somebody = SecretKey::from_seed([9; 32]).public();

    a.dial(1, b.address, Some(somebody));

    assert_eq!(a.dial_failed().await, (1, DialFailure::WrongKey));
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_refused_by_the_system() {
    let mut a = Node::start(1, Limits::default()).await;
    let unused = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");

    a.dial(1, unused, None);

    let (_, cause) = a.dial_failed().await;
    assert!(matches!(cause, DialFailure::RefusedByOs(_)), "{cause:?}");
}

#[tokio::test]
async fn dialing_oneself_fails() {
    let mut a = Node::start(1, Limits::default()).await;

    a.dial(1, a.address, None);
    assert_eq!(a.dial_failed().await, (1, DialFailure::OwnAddress));

    a.dial(2, a.address, Some(a.key));
    assert_eq!(a.dial_failed().await, (2, DialFailure::OwnAddress));
}

#[tokio::test]
async fn a_silent_listener_times_the_dial_out() {
    let limits = Limits { dial_timeout: Duration::from_millis(300), ..Limits::default() };
    let mut a = Node::start(1, limits).await;
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");

    a.dial(1, silent.local_addr().expect("bound"), None);

    assert_eq!(a.dial_failed().await, (1, DialFailure::Timeout));
}

#[tokio::test]
async fn a_taken_port_is_refused_at_start() {
    let a = Node::start(1, Limits::default()).await;

    let second = Network::start(NetworkConfig { listen: vec![a.address], ..config(2, Limits::default()) });

    let Err(NetworkError::Listen { address, source }) = second else { panic!("two nodes share a port") };
    assert_eq!((address, source.kind()), (a.address, std::io::ErrorKind::AddrInUse));
}
