//! Two channels over six peers: nothing of a channel is found where it does not belong, and asking tells
//! nothing.

use crate::{DEADLINE, Network};
use ledgercast_tests::client::Answer;
use ledgercast_tests::events::EventStream;
use std::collections::BTreeMap;
use std::path::Path;

/// Whether a text stands anywhere in the files below a folder.
fn is_found_below(folder: &Path, needle: &[u8]) -> bool {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if is_found_in(&std::fs::read(&path).unwrap_or_default(), needle) {
                return true;
            }
        }
    }
    false
}

fn is_found_in(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

fn submit(network: &Network, org: &str, channel: &str, canary: &str) {
    let input = network.cluster.folder().join(format!("{channel}.txt"));
    std::fs::write(&input, format!("{canary}\n")).expect("write");
    let client = network.cluster.user(org, "client");
    client
        .json_lines(&["submit", channel, "--lines", "--wait", &input.display().to_string()])
        .expect("the canary is accepted");
}

/// What an answer says, without what the asker said itself.
fn said(answer: &Answer, channel: &str) -> (Option<i32>, String, String) {
    (answer.code, answer.stdout.replace(channel, "CHANNEL"), answer.stderr.replace(channel, "CHANNEL"))
}

#[test]
fn nothing_of_a_channel_reaches_who_is_no_member_of_it() {
    let network = Network::start(&[("LEDGERCAST_LOG_LEVEL", "debug")]);
    // No two canaries share a run of four letters, so that compression of one cannot hide the other.
    let canaries = [("trade", "org1", "kq7vTRADEzp3xw9bm"), ("audit", "org3", "hf2jAUDITgd8ns5ct")];

    let mut events: BTreeMap<String, EventStream> = network
        .cluster
        .peers()
        .into_iter()
        .map(|peer| {
            let stream = EventStream::open(&network.cluster.node(&peer).operations).expect("it tells events");
            (peer, stream)
        })
        .collect();

    for (channel, org, canary) in canaries {
        submit(&network, org, channel, canary);
        let peers = network.cluster.peers_on(channel);
        network.cluster.wait_for_height(&peers, channel, 2, DEADLINE).expect("all members have it");
    }
    // A later block of their own channel: what is not in the events of non-members by then was not told.
    for (channel, org, _) in canaries {
        submit(&network, org, channel, "later");
    }

    for (channel, _, canary) in canaries {
        let id = &network.cluster.summary().channels.iter().find(|it| it.name == channel).expect("it").id;
        let members = network.cluster.peers_on(channel);
        for (peer, stream) in &mut events {
            let store = network.cluster.node(peer).home.join("data");
            let is_member = members.contains(peer);
            assert_eq!(
                is_found_below(&store, canary.as_bytes()),
                is_member,
                "{canary} in the store of {peer}"
            );
            if is_member {
                continue;
            }
            let log = std::fs::read_to_string(network.cluster.log(peer)).expect("a log");
            let operations = network.cluster.operations(peer);
            // Who is no member of one channel is a member of the other; block 2 of it is the later one.
            let own =
                &network.cluster.summary().channels.iter().find(|it| it.name != channel).expect("it").id;
            let told =
                stream.wait_for_line(&[own.as_str(), "\"block\":2"], DEADLINE).expect("its own channel");
            for word in [canary, id.as_str(), channel] {
                assert!(!log.contains(word), "the log of {peer} names {word}");
                assert!(!told.contains(word), "the events of {peer} name {word}");
                for path in ["/channels", "/members", "/peers", "/metrics", "/readyz?verbose"] {
                    let (_, text) = operations.text(path).expect("it answers");
                    assert!(!text.contains(word), "{path} of {peer} names {word}");
                }
            }
        }
        assert_no_bytes_to_strangers(&network, channel, &members);
    }
}

/// The senders' own accounts: not one byte of the channel went to a peer of another org, and some went to
/// members.
fn assert_no_bytes_to_strangers(network: &Network, channel: &str, members: &[String]) {
    let mut bytes_to_members = 0.0;
    for sender in network.cluster.peers() {
        let operations = network.cluster.operations(&sender);
        for receiver in network.cluster.peers().iter().filter(|receiver| **receiver != sender) {
            let id = network.cluster.node(receiver).member.clone();
            let bytes = operations
                .metric("ledgercast_channel_sent_bytes_total", &[("channel", channel), ("peer", &id)])
                .expect("metrics");
            match members.contains(receiver) && members.contains(&sender) {
                true => bytes_to_members += bytes,
                false => assert!(bytes == 0.0, "{sender} sent {bytes} bytes of {channel} to {receiver}"),
            }
        }
    }
    assert!(bytes_to_members > 0.0, "the counters count nothing at all for {channel}");
}

#[test]
fn a_foreign_channel_is_answered_like_one_that_does_not_exist() {
    let network = Network::start(&[]);
    submit(&network, "org3", "audit", "anything");
    let genesis = network.cluster.summary().channels.iter().find(|it| it.name == "audit").expect("it");
    let folder = genesis.genesis.parent().expect("its folder");
    // A channel that nobody has joined, with a name as long as the other's.
    let text = std::fs::read_to_string(folder.join("audit.toml")).expect("its file");
    std::fs::write(folder.join("ghost.toml"), text.replace("\"audit\"", "\"ghost\"")).expect("write");
    let admin = network.cluster.user("org1", "admin");
    let (from, to) = (folder.join("ghost.toml"), folder.join("ghost.block"));
    admin
        .json(&["channel", "create", &from.display().to_string(), "--out", &to.display().to_string()])
        .expect("a genesis file");

    let client = network.cluster.user("org1", "client");
    for server in ["peer0.org1", "peer0.org2", "orderer0.orderer"] {
        let at = network.cluster.node(server).api.clone();
        let ask = |channel: &str| client.run(&["--at", &at, "blocks", channel, "all"]).expect("it runs");
        let (foreign, unknown) = (ask("audit"), ask("ghost"));
        assert_eq!(foreign.code, Some(3), "{server}: {}", foreign.stderr);
        assert_eq!(said(&foreign, "audit"), said(&unknown, "ghost"), "{server} tells them apart");
    }

    for server in ["peer0.org1", "peer0.org2", "orderer0.orderer"] {
        let at = network.cluster.node(server).api.clone();
        for question in [["channel", "leave"], ["members", "--channel"]] {
            let ask = |channel: &str| admin.run(&["--at", &at, question[0], question[1], channel]);
            let (foreign, unknown) = (ask("audit").expect("it runs"), ask("ghost").expect("it runs"));
            assert_ne!(foreign.code, Some(0), "{server} carries out {question:?}");
            assert_eq!(
                said(&foreign, "audit"),
                said(&unknown, "ghost"),
                "{server} tells them apart when asked to {question:?}"
            );
        }
    }
    let orderer = network.cluster.orderer().to_owned();
    assert!(network.cluster.channel(&orderer, "audit").expect("it answers").is_some(), "audit goes on");

    let refused = network.cluster.join("peer0.org1", "audit").expect("it runs");
    assert_ne!(refused.code, Some(0), "a peer joined a channel that does not admit its org");
    assert!(refused.stderr.contains("org1"), "the refusal names the cause: {}", refused.stderr);
    assert_eq!(network.cluster.channel("peer0.org1", "audit"), Ok(None));
}
