//! A client submits real transactions; every entitled peer serves the same bytes.

use crate::{DEADLINE, Network, input};
use bytes::Bytes;
use ledgercast_protocol::ledger::{Block, Envelope, VerifiedBlock};
use std::collections::BTreeMap;
use std::path::Path;

/// All blocks of a peer, as its own org's client gets them.
fn fetch(network: &Network, peer: &str, channel: &str, folder: &Path) -> BTreeMap<u64, Vec<u8>> {
    let node = network.cluster.node(peer);
    let out = folder.join(format!("{peer}-{channel}"));
    let out_text = out.display().to_string();
    let client = network.cluster.user(&node.org, "client");
    client
        .json_lines(&["--at", &node.api, "blocks", channel, "all", "--out", &out_text])
        .expect("the peer serves its blocks");
    std::fs::read_dir(&out)
        .expect("blocks were written")
        .map(|entry| {
            let path = entry.expect("entry").path();
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            (number.expect("a number"), std::fs::read(&path).expect("a block"))
        })
        .collect()
}

fn payloads(blocks: &BTreeMap<u64, Vec<u8>>) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    for (number, bytes) in blocks.iter().filter(|(number, _)| **number > 0) {
        let block = Block::decode(Bytes::from(bytes.clone())).expect("a block");
        let block =
            VerifiedBlock::from_store(block).unwrap_or_else(|error| panic!("block {number}: {error}"));
        for envelope in block.envelopes() {
            payloads.push(Envelope::decode(envelope).expect("an envelope").content().payload.to_vec());
        }
    }
    payloads
}

#[test]
fn every_entitled_peer_serves_the_same_bytes_of_every_transaction() {
    let network = Network::start(&[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, mut transactions) = input::transactions(folder.path());
    let file = file.display().to_string();

    for (channel, org) in [("trade", "org1"), ("audit", "org3")] {
        let client = network.cluster.user(org, "client");
        let lines = client
            .json_lines(&["submit", channel, "--lines", "--hex", "--wait", &file])
            .expect("all transactions are accepted");
        assert_eq!(lines.last().map(|it| &it["accepted"]), Some(&transactions.len().into()));
    }

    transactions.sort();
    for channel in ["trade", "audit"] {
        let peers = network.cluster.peers_on(channel);
        let (height, _) =
            network.cluster.wait_for_height(&peers, channel, 2, DEADLINE).expect("all peers at one height");
        let first = fetch(&network, &peers[0], channel, folder.path());
        assert_eq!(first.len() as u64, height, "every block from 0 on");
        let mut delivered = payloads(&first);
        delivered.sort();
        assert!(delivered == transactions, "each transaction once: {} delivered", delivered.len());
        for peer in &peers[1..] {
            assert!(fetch(&network, peer, channel, folder.path()) == first, "{peer} serves other bytes");
        }
    }
}
