//! Silent peers are evicted by all others after the expiry and not before, return, catch up and evict nobody.

use crate::{DEADLINE, Network};
use ledgercast_tests::wait::wait_for;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// A fifth of the defaults.
const FAST: [(&str, &str); 8] = [
    ("LEDGERCAST_MEMBERSHIP_ALIVE_INTERVAL", "1s"),
    ("LEDGERCAST_MEMBERSHIP_EXPIRY", "5s"),
    ("LEDGERCAST_MEMBERSHIP_QUESTION_AFTER", "4500ms"),
    ("LEDGERCAST_MEMBERSHIP_QUESTION_TIMEOUT", "500ms"),
    ("LEDGERCAST_MEMBERSHIP_EVICTED_RETRY_INTERVAL", "5s"),
    ("LEDGERCAST_MEMBERSHIP_AWAKE_TICK", "200ms"),
    ("LEDGERCAST_MEMBERSHIP_AWAKE_LATENESS_MAX", "400ms"),
    ("LEDGERCAST_LOG_FORMAT", "json"),
];

const EXPIRY: Duration = Duration::from_secs(5);

/// The evictions in a JSON log: whom, and the text of how long it had been silent.
pub(crate) fn evictions(log: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(log).expect("a log");
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == "member evicted")
        .map(|line| (text_of(&line["peer"]), text_of(&line["silent_for"])))
        .collect()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Waits until each of these peers says that each of those members is in a state.
fn wait_for_state(network: &Network, peers: &[&String], members: &[&str], expected: &str) {
    for (peer, member) in peers.iter().flat_map(|peer| members.iter().map(move |member| (peer, member))) {
        wait_for(&format!("{peer} to say {expected} of {member}"), DEADLINE, || {
            let view = network.cluster.member(peer, member)?;
            match view.map_or_else(|| "unknown".to_owned(), |view| text_of(&view["state"])) {
                state if state == expected => Ok(()),
                state => Err(format!("it is {state}")),
            }
        })
        .unwrap_or_else(|error| panic!("{error}"));
    }
}

/// M6
#[test]
fn two_silent_peers_of_six_are_evicted_after_the_expiry_and_return_without_evicting_anybody() {
    let mut network = Network::start(&FAST);
    // All of the org that everybody else shares a channel with.
    let silent = ["peer0.org2", "peer1.org2"];
    let peers = network.cluster.peers();
    let others: Vec<&String> = peers.iter().filter(|peer| !silent.contains(&peer.as_str())).collect();
    let client = network.cluster.user("org1", "client");
    let input = network.cluster.folder().join("lines.txt");
    std::fs::write(&input, "before\n").expect("write");
    let input = input.display().to_string();
    client.json_lines(&["submit", "trade", "--lines", "--wait", &input]).expect("accepted");

    for peer in silent {
        network.cluster.process(peer).expect("it runs").pause().expect("SIGSTOP");
    }
    let paused_at = Instant::now();
    wait_for_state(&network, &others, &silent, "evicted");
    let evicted_after = paused_at.elapsed();
    // Its last alive may be one interval older than the pause.
    assert!(evicted_after > EXPIRY - Duration::from_secs(1), "evicted too early, after {evicted_after:?}");
    std::fs::write(&input, "meanwhile\n").expect("write");
    client.json_lines(&["submit", "trade", "--lines", "--wait", &input]).expect("accepted without them");

    for peer in silent {
        network.cluster.process(peer).expect("it runs").resume().expect("SIGCONT");
    }
    wait_for_state(&network, &others, &silent, "alive");
    let on_trade = network.cluster.peers_on("trade");
    network.cluster.wait_for_height(&on_trade, "trade", 3, DEADLINE).expect("they catch up");

    let shorts = silent.map(|peer| network.cluster.node(peer).member[..8].to_owned());
    for peer in others {
        let evictions = evictions(&network.cluster.log(peer));
        assert!(
            evictions.iter().all(|(whom, _)| shorts.contains(whom)),
            "{peer} evicted others: {evictions:?}"
        );
        for short in &shorts {
            let (_, silent_for) = evictions.iter().find(|(whom, _)| whom == short).expect("its log says so");
            let seconds: f64 = silent_for.trim_end_matches('s').parse().expect("seconds");
            assert!(seconds >= EXPIRY.as_secs_f64(), "{peer} evicted after {silent_for}");
        }
    }
    for peer in silent {
        let own = evictions(&network.cluster.log(peer));
        assert!(own.is_empty(), "{peer} evicted others for its own pause: {own:?}");
    }
}

/// From the end of a leader's process to the next leader. A session that breaks ends its claim; one that
/// merely ran out would take longer than this, 10 s.
const NEXT_LEADER_MAX: Duration = Duration::from_secs(8);

/// L4
#[test]
fn a_killed_leader_is_followed_by_another() {
    let mut network = Network::start(&FAST);
    let peers = network.cluster.peers_on("trade");
    let leader = wait_for("a leader of org1 on trade", DEADLINE, || {
        for peer in peers.iter().filter(|peer| peer.ends_with("org1")) {
            if network.cluster.channel(peer, "trade")?.is_some_and(|it| it["is_leader"] == true) {
                return Ok(peer.clone());
            }
        }
        Err("nobody leads".to_owned())
    })
    .expect("a leader");

    network.cluster.kill(&leader).expect("killed");
    let killed = Instant::now();

    let left: Vec<String> = peers.iter().filter(|peer| **peer != leader).cloned().collect();
    let next = left.iter().find(|peer| peer.ends_with("org1")).expect("the other peer of org1").clone();
    wait_for("the other peer of org1 to lead", DEADLINE, || {
        match network.cluster.channel(&next, "trade")?.is_some_and(|it| it["is_leader"] == true) {
            true => Ok(()),
            false => Err("it does not".to_owned()),
        }
    })
    .expect("the next leader");
    let took = killed.elapsed();
    assert!(took < NEXT_LEADER_MAX, "{next} leads only {took:?} after the kill");
    let input = network.cluster.folder().join("lines.txt");
    std::fs::write(&input, "after\n").expect("write");
    let client = network.cluster.user("org2", "client");
    client
        .json_lines(&["submit", "trade", "--lines", "--wait", &input.display().to_string()])
        .expect("accepted");
    network.cluster.wait_for_height(&left, "trade", 2, DEADLINE).expect("blocks go on");

    network.cluster.start(&leader).expect("it starts again");
    network.cluster.wait_for_height(&peers, "trade", 2, DEADLINE).expect("it catches up");
}
