//! A channel whose config changes five times under load: an org joins, limits, anchors and the orderer's key
//! change, an org is removed.

use crate::{DEADLINE, Network};
use ledgercast_tests::cluster::Cluster;
use ledgercast_tests::wait::wait_for;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const CHANNEL: &str = "trade";

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

/// Submits without a pause until told to stop; gives how many envelopes were accepted.
fn submit_all_along(cluster: &Cluster, file: &Path, is_over: &AtomicBool) -> u64 {
    let client = cluster.user("org1", "client");
    let file = file.display().to_string();
    let mut accepted = 0;
    while !is_over.load(Ordering::Relaxed) {
        let lines = client.json_lines(&["submit", CHANNEL, "--lines", &file]).expect("they are accepted");
        accepted += lines.last().and_then(|line| line["accepted"].as_u64()).unwrap_or(0);
    }
    accepted
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

#[test]
fn a_channel_that_changes_five_times_under_load_goes_on_for_all_but_the_removed() {
    let mut network = Network::write(&[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificate = second_orderer_key(&network.cluster, folder.path());
    network.cluster.start_all().expect("the network starts");
    let cluster = &network.cluster;
    let of_org = |org: &str| -> Vec<String> {
        cluster.peers().into_iter().filter(|peer| cluster.node(peer).org == org).collect()
    };
    let (one, two, three) = (of_org("org1"), of_org("org2"), of_org("org3"));
    let genesis = cluster.summary().channels.iter().find(|it| it.name == CHANNEL).expect("it");
    for peer in &three {
        let api = &cluster.node(peer).api;
        let path = genesis.genesis.display().to_string();
        let arguments = ["--at", api.as_str(), "channel", "join", &path, "--newcomer"];
        cluster.user("org3", "admin").json(&arguments).expect("a newcomer joins");
    }
    let load = folder.path().join("load.txt");
    let lines: String = (0..50).map(|line| format!("load {line}\n")).collect();
    std::fs::write(&load, lines).expect("write");

    let is_over = AtomicBool::new(false);
    let (accepted, removal) = std::thread::scope(|scope| {
        let submitting = scope.spawn(|| submit_all_along(cluster, &load, &is_over));
        let msp = cluster.folder().join("network/org3/msp").display().to_string();
        let anchor =
            |org: &str, peer: &str| format!("{org}={}", cluster.node(peer).listen.clone().expect("it"));
        let both = ("org1", "org2");
        let added = ["--add-org", &format!("org3={msp}"), "--anchor", &anchor("org3", &three[0])];
        update(cluster, folder.path(), both, &added);
        update(cluster, folder.path(), both, &["--set", "limits.batch_envelopes_max=7"]);
        let other = ["--clear-anchors", "org1", "--anchor", &anchor("org1", &one[1])];
        update(cluster, folder.path(), both, &other);
        let api = &cluster.node(cluster.orderer()).api;
        let key = format!("{api}={}", certificate.display());
        update(cluster, folder.path(), both, &["--orderer-key", &key]);
        let removal = update(cluster, folder.path(), ("org2", "org1"), &["--remove-org", "org2"]);
        is_over.store(true, Ordering::Relaxed);
        (submitting.join().expect("the load is taken"), removal)
    });

    assert!(accepted > 0, "there was no load");
    for peer in &two {
        wait_for("the removed org to know", DEADLINE, || {
            let view = cluster.channel(peer, CHANNEL)?.ok_or("it has left")?;
            match view["removed_at"].as_u64() == Some(removal) && view["height"].as_u64() == Some(removal + 1)
            {
                true => Ok(()),
                false => Err(format!("{peer}: {view}")),
            }
        })
        .expect("frozen at the block that removed it");
    }
    let stay = [one, three].concat();
    cluster.wait_for_height(&stay, CHANNEL, removal + 1, DEADLINE).expect("nobody is stuck");
    let before = sent_to(cluster, &stay, &two);

    let file = load.display().to_string();
    cluster
        .user("org1", "client")
        .json_lines(&["submit", CHANNEL, "--lines", "--wait", &file])
        .expect("the channel goes on");
    cluster.wait_for_height(&stay, CHANNEL, removal + 2, DEADLINE).expect("all that stay follow");

    for peer in &stay {
        let view = cluster.channel(peer, CHANNEL).expect("it answers").expect("it has joined");
        assert_eq!(view["config_number"].as_u64(), Some(5), "{peer}");
        assert_eq!(view["failure"], serde_json::Value::Null, "{peer}");
    }
    assert!(before > 0.0, "the counters count nothing at all");
    assert_eq!(sent_to(cluster, &stay, &two), before, "bytes went to the removed org");
    for peer in &two {
        assert_eq!(cluster.height(peer, CHANNEL), Ok(removal + 1), "{peer} is frozen");
    }
}
