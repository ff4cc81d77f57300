//! Two channels over six peers: nothing of a channel is found where it does not belong, and asking tells
//! nothing.

use crate::{DEADLINE, Network};
use ledgercast_tests::canary::Canary;
use ledgercast_tests::client::Answer;
use ledgercast_tests::events::EventStream;
use serde_json::Value;
use std::collections::BTreeMap;

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

/// What the orderer made of an envelope, and what the client says of that.
fn verdict(answer: &Answer) -> (Option<i32>, Vec<Value>, String) {
    let mut documents = serde_json::Deserializer::from_str(&answer.stdout).into_iter::<Value>();
    let envelope = documents.next().expect("one envelope").expect("JSON");
    let parts = ["outcome", "reason", "message"].map(|part| envelope[part].clone());
    (answer.code, parts.into(), answer.stderr.clone())
}

/// C1
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
        let members = network.cluster.peers_on(channel);
        let id = channel_id(&network, channel);
        // Who is no member of one channel is a member of the other; block 2 of it is the later one.
        let (other, ..) = canaries.into_iter().find(|it| it.0 != channel).expect("it");
        let other = channel_id(&network, other);
        for (peer, stream) in &mut events {
            let is_member = members.contains(peer);
            let own = if is_member { &id } else { &other };
            let told = stream.wait_for_line(&[own, "\"block\":2"], DEADLINE).expect("blocks of its own");
            let texts = texts_of(&network, peer, told);
            let store = network.cluster.node(peer).home.join("data");
            for (word, is_stored, is_told) in [
                (Canary::new(canary.as_bytes()), true, false),
                (Canary::of_hex(&id).expect("hex"), true, true),
                (Canary::new(channel.as_bytes()), true, true),
            ] {
                assert_eq!(word.is_below(&store), is_member && is_stored, "{word:?} in the store of {peer}");
                let named: Vec<&str> = texts
                    .iter()
                    .filter(|(_, text)| word.is_in(text.as_bytes()))
                    .map(|(name, _)| *name)
                    .collect();
                match is_member && is_told {
                    // That they are found where they belong shows that the search finds them.
                    true => assert!(named.len() >= 3, "only {named:?} of {peer} name {word:?}"),
                    false => assert!(named.is_empty(), "{named:?} of {peer} name {word:?}"),
                }
            }
        }
        assert_no_bytes_to_strangers(&network, channel, &members);
    }
}

fn channel_id(network: &Network, channel: &str) -> String {
    network.cluster.summary().channels.iter().find(|it| it.name == channel).expect("it").id.clone()
}

/// Everything that a peer says of itself, by where it says it.
fn texts_of(network: &Network, peer: &str, events: String) -> Vec<(&'static str, String)> {
    let log = std::fs::read_to_string(network.cluster.log(peer)).expect("a log");
    let operations = network.cluster.operations(peer);
    let mut texts = vec![("/events", events), ("its log", log)];
    for path in ["/channels", "/members", "/peers", "/metrics", "/readyz?verbose"] {
        let (status, text) = operations.text(path).expect("it answers");
        assert_eq!(status, 200, "{path} of {peer}: {text}");
        texts.push((path, text));
    }
    texts
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

    let input = network.cluster.folder().join("intruder.txt").display().to_string();
    std::fs::write(&input, "intruder\n").expect("write");
    let at = network.cluster.node(network.cluster.orderer()).api.clone();
    let send = |channel: &str| {
        client.run(&["--orderers", &at, "submit", channel, "--lines", "--wait", &input]).expect("it runs")
    };
    let (foreign, unknown) = (send("audit"), send("ghost"));
    assert_eq!(verdict(&foreign).1[0], "refused", "{}", foreign.stdout);
    assert_eq!(verdict(&foreign), verdict(&unknown), "Broadcast tells them apart");

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
