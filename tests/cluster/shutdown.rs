//! A stop is clean and announced; what was acknowledged before is there afterwards.

use crate::{DEADLINE, Network};
use ledgercast_tests::wait::wait_for;

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
