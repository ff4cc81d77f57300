//! The load ends: every envelope of the whole story was accepted once and stands, at its promised place, in
//! the same bytes at every entitled peer.

use super::Story;
use crate::network::DEADLINE;
use ledgercast_tests::chain::Chain;

pub(super) fn run(story: &mut Story) -> Result<(), String> {
    for load in std::mem::take(&mut story.network.loads) {
        let channel = load.channel.clone();
        let stage = story.screen.stage(format!("{channel}: the load ends, all blocks are compared"));
        let answers = load.stop()?;
        let submitted = answers.submitted;
        let complete = answers.require_complete();
        story.claims.add(
            complete.is_ok(),
            format!("{channel}: every envelope is accepted once"),
            complete.err().unwrap_or_else(|| format!("{submitted} submitted and accepted")),
        );
        let peers = story.network.cluster.peers_on(&channel);
        let ordered = story.network.ordered_height(&channel)?;
        story.network.cluster.wait_for_height(&peers, &channel, ordered, DEADLINE)?;
        let chain = Chain::check(&story.network.cluster, &channel, &answers)?;
        stage.done("compared");
        story.claims.add(
            true,
            format!("{channel}: every peer serves all of it, byte for byte"),
            format!(
                "{} envelopes in {} blocks ({:.1} MB) at {} peers",
                chain.envelopes,
                chain.hashes.len(),
                chain.bytes as f64 / 1e6,
                chain.peers
            ),
        );
    }
    Ok(())
}
