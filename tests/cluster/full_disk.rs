//! A disk that takes no more bytes: the node says so, goes on serving, and has kept all that it acknowledged.
//! A limit on the size of files stands for the full disk, so that no file system has to be made.

use crate::{DEADLINE, Network};
use ledgercast_tests::wait::wait_for;
use serde_json::Value;
use std::fmt::Write as _;

/// Largest file that the limited node may write, in KiB: far below what one buffer of its store holds, so
/// that the log of the store exceeds it before a new one is begun. The node's own log is small.
const FILE_KIB_MAX: u32 = 1024;

const PAYLOAD_BYTES: usize = 100_000;

/// So many payloads are within the limit.
const FEW: usize = 5;

/// So many exceed it by far.
const MANY: usize = 100;

/// So many payloads that differ and do not compress, in hex, one a line.
fn write_payloads(network: &Network, count: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64 + count as u64;
    let mut text = String::new();
    for _ in 0..count * PAYLOAD_BYTES / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        write!(text, "{state:016x}").expect("a string takes everything");
    }
    let lines: Vec<&str> =
        (0..count).map(|line| &text[line * 2 * PAYLOAD_BYTES..(line + 1) * 2 * PAYLOAD_BYTES]).collect();
    let file = network.cluster.folder().join(format!("{count}-payloads.hex"));
    std::fs::write(&file, lines.join("\n")).expect("write");
    file.display().to_string()
}

/// The profile of org1's client, less patient.
fn impatient(network: &Network) -> String {
    let profile = network.cluster.user("org1", "client").profile().to_owned();
    let text = std::fs::read_to_string(&profile).expect("a profile");
    std::fs::write(&profile, format!("{text}\n[submit]\ngive_up_after = \"3s\"\n")).expect("write");
    profile.display().to_string()
}

fn accepted(stdout: &str) -> Vec<(String, u64, u64)> {
    let documents = serde_json::Deserializer::from_str(stdout).into_iter::<Value>();
    let answers = documents.map(|document| document.expect("JSON"));
    let accepted = answers.filter(|answer| answer["outcome"] == "accepted");
    let place = |answer: Value| {
        let id = answer["envelope_id"].as_str().expect("an id").to_owned();
        (id, answer["block"].as_u64().expect("a block"), answer["index"].as_u64().expect("an index"))
    };
    accepted.map(place).collect()
}

#[test]
fn an_orderer_on_a_full_disk_says_so_and_keeps_what_it_acknowledged() {
    let mut network = Network::start(&[]);
    let orderer = network.cluster.orderer().to_owned();
    let (few, many) = (write_payloads(&network, FEW), write_payloads(&network, MANY));
    impatient(&network);
    network.cluster.stop(&orderer).expect("it stops");
    network.cluster.start_with_file_limit(&orderer, FILE_KIB_MAX).expect("it starts with little room");

    let client = network.cluster.user("org1", "client");
    let submit = |file: &str| client.run(&["submit", "trade", "--lines", "--hex", "--resume", file]);
    let first = submit(&few).expect("it runs");
    let second = submit(&many).expect("it runs");

    assert_eq!((first.code, second.code), (Some(0), Some(4)), "{}{}", first.stderr, second.stderr);
    let before = [accepted(&first.stdout), accepted(&second.stdout)].concat();
    assert!((FEW..FEW + MANY).contains(&before.len()), "{} were accepted", before.len());
    let log = std::fs::read_to_string(network.cluster.log(&orderer)).expect("a log");
    assert!(log.contains("a block could not be stored"), "the log names the cause: {log}");
    let (status, text) = network.cluster.operations(&orderer).text("/readyz?verbose").expect("it answers");
    assert!(status == 503 && text.contains("trade"), "{status} {text}");

    network.cluster.stop(&orderer).expect("it stops");
    network.cluster.start(&orderer).expect("it starts with room");
    let again = [&few, &many].map(|file| submit(file).expect("it runs"));
    assert!(again.iter().all(|answer| answer.code == Some(0)), "the rest is accepted: {again:?}");
    let after = again.map(|answer| accepted(&answer.stdout)).concat();
    assert_eq!(after.len(), FEW + MANY);
    for place in &before {
        assert!(after.contains(place), "{place:?} was acknowledged and is not there any more");
    }
}

#[test]
fn a_peer_on_a_full_disk_says_so_and_goes_on_where_it_was() {
    let mut network = Network::start(&[]);
    let peer = "peer1.org2";
    let payloads = write_payloads(&network, MANY);
    network.cluster.stop(peer).expect("it stops");
    network.cluster.start_with_file_limit(peer, FILE_KIB_MAX).expect("it starts with little room");

    let client = network.cluster.user("org1", "client");
    client
        .json_lines(&["submit", "trade", "--lines", "--hex", "--wait", &payloads])
        .expect("one full peer holds up nobody");
    let failed = wait_for("the peer's failure", DEADLINE, || {
        let view = network.cluster.channel(peer, "trade")?.ok_or("it has not joined")?;
        match view["failure"].as_str() {
            Some(_) => Ok(view),
            None => Err(view.to_string()),
        }
    })
    .expect("it says so");
    let height = failed["height"].as_u64().expect("a height");
    assert!(network.cluster.operations(peer).text("/readyz").is_ok_and(|(status, _)| status == 503));
    let log = std::fs::read_to_string(network.cluster.log(peer)).expect("a log");
    assert!(log.contains("commit failed"), "{log}");
    let blocks = network
        .cluster
        .user("org2", "client")
        .json_lines(&["--at", &network.cluster.node(peer).api, "blocks", "trade", "all"])
        .expect("what is durable is still served");
    assert_eq!(blocks.len() as u64, height);

    network.cluster.stop(peer).expect("it stops");
    network.cluster.start(peer).expect("it starts with room");
    let ordered = network.cluster.height(network.cluster.orderer(), "trade").expect("it answers");
    let peers = network.cluster.peers_on("trade");
    network.cluster.wait_for_height(&peers, "trade", ordered, DEADLINE).expect("it catches up");
}
