//! An organisation whose keys, certificates and lists come from `openssl` alone, by the commands of
//! `docs/operations.md`: it joins, loses a member to revocation, and renews another without a gap.

use crate::{DEADLINE, ONE_AT_A_TIME};
use ledgercast_client::testnet::{ChannelSummary, NodeSummary, Ports, Summary, UserSummary};
use ledgercast_crypto::Msp;
use ledgercast_tests::binaries::{Binaries, workspace};
use ledgercast_tests::client::Client;
use ledgercast_tests::cluster::Cluster;
use ledgercast_tests::wait::wait_for;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ORG: &str = "acme";
const PEERS: [&str; 3] = ["peer0", "peer1", "peer2"];

/// Folders are looked at each second; the rest is as it is delivered.
const VARIABLES: [(&str, &str); 2] =
    [("LEDGERCAST_LOG_FORMAT", "json"), ("LEDGERCAST_PEER_MSP_CHECK_INTERVAL", "1s")];

/// From a list that is in the folder to its subject's end at all peers: the interval of one second, and the
/// time that a machine needs which runs all tests at once.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

/// Runs blocks of the operations manual, by their names, in a folder.
fn run_documented(folder: &Path, names: &[&str]) {
    let manual = workspace().join("docs/operations.md");
    let manual = std::fs::read_to_string(manual).expect("the operations manual");
    let blocks = names.iter().map(|name| {
        let start = format!("```sh {name}\n");
        let block = manual.split_once(&start).and_then(|(_, rest)| rest.split_once("```"));
        block.unwrap_or_else(|| panic!("docs/operations.md has no block {name}")).0
    });
    let script = std::iter::once("set -eu\n").chain(blocks).collect::<String>();
    let ran = Command::new("bash").arg("-c").arg(&script).current_dir(folder).output().expect("bash");
    assert!(
        ran.status.success(),
        "openssl (this test needs the program, version 3) in {names:?}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).expect("a configuration is written");
}

fn node(folder: &Path, name: &str, ports: &mut Ports) -> NodeSummary {
    let home = folder.join(name);
    let msp = Msp::load(&home.join("msp")).expect("the folder that openssl filled");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let member = msp.identity(now.as_secs()).expect("its chain is right").member.to_string();
    let is_peer = PEERS.contains(&name);
    let listen = is_peer.then(|| ports.take());
    let config = home.join(if is_peer { "peer.toml" } else { "orderer.toml" });
    let (api, operations) = (ports.take(), ports.take());
    NodeSummary { name: name.to_owned(), org: ORG.to_owned(), member, home, config, listen, api, operations }
}

fn configure(node: &NodeSummary, first: &NodeSummary) {
    let (api, operations) = (&node.api, &node.operations);
    let apis = format!("[api]\nlisten = {api:?}\n[operations]\nlisten = {operations:?}\n");
    let peer = node.listen.as_ref().map_or_else(String::new, |listen| {
        let bootstrap: Vec<&String> = first.listen.iter().filter(|it| *it != listen).collect();
        format!(
            "[peer]\nnetwork_id = \"openssl\"\nlisten = [{listen:?}]\ninternal_endpoint = {listen:?}\n\
             bootstrap = {bootstrap:?}\n"
        )
    });
    write(&node.config, &(peer + &apis));
}

fn user(folder: &Path, role: &str, endpoint: &str) -> UserSummary {
    let home = folder.join(role);
    let profile = home.join("client.toml");
    write(&profile, &format!("endpoint = {endpoint:?}\nchannels = {folder:?}\n"));
    UserSummary { name: role.to_owned(), org: ORG.to_owned(), role: role.to_owned(), home, profile }
}

fn create_channel(
    folder: &Path,
    binaries: &Binaries,
    orderer: &NodeSummary,
    profile: &Path,
) -> ChannelSummary {
    let (file, genesis) = (folder.join("trade.toml"), folder.join("trade.block"));
    let endpoint = &orderer.api;
    write(
        &file,
        &format!(
            "name = \"trade\"\n[[orgs]]\nname = {ORG:?}\nmsp = \"peer0/msp\"\n[[orderers]]\norg = {ORG:?}\n\
             certificate = \"orderer0/msp/signcerts/cert.pem\"\nmsp = \"orderer0/msp\"\n\
             endpoint = {endpoint:?}\n"
        ),
    );
    let client = Client::new(&binaries.client, profile);
    let (file, out) = (file.display().to_string(), genesis.display().to_string());
    client.json(&["channel", "create", &file, "--out", &out]).expect("a genesis file");
    let (id, genesis_hash, name) = (String::new(), String::new(), "trade".to_owned());
    ChannelSummary { name, id, genesis_hash, genesis, orgs: vec![ORG.to_owned()] }
}

/// The network of the manual's commands, written and started.
fn start(folder: &Path) -> Cluster {
    run_documented(folder, &["openssl-cas", "openssl-members"]);
    let binaries = Binaries::build().expect("the programs are built");
    let mut ports = Ports::choose(None, 11).expect("free ports");
    let orderer = node(folder, "orderer0", &mut ports);
    let peers: Vec<NodeSummary> = PEERS.iter().map(|name| node(folder, name, &mut ports)).collect();
    std::iter::once(&orderer).chain(&peers).for_each(|node| configure(node, &peers[0]));
    let users: Vec<UserSummary> =
        ["admin", "client"].iter().map(|role| user(folder, role, &peers[0].api)).collect();
    let channel = create_channel(folder, &binaries, &orderer, &users[0].profile);
    let summary = Summary {
        network_id: "openssl".to_owned(),
        orderers: vec![orderer],
        followers: Vec::new(),
        peers,
        users,
        channels: vec![channel],
    };
    let mut cluster = Cluster::of(binaries, folder, summary, &VARIABLES);
    cluster.start_all().expect("the network starts");
    cluster.wait_for_members(&PEERS.map(str::to_owned), DEADLINE).expect("everybody sees everybody");
    cluster
}

fn submit(cluster: &Cluster, text: &str) {
    let file: PathBuf = cluster.folder().join("lines.txt");
    write(&file, text);
    let client = cluster.user(ORG, "client");
    let file = file.display().to_string();
    client.json_lines(&["submit", "trade", "--lines", "--wait", &file]).expect("accepted and committed");
}

/// Evictions in a node's log: whom, and why.
fn evictions(cluster: &Cluster, of: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(cluster.log(of)).expect("a log");
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let evicted = lines.filter(|line| line["message"] == "member evicted");
    evicted.map(|line| (line["peer"].to_string(), line["reason"].to_string())).collect()
}

#[test]
fn an_org_made_with_openssl_joins_loses_a_revoked_member_and_renews_another_without_a_gap() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cluster = start(folder.path());
    submit(&cluster, "from an org that openssl made\n");
    cluster.wait_for_height(&PEERS.map(str::to_owned), "trade", 2, DEADLINE).expect("all have the block");
    let left = ["peer0", "peer1"].map(str::to_owned);

    run_documented(folder.path(), &["openssl-lists", "openssl-revoke"]);
    std::fs::copy(folder.path().join("crl.pem"), folder.path().join("peer0/msp/crls/crl.pem")).expect("copy");
    let revoked_at = Instant::now();
    for peer in &left {
        wait_for(&format!("{peer} to drop the revoked peer2"), DEADLINE, || {
            let view = cluster.member(peer, "peer2")?.unwrap_or_default();
            let (state, reason) = (&view["state"], &view["reason"]);
            match (state == "evicted", reason == "revoked", view["is_connected"] == false) {
                (true, true, true) => Ok(()),
                _ => Err(format!("it is {state}, reason {reason}")),
            }
        })
        .expect("it leaves for its reason");
    }
    let took = revoked_at.elapsed();
    assert!(took < REVOKED_WITHIN, "the list was there for {took:?}");
    run_documented(folder.path(), &["openssl-renew"]);
    wait_for("peer0 to have the renewed certificate of peer1", DEADLINE, || {
        let log = std::fs::read_to_string(cluster.log("peer0")).map_err(|error| error.to_string())?;
        let short = &cluster.node("peer1").member[..8];
        let is_renewal = |line: &str| line.contains("certificate renewed") && line.contains(short);
        log.lines().any(is_renewal).then_some(()).ok_or_else(|| "its log has none".to_owned())
    })
    .expect("the renewal arrives");
    cluster.wait_for_alives("peer0", "peer1", 2, DEADLINE).expect("alives go on");

    submit(&cluster, "after revocation and renewal\n");
    cluster.wait_for_height(&left, "trade", 3, DEADLINE).expect("both go on");
    let revoked = format!("{:?}", &cluster.node("peer2").member[..8]);
    for peer in &left {
        let found = evictions(&cluster, peer);
        assert!(found.iter().all(|(whom, _)| *whom == revoked), "{peer} evicted others: {found:?}");
        assert_eq!(found.len(), 1, "{peer}: {found:?}");
    }
    let view = cluster.member("peer0", "peer2").expect("an answer").expect("it is remembered");
    assert_eq!((&view["state"], &view["reason"]), (&Value::from("evicted"), &Value::from("revoked")));
}
