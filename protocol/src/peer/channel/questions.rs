//! Header questions that members have not answered: an answer must be one to a question.
//!
//! A question stays here after its time-out, so that a slow honest answer is no offence. Of more than the
//! bound the oldest is forgotten; from then on unknown answers of that member are dropped, not punished. So
//! are they right after the start: a channel that is left and joined again may meet answers of its earlier
//! life on the same sessions.

use crate::time::Monotonic;
use crate::types::{BlockNumber, MemberId};
use crate::wire::WantHeaders;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long answers of an earlier life may still arrive. A guess: longer than a full lane takes to drain.
const EARLIER_LIFE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Questions {
    by_member: BTreeMap<MemberId, Open>,
    per_member: usize,
    strict_from: Monotonic,
}

#[derive(Debug, Default)]
struct Open {
    questions: VecDeque<WantHeaders>,
    has_forgotten: bool,
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// To an open question, within its range.
    Asked,
    /// Perhaps to a forgotten one.
    Forgotten,
    /// To none.
    Unasked,
}

impl Questions {
    pub(super) fn new(per_member: usize) -> Self {
        Self { by_member: BTreeMap::new(), per_member, strict_from: Monotonic::ZERO }
    }

    pub(super) fn start(&mut self, now: Monotonic) {
        self.strict_from = now.saturating_add(EARLIER_LIFE);
    }

    pub(super) fn note(&mut self, member: MemberId, question: WantHeaders) {
        let open = self.by_member.entry(member).or_default();
        if open.questions.len() >= self.per_member {
            open.questions.pop_front();
            open.has_forgotten = true;
        }
        open.questions.push_back(question);
    }

    /// Judges an answer of `count` headers from `first` on, and closes its question.
    pub(super) fn close(
        &mut self,
        now: Monotonic,
        member: MemberId,
        first: BlockNumber,
        count: usize,
    ) -> Answer {
        let unasked = if now < self.strict_from { Answer::Forgotten } else { Answer::Unasked };
        let Some(open) = self.by_member.get_mut(&member) else {
            return unasked;
        };
        // Of several that fit, the smallest: answers may overtake each other, and a long one must find the
        // long question still open.
        let fits = |it: &&(usize, &WantHeaders)| it.1.first == first && count <= it.1.count as usize;
        let fitting = open.questions.iter().enumerate();
        match fitting.filter(|it| fits(&it)).min_by_key(|(_, it)| it.count).map(|(index, _)| index) {
            Some(index) => {
                open.questions.remove(index);
                Answer::Asked
            }
            None if open.has_forgotten => Answer::Forgotten,
            None => unasked,
        }
    }

    /// A neighbour is gone. Its session may live on, with answers on their way.
    pub(super) fn forget(&mut self, member: MemberId) {
        if let Some(mut open) = self.by_member.remove(&member)
            && !open.questions.is_empty()
        {
            open.questions.clear();
            self.by_member.insert(member, Open { has_forgotten: true, ..open });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::digest::Digest;

    fn member() -> MemberId {
        MemberId::from_digest(Digest::of(b"somebody"))
    }

    fn want(first: u64, count: u32) -> WantHeaders {
        WantHeaders { first: BlockNumber::new(first), count }
    }

    #[test]
    fn an_answer_closes_its_question_once() {
        let mut questions = Questions::new(4);
        questions.note(member(), want(5, 10));

        assert_eq!(questions.close(Monotonic::ZERO, member(), BlockNumber::new(6), 1), Answer::Unasked);
        assert_eq!(questions.close(Monotonic::ZERO, member(), BlockNumber::new(5), 11), Answer::Unasked);
        assert_eq!(questions.close(Monotonic::ZERO, member(), BlockNumber::new(5), 7), Answer::Asked);
        assert_eq!(questions.close(Monotonic::ZERO, member(), BlockNumber::new(5), 7), Answer::Unasked);
    }

    #[test]
    fn answers_that_overtake_each_other_close_each_its_own_question() {
        let mut questions = Questions::new(4);
        questions.note(member(), want(9, 256));
        questions.note(member(), want(9, 1));

        assert_eq!(questions.close(Monotonic::ZERO, member(), BlockNumber::new(9), 1), Answer::Asked);
        assert_eq!(questions.close(Monotonic::ZERO, member(), BlockNumber::new(9), 100), Answer::Asked);
    }

    #[test]
    fn answers_to_forgotten_questions_are_no_offence() {
        let mut questions = Questions::new(2);
        (1..=3).for_each(|first| questions.note(member(), want(first, 1)));

        assert_eq!(questions.close(Monotonic::ZERO, member(), BlockNumber::new(1), 1), Answer::Forgotten);
        assert_eq!(questions.close(Monotonic::ZERO, member(), BlockNumber::new(3), 1), Answer::Asked);
    }

    #[test]
    fn answers_right_after_the_start_are_no_offence() {
        let mut questions = Questions::new(2);
        let answer = |questions: &mut Questions, seconds| {
            let now = Monotonic::new(Duration::from_secs(seconds));
            questions.close(now, member(), BlockNumber::new(1), 1)
        };

        questions.start(Monotonic::new(Duration::from_secs(100)));

        assert_eq!(answer(&mut questions, 109), Answer::Forgotten);
        assert_eq!(answer(&mut questions, 110), Answer::Unasked);
    }
}
