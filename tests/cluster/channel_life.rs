//! A channel whose config changes five times under load: an org joins, limits, anchors and the orderer's key
//! change, an org is removed.

use crate::{DEADLINE, Network, plan};
use ledgercast_client::testnet::Plan;
use ledgercast_tests::cluster::Cluster;
use ledgercast_tests::wait::wait_for;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const CHANNEL: &str = "trade";

/// How often fifty envelopes are submitted after the last update.
const ROUNDS: u64 = 5;

/// A second key and certificate for the orderer: the key goes into its keystore, the certificate's file is
/// given back.
fn second_orderer_key(cluster: &Cluster, folder: &Path) -> PathBuf {
    let orderer = cluster.node(cluster.orderer());
    let authority = orderer.home.ancestors().nth(2).expect("the org's folder").display().to_string();
    let out = folder.join("second");
    let arguments =
        ["crypto", "enrol", "--ca", &authority, "--name", "orderer0b", "--role", "orderer", "--out"];
    let arguments: Vec<&str> = arguments.into_iter().chain([out.to_str().expect("a path")]).collect();
    cluster.user("org1", "admin").json(&arguments).expect("a second identity");
    let only = |folder: PathBuf| {
        let entry = std::fs::read_dir(folder).expect("a folder").next().expect("a file").expect("entry");
        entry.path()
    };
    let key = only(out.join("msp/keystore"));
    std::fs::copy(&key, orderer.home.join("msp/keystore/second.pem")).expect("the key is copied");
    only(out.join("msp/signcerts"))
}

/// Proposed by one org's admin, signed and submitted by another's.
fn update(cluster: &Cluster, folder: &Path, (first, second): (&str, &str), edits: &[&str]) -> u64 {
    let proposal = folder.join("proposal").display().to_string();
    let arguments: Vec<&str> =
        ["channel", "update", CHANNEL, "--out", &proposal].into_iter().chain(edits.iter().copied()).collect();
    cluster.user(first, "admin").json_lines(&arguments).expect("a proposal");
    let arguments = ["channel", "sign", CHANNEL, &proposal, "--submit", "--wait"];
    let lines = cluster.user(second, "admin").json_lines(&arguments).expect("the update is ordered");
    lines.last().and_then(|line| line["block"].as_u64()).expect("a block")
}

/// Waits until these peers have a config in force.
fn until_in_force(cluster: &Cluster, peers: &[String], config: u64) {
    for peer in peers {
        wait_for(&format!("config {config} to be in force at {peer}"), DEADLINE, || {
            let view = cluster.channel(peer, CHANNEL)?.ok_or("it has not joined")?;
            match view["config_number"].as_u64() {
                Some(number) if number == config => Ok(()),
                _ => Err(view.to_string()),
            }
        })
        .expect("nobody is stuck");
    }
}

/// Envelopes are submitted without a pause while this lives.
#[derive(Default)]
struct Load {
    is_over: AtomicBool,
    accepted: AtomicU64,
}

impl Load {
    fn run(&self, cluster: &Cluster, file: &str) {
        let client = cluster.user("org1", "client");
        while !self.is_over.load(Ordering::Relaxed) {
            let lines = client.json_lines(&["submit", CHANNEL, "--lines", file]).expect("they are accepted");
            let accepted = lines.last().and_then(|line| line["accepted"].as_u64());
            self.accepted.fetch_add(accepted.unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Waits until more has been accepted than there is now.
    fn until_more(&self) {
        let before = self.accepted.load(Ordering::Relaxed);
        wait_for("the load to go on", DEADLINE, || match self.accepted.load(Ordering::Relaxed) > before {
            true => Ok(()),
            false => Err(format!("{before} envelopes are accepted")),
        })
        .expect("the channel takes envelopes");
    }
}

/// Ends the load, also when the test fails: its thread is waited for.
struct EndsWithMe<'a>(&'a Load);

impl Drop for EndsWithMe<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

fn sent_to(cluster: &Cluster, senders: &[String], receivers: &[String]) -> f64 {
    let mut bytes = 0.0;
    for sender in senders {
        for receiver in receivers {
            let labels = [("channel", CHANNEL), ("peer", cluster.node(receiver).member.as_str())];
            bytes += cluster
                .operations(sender)
                .metric("ledgercast_channel_sent_bytes_total", &labels)
                .expect("metrics");
        }
    }
    bytes
}

/// Five updates while the load goes on; gives the block of the last one, which removes org2, and the bytes
/// that the others had sent to it when all had that config in force.
fn change_five_times(cluster: &Cluster, folder: &Path, load: &Load, certificate: &Path) -> (u64, f64) {
    let [one, two, three] = ["org1", "org2", "org3"].map(|org| of_org(cluster, org));
    let everybody = [cluster.peers(), cluster.followers()].concat();
    let msp = cluster.folder().join("network/org3/msp").display().to_string();
    let anchor = |org: &str, peer: &str| format!("{org}={}", cluster.node(peer).listen.clone().expect("it"));
    let api = &cluster.node(cluster.orderer()).api;
    let key = format!("{api}={}", certificate.display());
    let edits: [&[&str]; 5] = [
        &["--add-org", &format!("org3={msp}"), "--anchor", &anchor("org3", &three[0])],
        &["--set", "limits.batch_envelopes_max=7"],
        &["--clear-anchors", "org1", "--anchor", &anchor("org1", &one[1])],
        &["--orderer-key", &key],
        &["--remove-org", "org2"],
    ];
    let mut block = 0;
    for (edits, config) in edits.into_iter().zip(1..) {
        load.until_more();
        block = update(cluster, folder, ("org1", "org2"), edits);
        // Whoever proposes the next one asks its own peer for the config in force.
        until_in_force(cluster, &everybody, config);
    }
    let sent = sent_to(cluster, &[one, three].concat(), &two);
    load.until_more();
    (block, sent)
}

fn of_org(cluster: &Cluster, org: &str) -> Vec<String> {
    cluster.peers().into_iter().filter(|peer| cluster.node(peer).org == org).collect()
}

/// Stops a peer and has its store checked: every block under the config that was in force for it.
fn check_store(cluster: &mut Cluster, peer: &str, height: u64) {
    cluster.stop(peer).expect("it stops");
    let store = cluster.node(peer).home.join("data");
    let output = Command::new(cluster.daemon()).args(["db", "verify"]).arg(&store).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = format!("{CHANNEL}  {height} blocks, all right");
    assert!(text.lines().any(|line| line == expected), "{peer}: {output:?}, not {expected:?}");
}

#[test]
fn a_channel_that_changes_five_times_under_load_goes_on_for_all_but_the_removed() {
    let mut network = Network::write_plan(&Plan { followers: 1, ..plan() }, &[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificate = second_orderer_key(&network.cluster, folder.path());
    network.cluster.start_all().expect("the network starts");
    let cluster = &network.cluster;
    let [one, two, three] = ["org1", "org2", "org3"].map(|org| of_org(cluster, org));
    let peers = [one, three.clone()].concat();
    let stay = [peers.clone(), cluster.followers()].concat();
    let genesis = cluster.summary().channels.iter().find(|it| it.name == CHANNEL).expect("it");
    for peer in &three {
        let api = &cluster.node(peer).api;
        let path = genesis.genesis.display().to_string();
        let arguments = ["--at", api.as_str(), "channel", "join", &path, "--newcomer"];
        cluster.user("org3", "admin").json(&arguments).expect("a newcomer joins");
    }
    let file = folder.path().join("load.txt");
    let lines: String = (0..50).map(|line| format!("load {line}\n")).collect();
    std::fs::write(&file, lines).expect("write");
    let file = file.display().to_string();

    let load = Load::default();
    let (removal, before) = std::thread::scope(|scope| {
        let _end = EndsWithMe(&load);
        scope.spawn(|| load.run(cluster, &file));
        change_five_times(cluster, folder.path(), &load, &certificate)
    });

    for peer in &two {
        let view = cluster.channel(peer, CHANNEL).expect("it answers").expect("it has not left");
        assert_eq!(view["removed_at"].as_u64(), Some(removal), "{peer}: {view}");
        assert_eq!(view["height"].as_u64(), Some(removal + 1), "{peer}: {view}");
    }
    let (height, _) = cluster.wait_for_height(&stay, CHANNEL, removal + 2, DEADLINE).expect("they go on");
    assert!(before > 0.0, "the counters count nothing at all");

    let client = cluster.user("org1", "client");
    for _ in 0..ROUNDS {
        client.json_lines(&["submit", CHANNEL, "--lines", "--wait", &file]).expect("the channel goes on");
    }
    // Seven envelopes fill a block, as the second update said.
    let height = height + ROUNDS * 50 / 7;
    let (height, _) = cluster.wait_for_height(&stay, CHANNEL, height, DEADLINE).expect("all follow");

    assert_eq!(sent_to(cluster, &peers, &two), before, "bytes went to the removed org");
    for peer in &stay {
        let view = network.cluster.channel(peer, CHANNEL).expect("it answers").expect("it has joined");
        assert_eq!(view["failure"], serde_json::Value::Null, "{peer}");
        check_store(&mut network.cluster, peer, height);
    }
    for peer in &two {
        check_store(&mut network.cluster, peer, removal + 1);
    }
}
