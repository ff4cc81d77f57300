//! Facts about range sync.

use super::*;
use crate::store::suite::VALIDITY;
use crate::time::WallTime;
use crate::types::{Height, OrgId};
use ledgercast_crypto::issue::Authority;
use ledgercast_crypto::{Digest, SecretKey};

struct Bench {
    state: State,
    neighbours: Vec<Neighbour>,
    millis: u64,
    first_missing: u64,
    next_proven: Option<u64>,
    window_end: u64,
}

fn member(index: usize) -> MemberId {
    MemberId::from_digest(Digest::of(&index.to_be_bytes()))
}

impl Bench {
    /// Neighbours that claim these heights.
    fn new(heights: &[u64]) -> Self {
        let authority = Authority::reproducible(SecretKey::from_seed([7; 32]), "any", VALIDITY).unwrap();
        let org = OrgId::of("org", [authority.certificate()]);
        let neighbours = heights.iter().enumerate().map(|(index, height)| Neighbour {
            member: member(index),
            org,
            claimed_height: Height::new(*height),
            first_block: BlockNumber::GENESIS,
        });
        Self {
            state: State::new(Config::default(), [3; 32]),
            neighbours: neighbours.collect(),
            millis: 0,
            first_missing: 1,
            next_proven: None,
            window_end: 1024,
        }
    }

    fn handle(&mut self, input: Input) -> Vec<(MemberId, u64, u32)> {
        let monotonic = Monotonic::new(Duration::from_millis(self.millis));
        let now = Now { monotonic, wall: WallTime::from_millis(0) };
        let context = Context {
            neighbours: &self.neighbours,
            first_missing: BlockNumber::new(self.first_missing),
            next_proven: self.next_proven.map(BlockNumber::new),
            window_end: BlockNumber::new(self.window_end),
        };
        self.state.handle(now, input, &context);
        let questions = self.state.take_questions();
        questions.into_iter().map(|(member, want)| (member, want.first.as_u64(), want.count)).collect()
    }

    /// A member's answer comes and is judged: it leaves this number missing.
    fn answer(&mut self, by: MemberId, through: u64, first_missing: u64) -> Vec<(MemberId, u64, u32)> {
        assert_eq!(self.handle(Input::Answered { by, through: BlockNumber::new(through) }), []);
        self.first_missing = first_missing;
        self.handle(Input::Proven(by))
    }

    /// Waits until the state wants to look again, and lets it.
    fn wait(&mut self) -> Vec<(MemberId, u64, u32)> {
        let due = self.state.next_due().expect("something is awaited").since_start();
        self.millis = u64::try_from(due.as_millis()).unwrap();
        self.handle(Input::Check)
    }
}

#[test]
fn who_is_level_asks_nothing_and_waits_for_nothing() {
    let mut bench = Bench::new(&[1, 1, 0]);

    assert_eq!(bench.handle(Input::Check), []);
    assert_eq!(bench.state.next_due(), None);
}

#[test]
fn far_behind_is_asked_at_once_in_bounded_segments_upward() {
    let mut bench = Bench::new(&[601]);
    assert_eq!(bench.handle(Input::Check), [(member(0), 1, 256)]);

    for (next, count) in [(257, 256), (513, 88)] {
        assert_eq!(bench.answer(member(0), next - 1, next), [(member(0), next, count)]);
    }
    assert_eq!(bench.answer(member(0), 600, 601), []);
    assert_eq!(bench.state.next_due(), None);
}

#[test]
fn the_window_bounds_what_is_asked() {
    let mut bench = Bench::new(&[u64::MAX]);
    bench.window_end = 100;

    assert_eq!(bench.handle(Input::Check), [(member(0), 1, 100)]);

    assert_eq!(bench.answer(member(0), 100, 101), [], "the window is full");
}

#[test]
fn a_little_behind_waits_for_announcements_first() {
    let mut bench = Bench::new(&[4]);
    assert_eq!(bench.handle(Input::Check), []);
    bench.millis = 999;
    assert_eq!(bench.handle(Input::Check), []);

    assert_eq!(bench.wait(), [(member(0), 1, 3)]);
    assert_eq!(bench.millis, 1000);
}

#[test]
fn patience_begins_anew_whenever_headers_come_by_themselves() {
    let mut bench = Bench::new(&[10]);
    bench.handle(Input::Check);
    for first in 2..6 {
        bench.millis += 900;
        bench.first_missing = first;
        assert_eq!(bench.handle(Input::Check), []);
    }
}

#[test]
fn a_gap_below_a_proven_header_is_asked_even_of_who_claims_nothing() {
    let mut bench = Bench::new(&[0]);
    bench.next_proven = Some(6);
    bench.handle(Input::Check);

    assert_eq!(bench.wait(), [(member(0), 1, 5)]);
}

#[test]
fn a_mentioned_block_counts_as_a_claim_of_a_neighbour_only() {
    let mut bench = Bench::new(&[0]);
    let claim = |by| Input::Claimed { by, number: BlockNumber::new(50) };

    assert_eq!(bench.handle(claim(member(77))), []);
    assert_eq!(bench.handle(claim(member(0))), [(member(0), 1, 50)]);
}

/// A8, A10
#[test]
fn a_silent_claimant_is_left_for_another_and_then_alone_for_ever_longer() {
    let mut bench = Bench::new(&[1000, 0]);
    assert_eq!(bench.handle(Input::Check), [(member(0), 1, 256)]);
    bench.neighbours[1].claimed_height = Height::new(300);

    assert_eq!(bench.wait(), [(member(1), 1, 256)]);
    assert_eq!(bench.millis, 2000);

    bench.neighbours[1].claimed_height = Height::ZERO;
    bench.handle(Input::NeighbourGone(member(1)));
    let mut gaps = Vec::new();
    for _ in 0..4 {
        let asked_at = bench.millis;
        while bench.wait().is_empty() {}
        gaps.push(bench.millis - asked_at);
    }
    assert!(gaps.is_sorted() && gaps[3] >= 10_000, "{gaps:?}");
}

#[test]
fn who_lacks_what_it_claims_is_replaced_at_once() {
    let mut bench = Bench::new(&[1000, 1000]);
    let first = bench.handle(Input::Check)[0].0;

    let next = bench.handle(Input::Failed(first));

    assert_eq!(next.len(), 1);
    assert_ne!(next[0].0, first);
}

#[test]
fn who_has_pruned_the_blocks_is_not_asked() {
    let mut bench = Bench::new(&[1000, 1000]);
    bench.neighbours[0].first_block = BlockNumber::new(500);

    for _ in 0..5 {
        let asked = bench.handle(Input::Check);
        assert!(asked.iter().all(|(who, ..)| *who == member(1)), "{asked:?}");
        bench.answer(member(1), bench.first_missing + 9, bench.first_missing + 10);
    }
}

#[test]
fn an_answer_under_verification_is_not_asked_again() {
    let mut bench = Bench::new(&[1000]);
    bench.handle(Input::Check);
    bench.millis = 1900;
    bench.handle(Input::Answered { by: member(0), through: BlockNumber::new(256) });

    bench.millis = 3800;

    assert_eq!(bench.handle(Input::Check), []);
}

#[test]
fn answers_of_others_change_nothing() {
    let mut bench = Bench::new(&[1000, 0]);
    bench.handle(Input::Check);

    let answered = Input::Answered { by: member(1), through: BlockNumber::new(256) };
    for input in [answered, Input::Proven(member(1)), Input::Failed(member(1))] {
        assert_eq!(bench.handle(input), []);
    }

    assert!(bench.state.is_asked(member(0), BlockNumber::new(1)));
}

#[test]
fn an_answer_that_waits_for_its_config_is_asked_for_again_after_a_time_and_of_others_first() {
    let mut bench = Bench::new(&[601, 601, 601]);
    let [(first, ..)] = bench.handle(Input::Check)[..] else { panic!("one question") };

    assert_eq!(bench.answer(first, 256, 100), [], "it is given time");
    bench.millis = 1_999;
    assert_eq!(bench.handle(Input::Check), []);
    let asked = bench.wait();
    let [(second, 100, 1)] = asked[..] else { panic!("the first missing one alone: {asked:?}") };

    assert_eq!(bench.millis, 2_000);
    assert_ne!(second, first);
    let asked = bench.answer(second, 100, 101);
    let [(third, 101, 256)] = asked[..] else { panic!("it goes on: {asked:?}") };
    assert_ne!(third, first);
}

#[test]
fn an_answer_that_comes_true_while_it_is_given_time_is_not_asked_for_again() {
    let mut bench = Bench::new(&[601]);
    bench.handle(Input::Check);
    assert_eq!(bench.answer(member(0), 256, 100), []);

    bench.first_missing = 257;

    assert_eq!(bench.handle(Input::Check), [(member(0), 257, 256)]);
}

/// A10
#[test]
fn who_trickles_headers_and_does_not_answer_is_found_silent() {
    let mut bench = Bench::new(&[601, 601]);
    let [(first, ..)] = bench.handle(Input::Check)[..] else { panic!("one question") };

    bench.millis = 1_900;
    bench.first_missing = 2;
    assert_eq!(bench.handle(Input::Proven(first)), []);
    let [(second, 2, 256)] = bench.wait()[..] else { panic!("one question") };

    assert_eq!(bench.millis, 2_000);
    assert_ne!(second, first);
    assert_eq!(bench.state.failures[&first].count, 1);
}

/// A10
#[test]
fn who_answers_with_less_than_it_could_is_asked_last() {
    let mut bench = Bench::new(&[601, 601]);
    let [(first, ..)] = bench.handle(Input::Check)[..] else { panic!("one question") };

    let [(second, 2, 256)] = bench.answer(first, 1, 2)[..] else { panic!("it goes on") };
    let [(third, 258, 256)] = bench.answer(second, 257, 258)[..] else { panic!("it goes on") };

    assert!(second != first && third == second);
    assert_eq!(bench.state.failures.keys().collect::<Vec<_>>(), [&first]);
}

#[test]
fn an_answer_up_to_its_givers_height_is_whole() {
    let mut bench = Bench::new(&[20, 601]);
    bench.neighbours[1].first_block = BlockNumber::new(20);
    assert_eq!(bench.handle(Input::Check), [(member(0), 1, 256)]);

    assert_eq!(bench.answer(member(0), 19, 20), [(member(1), 20, 256)]);

    assert!(bench.state.failures.is_empty());
}

#[test]
fn an_answer_that_brings_nothing_is_no_reason_to_ask_again_at_once() {
    let mut bench = Bench::new(&[601]);
    bench.handle(Input::Check);

    assert_eq!(bench.answer(member(0), 256, 1), []);
    assert_eq!(bench.wait(), [(member(0), 1, 1)]);
    assert_eq!(bench.millis, 2_000);
}

#[test]
fn nothing_is_left_of_a_neighbour_that_is_gone_while_its_answer_is_given_time() {
    let mut bench = Bench::new(&[601, 601]);
    let [(first, ..)] = bench.handle(Input::Check)[..] else { panic!("one question") };
    bench.answer(first, 256, 1);

    bench.neighbours.retain(|it| it.member != first);
    let [(second, ..)] = bench.handle(Input::NeighbourGone(first))[..] else { panic!("one question") };

    assert_ne!(second, first);
    assert!(bench.state.failures.is_empty());
}

#[test]
fn answers_that_waited_for_a_config_make_no_later_lapse_worse() {
    let mut bench = Bench::new(&[601]);
    bench.handle(Input::Check);
    for _ in 0..10 {
        assert_eq!(bench.answer(member(0), 256, 1), []);
        assert_eq!(bench.wait(), [(member(0), 1, 1)]);
    }

    assert_eq!(bench.wait(), [], "the question lapses");
    let lapsed_at = bench.millis;

    assert_eq!(bench.wait(), [(member(0), 1, 1)]);
    assert_eq!(bench.millis - lapsed_at, 2_000);
}
