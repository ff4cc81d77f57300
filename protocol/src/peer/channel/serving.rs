//! What this peer keeps to answer questions: newest bodies, reads under way, and the budget of answers.
//!
//! A small question has a large answer: so all members together get `answer_bytes_per_second`, in eighths of
//! a second, that many askers cannot fill the link which pushes need. Beyond it nobody is refused who has had
//! less than an equal part, and everybody gets one answer a second of any size.

use super::Settings;
use crate::ledger::{VerifiedBlock, VerifiedHeader};
use crate::time::Monotonic;
use crate::types::{BlockNumber, MemberId};
use crate::wire::{Tip, WantBody};
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Serving {
    recent: BTreeMap<BlockNumber, (Digest, Bytes)>,
    recent_hashes: BTreeSet<Digest>,
    recent_bytes: usize,
    body_reads: BTreeMap<BlockNumber, Vec<(MemberId, WantBody)>>,
    recent_headers: VecDeque<VerifiedHeader>,
    header_reads: BTreeSet<(MemberId, BlockNumber)>,
    budgets: BTreeMap<MemberId, Budget>,
    /// When the running eighth of a second began, and what it has used up.
    window_since: Monotonic,
    window_bytes: u64,
    recent_bytes_max: usize,
    recent_bodies_max: usize,
    recent_headers_max: usize,
    header_reads_max: usize,
    reads_max: usize,
    waiters_max: usize,
    bytes_per_second: u64,
}

/// Parts of a second in which the budget of answers is counted.
const WINDOWS_PER_SECOND: u32 = 8;

/// What a member was answered.
#[derive(Debug, Default)]
struct Budget {
    /// In the running window.
    bytes: u64,
    /// From when on it gets an answer whatever others have had.
    grace_from: Monotonic,
}

/// What becomes of a question for a durable body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyAnswer {
    /// The body is at hand.
    Here(Bytes),
    /// The store is to be asked.
    Read,
    /// The store is being asked already.
    Waiting,
    /// There are too many questions.
    Full,
    /// The block at this number is another.
    Other,
}

impl Serving {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            recent: BTreeMap::new(),
            recent_hashes: BTreeSet::new(),
            recent_bytes: 0,
            body_reads: BTreeMap::new(),
            recent_headers: VecDeque::new(),
            header_reads: BTreeSet::new(),
            budgets: BTreeMap::new(),
            window_since: Monotonic::ZERO,
            window_bytes: 0,
            recent_bytes_max: settings.recent_bytes_max,
            recent_bodies_max: settings.recent_bodies_max,
            recent_headers_max: settings.recent_headers_max,
            header_reads_max: settings.header_reads_per_member,
            reads_max: settings.reads_in_flight_max,
            waiters_max: settings.read_waiters_max,
            bytes_per_second: settings.answer_bytes_per_second,
        }
    }

    /// Keeps a block that has just become durable, in place of the oldest kept.
    pub(super) fn keep(&mut self, block: &VerifiedBlock) {
        self.recent_headers.push_back(block.header().clone());
        if self.recent_headers.len() > self.recent_headers_max {
            self.recent_headers.pop_front();
        }
        let body = block.body().bytes().clone();
        if body.len() > self.recent_bytes_max {
            return;
        }
        let hash = block.header().hash();
        if let Some(replaced) = self.recent.remove(&block.number()) {
            self.drop_body(&replaced);
        }
        self.recent_bytes += body.len();
        self.recent_hashes.insert(hash);
        self.recent.insert(block.number(), (hash, body));
        while (self.recent_bytes > self.recent_bytes_max || self.recent.len() > self.recent_bodies_max)
            && let Some((_, oldest)) = self.recent.pop_first()
        {
            self.drop_body(&oldest);
        }
    }

    fn drop_body(&mut self, (hash, body): &(Digest, Bytes)) {
        self.recent_bytes -= body.len();
        self.recent_hashes.remove(hash);
    }

    /// Whether this header belongs to one of the newest durable blocks.
    pub(super) fn is_recent(&self, header_hash: Digest) -> bool {
        self.recent_hashes.contains(&header_hash)
    }

    /// Finds a durable body, or notes who waits for it.
    pub(super) fn find_body(&mut self, asker: MemberId, want: WantBody) -> BodyAnswer {
        let Tip { number, header_hash } = want.tip;
        if let Some((hash, body)) = self.recent.get(&number) {
            return if *hash == header_hash { BodyAnswer::Here(body.clone()) } else { BodyAnswer::Other };
        }
        if let Some(waiters) = self.body_reads.get_mut(&number) {
            if waiters.len() >= self.waiters_max {
                return BodyAnswer::Full;
            }
            waiters.push((asker, want));
            return BodyAnswer::Waiting;
        }
        if self.body_reads.len() >= self.reads_max {
            return BodyAnswer::Full;
        }
        self.body_reads.insert(number, vec![(asker, want)]);
        BodyAnswer::Read
    }

    pub(super) fn take_waiters(&mut self, number: BlockNumber) -> Vec<(MemberId, WantBody)> {
        self.body_reads.remove(&number).unwrap_or_default()
    }

    /// The newest durable headers from `first` on; none when older ones are asked for.
    pub(super) fn recent_headers(&self, first: BlockNumber) -> impl Iterator<Item = &VerifiedHeader> {
        let oldest = self.recent_headers.front().map(VerifiedHeader::number);
        let skipped = oldest.filter(|oldest| *oldest <= first).map(|oldest| first.saturating_since(oldest));
        let skipped = skipped.and_then(|skipped| usize::try_from(skipped).ok()).unwrap_or(usize::MAX);
        self.recent_headers.iter().skip(skipped)
    }

    /// Notes that headers are read for a member; `false` when too many questions wait, or this one does
    /// already.
    pub(super) fn begin_header_read(&mut self, asker: MemberId, first: BlockNumber) -> bool {
        let of_asker = (asker, BlockNumber::GENESIS)..=(asker, BlockNumber::new(u64::MAX));
        let waiting = self.header_reads.range(of_asker).count();
        waiting < self.header_reads_max && self.header_reads.insert((asker, first))
    }

    pub(super) fn end_header_read(&mut self, asker: MemberId, first: BlockNumber) -> bool {
        self.header_reads.remove(&(asker, first))
    }

    /// Whether this much more may go to a member now; counts it.
    pub(super) fn spend(&mut self, now: Monotonic, member: MemberId, bytes: u64) -> bool {
        if now.saturating_since(self.window_since) >= Duration::from_secs(1) / WINDOWS_PER_SECOND {
            (self.window_since, self.window_bytes) = (now, 0);
            self.budgets.values_mut().for_each(|budget| budget.bytes = 0);
        }
        let window = self.bytes_per_second / u64::from(WINDOWS_PER_SECOND);
        let others = self.budgets.iter().filter(|(other, it)| **other != member && it.bytes > 0).count();
        let equal_part = window / (others as u64 + 1);
        let budget = self.budgets.entry(member).or_default();
        let is_in_budget = self.window_bytes.saturating_add(bytes) <= window
            || budget.bytes.saturating_add(bytes) <= equal_part;
        // Else large bodies could never be had.
        let is_allowed = is_in_budget || now >= budget.grace_from;
        if is_allowed {
            budget.bytes = budget.bytes.saturating_add(bytes);
            self.window_bytes = self.window_bytes.saturating_add(bytes);
        }
        if is_allowed && !is_in_budget {
            budget.grace_from = now.saturating_add(Duration::from_secs(1));
        }
        is_allowed
    }

    pub(super) fn forget(&mut self, member: MemberId) {
        self.budgets.remove(&member);
        self.header_reads.retain(|(asker, _)| *asker != member);
        for waiters in self.body_reads.values_mut() {
            waiters.retain(|(asker, _)| *asker != member);
        }
    }
}
