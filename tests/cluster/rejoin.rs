//! A peer that leaves a channel under load and joins it again starts anew, untouched by writes of before.

use crate::{DEADLINE, Network, numbered_lines};
use ledgercast_tests::load::Load;

const LINES_PER_SECOND: f64 = 200.0;

#[test]
fn a_peer_that_leaves_under_load_and_joins_again_catches_up_to_the_same_chain() {
    let network = Network::start(&[]);
    let peers = network.cluster.peers_on("trade");
    let wanderer = "peer1.org2";
    let admin = network.cluster.user("org2", "admin");
    let at = network.cluster.node(wanderer).api.clone();
    let load = Load::start(&network.cluster, "trade", "org1", numbered_lines(), LINES_PER_SECOND)
        .expect("a client submits");
    let wanderers = [wanderer.to_owned()];
    let mut goal = 3;

    for _ in 0..3 {
        let (height, _) =
            network.cluster.wait_for_height(&wanderers, "trade", goal, DEADLINE).expect("blocks come");
        admin.json(&["--at", &at, "channel", "leave", "trade"]).expect("it leaves");
        assert_eq!(network.cluster.channel(wanderer, "trade"), Ok(None), "it has left");
        let (_, metrics) = network.cluster.operations(wanderer).text("/metrics").expect("metrics");
        assert!(!metrics.contains("\"trade\""), "its metrics still name the channel: {metrics}");
        let answer = network.cluster.join(wanderer, "trade").expect("it runs");
        assert_eq!(answer.code, Some(0), "{}", answer.stderr);
        goal = height + 2;
    }

    load.stop().expect("all lines are answered");
    let ordered = network.cluster.height(network.cluster.orderer(), "trade").expect("it answers");
    network.cluster.wait_for_height(&peers, "trade", ordered, DEADLINE).expect("all peers at one tip");
    let view = network.cluster.channel(wanderer, "trade").expect("it answers").expect("it has joined");
    assert!(view["failure"].is_null(), "{view}");
}
