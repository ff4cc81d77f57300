//! Merkle trees as RFC 6962, section 2.1 (RFC 9162 keeps them): leaves and nodes hash under different
//! prefixes, so no node passes for a leaf. Never bounds the number of leaves: callers do.
//!
//! ```text
//!  leaf  = SHA-256(0x00 │ bytes)          root of 5 leaves:      n
//!  node  = SHA-256(0x01 │ left │ right)                        ┌─┴─┐
//!  empty = SHA-256("")                                         n   e     left part: the largest power of two
//!                                                            ┌─┴─┐          below the number of leaves
//!                                                           ab   cd
//! ```

use crate::digest::Digest;

const LEAF_PREFIX: &[u8] = &[0];
const NODE_PREFIX: &[u8] = &[1];

/// Steps of a path in the largest tree that a `u64` can count.
pub const PATH_STEPS_MAX: usize = 64;

/// Hashes the bytes of one leaf.
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    Digest::of_parts(&[LEAF_PREFIX, leaf])
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[NODE_PREFIX, left.as_bytes(), right.as_bytes()])
}

/// The root over `leaves`; the empty tree has the digest of no bytes.
pub fn root<'a>(leaves: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut builder = MerkleBuilder::default();
    for leaf in leaves {
        builder.push(leaf);
    }
    builder.root()
}

/// Finds the root in one pass, holding one digest per level.
#[derive(Debug, Clone, Default)]
pub struct MerkleBuilder {
    /// Roots of full subtrees, largest first: one per set bit of `size`.
    subtrees: Vec<Digest>,
    size: u64,
}

impl MerkleBuilder {
    /// A tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: &[u8]) {
        self.push_hash(leaf_hash(leaf));
    }

    /// Adds the next leaf by its [`leaf_hash`].
    pub fn push_hash(&mut self, leaf: Digest) {
        let mut right = leaf;
        // Each trailing one bit of the old size is a full subtree that now gets its sibling.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                right = node_hash(&left, &right);
            }
        }
        self.subtrees.push(right);
        self.size = self.size.saturating_add(1);
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over the leaves so far.
    pub fn root(&self) -> Digest {
        let mut smallest_first = self.subtrees.iter().rev();
        let Some(last) = smallest_first.next() else { return Digest::of(b"") };
        smallest_first.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// Shows that a leaf stands at a place of a tree with a known root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf's place, from 0.
    pub leaf_index: u64,
    /// Leaves of the tree.
    pub tree_size: u64,
    /// Siblings from the leaf up to the root.
    pub path: Vec<Digest>,
}

impl InclusionProof {
    /// Checks that the leaf with this [`leaf_hash`] is in the tree with `root` (RFC 9162, section 2.1.3.2).
    ///
    /// The caller compares `tree_size` with a size that it trusts: the root alone does not fix it.
    ///
    /// # Errors
    ///
    /// [`MerkleError::IndexOutside`], [`MerkleError::PathLength`] or [`MerkleError::OtherRoot`].
    pub fn verify(&self, leaf: Digest, root: &Digest) -> Result<(), MerkleError> {
        if self.leaf_index >= self.tree_size {
            return Err(MerkleError::IndexOutside { index: self.leaf_index, tree_size: self.tree_size });
        }
        let length = MerkleError::PathLength { steps: self.path.len(), tree_size: self.tree_size };
        let (mut index, mut last) = (self.leaf_index, self.tree_size - 1);
        let mut hash = leaf;
        for sibling in &self.path {
            if last == 0 {
                return Err(length);
            }
            if index & 1 == 1 || index == last {
                hash = node_hash(sibling, &hash);
                // Levels without a sibling are not in the path: climb past them.
                let lone = if index & 1 == 0 { index.trailing_zeros().min(63) } else { 0 };
                (index, last) = (index >> lone, last >> lone);
            } else {
                hash = node_hash(&hash, sibling);
            }
            (index, last) = (index >> 1, last >> 1);
        }
        match (last == 0, hash == *root) {
            (false, _) => Err(length),
            (true, false) => Err(MerkleError::OtherRoot { found: hash, wanted: *root }),
            (true, true) => Ok(()),
        }
    }
}

/// Proves that leaf `index` is among `leaves`, given by their [`leaf_hash`]es; `None` if there is no such
/// leaf.
pub fn prove(leaves: &[Digest], index: usize) -> Option<InclusionProof> {
    if index >= leaves.len() {
        return None;
    }
    let mut path = Vec::new();
    let (mut range, mut position) = (leaves, index);
    while range.len() > 1 {
        let (left, right) = range.split_at(split_point(range.len()));
        let (near, far) = if position < left.len() {
            (left, right)
        } else {
            position -= left.len();
            (right, left)
        };
        path.push(root_of_hashes(far));
        range = near;
    }
    path.reverse();
    Some(InclusionProof { leaf_index: index as u64, tree_size: leaves.len() as u64, path })
}

/// The largest power of two below `size`, for sizes of two and more.
fn split_point(size: usize) -> usize {
    size.next_power_of_two() / 2
}

fn root_of_hashes(leaves: &[Digest]) -> Digest {
    let mut builder = MerkleBuilder::default();
    for leaf in leaves {
        builder.push_hash(*leaf);
    }
    builder.root()
}

/// Why an inclusion proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// No leaf has this index.
    #[error("leaf {index} is outside a tree of {tree_size} leaves")]
    IndexOutside {
        /// The index claimed.
        index: u64,
        /// The size claimed.
        tree_size: u64,
    },
    /// A path that does not end at the root.
    #[error("a path of {steps} steps does not fit the leaf's place in a tree of {tree_size} leaves")]
    PathLength {
        /// Steps given.
        steps: usize,
        /// The size claimed.
        tree_size: u64,
    },
    /// The path ends at another root.
    #[error("the path leads to root {found}, not to {wanted}")]
    OtherRoot {
        /// Where it leads.
        found: Digest,
        /// Where it should.
        wanted: Digest,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The eight leaves by which implementations of Certificate Transparency check their trees.
    const LEAVES: [&[u8]; 8] = [
        &[],
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    /// The published roots over the first 0 to 8 of them.
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    /// Published paths: (leaf, tree size, siblings upward).
    const PATHS: [(usize, usize, &[&str]); 3] = [
        (0, 1, &[]),
        (
            0,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
    ];

    fn digest(hex: &str) -> Digest {
        hex.parse().unwrap()
    }

    fn hashes(leaves: &[&[u8]]) -> Vec<Digest> {
        leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
    }

    /// The definition of RFC 6962, section 2.1, word for word.
    fn root_by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [only] => *only,
            _ => {
                let (left, right) = leaves.split_at(split_point(leaves.len()));
                node_hash(&root_by_definition(left), &root_by_definition(right))
            }
        }
    }

    #[test]
    fn roots_are_the_published_ones() {
        for (size, expected) in ROOTS.iter().enumerate() {
            assert_eq!(root(LEAVES[..size].iter().copied()), digest(expected), "{size} leaves");
        }
    }

    #[test]
    fn paths_are_the_published_ones() {
        for (index, size, expected) in PATHS {
            let proof = prove(&hashes(&LEAVES[..size]), index).unwrap();

            assert_eq!(proof.path, expected.iter().map(|hex| digest(hex)).collect::<Vec<_>>());
            assert_eq!(proof.verify(leaf_hash(LEAVES[index]), &digest(ROOTS[size])), Ok(()));
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proven_and_nothing_else_is() {
        for size in 1..=33_usize {
            let leaves: Vec<_> = (0..size).map(|index| leaf_hash(&index.to_be_bytes())).collect();
            let root = root_by_definition(&leaves);
            for index in 0..size {
                let proof = prove(&leaves, index).unwrap();
                assert_eq!(proof.verify(leaves[index], &root), Ok(()), "leaf {index} of {size}");
                assert!(proof.verify(leaf_hash(b"foreign"), &root).is_err());
                for other in (0..size).filter(|other| *other != index) {
                    let moved = InclusionProof { leaf_index: other as u64, ..proof.clone() };
                    assert!(moved.verify(leaves[index], &root).is_err(), "{index} as {other} of {size}");
                }
            }
            assert_eq!(prove(&leaves, size), None);
        }
    }

    #[test]
    fn refuses_index_outside_and_paths_of_wrong_length() {
        let leaves = hashes(&LEAVES);
        let root = digest(ROOTS[8]);
        let proof = prove(&leaves, 3).unwrap();

        let outside = InclusionProof { leaf_index: 8, ..proof.clone() };
        let (mut long, mut short) = (proof.clone(), proof.clone());
        long.path.push(root);
        short.path.pop();

        assert_eq!(
            outside.verify(leaves[3], &root),
            Err(MerkleError::IndexOutside { index: 8, tree_size: 8 })
        );
        assert_eq!(long.verify(leaves[3], &root), Err(MerkleError::PathLength { steps: 4, tree_size: 8 }));
        assert_eq!(short.verify(leaves[3], &root), Err(MerkleError::PathLength { steps: 2, tree_size: 8 }));
        assert!(matches!(proof.verify(leaves[2], &root), Err(MerkleError::OtherRoot { .. })));
    }

    #[test]
    fn a_node_does_not_pass_for_a_leaf() {
        let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
        let node = [left.as_bytes().as_slice(), right.as_bytes()].concat();

        assert_ne!(root([b"a".as_slice(), b"b"]), root([node.as_slice()]));
    }

    proptest! {
        #[test]
        fn streaming_agrees_with_the_definition(leaves in prop::collection::vec(any::<[u8; 3]>(), 0..200)) {
            let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();

            prop_assert_eq!(root(leaves.iter().map(<[u8; 3]>::as_slice)), root_by_definition(&hashes));
        }

        #[test]
        fn any_proof_gets_a_verdict(
            leaf_index: u64, tree_size: u64, path in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            let path = path.into_iter().map(Digest::from_bytes).collect();
            let proof = InclusionProof { leaf_index, tree_size, path };

            prop_assert!(proof.verify(leaf_hash(b"x"), &Digest::ZERO).is_err());
        }
    }
}
