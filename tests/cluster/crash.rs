//! An orderer that is killed under load loses nothing that it acknowledged.

use crate::{DEADLINE, Network, numbered_lines};
use ledgercast_tests::chain::Chain;
use ledgercast_tests::load::Load;
use ledgercast_tests::wait::wait_for;

const LINES_PER_SECOND: f64 = 200.0;

/// Waits until so many further lines are acknowledged.
fn go_on(load: &mut Load, lines: u64) {
    let goal = load.accepted() + lines;
    wait_for(&format!("{goal} acknowledgements"), DEADLINE, || {
        load.require_running()?;
        match load.accepted() {
            accepted if accepted >= goal => Ok(()),
            accepted => Err(format!("{accepted}")),
        }
    })
    .expect("the load goes on");
}

#[test]
fn an_orderer_killed_under_load_keeps_what_it_acknowledged_and_orders_the_rest_once() {
    let mut network = Network::start(&[]);
    let orderer = network.cluster.orderer().to_owned();
    let mut load = Load::start(&network.cluster, "trade", "org1", numbered_lines(), LINES_PER_SECOND)
        .expect("a client submits");

    for _ in 0..3 {
        go_on(&mut load, 50);
        network.cluster.kill(&orderer).expect("killed");
        network.cluster.start(&orderer).expect("it starts again");
    }
    go_on(&mut load, 50);

    let answers = load.stop().expect("the client gets all its answers");
    answers.require_complete().expect("every line was accepted once");
    let ordered = network.cluster.height(&orderer, "trade").expect("it answers");
    let peers = network.cluster.peers_on("trade");
    network.cluster.wait_for_height(&peers, "trade", ordered, DEADLINE).expect("all peers at its height");
    let chain = Chain::check(&network.cluster, "trade", &answers).expect("each envelope once, at its place");
    assert_eq!(chain.peers, peers.len());
}
