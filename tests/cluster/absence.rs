//! Peers that are away for longer than the others remember them, and come back.

use crate::{DEADLINE, Network, plan};
use ledgercast_client::testnet::Plan;
use ledgercast_tests::wait::wait_for;
use std::net::{TcpListener, ToSocketAddrs as _};

/// A member is forgotten 8 s after it went silent, and dialed every second or two until then and after.
const FORGETFUL: [(&str, &str); 8] = [
    ("LEDGERCAST_MEMBERSHIP_ALIVE_INTERVAL", "1s"),
    ("LEDGERCAST_MEMBERSHIP_EXPIRY", "5s"),
    ("LEDGERCAST_MEMBERSHIP_QUESTION_AFTER", "4500ms"),
    ("LEDGERCAST_MEMBERSHIP_QUESTION_TIMEOUT", "500ms"),
    ("LEDGERCAST_MEMBERSHIP_EVICTED_RETRY_INTERVAL", "1s"),
    ("LEDGERCAST_MEMBERSHIP_FORGET_AFTER", "8s"),
    ("LEDGERCAST_MEMBERSHIP_AWAKE_TICK", "200ms"),
    ("LEDGERCAST_SESSION_DIAL_BACKOFF_MAX", "2s"),
];

fn start(orgs: usize, peers_per_org: usize, channel: &str) -> Network {
    let channels = vec![channel.parse().expect("a channel")];
    let mut network = Network::write_plan(&Plan { orgs, peers_per_org, channels, ..plan() }, &FORGETFUL);
    network.cluster.start_all().expect("the network starts");
    let peers = network.cluster.peers();
    network.cluster.wait_for_members(&peers, DEADLINE).expect("full membership");
    network
}

fn wait_until_forgotten(network: &Network, by: &str, member: &str) {
    wait_for(&format!("{by} to forget {member}"), DEADLINE, || match network.cluster.member(by, member)? {
        None => Ok(()),
        Some(view) => Err(format!("it remembers {view}")),
    })
    .unwrap_or_else(|error| panic!("{error}"));
}

/// M11
#[test]
fn two_of_three_that_were_forgotten_are_found_again() {
    let mut network = start(1, 3, "trade=org1");
    let left = ["peer1.org1", "peer2.org1"];

    for peer in left {
        network.cluster.kill(peer).expect("killed");
    }
    for peer in left {
        wait_until_forgotten(&network, "peer0.org1", peer);
    }
    for peer in left {
        network.cluster.start(peer).expect("it starts again");
    }

    let peers = network.cluster.peers();
    network.cluster.wait_for_members(&peers, DEADLINE).expect("a full view again");
}

/// M11
#[test]
fn an_anchor_that_was_forgotten_as_a_member_is_still_dialed() {
    let mut network = start(2, 1, "trade=org1,org2");
    let (finder, anchor) = ("peer0.org1", "peer0.org2");
    let endpoint = network.cluster.node(anchor).listen.clone().expect("a peer listens");

    network.cluster.kill(anchor).expect("killed");
    wait_until_forgotten(&network, finder, anchor);
    // In the anchor's place, so that the only one who can dial is the finder.
    let address = endpoint.to_socket_addrs().expect("an address").next().expect("one");
    let listener = TcpListener::bind(address).expect("the anchor has left its port");
    listener.set_nonblocking(true).expect("a socket option");
    wait_for("the finder to dial the anchor", DEADLINE, || {
        listener.accept().map(drop).map_err(|error| error.to_string())
    })
    .expect("it is dialed");
    drop(listener);
    network.cluster.start(anchor).expect("it starts again");

    let peers = network.cluster.peers();
    network.cluster.wait_for_members(&peers, DEADLINE).expect("a full view again");
}
