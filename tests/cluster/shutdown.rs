//! A stop is clean and announced; what was acknowledged before is there afterwards.

use crate::{DEADLINE, Network, numbered_lines};
use ledgercast_tests::load::Load;
use ledgercast_tests::wait::wait_for;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A stop waits for commits under way and for sessions to close; the transport alone may take three seconds.
const STOP_BOUND: Duration = Duration::from_secs(10);

/// Hex digits of a line of the load: blocks of many frames.
const LINE_DIGITS: usize = 40_000;

#[test]
fn a_stopped_peer_says_good_bye_and_resumes_where_it_was() {
    let mut network = Network::start(&[]);
    let input = network.cluster.folder().join("lines.txt");
    std::fs::write(&input, "one\ntwo\nthree\n").expect("write");
    let client = network.cluster.user("org1", "client");
    let input = input.display().to_string();
    client.json_lines(&["submit", "trade", "--lines", "--wait", &input]).expect("accepted");
    let peers = network.cluster.peers_on("trade");
    let (height, tip) = network.cluster.wait_for_height(&peers, "trade", 2, DEADLINE).expect("one height");

    let status = network.cluster.stop("peer1.org1").expect("it stops in time");

    assert!(status.success(), "it ended with {status}");
    for peer in peers.iter().filter(|peer| *peer != "peer1.org1") {
        wait_for(&format!("{peer} to hear the good-bye"), DEADLINE, || {
            let view = network.cluster.member(peer, "peer1.org1")?;
            match view.as_ref().map(|view| view["state"].clone()) {
                Some(state) if state == "left" => Ok(()),
                other => Err(format!("it is {other:?}")),
            }
        })
        .expect("left, not evicted");
    }
    network.cluster.start("peer1.org1").expect("it starts again");
    let again = network.cluster.wait_for_height(&peers, "trade", height, DEADLINE).expect("one height again");
    assert_eq!(again, (height, tip), "nothing lost, nothing delivered twice");
    network.cluster.wait_for_members(&peers, DEADLINE).expect("it is a member again");
}

/// R4
#[test]
fn a_peer_that_is_stopped_at_any_moment_ends_in_time_and_loses_nothing() {
    let mut network = Network::start(&[]);
    let wanderer = "peer1.org1";
    let lines = numbered_lines();
    let lines = Arc::new(move |number| {
        let mut line = lines(number);
        line.pop();
        line.resize(LINE_DIGITS, b'0');
        line.push(b'\n');
        line
    });
    // Somebody to dial in vain.
    network.cluster.kill("peer1.org2").expect("killed");
    let load = Load::start(&network.cluster, "trade", "org1", lines, 60.0).expect("a client submits");

    for round in 0..6 {
        // At the tip, commits are under way when it stops; right after a start, dials and what it missed.
        if round % 2 == 0 {
            let ordered = network.cluster.height(network.cluster.orderer(), "trade").expect("it answers");
            let wanderers = [wanderer.to_owned()];
            network.cluster.wait_for_height(&wanderers, "trade", ordered, DEADLINE).expect("it follows");
        }
        let asked = Instant::now();
        let status = network.cluster.stop(wanderer).expect("it stops in time");
        assert!(asked.elapsed() < STOP_BOUND, "round {round}: it took {:?}", asked.elapsed());
        assert!(status.success(), "round {round}: it ended with {status}");
        network.cluster.start(wanderer).expect("it starts again");
    }

    load.stop().expect("all lines are answered");
    network.cluster.start("peer1.org2").expect("it starts");
    let ordered = network.cluster.height(network.cluster.orderer(), "trade").expect("it answers");
    let peers = network.cluster.peers_on("trade");
    network.cluster.wait_for_height(&peers, "trade", ordered, DEADLINE).expect("all peers at one tip");
    let view = network.cluster.channel(wanderer, "trade").expect("it answers").expect("it has joined");
    assert!(view["failure"].is_null(), "{view}");
}
