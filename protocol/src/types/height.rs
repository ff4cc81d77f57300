//! Heights count blocks, block numbers index them: height 1 is a chain that has block 0 only.

use std::fmt;

/// The number of blocks in a chain, block 0 included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Height(u64);

/// The place of a block in its chain; the genesis block is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockNumber(u64);

impl Height {
    /// No block at all.
    pub const ZERO: Self = Self(0);

    /// A height from a count of blocks.
    pub const fn new(blocks: u64) -> Self {
        Self(blocks)
    }

    /// The count of blocks.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The number of the next block, the first one that a chain of this height lacks.
    pub const fn next_block(self) -> BlockNumber {
        BlockNumber(self.0)
    }

    /// The number of the newest block; `None` for an empty chain.
    pub fn tip(self) -> Option<BlockNumber> {
        self.0.checked_sub(1).map(BlockNumber)
    }
}

impl BlockNumber {
    /// The genesis block.
    pub const GENESIS: Self = Self(0);

    /// A block number from its index.
    pub const fn new(index: u64) -> Self {
        Self(index)
    }

    /// The index.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The number after this one; saturates at the end of the range.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number before this one; `None` before the genesis block.
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// The number `count` further on; saturates.
    #[must_use]
    pub const fn saturating_add(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// How many blocks lie from `earlier` to here; zero when `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The height of a chain whose newest block is this one; saturates.
    pub const fn height(self) -> Height {
        Height(self.0.saturating_add(1))
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for BlockNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
