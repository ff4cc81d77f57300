//! org1 has no part in `audit`: its peer is refused, its client is told what it would be told of a channel
//! that does not exist, and not one byte of the channel went to its peers.

use super::Story;
use crate::network::Network;
use ledgercast_tests::canary::Canary;
use ledgercast_tests::client::Answer;
use std::fs;

const FOREIGN: &str = "audit";
/// As long as the other's name, and joined by nobody.
const UNKNOWN: &str = "ghost";

/// The client's exit code for what is not found or not permitted.
const NOT_FOUND: i32 = 3;

pub(super) fn run(story: &mut Story) -> Result<(), String> {
    let stage = story.screen.stage("org1 asks for the channel audit of org2 and org3");
    let refused = story.network.cluster.join("peer0.org1", FOREIGN)?;
    let answers = answers(&story.network)?;
    let shown = story.network.cluster.channel("peer0.org1", FOREIGN)?;
    let (to_org1, to_members) = sent_bytes(&story.network)?;
    let holders = holders(&story.network)?;
    stage.done("asked");

    let reason = refused.stderr.lines().next().unwrap_or_default().to_owned();
    story.claims.add(
        refused.code.is_some_and(|code| code != 0) && shown.is_none(),
        "a peer cannot join a channel without its org",
        format!("peer0.org1 is refused and holds no {FOREIGN}: {}", said_by(&reason)),
    );
    let members = story.network.cluster.peers_on(FOREIGN);
    story.claims.add(
        holders == members,
        "its store holds nothing of the channel",
        format!("the id of {FOREIGN} stands in the stores of {}", holders.join(", ")),
    );
    let different: Vec<&str> = answers.iter().filter(|it| !it.is_equal()).map(|it| it.server).collect();
    story.claims.add(
        different.is_empty(),
        "a foreign channel is answered like an unknown one",
        match different.as_slice() {
            [] => format!("{} servers, exit code {NOT_FOUND}, the same words", answers.len()),
            servers => format!("{servers:?} tell them apart"),
        },
    );
    story.claims.add(
        to_org1 == 0.0 && to_members > 0.0,
        "no byte of a channel goes to peers outside it",
        format!("{to_org1} bytes of {FOREIGN} to org1, {to_members} among its members"),
    );
    Ok(())
}

/// What one server says of both channels to a client of org1.
struct Asked {
    server: &'static str,
    foreign: Answer,
    unknown: Answer,
}

impl Asked {
    fn is_equal(&self) -> bool {
        let said = |answer: &Answer, channel: &str| {
            (answer.stdout.replace(channel, "CHANNEL"), answer.stderr.replace(channel, "CHANNEL"))
        };
        self.foreign.code == Some(NOT_FOUND)
            && self.unknown.code == Some(NOT_FOUND)
            && said(&self.foreign, FOREIGN) == said(&self.unknown, UNKNOWN)
    }
}

fn answers(network: &Network) -> Result<Vec<Asked>, String> {
    create_unknown(network)?;
    let client = network.cluster.user("org1", "client");
    ["peer0.org2", "orderer0.orderer", "peer0.org1"]
        .into_iter()
        .map(|server| {
            let at = &network.cluster.node(server).api;
            let ask = |channel: &str| client.run(&["--at", at, "blocks", channel, "all"]);
            Ok(Asked { server, foreign: ask(FOREIGN)?, unknown: ask(UNKNOWN)? })
        })
        .collect()
}

/// A genesis file, so that the client can ask for the channel at all; nobody joins it.
fn create_unknown(network: &Network) -> Result<(), String> {
    let channels = &network.cluster.summary().channels;
    let foreign = channels.iter().find(|it| it.name == FOREIGN).ok_or("no such channel")?;
    let from = foreign.genesis.with_file_name(format!("{UNKNOWN}.toml"));
    let to = from.with_extension("block");
    let text = fs::read_to_string(foreign.genesis.with_extension("toml"))
        .map_err(|error| format!("the file of {FOREIGN}: {error}"))?;
    let text = text.replace(&format!("{FOREIGN:?}"), &format!("{UNKNOWN:?}"));
    fs::write(&from, text).map_err(|error| format!("cannot write {}: {error}", from.display()))?;
    let (from, to) = (from.display().to_string(), to.display().to_string());
    network.cluster.user("org1", "admin").json(&["channel", "create", &from, "--out", &to])?;
    Ok(())
}

/// Bytes of the channel that went to peers of org1, and to its members, by the senders' own accounts.
fn sent_bytes(network: &Network) -> Result<(f64, f64), String> {
    let cluster = &network.cluster;
    let (mut to_org1, mut to_members) = (0.0, 0.0);
    for sender in cluster.peers() {
        let operations = cluster.operations(&sender);
        for receiver in cluster.peers() {
            let node = cluster.node(&receiver);
            let labels = [("channel", FOREIGN), ("peer", node.member.as_str())];
            let bytes = operations.metric("ledgercast_channel_sent_bytes_total", &labels)?;
            match node.org.as_str() {
                "org1" => to_org1 += bytes,
                _ => to_members += bytes,
            }
        }
    }
    Ok((to_org1, to_members))
}

/// The peers in whose stores the channel's id stands: it is the key of all that is stored of a channel.
fn holders(network: &Network) -> Result<Vec<String>, String> {
    let cluster = &network.cluster;
    let channels = &cluster.summary().channels;
    let foreign = channels.iter().find(|it| it.name == FOREIGN).ok_or("no such channel")?;
    let canary = Canary::of_hex(&foreign.id)?;
    let holds = |peer: &String| canary.is_below(&cluster.node(peer).home.join("data"));
    Ok(cluster.peers().into_iter().filter(holds).collect())
}

/// The cause in an error's JSON.
fn said_by(line: &str) -> String {
    let parsed = serde_json::from_str::<serde_json::Value>(line).ok();
    parsed.and_then(|it| it["error"].as_str().map(str::to_owned)).unwrap_or_else(|| line.to_owned())
}
