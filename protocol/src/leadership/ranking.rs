//! The order of the eligible in one epoch.

use super::Context;
use crate::types::MemberId;
use ledgercast_crypto::Digest;
use std::collections::{BTreeMap, BTreeSet};

const NAMESPACE: &[u8] = b"ledgercast leadership rank";

/// Everybody eligible with a rank, computed again only when epoch or members change.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    epoch_hash: Option<Digest>,
    ranks: BTreeMap<MemberId, Digest>,
}

impl Ranking {
    pub(super) fn update(&mut self, context: &Context<'_>, eligible: BTreeSet<MemberId>) {
        if self.epoch_hash != Some(context.epoch_hash) {
            self.epoch_hash = Some(context.epoch_hash);
            self.ranks.clear();
        }
        self.ranks.retain(|member, _| eligible.contains(member));
        for member in eligible {
            self.ranks.entry(member).or_insert_with(|| rank(context, member));
        }
    }

    pub(super) fn contains(&self, member: MemberId) -> bool {
        self.ranks.contains_key(&member)
    }

    /// Who stands before a member; nobody, if it has no rank itself.
    pub(super) fn before(&self, member: MemberId) -> impl Iterator<Item = MemberId> {
        let own = self.ranks.get(&member).copied();
        self.ranks
            .iter()
            .filter(move |(_, rank)| own.is_some_and(|own| **rank < own))
            .map(|(member, _)| *member)
    }

    /// The members in order, the best first; who has no rank comes last.
    pub(super) fn sort(&self, members: &mut [MemberId]) {
        members.sort_by_key(|member| {
            (!self.ranks.contains_key(member), self.ranks.get(member).copied(), *member)
        });
    }
}

fn rank(context: &Context<'_>, member: MemberId) -> Digest {
    Digest::of_parts(&[
        NAMESPACE,
        context.channel.as_bytes(),
        context.org.as_bytes(),
        context.epoch_hash.as_bytes(),
        member.as_bytes(),
    ])
}
