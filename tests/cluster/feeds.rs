//! Several orderers, real processes: failover, an org that is cut off, followers, catching up without any.

use crate::censor::Censor;
use crate::{DEADLINE, Network};
use ledgercast_client::testnet::Plan;
use ledgercast_tests::proxy::Proxy;
use ledgercast_tests::wait::wait_for;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// In which a leader that loses its source pulls from another one: the cap of the back-off is 2 s; a machine
/// that runs all tests at once gets some more.
const FAILOVER_MAX: Duration = Duration::from_secs(6);

/// Two orgs with two peers each on one channel, the orderer that signs, and one follower.
fn plan() -> Plan {
    Plan {
        orgs: 2,
        peers_per_org: 2,
        channels: vec!["trade=org1,org2".parse().expect("a channel")],
        followers: 1,
        base_port: None,
    }
}

/// The peers of org1 reach the orderers over wires that the test owns.
fn with_wires(network: &Network) -> BTreeMap<String, Proxy> {
    let summary = network.cluster.summary();
    let orderers = summary.orderers.iter().chain(&summary.followers);
    let wires: BTreeMap<String, Proxy> =
        orderers.map(|it| (it.api.clone(), Proxy::start(&it.api).expect("a wire"))).collect();
    let overrides: Vec<String> =
        wires.iter().map(|(named, wire)| format!("{named:?} = \"{}\"", wire.address())).collect();
    for peer in summary.peers_of("org1") {
        let mut file = fs::OpenOptions::new().append(true).open(&peer.config).expect("its configuration");
        writeln!(file, "\n[feed]\naddress_overrides = {{ {} }}", overrides.join(", ")).expect("written");
    }
    wires
}

fn submit(network: &Network, envelopes: usize) {
    let file = network.cluster.folder().join("envelopes");
    let lines: String = (0..envelopes).map(|index| format!("envelope {index}\n")).collect();
    fs::write(&file, lines).expect("written");
    let client = network.cluster.user("org2", "client");
    client
        .json_lines(&["submit", "trade", "--lines", &file.display().to_string()])
        .expect("all envelopes are accepted");
}

fn height(network: &Network, node: &str) -> u64 {
    network.cluster.height(node, "trade").expect("it answers")
}

/// The peer of org1 that pulls, and the endpoint that it pulls from.
fn puller(network: &Network) -> Result<(String, String), String> {
    for peer in network.cluster.peers_on("trade").into_iter().filter(|peer| peer.ends_with("org1")) {
        let view = network.cluster.channel(&peer, "trade")?.unwrap_or(Value::Null);
        let sources = view["sources"].as_array().cloned().unwrap_or_default();
        let pulled = sources.iter().find(|it| it["stream"] == "blocks" && it["is_open"] == true);
        if let (Some(pulled), true) = (pulled, view["is_leader"] == true) {
            return Ok((peer, pulled["endpoint"].as_str().unwrap_or_default().to_owned()));
        }
    }
    Err("nobody of org1 pulls".to_owned())
}

/// All entitled peers and the follower hold what the orderer holds.
fn wait_for_all(network: &Network) {
    let orderer = height(network, network.cluster.orderer());
    let mut nodes = network.cluster.peers_on("trade");
    nodes.extend(network.cluster.followers());
    network.cluster.wait_for_height(&nodes, "trade", orderer, DEADLINE).expect("everybody at the tip");
}

/// O1
#[test]
fn with_one_of_two_orderers_dead_the_leader_pulls_from_the_other_one() {
    let mut network = Network::write_plan(&plan(), &[]);
    let wires = with_wires(&network);
    let orderer = network.cluster.summary().orderers[0].api.clone();
    let follower = network.cluster.summary().followers[0].clone();
    wires[&orderer].cut();
    network.cluster.start_all().expect("the network starts");
    let pulled = wait_for("org1 to pull from the follower", DEADLINE, || puller(&network)).expect("it does");
    assert_eq!(pulled.1, follower.api);
    wires[&orderer].mend();
    submit(&network, 20);
    wait_for_all(&network);

    network.cluster.kill(&follower.name).expect("it runs");
    let killed = Instant::now();
    let (leader, now_from) = wait_for("the other orderer", DEADLINE, || match puller(&network)? {
        (leader, endpoint) if endpoint == orderer => Ok((leader, endpoint)),
        (_, endpoint) => Err(format!("still from {endpoint}")),
    })
    .expect("it fails over");
    let took = killed.elapsed();
    assert!(took < FAILOVER_MAX, "{leader} pulls from {now_from} only {took:?} after the kill");
    submit(&network, 20);
    let peers = network.cluster.peers_on("trade");
    let tip = height(&network, network.cluster.orderer());
    network.cluster.wait_for_height(&peers, "trade", tip, DEADLINE).expect("all peers at the tip");

    network.cluster.start(&follower.name).expect("it starts again");
    wait_for_all(&network);
}

/// O3, A14: the source that org1 pulls from shows every header and no block from the fifth on.
#[test]
fn a_source_that_censors_is_changed_and_all_blocks_arrive() {
    let mut network = Network::write_plan(&plan(), &[]);
    let wires = with_wires(&network);
    let summary = network.cluster.summary().clone();
    let (orderer, censored) = (&summary.orderers[0], &summary.followers[0]);
    network.cluster.start(&orderer.name).expect("the orderer starts");
    network.cluster.join(&orderer.name, "trade").expect("it joins");
    let reader = summary.users.iter().find(|user| user.org == "org1");
    let reader = reader.expect("org1 has users").home.join("msp");
    let upstream = orderer.api.parse().expect("an endpoint");
    let _censor = Censor::start((&censored.api, &censored.home), (&upstream, &reader), 5);
    wires[&orderer.api].cut();
    let peers = network.cluster.peers_on("trade");
    for peer in &peers {
        network.cluster.start(peer).expect("it starts");
        network.cluster.join(peer, "trade").expect("it joins");
    }
    let pulled = wait_for("org1 to pull from the censor", DEADLINE, || puller(&network)).expect("it does");
    assert_eq!(pulled.1, censored.api);
    wires[&orderer.api].mend();

    for _ in 0..8 {
        submit(&network, 1);
    }

    let tip = height(&network, &orderer.name);
    assert!(tip > 6, "more blocks than the censor lets through");
    network.cluster.wait_for_height(&peers, "trade", tip, DEADLINE).expect("all peers at the tip");
    let suspicions = |peer: &String| {
        let labels = [("channel", "trade"), ("change", "suspected")];
        let counted =
            network.cluster.operations(peer).metric_if_any("ledgercast_feed_changes_total", &labels);
        counted.map(|count| count.unwrap_or(0.0))
    };
    wait_for("somebody of org1 to suspect the censor", DEADLINE, || {
        let counts = peers.iter().filter(|peer| peer.ends_with("org1")).map(suspicions);
        let count = counts.sum::<Result<f64, String>>()?;
        if count > 0.0 { Ok(()) } else { Err("nobody does".to_owned()) }
    })
    .expect("the censor is found out");
    wait_for("the orderer that does not censor", DEADLINE, || match puller(&network)? {
        (_, endpoint) if endpoint == orderer.api => Ok(()),
        (_, endpoint) => Err(format!("still from {endpoint}")),
    })
    .expect("the source is changed");
}

/// L5, for a whole org
#[test]
fn an_org_that_is_cut_off_from_all_orderers_yields_and_gets_its_blocks_from_the_other_org() {
    let mut network = Network::write_plan(&plan(), &[("LEDGERCAST_LEADERSHIP_ORDERER_PATIENCE", "2s")]);
    let wires = with_wires(&network);
    network.cluster.start_all().expect("the network starts");
    let peers = network.cluster.peers_on("trade");
    network.cluster.wait_for_members(&peers, DEADLINE).expect("full membership");
    let (first, _) = wait_for("org1 to pull", DEADLINE, || puller(&network)).expect("it does");

    wires.values().for_each(Proxy::cut);
    wait_for("its leader to yield", DEADLINE, || {
        let view = network.cluster.channel(&first, "trade")?.unwrap_or(Value::Null);
        if view["is_leader"] == false { Ok(()) } else { Err("it leads".to_owned()) }
    })
    .expect("it yields");
    submit(&network, 20);
    let tip = height(&network, network.cluster.orderer());
    network.cluster.wait_for_height(&peers, "trade", tip, DEADLINE).expect("all peers at the tip");

    wires.values().for_each(Proxy::mend);
    wait_for("org1 to pull again", DEADLINE, || puller(&network)).expect("it does");
    submit(&network, 5);
    wait_for_all(&network);
}

/// D9
#[test]
fn without_any_orderer_peers_that_restart_empty_catch_up_from_the_others() {
    let mut network = Network::write_plan(&plan(), &[]);
    network.cluster.start_all().expect("the network starts");
    submit(&network, 50);
    wait_for_all(&network);
    let tip = height(&network, network.cluster.orderer());
    let orderers = [network.cluster.orderer().to_owned(), network.cluster.followers()[0].clone()];
    orderers.iter().for_each(|orderer| network.cluster.kill(orderer).expect("it runs"));

    for peer in ["peer1.org1", "peer1.org2"] {
        network.cluster.kill(peer).expect("it runs");
        fs::remove_dir_all(network.cluster.node(peer).home.join("data")).expect("its blocks are removed");
        network.cluster.start(peer).expect("it starts");
        assert_eq!(network.cluster.join(peer, "trade").map(|answer| answer.code), Ok(Some(0)));
    }

    let peers = network.cluster.peers_on("trade");
    network.cluster.wait_for_height(&peers, "trade", tip, Duration::from_secs(40)).expect("they catch up");
}

/// A follower takes envelopes, and the orderer that signs orders them.
#[test]
fn a_follower_passes_envelopes_on_and_serves_what_comes_of_them() {
    let mut network = Network::write_plan(&plan(), &[]);
    network.cluster.start_all().expect("the network starts");
    let follower = network.cluster.summary().followers[0].clone();
    let file = network.cluster.folder().join("envelope");
    fs::write(&file, "by way of the follower").expect("written");

    let client = network.cluster.user("org1", "client");
    let arguments = ["--orderers", &follower.api, "submit", "trade", &file.display().to_string()];
    let lines = client.json_lines(&arguments).expect("it is accepted");

    assert_eq!(lines.last().map(|it| &it["accepted"]), Some(&1.into()));
    wait_for_all(&network);
}
