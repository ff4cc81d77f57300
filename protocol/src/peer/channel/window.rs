//! The ledger window: proven headers above the newest durable block, with what is here of their bodies.
//!
//! ```text
//!      durable ─┐      linked ─┐
//!  … ■ ■ ■ ■ ■ tip  □ □ □ □ □ □    · · □ □ ·  │ end = tip + window_blocks
//!                   └─ slots: proven headers ─┘ farther ones are refused
//! ```
//!
//! Every header here is proven; each follows its neighbours as far as those are known. Bytes of bodies are
//! bounded by the arena; the lowest missing body always finds room once those below it are durable.

use super::assembly::{Assembly, frame_count};
use crate::event::BlockTrace;
use crate::ledger::{VerifiedBlock, VerifiedHeader};
use crate::refusal::Refusal;
use crate::repair::{Bodies, Holding};
use crate::types::{BlockNumber, Height, MemberId, Neighbour, SourceId};
use crate::wire::Tip;
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// The number of blocks in a leadership epoch.
pub const EPOCH_BLOCKS: u64 = 128;

#[derive(Debug)]
pub(super) struct Window {
    tip: VerifiedHeader,
    linked: VerifiedHeader,
    epoch_start: VerifiedHeader,
    slots: BTreeMap<BlockNumber, Slot>,
    numbers: BTreeMap<Digest, BlockNumber>,
    fed: BTreeMap<BlockNumber, FedBody>,
    blocks_max: u64,
    arena_bytes: u64,
    arena_bytes_max: u64,
    /// Room that only the lowest missing body may take: the channel's largest body.
    reserve_bytes: u64,
}

/// One proven header and what belongs to it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) header: VerifiedHeader,
    body: SlotBody,
    pub(super) committed_by: BTreeSet<MemberId>,
    pub(super) announced_by: BTreeSet<MemberId>,
    /// Members whose pushed frames are taken.
    pub(super) pushers: BTreeSet<MemberId>,
    pub(super) is_history: bool,
    pub(super) trace: BlockTrace,
}

/// A body that an orderer brought before its header was proven.
#[derive(Debug)]
pub(super) struct FedBody {
    pub(super) source: SourceId,
    pub(super) header_hash: Digest,
    pub(super) body: Bytes,
}

/// How far a body has come.
#[derive(Debug)]
pub(super) enum SlotBody {
    Missing,
    Assembling(Assembly),
    Verifying { bytes: u64, suppliers: BTreeSet<MemberId> },
    Verified(VerifiedBlock),
    Committing(VerifiedBlock),
}

impl Slot {
    pub(super) fn tip(&self) -> Tip {
        tip_of(&self.header)
    }

    pub(super) fn body(&self) -> &SlotBody {
        &self.body
    }

    pub(super) fn body_bytes(&self) -> u64 {
        self.header.header().fields().body_bytes
    }

    pub(super) fn block(&self) -> Option<&VerifiedBlock> {
        match &self.body {
            SlotBody::Verified(block) | SlotBody::Committing(block) => Some(block),
            SlotBody::Missing | SlotBody::Assembling(_) | SlotBody::Verifying { .. } => None,
        }
    }

    /// Whether the whole body is here, judged or not.
    pub(super) fn is_whole(&self) -> bool {
        !self.lacks_body()
    }

    fn lacks_body(&self) -> bool {
        matches!(self.body, SlotBody::Missing | SlotBody::Assembling(_))
    }
}

impl SlotBody {
    fn bytes(&self) -> u64 {
        match self {
            Self::Missing => 0,
            Self::Assembling(assembly) => assembly.bytes(),
            Self::Verifying { bytes, .. } => *bytes,
            Self::Verified(block) | Self::Committing(block) => block.body().bytes().len() as u64,
        }
    }
}

pub(super) fn tip_of(header: &VerifiedHeader) -> Tip {
    Tip { number: header.number(), header_hash: header.hash() }
}

impl Window {
    pub(super) fn new(
        tip: VerifiedHeader,
        epoch_start: VerifiedHeader,
        blocks_max: u64,
        arena_bytes_max: u64,
        body_bytes_max: u64,
    ) -> Self {
        Self {
            linked: tip.clone(),
            tip,
            epoch_start,
            slots: BTreeMap::new(),
            numbers: BTreeMap::new(),
            fed: BTreeMap::new(),
            blocks_max,
            arena_bytes: 0,
            arena_bytes_max: arena_bytes_max.max(body_bytes_max.saturating_mul(2)),
            reserve_bytes: body_bytes_max,
        }
    }

    /// The newest durable header.
    pub(super) fn tip(&self) -> &VerifiedHeader {
        &self.tip
    }

    /// The newest header that a chain of proven ones links to the tip.
    pub(super) fn linked(&self) -> &VerifiedHeader {
        &self.linked
    }

    /// The header at the start of the linked header's epoch.
    pub(super) fn epoch_start(&self) -> &VerifiedHeader {
        &self.epoch_start
    }

    pub(super) fn proven_height(&self) -> Height {
        self.slots.last_key_value().map_or(self.tip.number(), |(number, _)| *number).height()
    }

    /// The last number that is taken in.
    pub(super) fn end(&self) -> BlockNumber {
        self.tip.number().saturating_add(self.blocks_max)
    }

    pub(super) fn arena_bytes(&self) -> u64 {
        self.arena_bytes
    }

    pub(super) fn is_inside(&self, number: BlockNumber) -> bool {
        number > self.tip.number() && number <= self.end()
    }

    pub(super) fn slot(&self, number: BlockNumber) -> Option<&Slot> {
        self.slots.get(&number)
    }

    pub(super) fn slot_mut(&mut self, number: BlockNumber) -> Option<&mut Slot> {
        self.slots.get_mut(&number)
    }

    pub(super) fn number_of(&self, header_hash: Digest) -> Option<BlockNumber> {
        self.numbers.get(&header_hash).copied()
    }

    /// The first proven header above this number.
    pub(super) fn next_proven(&self, number: BlockNumber) -> Option<BlockNumber> {
        self.slots.range(number.next()..).next().map(|(number, _)| *number)
    }

    /// Takes in a proven header that is inside the window and has no slot.
    ///
    /// # Errors
    /// A proven neighbour contradicts it: the first one known stays.
    pub(super) fn insert(&mut self, header: VerifiedHeader, is_history: bool) -> Result<(), Refusal> {
        let number = header.number();
        let before = number.previous().and_then(|previous| self.header(previous));
        let after = self.header(number.next());
        if before.is_some_and(|before| !header.follows(before))
            || after.is_some_and(|it| !it.follows(&header))
        {
            return Err(Refusal("conflicting_header"));
        }
        self.numbers.insert(header.hash(), number);
        let slot = Slot {
            header,
            body: SlotBody::Missing,
            committed_by: BTreeSet::new(),
            announced_by: BTreeSet::new(),
            pushers: BTreeSet::new(),
            is_history,
            trace: BlockTrace::default(),
        };
        self.slots.insert(number, slot);
        self.link();
        Ok(())
    }

    fn header(&self, number: BlockNumber) -> Option<&VerifiedHeader> {
        if number == self.tip.number() {
            return Some(&self.tip);
        }
        self.slots.get(&number).map(|slot| &slot.header)
    }

    fn link(&mut self) {
        while let Some(slot) = self.slots.get(&self.linked.number().next()) {
            self.linked = slot.header.clone();
            if self.linked.number().as_u64().is_multiple_of(EPOCH_BLOCKS) {
                self.epoch_start = self.linked.clone();
            }
        }
    }

    /// Changes how far a body has come; returns what was there.
    pub(super) fn set_body(&mut self, number: BlockNumber, body: SlotBody) -> Option<SlotBody> {
        let slot = self.slots.get_mut(&number)?;
        self.arena_bytes = self.arena_bytes - slot.body.bytes() + body.bytes();
        Some(std::mem::replace(&mut slot.body, body))
    }

    /// The body under assembly; begins one if the arena has room.
    pub(super) fn assembly(&mut self, number: BlockNumber) -> Option<&mut Assembly> {
        let slot = self.slots.get(&number)?;
        if matches!(slot.body, SlotBody::Missing) {
            if !self.has_room_for(number, slot.body_bytes()) {
                return None;
            }
            self.set_body(number, SlotBody::Assembling(Assembly::new(slot.body_bytes())));
        }
        match &mut self.slots.get_mut(&number)?.body {
            SlotBody::Assembling(assembly) => Some(assembly),
            _ => None,
        }
    }

    /// The lowest number without a body, fed ones not counted.
    pub(super) fn lowest_missing(&self) -> BlockNumber {
        self.lowest(|number, slot| slot.is_none_or(Slot::lacks_body) && !self.fed.contains_key(&number))
    }

    fn lowest(&self, is_wanted: impl Fn(BlockNumber, Option<&Slot>) -> bool) -> BlockNumber {
        let mut number = self.tip.number().next();
        while number <= self.end() && !is_wanted(number, self.slots.get(&number)) {
            number = number.next();
        }
        number
    }

    pub(super) fn has_room_for(&self, number: BlockNumber, body_bytes: u64) -> bool {
        let reserve = if number <= self.lowest_missing() { 0 } else { self.reserve_bytes };
        self.arena_bytes.saturating_add(body_bytes).saturating_add(reserve) <= self.arena_bytes_max
    }

    /// Whether this block would find room, were it the channel's largest.
    pub(super) fn has_room_for_largest(&self, number: BlockNumber) -> bool {
        self.has_room_for(number, self.reserve_bytes)
    }

    /// How many more of the largest bodies have room, the reserve left alone.
    pub(super) fn room_for_largest(&self) -> u64 {
        let free = self.arena_bytes_max.saturating_sub(self.arena_bytes.saturating_add(self.reserve_bytes));
        free / self.reserve_bytes.max(1)
    }

    /// Keeps a fed body until its header is proven, in place of what another source brought for its number;
    /// `false` when there is no room for it.
    pub(super) fn hold_fed(
        &mut self,
        number: BlockNumber,
        source: SourceId,
        header_hash: Digest,
        body: Bytes,
    ) -> bool {
        if self.fed.get(&number).is_some_and(|held| held.source != source) {
            self.take_fed(number);
        }
        if self.fed.contains_key(&number) || !self.has_room_for(number, body.len() as u64) {
            return false;
        }
        self.arena_bytes += body.len() as u64;
        self.fed.insert(number, FedBody { source, header_hash, body });
        true
    }

    pub(super) fn take_fed(&mut self, number: BlockNumber) -> Option<FedBody> {
        let fed = self.fed.remove(&number)?;
        self.arena_bytes -= fed.body.len() as u64;
        Some(fed)
    }

    /// Drops what a source brought for a number, if it waits: it is to come again.
    pub(super) fn drop_fed(&mut self, number: BlockNumber, source: SourceId) {
        if self.fed.get(&number).is_some_and(|held| held.source == source) {
            self.take_fed(number);
        }
    }

    pub(super) fn drop_fed_by(&mut self, source: SourceId) {
        let its = self.fed.iter().filter(|(_, fed)| fed.source == source);
        for number in its.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.take_fed(number);
        }
    }

    /// Drops all that sources brought: nobody knows of which branch it is.
    pub(super) fn drop_fed_all(&mut self) {
        for fed in std::mem::take(&mut self.fed).into_values() {
            self.arena_bytes -= fed.body.len() as u64;
        }
    }

    pub(super) fn forget_member(&mut self, member: MemberId) {
        for slot in self.slots.values_mut() {
            slot.committed_by.remove(&member);
            slot.announced_by.remove(&member);
            slot.pushers.remove(&member);
        }
    }

    /// The config has changed at the tip: what was proven above it proves nothing. Gives the numbers dropped.
    pub(super) fn drop_above_tip(&mut self, body_bytes_max: u64) -> Vec<BlockNumber> {
        self.reserve_bytes = body_bytes_max;
        self.arena_bytes_max = self.arena_bytes_max.max(body_bytes_max.saturating_mul(2));
        let dropped: Vec<BlockNumber> = self.slots.keys().copied().collect();
        for number in &dropped {
            self.set_body(*number, SlotBody::Missing);
            if let Some(slot) = self.slots.remove(number) {
                self.numbers.remove(&slot.header.hash());
            }
        }
        self.linked = self.tip.clone();
        if self.epoch_start.number() > self.tip.number() {
            self.epoch_start = self.tip.clone();
        }
        dropped
    }

    /// The block above the tip is durable: its slot is taken out. `None` when it was not being committed.
    pub(super) fn advance(&mut self) -> Option<(Slot, VerifiedBlock)> {
        let number = self.tip.number().next();
        if !matches!(self.slots.get(&number)?.body, SlotBody::Committing(_)) {
            return None;
        }
        let body = self.set_body(number, SlotBody::Missing)?;
        self.take_fed(number);
        let slot = self.slots.remove(&number)?;
        self.numbers.remove(&slot.header.hash());
        self.tip = slot.header.clone();
        match body {
            SlotBody::Committing(block) => Some((slot, block)),
            _ => None,
        }
    }
}

impl Bodies for Window {
    fn missing_frames(&self, number: BlockNumber) -> Vec<u32> {
        let Some(slot) = self.slots.get(&number) else {
            return Vec::new();
        };
        match &slot.body {
            SlotBody::Missing => {
                (0..u32::try_from(frame_count(slot.body_bytes())).unwrap_or(u32::MAX)).collect()
            }
            SlotBody::Assembling(assembly) => assembly.missing_frames(),
            SlotBody::Verifying { .. } | SlotBody::Verified(_) | SlotBody::Committing(_) => Vec::new(),
        }
    }

    fn has_room(&self, number: BlockNumber, promised_bytes: u64) -> bool {
        // The reserve is the lowest one's, whatever is on its way.
        let promised = if number <= self.lowest_missing() { 0 } else { promised_bytes };
        self.slots.get(&number).is_some_and(|slot| match slot.body {
            SlotBody::Missing => self.has_room_for(number, slot.body_bytes().saturating_add(promised)),
            _ => true,
        })
    }

    fn holding(&self, neighbour: &Neighbour, number: BlockNumber) -> Holding {
        let slot = self.slots.get(&number);
        let is_in = |set: fn(&Slot) -> &BTreeSet<MemberId>| {
            slot.is_some_and(|slot| set(slot).contains(&neighbour.member))
        };
        if is_in(|slot| &slot.committed_by) {
            Holding::Committed
        } else if neighbour.claimed_height.next_block() > number {
            Holding::Claimed
        } else if is_in(|slot| &slot.announced_by) {
            Holding::Announced
        } else {
            Holding::Unknown
        }
    }
}
