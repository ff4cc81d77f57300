//! What lanes promise: order, priority, bounds, integrity.

use super::*;
use crate::network::{FRAME_COST_BYTES, SendError};

const LANES: [Lane; 3] = [Lane::Control, Lane::Data, Lane::Pull];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_exchange_frames_on_all_lanes_in_order() {
    let mut a = Node::start(1, Limits::default()).await;
    let mut b = Node::start(2, Limits::default()).await;
    let (at_a, at_b) = connect(&mut a, &mut b).await;

    for number in 0..100_u32 {
        for lane in LANES {
            a.send(at_a, lane, number.to_be_bytes().to_vec());
            b.send(at_b, lane, number.to_be_bytes().to_vec());
        }
    }

    for node in [&mut a, &mut b] {
        let mut expected = [0_u32; 3];
        for _ in 0..300 {
            let (lane, frame) = node.frame().await;
            let place = LANES.iter().position(|known| *known == lane).expect("a known lane");
            assert_eq!(frame, expected[place].to_be_bytes().to_vec(), "{lane:?}");
            expected[place] += 1;
        }
        assert_eq!(expected, [100; 3]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_megabytes_arrive_whole_in_both_directions() {
    let mut a = Node::start(1, Limits::default()).await;
    let mut b = Node::start(2, Limits::default()).await;
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    let frames: Vec<Bytes> = (0..80).map(|seed| pattern(262_144 - seed * 997, seed as u64).into()).collect();

    let sender = |handle: NetworkHandle, session, frames: Vec<Bytes>| async move {
        for frame in frames {
            while let Err(error) = handle.send(session, Lane::Data, frame.clone()) {
                assert!(matches!(error, SendError::LaneFull { .. }), "{error}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    tokio::spawn(sender(a.handle.clone(), at_a, frames.clone()));
    tokio::spawn(sender(b.handle.clone(), at_b, frames.clone()));

    for expected in &frames {
        assert!(a.frame().await == (Lane::Data, expected.clone()), "a frame differs at a");
        assert!(b.frame().await == (Lane::Data, expected.clone()), "a frame differs at b");
    }
    let payload: usize = frames.iter().map(|frame| frame.len() + 4).sum();
    let counters = b.handle.counters(at_b).expect("open").lane(Lane::Data);
    assert_eq!((counters.bytes_in, counters.frames_in), (payload as u64, 80));
    assert!(a.handle.wire_counters().bytes_out > payload as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_overtakes_a_full_data_lane() {
    // b takes no events at first, so that a's data lane fills behind b's inbound budget.
    let limits = Limits { inbound_queue_bytes_max: 64 * 1024, ..Limits::default() };
    let mut a = Node::start(1, Limits::default()).await;
    let mut b = Node::start(2, limits).await;
    let (at_a, _) = connect(&mut a, &mut b).await;
    let mut queued = 0;
    until("a full data lane", || {
        while a.handle.send(at_a, Lane::Data, vec![0; 200_000].into()).is_ok() {
            queued += 1;
        }
        a.handle.counters(at_a).is_some_and(|counters| counters.lane(Lane::Data).frames_out > 0)
    })
    .await;

    a.send(at_a, Lane::Control, "overtakes");

    let mut data_before = 0;
    loop {
        match b.frame().await {
            (Lane::Control, frame) => {
                assert_eq!(frame, "overtakes");
                break;
            }
            _ => data_before += 1,
        }
    }
    assert!(queued > 30, "the lane held {queued} frames");
    assert!(data_before < 10, "control came after {data_before} of {queued} data frames");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_lane_refuses_and_blocks_no_other_peer() {
    let slow = Limits { inbound_queue_bytes_max: 64 * 1024, ..Limits::default() };
    let mut a = Node::start(1, Limits::default()).await;
    let mut stopped = Node::start(2, slow).await;
    let mut other = Node::start(3, Limits::default()).await;
    let (to_stopped, _) = connect(&mut a, &mut stopped).await;
    let (to_other, _) = connect(&mut a, &mut other).await;
    let bytes_max = Limits::default().data_queue_bytes_max;

    // Full again and again until nothing moves any more: the peer takes no events.
    let mut refusal = None;
    let mut written = u64::MAX;
    until("a lane that stays full", || {
        while refusal.is_none() {
            refusal = a.handle.send(to_stopped, Lane::Data, vec![0; 250_000].into()).err();
        }
        let now = a.handle.counters(to_stopped).map_or(0, |counters| counters.lane(Lane::Data).bytes_out);
        std::mem::replace(&mut written, now) == now
    })
    .await;

    let Some(SendError::LaneFull { queued_bytes, lane: Lane::Data, .. }) = refusal else {
        panic!("{refusal:?} instead of a full lane")
    };
    assert!(queued_bytes + 250_000 + FRAME_COST_BYTES > bytes_max && queued_bytes <= bytes_max);
    a.send(to_other, Lane::Data, vec![7; 250_000]);
    assert_eq!(other.frame().await, (Lane::Data, Bytes::from(vec![7; 250_000])));
    a.send(to_stopped, Lane::Control, "control still has room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_events_stop_reading_and_lose_nothing() {
    let limits = Limits { inbound_queue_bytes_max: 100_000, ..Limits::default() };
    let mut a = Node::start(1, Limits::default()).await;
    let mut b = Node::start(2, limits).await;
    let (at_a, at_b) = connect(&mut a, &mut b).await;
    for seed in 0..30 {
        a.send(at_a, Lane::Data, pattern(250_000, seed));
    }
    let received = |node: &Node| node.handle.counters(at_b).map_or(0, |c| c.lane(Lane::Data).frames_in);

    until("a first frame", || received(&b) > 0).await;
    tokio::time::sleep(Duration::from_millis(200)).await; // time in which more could be read wrongly
    assert_eq!(received(&b), 1, "the budget holds one such frame");

    for seed in 0..30 {
        assert!(b.frame().await == (Lane::Data, pattern(250_000, seed).into()), "frame {seed} differs");
    }
}

#[tokio::test]
async fn a_frame_over_our_own_limit_is_refused_before_the_queue() {
    let mut a = Node::start(1, Limits::default()).await;
    let mut b = Node::start(2, Limits::default()).await;
    let (at_a, _) = connect(&mut a, &mut b).await;

    let refused = a.handle.send(at_a, Lane::Control, vec![0; 65_537].into());

    let error = SendError::FrameTooLong { lane: Lane::Control, bytes: 65_537, bytes_max: 65_536 };
    assert_eq!(refused, Err(error));
    a.send(at_a, Lane::Control, "lives");
    assert_eq!(b.frame().await, (Lane::Control, "lives".into()));
}
