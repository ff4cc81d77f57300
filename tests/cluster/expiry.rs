//! A certificate that expires on a live session: renewed in time nothing is seen of it, renewed late the
//! member comes back.

use crate::{DEADLINE, Network, plan};
use ledgercast_client::authority::OrgAuthority;
use ledgercast_client::testnet::Plan;
use ledgercast_protocol::WallTime;
use ledgercast_tests::wait::wait_for;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Folders and certificates are looked at each second.
const ATTENTIVE: [(&str, &str); 3] = [
    ("LEDGERCAST_PEER_MSP_CHECK_INTERVAL", "1s"),
    ("LEDGERCAST_SESSION_CERTIFICATE_CHECK_INTERVAL", "1s"),
    ("LEDGERCAST_LOG_FORMAT", "json"),
];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// From a renewal of the first certificate's on: enough for a busy machine to start four processes.
const FIRST: Duration = Duration::from_secs(40);

/// How much longer the second certificate holds.
const SECOND: Duration = Duration::from_secs(8);

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970")
}

/// Has a peer's key certified anew until a moment, in the running process's folder.
fn renew_until(network: &Network, peer: &str, end: Duration) {
    let node = network.cluster.node(peer);
    let org = node.home.ancestors().find(|folder| folder.join("ca").is_dir()).expect("its org's folder");
    let millis = u64::try_from((end - DAY).as_millis()).expect("a time");
    let authority = OrgAuthority::load(org).expect("the org's CAs");
    authority.renew(&node.home, WallTime::from_millis(millis), 1).expect("a certificate of the same key");
}

/// How often a log has a message about a member.
fn count(network: &Network, peer: &str, message: &str, about: &str) -> usize {
    let log = std::fs::read_to_string(network.cluster.log(peer)).expect("a log");
    let short = &network.cluster.node(about).member[..8];
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message && line["peer"] == short).count()
}

/// M12
#[test]
fn a_certificate_renewed_before_it_expires_is_no_event_and_one_renewed_after_it_brings_its_owner_back() {
    let channels = vec!["trade=org1,org2".parse().expect("a channel")];
    let mut network =
        Network::write_plan(&Plan { orgs: 2, peers_per_org: 2, channels, ..plan() }, &ATTENTIVE);
    let (subject, peers) = ("peer1.org1", network.cluster.peers());
    let others: Vec<String> = peers.iter().filter(|peer| *peer != subject).cloned().collect();
    let first = now() + FIRST;
    renew_until(&network, subject, first);
    network.cluster.start_all().expect("the network starts");
    network.cluster.wait_for_members(&peers, DEADLINE).expect("full membership");

    let second = first + SECOND;
    renew_until(&network, subject, second);
    for peer in &others {
        wait_for(&format!("{peer} to see the renewal"), DEADLINE, || {
            match count(&network, peer, "certificate renewed", subject) {
                0 => Err("it has not".to_owned()),
                _ => Ok(()),
            }
        })
        .expect("it is shown to all");
    }
    assert!(now() < first, "this machine took longer than the first certificate was valid: nothing is shown");

    for peer in &others {
        wait_for(&format!("{peer} to see the certificate expire"), DEADLINE, || {
            let view = network.cluster.member(peer, subject)?.unwrap_or_default();
            match (&view["state"], &view["reason"]) {
                (state, reason) if state == "evicted" && reason == "expired" => Ok(()),
                (state, reason) => Err(format!("it is {state}, reason {reason}")),
            }
        })
        .unwrap_or_else(|error| panic!("{error}"));
        assert!(now() >= second, "{peer} dropped it by the certificate that had been renewed");
        assert_eq!(count(&network, peer, "member evicted", subject), 1, "{peer} saw one expiry");
    }

    renew_until(&network, subject, now() + DAY / 2);
    network.cluster.wait_for_members(&peers, DEADLINE).expect("membership is regained");
}
