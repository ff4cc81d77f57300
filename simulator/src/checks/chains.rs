//! Every node commits and delivers exactly the orderers' chain: certified, in order, once, durable first.
//! So delivered prefixes agree, and nothing delivered is lost by a restart.

use super::Violation;
use crate::chain::SourceChain;
use crate::node::NodeId;
use ledgercast_protocol::ledger::{VerifiedBlock, VerifiedHeader};
use ledgercast_protocol::types::ChannelId;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Chains {
    progress: BTreeMap<(NodeId, ChannelId), Progress>,
}

/// Counts of blocks: the next number is the count.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    committed: u64,
    delivered: u64,
}

impl Chains {
    /// A process starts, or joins a channel, with this many durable blocks.
    pub(crate) fn on_start(
        &mut self,
        node: NodeId,
        channel: ChannelId,
        durable: u64,
    ) -> Result<(), Violation> {
        let progress = self.progress.entry((node, channel)).or_default();
        if durable < progress.delivered {
            let delivered = progress.delivered;
            return Err(Violation::LostDelivered { node, channel, found: durable, delivered });
        }
        *progress = Progress { committed: durable, delivered: durable };
        Ok(())
    }

    /// The node's disk was emptied on purpose.
    pub(crate) fn forget(&mut self, node: NodeId) {
        self.progress.retain(|(owner, _), _| *owner != node);
    }

    pub(crate) fn on_commit(
        &mut self,
        node: NodeId,
        block: &VerifiedBlock,
        truth: Option<&SourceChain>,
    ) -> Result<(), Violation> {
        let (channel, number) = (block.header().channel(), block.number());
        let original = truth.and_then(|chain| chain.block(number));
        let is_original = original.is_some_and(|original| {
            original.header().hash() == block.header().hash()
                && original.body().bytes() == block.body().bytes()
        });
        if !is_original {
            return Err(Violation::ForeignBlock { node, channel, number });
        }
        let progress = self.progress.entry((node, channel)).or_default();
        advance(&mut progress.committed, (node, "commits", channel), number.as_u64())
    }

    pub(crate) fn on_delivered(
        &mut self,
        node: NodeId,
        header: &VerifiedHeader,
        durable: u64,
    ) -> Result<(), Violation> {
        let (channel, number) = (header.channel(), header.number().as_u64());
        if number >= durable {
            return Err(Violation::NotDurable { node, channel, number, durable });
        }
        let progress = self.progress.entry((node, channel)).or_default();
        advance(&mut progress.delivered, (node, "delivers", channel), number)
    }
}

fn advance(
    expected: &mut u64,
    (node, what, channel): (NodeId, &'static str, ChannelId),
    found: u64,
) -> Result<(), Violation> {
    if found != *expected {
        return Err(Violation::OutOfOrder { node, what, channel, found, expected: *expected });
    }
    *expected += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Founding;
    use crate::identities::Org;
    use crate::random::Random;
    use ledgercast_protocol::types::BlockNumber;

    const NODE: NodeId = NodeId(0);

    fn chain(seed: u64) -> SourceChain {
        let mut random = Random::new(seed, 1);
        let org = Org::create(0, &mut random).expect("an org");
        let founding = Founding { name: "trade", orgs: vec![&org], anchors: vec![Vec::new()], followers: 0 };
        let mut chain = SourceChain::found(&founding, random).expect("a channel");
        (0..5).for_each(|_| drop(chain.extend(100).clone()));
        chain
    }

    fn block(chain: &SourceChain, number: u64) -> VerifiedBlock {
        chain.block(BlockNumber::new(number)).expect("it was made").clone()
    }

    #[test]
    fn finds_a_block_that_the_orderers_did_not_make() {
        let (truth, other) = (chain(1), chain(2));
        let mut checks = Chains::default();
        checks.on_start(NODE, truth.id(), 1).expect("the first start");

        let verdict = checks.on_commit(NODE, &block(&other, 1), Some(&truth));

        assert!(matches!(verdict, Err(Violation::ForeignBlock { .. })));
        assert!(checks.on_commit(NODE, &block(&truth, 1), Some(&truth)).is_ok());
    }

    #[test]
    fn finds_gaps_and_repetitions() {
        let truth = chain(1);
        let mut checks = Chains::default();
        checks.on_start(NODE, truth.id(), 1).expect("the first start");
        let mut commit = |number| checks.on_commit(NODE, &block(&truth, number), Some(&truth));

        assert!(commit(1).is_ok());
        assert!(matches!(commit(1), Err(Violation::OutOfOrder { found: 1, expected: 2, .. })));
        assert!(matches!(commit(3), Err(Violation::OutOfOrder { found: 3, expected: 2, .. })));
    }

    #[test]
    fn finds_what_is_delivered_too_early_or_twice_or_lost() {
        let truth = chain(1);
        let mut checks = Chains::default();
        checks.on_start(NODE, truth.id(), 1).expect("the first start");
        let header = |number| block(&truth, number).header().clone();

        assert!(matches!(checks.on_delivered(NODE, &header(1), 1), Err(Violation::NotDurable { .. })));
        assert!(checks.on_delivered(NODE, &header(1), 2).is_ok());
        assert!(matches!(checks.on_delivered(NODE, &header(1), 2), Err(Violation::OutOfOrder { .. })));
        assert!(matches!(checks.on_start(NODE, truth.id(), 1), Err(Violation::LostDelivered { .. })));
        assert!(checks.on_start(NODE, truth.id(), 3).is_ok());
    }
}
