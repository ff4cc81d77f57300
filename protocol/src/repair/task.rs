//! One body that is wanted: whom it was asked from, and how its missing frames are cut into questions.

use crate::time::Monotonic;
use crate::types::MemberId;
use crate::wire::{BODY_FRAME_BYTES, Tip};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

/// Questions of one round at most. Four (design baseline): what comes twice is wasted.
const QUESTIONS_MAX: usize = 4;

#[derive(Debug)]
pub(super) struct Task {
    pub(super) tip: Tip,
    pub(super) body_bytes: u64,
    /// When the current attempt began; its end is bounded by the whole body at the minimum rate.
    pub(super) started: Monotonic,
    pub(super) due: Monotonic,
    /// A push is to be expected.
    pub(super) is_live: bool,
    /// How much longer its push may take because of the bodies ahead of it, as long as pushes come.
    pub(super) burst_wait: Duration,
    /// Rounds that ended with questions to which nothing came: whoever says `Lacking` lets none lapse.
    pub(super) rounds_lapsed: u32,
    /// Rounds in a row in which nobody was left to ask.
    pub(super) empty_rounds: u32,
    /// Take all frames from one member.
    pub(super) is_exclusive: bool,
    /// Open questions: the run of frames asked.
    pub(super) open: BTreeMap<MemberId, Range<u32>>,
    /// Members not to be asked again in this round.
    pub(super) asked: BTreeSet<MemberId>,
    /// Members that were asked at any time: late answers are welcome.
    pub(super) asked_ever: BTreeSet<MemberId>,
    pub(super) questions: u32,
}

impl Task {
    pub(super) fn new(tip: Tip, body_bytes: u64, now: Monotonic, due: Monotonic) -> Self {
        Self {
            tip,
            body_bytes,
            started: now,
            due,
            is_live: false,
            burst_wait: Duration::ZERO,
            rounds_lapsed: 0,
            empty_rounds: 0,
            is_exclusive: false,
            open: BTreeMap::new(),
            asked: BTreeSet::new(),
            asked_ever: BTreeSet::new(),
            questions: 0,
        }
    }

    /// Whether somebody owes an answer.
    pub(super) fn is_in_flight(&self) -> bool {
        !self.open.is_empty()
    }

    /// Of how many frames the body consists.
    pub(super) fn frame_count(&self) -> u64 {
        self.body_bytes.div_ceil(BODY_FRAME_BYTES as u64)
    }

    /// The runs to ask for: one for a single frame or a sole holder, else two halves; twice as many questions
    /// after each round that lapsed, up to four, because most of the likely holders may be silent.
    pub(super) fn ranges(&self, missing: &[u32]) -> Vec<Range<u32>> {
        let (Some(first), Some(last)) = (missing.first(), missing.last()) else {
            return Vec::new();
        };
        if self.is_exclusive {
            return std::iter::once(0..u32::try_from(self.frame_count()).unwrap_or(u32::MAX)).collect();
        }
        let whole = *first..last.saturating_add(1);
        let once = match missing.split_at(missing.len().div_ceil(2)) {
            ([.., end], [start, ..]) => vec![*first..end + 1, *start..whole.end],
            _ => vec![whole],
        };
        let questions = (once.len() << self.rounds_lapsed.min(2)).min(QUESTIONS_MAX);
        once.iter().cycle().take(questions).cloned().collect()
    }

    /// Notes a question; a member that has one open already is asked for both runs and what lies between.
    pub(super) fn note_question(&mut self, member: MemberId, range: Range<u32>) -> Range<u32> {
        let open = self.open.entry(member).or_insert_with(|| range.clone());
        *open = open.start.min(range.start)..open.end.max(range.end);
        self.asked.insert(member);
        self.asked_ever.insert(member);
        self.questions = self.questions.saturating_add(1);
        range
    }
}
