//! What this peer keeps to answer questions: newest bodies, reads under way, and each member's budget.

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
    recent_bytes_max: usize,
    recent_bodies_max: usize,
    recent_headers_max: usize,
    header_reads_max: usize,
    reads_max: usize,
    waiters_max: usize,
    bytes_per_second: u64,
}

#[derive(Debug)]
struct Budget {
    since: Monotonic,
    bytes: u64,
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

    /// Whether this much more may go to a member in this second; counts it.
    pub(super) fn spend(&mut self, now: Monotonic, member: MemberId, bytes: u64) -> bool {
        let budget = self.budgets.entry(member).or_insert(Budget { since: now, bytes: 0 });
        if now.saturating_since(budget.since) >= Duration::from_secs(1) {
            *budget = Budget { since: now, bytes: 0 };
        }
        let spent = budget.bytes.saturating_add(bytes);
        // One answer of any size per second is always allowed, else large bodies could never be had.
        let is_allowed = budget.bytes == 0 || spent <= self.bytes_per_second;
        if is_allowed {
            budget.bytes = spent;
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
