//! Who serves whom: an assignment that everybody with the same relay set computes alike.
//!
//! ```text
//! root ─┬─► head 1 ─► its run of children          heads: ⌈√n⌉ of the n members besides the root
//!       ├─► head 2 ─► its run of children          order: SHA-256(namespace, header hash, member)
//!       └─► head 3 ─► …                            runs:  the rest, cut evenly, in order
//! ```
//!
//! The order depends on the header's hash, so nobody can choose a place before the block exists.

use crate::types::MemberId;
use ledgercast_crypto::digest::Digest;
use std::collections::BTreeSet;

const SET_NAMESPACE: &[u8] = b"ledgercast relay set 1";
const ORDER_NAMESPACE: &[u8] = b"ledgercast relay order 1";

/// The members among whom a block is passed on, its pusher included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelaySet(BTreeSet<MemberId>);

/// A member that the root serves, and whom it is to serve in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Served by the root.
    pub head: MemberId,
    /// Served by the head.
    pub children: Vec<MemberId>,
}

impl RelaySet {
    /// A set of members.
    pub fn new(members: impl IntoIterator<Item = MemberId>) -> Self {
        Self(members.into_iter().collect())
    }

    /// Names the set.
    pub fn digest(&self) -> Digest {
        let members = self.0.iter().map(|member| member.as_bytes().as_slice());
        let parts: Vec<&[u8]> = [SET_NAMESPACE].into_iter().chain(members).collect();
        Digest::of_parts(&parts)
    }

    /// The whole assignment for one block, when `root` has it first. A head has at most `children_max`
    /// children and there are at most `heads_max` heads: who finds no place is served by announcement and
    /// repair.
    pub fn branches(
        &self,
        root: MemberId,
        header_hash: Digest,
        heads_max: usize,
        children_max: usize,
    ) -> Vec<Branch> {
        let mut order: Vec<MemberId> = self.0.iter().copied().filter(|member| *member != root).collect();
        order.sort_by_cached_key(|member| {
            Digest::of_parts(&[ORDER_NAMESPACE, header_hash.as_bytes(), member.as_bytes()])
        });
        let head_count = ceil_sqrt(order.len()).min(heads_max);
        let (heads, rest) = order.split_at(head_count);
        let run = |index: usize| {
            let share = |index: usize| index * rest.len() / head_count;
            let children = &rest[share(index)..share(index + 1)];
            children[..children.len().min(children_max)].to_vec()
        };
        heads.iter().enumerate().map(|(index, head)| Branch { head: *head, children: run(index) }).collect()
    }
}

fn ceil_sqrt(count: usize) -> usize {
    let floor = count.isqrt();
    floor + usize::from(floor * floor < count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(index: usize) -> MemberId {
        MemberId::from_digest(Digest::of(&index.to_be_bytes()))
    }

    fn set(count: usize) -> RelaySet {
        RelaySet::new((0..count).map(member))
    }

    #[test]
    fn everybody_but_the_root_has_exactly_one_place() {
        for count in 1..150 {
            let branches = set(count).branches(member(0), Digest::of(b"header"), 64, 64);

            let mut places: Vec<MemberId> = branches
                .iter()
                .flat_map(|branch| [branch.head].into_iter().chain(branch.children.iter().copied()))
                .collect();
            places.sort_unstable();
            let mut expected: Vec<MemberId> = (1..count).map(member).collect();
            expected.sort_unstable();
            assert_eq!(places, expected, "{count} members");
        }
    }

    #[test]
    fn root_and_heads_serve_about_the_square_root() {
        let branches = set(101).branches(member(0), Digest::of(b"header"), 64, 64);

        assert_eq!(branches.len(), 10);
        assert!(branches.iter().all(|branch| branch.children.len() == 9), "{branches:?}");
    }

    #[test]
    fn places_change_with_the_header() {
        let heads = |header: &[u8]| -> BTreeSet<MemberId> {
            let branches = set(100).branches(member(0), Digest::of(header), 64, 64);
            branches.into_iter().map(|branch| branch.head).collect()
        };

        assert_ne!(heads(b"one"), heads(b"two"));
    }

    #[test]
    fn width_stays_within_its_bounds() {
        let branches = set(1000).branches(member(0), Digest::of(b"header"), 8, 4);

        assert_eq!(branches.len(), 8);
        assert!(branches.iter().all(|branch| branch.children.len() == 4));
    }

    #[test]
    fn digest_names_the_set_whatever_the_order() {
        let backwards = RelaySet::new((0..5).rev().map(member));

        assert_eq!(backwards.digest(), set(5).digest());
        assert_ne!(set(4).digest(), set(5).digest());
    }
}
