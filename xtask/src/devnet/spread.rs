//! Full membership, and blocks that reach every peer of their channel: the same ones, each body once.

use super::Story;
use crate::network::{CHANNELS, DEADLINE};
use ledgercast_tests::cluster::Cluster;
use ledgercast_tests::wait::wait_for;
use serde_json::Value;

/// Blocks that are looked at before anything is disturbed.
const BLOCKS: u64 = 25;

pub(super) fn run(story: &mut Story) -> Result<(), String> {
    let seconds = story.network.full_membership_after.as_secs_f64();
    story.claims.add(
        true,
        "every peer sees every peer of its channels",
        format!("{seconds:.1} s after the first start"),
    );
    for (channel, _) in CHANNELS {
        let stage = story.screen.stage(format!("{channel} under load, until block {BLOCKS}"));
        let peers = story.network.cluster.peers_on(channel);
        for peer in &peers {
            wait_for(&format!("{peer} to reach height {BLOCKS}"), DEADLINE, || {
                story.network.loads.iter_mut().try_for_each(ledgercast_tests::load::Load::require_running)?;
                let height = story.network.cluster.height(peer, channel)?;
                stage.show(format!("{peer} is at height {height}"));
                if height >= BLOCKS { Ok(()) } else { Err(format!("height {height}")) }
            })?;
        }
        stage.done("reached by every peer");
        claim_same_chain(story, channel, &peers)?;
        claim_bodies(story, channel, &peers)?;
    }
    Ok(())
}

/// All have the same block at the height that all have reached, while the load goes on.
fn claim_same_chain(story: &mut Story, channel: &str, peers: &[String]) -> Result<(), String> {
    let cluster = &story.network.cluster;
    let heights: Vec<u64> =
        peers.iter().map(|peer| cluster.height(peer, channel)).collect::<Result<_, _>>()?;
    let (low, high) = (heights.iter().min().copied(), heights.iter().max().copied());
    let (low, high) = (low.unwrap_or(0), high.unwrap_or(0));
    let mut hashes: Vec<String> =
        peers.iter().map(|peer| block_hash(cluster, peer, channel, low - 1)).collect::<Result<_, _>>()?;
    hashes.sort();
    hashes.dedup();
    story.claims.add(
        hashes.len() == 1,
        format!("{channel}: one chain at all {} peers under load", peers.len()),
        format!("heights {low} to {high}, {} hash of block {}", hashes.len(), low - 1),
    );
    Ok(())
}

fn block_hash(cluster: &Cluster, peer: &str, channel: &str, number: u64) -> Result<String, String> {
    let node = cluster.node(peer);
    let client = cluster.user(&node.org, "client");
    let block = client.json(&["--at", &node.api, "blocks", channel, &number.to_string(), "--headers"])?;
    block["hash"].as_str().map(str::to_owned).ok_or_else(|| format!("{peer} serves {block}"))
}

/// Each body came once, and mostly along the tree.
fn claim_bodies(story: &mut Story, channel: &str, peers: &[String]) -> Result<(), String> {
    let mut duplicate_bytes = 0.0;
    let mut by_source = [("feed", 0.0), ("push", 0.0), ("repair", 0.0), ("range_sync", 0.0)];
    for peer in peers {
        let operations = story.network.cluster.operations(peer);
        duplicate_bytes +=
            operations.metric("ledgercast_duplicate_body_bytes_total", &[("channel", channel)])?;
        for (source, count) in &mut by_source {
            let labels = [("channel", channel), ("source", *source)];
            *count += operations.metric("ledgercast_blocks_committed_total", &labels)?;
        }
    }
    let total: f64 = by_source.iter().map(|(_, count)| count).sum();
    let [(_, feed), (_, push), (_, repair), (_, range_sync)] = by_source;
    let pushed = 100.0 * push / (total - feed).max(1.0);
    story.claims.add(
        duplicate_bytes == 0.0 && total > 0.0,
        format!("{channel}: no body is sent twice to a peer"),
        format!(
            "{duplicate_bytes} duplicate bytes in {total} blocks; of those not pulled by leaders \
             {pushed:.0} % pushed ({push} push, {repair} repair, {range_sync} range sync)"
        ),
    );
    if duplicate_bytes > 0.0 {
        let view = story.network.cluster.channel(&peers[0], channel)?.unwrap_or_default();
        story.traces.doubled(text(&view, "channel")).iter().for_each(|told| eprintln!("  {told}"));
    }
    Ok(())
}

/// A text field of a view.
pub(super) fn text<'a>(view: &'a Value, field: &str) -> &'a str {
    view[field].as_str().unwrap_or_default()
}
