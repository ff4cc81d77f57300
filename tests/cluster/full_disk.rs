//! A disk that takes no more bytes: the node says so, goes on serving, and has kept all that it acknowledged.
//! A limit on the size of files stands for the full disk, so that no file system has to be made.

use crate::{DEADLINE, Network};
use ledgercast_tests::wait::wait_for;
use serde_json::Value;
use std::fmt::Write as _;

/// Largest file that the limited node may write, in KiB. Its log file is small, its store's is not.
const FILE_KIB_MAX: u32 = 4096;

const PAYLOAD_BYTES: usize = 100_000;

/// So many payloads exceed the limit by far.
const PAYLOAD_COUNT: usize = 100;

/// Payloads that differ and do not compress, in hex, one a line.
fn write_payloads(network: &Network) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut text = String::new();
    for _ in 0..PAYLOAD_COUNT * PAYLOAD_BYTES / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        write!(text, "{state:016x}").expect("a string takes everything");
    }
    let lines: Vec<&str> = (0..PAYLOAD_COUNT)
        .map(|line| &text[line * 2 * PAYLOAD_BYTES..(line + 1) * 2 * PAYLOAD_BYTES])
        .collect();
    let file = network.cluster.folder().join("payloads.hex");
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
    let payloads = write_payloads(&network);
    impatient(&network);
    network.cluster.stop(&orderer).expect("it stops");
    network.cluster.start_with_file_limit(&orderer, FILE_KIB_MAX).expect("it starts with little room");

    let client = network.cluster.user("org1", "client");
    let answer =
        client.run(&["submit", "trade", "--lines", "--hex", "--resume", &payloads]).expect("it runs");

    assert_eq!(answer.code, Some(4), "{}", answer.stderr);
    let before = accepted(&answer.stdout);
    assert!(!before.is_empty() && before.len() < PAYLOAD_COUNT, "{} were accepted", before.len());
    let log = std::fs::read_to_string(network.cluster.log(&orderer)).expect("a log");
    assert!(log.contains("a block could not be stored"), "the log names the cause: {log}");
    let (status, text) = network.cluster.operations(&orderer).text("/readyz?verbose").expect("it answers");
    assert!(status == 503 && text.contains("trade"), "{status} {text}");

    network.cluster.stop(&orderer).expect("it stops");
    network.cluster.start(&orderer).expect("it starts with room");
    let lines = client
        .json_lines(&["submit", "trade", "--lines", "--hex", "--resume", "--wait", &payloads])
        .expect("the rest is accepted");
    let after = accepted(&lines.iter().map(Value::to_string).collect::<String>());
    assert_eq!(after.len(), PAYLOAD_COUNT);
    for place in &before {
        assert!(after.contains(place), "{place:?} was acknowledged and is not there any more");
    }
}

#[test]
fn a_peer_on_a_full_disk_says_so_and_goes_on_where_it_was() {
    let mut network = Network::start(&[]);
    let peer = "peer1.org2";
    let payloads = write_payloads(&network);
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
