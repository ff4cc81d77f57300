//! Facts about repair.

use super::*;
use crate::output::Action;
use crate::store::suite::VALIDITY;
use crate::time::WallTime;
use crate::types::Height;
use crate::wire::{BODY_FRAME_BYTES, Message};
use ledgercast_crypto::issue::Authority;
use ledgercast_crypto::{Digest, SecretKey};

#[derive(Default)]
struct Known {
    missing: BTreeMap<BlockNumber, Vec<u32>>,
    holding: BTreeMap<MemberId, Holding>,
    full: BTreeSet<BlockNumber>,
    /// Bytes that may be on their way; `None`: any number.
    room: Option<u64>,
}

impl Bodies for Known {
    fn missing_frames(&self, number: BlockNumber) -> Vec<u32> {
        self.missing.get(&number).cloned().unwrap_or_default()
    }

    fn has_room(&self, number: BlockNumber, promised_bytes: u64) -> bool {
        !self.full.contains(&number) && self.room.is_none_or(|room| promised_bytes < room)
    }

    fn holding(&self, neighbour: &Neighbour, _: BlockNumber) -> Holding {
        self.holding.get(&neighbour.member).copied().unwrap_or(Holding::Unknown)
    }
}

struct Bench {
    state: State,
    neighbours: Vec<Neighbour>,
    orgs: [OrgId; 2],
    known: Known,
    out: Outbox,
    millis: u64,
}

/// A question: to whom, of which block, which frames.
type Asked = (MemberId, u64, Range<u32>);

fn member(index: usize) -> MemberId {
    MemberId::from_digest(Digest::of(&index.to_be_bytes()))
}

fn number(index: u64) -> BlockNumber {
    BlockNumber::new(index)
}

impl Bench {
    /// Holders that have committed everything, the first half of them of my org.
    fn new(holders: usize) -> Self {
        let authority = Authority::reproducible(SecretKey::from_seed([7; 32]), "any", VALIDITY).unwrap();
        let orgs = ["mine", "other"].map(|name| OrgId::of(name, [authority.certificate()]));
        let neighbours = (0..holders).map(|index| Neighbour {
            member: member(index),
            org: orgs[usize::from(index >= holders.div_ceil(2))],
            claimed_height: Height::ZERO,
            first_block: BlockNumber::GENESIS,
            offences: 0,
        });
        let mut bench = Self {
            state: State::new(Config::default(), [3; 32]),
            neighbours: neighbours.collect(),
            orgs,
            known: Known::default(),
            out: Outbox::default(),
            millis: 0,
        };
        (0..holders).for_each(|index| bench.holds(index, Holding::Committed));
        bench
    }

    fn holds(&mut self, index: usize, holding: Holding) {
        self.known.holding.insert(member(index), holding);
    }

    fn handle(&mut self, input: Input) -> Vec<Asked> {
        let monotonic = Monotonic::new(Duration::from_millis(self.millis));
        let now = Now { monotonic, wall: WallTime::from_millis(0) };
        let context = Context {
            channel: ChannelId::from_bytes([1; 32]),
            org: self.orgs[0],
            neighbours: &self.neighbours,
            bodies: &self.known,
        };
        self.state.handle(now, input, &context, &mut self.out);
        let sent = self.out.drain().map(|action| match action {
            Action::Send { to, message: Message::Channel(_, ChannelMessage::WantBody(want)), .. } => {
                let end = want.first_frame + want.frame_count;
                (to, want.tip.number.as_u64(), want.first_frame..end)
            }
            other => panic!("repair wants {other:?}"),
        });
        sent.collect()
    }

    fn want(&mut self, index: u64, frames: u32, is_history: bool) -> Vec<Asked> {
        self.known.missing.insert(number(index), (0..frames).collect());
        let tip = Tip { number: number(index), header_hash: Digest::of(&index.to_be_bytes()) };
        let body_bytes = u64::from(frames) * BODY_FRAME_BYTES as u64;
        self.handle(Input::Wanted { tip, body_bytes, is_history })
    }

    fn came(&mut self, index: u64, frame: u32, from: usize) -> Vec<Asked> {
        self.known.missing.entry(number(index)).or_default().retain(|missing| *missing != frame);
        self.handle(Input::Progress { number: number(index), from: member(from) })
    }

    fn wait(&mut self) -> Vec<Asked> {
        let due = self.state.next_due().expect("something is awaited").since_start();
        self.millis = u64::try_from(due.as_millis()).unwrap();
        self.handle(Input::TimerDue)
    }
}

fn whom(asked: &[Asked]) -> Vec<MemberId> {
    asked.iter().map(|(who, ..)| *who).collect()
}

#[test]
fn a_live_body_is_left_to_the_push_for_a_second_and_its_bytes_at_the_minimum_rate() {
    let mut bench = Bench::new(2);

    assert_eq!(bench.want(1, 4, false), []);

    assert_eq!(bench.wait().len(), 2);
    assert_eq!(bench.millis, 1000 + 4 * 256 * 1024 / 1000);
}

#[test]
fn in_a_burst_a_body_waits_for_those_ahead_of_it_while_pushes_come() {
    let mut bench = Bench::new(2);
    (1..=20).for_each(|block| assert_eq!(bench.want(block, 1, false), []));

    for block in 1..20 {
        bench.millis += 200;
        assert_eq!(bench.came(block, 0, 0), [], "at {} ms", bench.millis);
        assert_eq!(bench.handle(Input::Complete(number(block))), []);
        assert_eq!(bench.handle(Input::TimerDue), [], "at {} ms", bench.millis);
    }

    // Nothing comes any more: the last one is due a frame's time later.
    let asked = std::iter::repeat_with(|| bench.wait()).find(|asked| !asked.is_empty()).unwrap();
    assert_eq!(asked.iter().map(|(_, block, _)| *block).collect::<Vec<_>>(), [20]);
    assert_eq!(bench.millis, 19 * 200 + 1000);
}

#[test]
fn a_withheld_body_is_asked_for_in_time_though_later_ones_come() {
    let mut bench = Bench::new(2);
    bench.want(1, 1, false);

    let mut asked = Vec::new();
    for block in 2..20 {
        bench.millis += 100;
        asked.extend(bench.want(block, 1, false));
        asked.extend(bench.came(block, 0, 0));
        asked.extend(bench.handle(Input::Complete(number(block))));
        if !asked.is_empty() {
            break;
        }
    }

    assert_eq!(asked.iter().map(|(_, block, _)| *block).collect::<Vec<_>>(), [1]);
    assert_eq!(bench.millis, 1300, "a second, and its own bytes");
}

#[test]
fn a_burst_that_never_ends_is_waited_for_up_to_a_cap() {
    let mut bench = Bench::new(2);
    (1..=15).for_each(|block| assert_eq!(bench.want(block, 8, false), []));

    // One block of the burst comes frame by frame; the others do not.
    bench.known.missing.insert(number(15), (0..1000).collect());
    let mut asked = Vec::new();
    for frame in 0..1000 {
        bench.millis += 100;
        asked.extend(bench.came(15, frame, 0));
        if asked.iter().any(|(_, block, _)| *block == 14) {
            break;
        }
    }

    let cap = u64::try_from(bench.state.config.burst_wait_max.as_millis()).unwrap();
    let alone = 1000 + 8 * 256 * 1024 / 1000;
    assert!((alone + cap..alone + cap + 100).contains(&bench.millis), "asked at {} ms", bench.millis);
}

#[test]
fn a_live_body_that_my_org_lacks_waits_anew_for_its_first_leader() {
    let mut bench = Bench::new(2);
    bench.holds(0, Holding::Announced);
    bench.want(1, 4, false);
    let due = |bench: &Bench| bench.state.next_due().expect("awaited").since_start().as_millis() as u64;
    let alone = due(&bench);

    bench.millis = alone - 1;
    bench.handle(Input::FirstLeader);

    assert_eq!(due(&bench), alone - 1 + alone);
    assert!(!bench.wait().is_empty(), "no leader brought it");
}

#[test]
fn what_somebody_of_my_org_has_does_not_wait_for_its_first_leader() {
    let mut bench = Bench::new(2);
    bench.want(1, 4, false);
    let before = bench.state.next_due();

    bench.millis = 500;
    bench.handle(Input::FirstLeader);

    assert_eq!(bench.state.next_due(), before);
}

#[test]
fn after_questions_that_all_declined_a_body_waits_for_the_push_of_the_first_leader() {
    let mut bench = Bench::new(2);
    bench.holds(0, Holding::Announced);
    bench.want(1, 1, false);
    let asked = bench.wait();
    assert_eq!(asked.len(), 1);
    for (from, ..) in asked {
        let next = bench.handle(Input::Lacking { from, number: number(1) });
        next.iter().for_each(|(from, ..)| {
            assert!(bench.handle(Input::Lacking { from: *from, number: number(1) }).is_empty());
        });
    }

    bench.handle(Input::FirstLeader);
    let leads_since = bench.millis;
    let asked = bench.handle(Input::Held { number: number(1), by: member(0) });

    assert_eq!(asked, [], "the leader says that it has it, and its push is on its way");
    assert!(!bench.wait().is_empty(), "it did not come");
    assert!(bench.millis > leads_since + 1_000, "{} ms", bench.millis - leads_since);
}

#[test]
fn while_the_first_leader_is_awaited_what_my_org_lacks_is_not_asked_for() {
    let mut bench = Bench::new(2);
    bench.holds(0, Holding::Announced);
    bench.handle(Input::AwaitLeader { until: Monotonic::new(Duration::from_secs(3)) });
    bench.want(1, 1, false);
    let due = |bench: &Bench| bench.state.next_due().expect("awaited").since_start().as_millis();

    bench.millis = 2_000;
    assert_eq!(bench.handle(Input::TimerDue), []);
    assert_eq!(due(&bench), 3_000, "no leader until then");
    bench.millis = 3_000;
    assert_eq!(bench.handle(Input::TimerDue).len(), 1, "nobody leads");
}

#[test]
fn while_the_first_leader_is_awaited_what_somebody_of_my_org_has_is_asked_for_all_the_same() {
    let mut bench = Bench::new(2);
    bench.handle(Input::AwaitLeader { until: Monotonic::new(Duration::from_secs(9)) });
    bench.want(1, 1, false);

    assert_eq!(bench.wait().len(), 1);
    assert!(bench.millis < 9_000, "{}", bench.millis);
}

#[test]
fn what_is_left_to_the_first_leader_is_asked_for_once_somebody_of_my_org_says_to_have_it() {
    let awaiting = || {
        let mut bench = Bench::new(2);
        bench.holds(0, Holding::Announced);
        bench.handle(Input::AwaitLeader { until: Monotonic::new(Duration::from_secs(9)) });
        bench.want(1, 1, false);
        bench.millis = 3_000;
        assert_eq!(bench.handle(Input::TimerDue), []);
        bench
    };
    let mut said = awaiting();
    said.holds(0, Holding::Committed);
    let asked = said.handle(Input::Held { number: number(1), by: member(0) });
    assert_eq!(asked.len(), 1, "at once: its time is over");

    let mut known = awaiting();
    known.holds(0, Holding::Claimed);
    assert_eq!(known.handle(Input::FirstLeader).len(), 1, "the leader has nothing to pull");
}

#[test]
fn a_push_that_broke_off_is_not_left_to_the_first_leader() {
    let mut bench = Bench::new(2);
    bench.holds(0, Holding::Announced);
    bench.handle(Input::AwaitLeader { until: Monotonic::new(Duration::from_secs(9)) });
    bench.want(1, 2, false);
    bench.came(1, 0, 1);

    assert!(!bench.wait().is_empty());
    assert!(bench.millis < 3_000, "{}", bench.millis);
}

#[test]
fn history_is_asked_for_at_once() {
    let mut bench = Bench::new(2);

    assert_eq!(bench.want(1, 1, true).len(), 1);
}

#[test]
fn two_halves_go_to_two_holders_of_different_orgs() {
    let mut bench = Bench::new(6);

    let asked = bench.want(1, 5, true);

    let ranges: Vec<Range<u32>> = asked.iter().map(|(.., range)| range.clone()).collect();
    assert_eq!(ranges, [0..3, 3..5]);
    let org = |who: MemberId| bench.neighbours.iter().find(|it| it.member == who).unwrap().org;
    assert_eq!([org(asked[0].0), org(asked[1].0)], bench.orgs);
}

#[test]
fn a_single_frame_goes_to_one_holder_and_at_the_next_attempt_to_two_others() {
    let mut bench = Bench::new(6);
    let first = whom(&bench.want(1, 1, true));

    let second = whom(&bench.wait());

    assert_eq!((first.len(), second.len()), (1, 2));
    assert!(!second.contains(&first[0]));
    assert_eq!(bench.millis, 1000);
}

#[test]
fn the_second_attempt_at_several_frames_asks_four() {
    let mut bench = Bench::new(8);
    bench.want(1, 4, true);

    let asked = bench.wait();

    let mut ranges: Vec<Range<u32>> = asked.iter().map(|(.., range)| range.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    assert_eq!(ranges, [0..2, 0..2, 2..4, 2..4]);
    assert_eq!(whom(&asked).into_iter().collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn surer_holders_are_asked_first() {
    let order = [Holding::Committed, Holding::Claimed, Holding::Announced];
    let mut bench = Bench::new(4);
    order.iter().enumerate().for_each(|(index, holding)| bench.holds(index, *holding));
    bench.holds(3, Holding::Unknown);
    assert_eq!(whom(&bench.want(1, 1, true)), [member(0)]);

    let tip = |bench: &mut Bench, from| {
        let asked = bench.handle(Input::Lacking { from: member(from), number: number(1) });
        whom(&asked)
    };

    assert_eq!(tip(&mut bench, 0), [member(1)]);
    assert_eq!(tip(&mut bench, 1), [member(2)]);
    assert_eq!(tip(&mut bench, 2), [], "who has said nothing is not asked at first");
    assert_eq!(whom(&bench.wait()), [member(0)]);
    assert_eq!(bench.millis, 250);
    (0..2).for_each(|from| assert_eq!(tip(&mut bench, from), [member(from + 1)]));
    assert_eq!(tip(&mut bench, 2), [member(3)], "after a pause anybody is asked");
}

#[test]
fn pauses_double_up_to_a_cap_and_end_with_a_holder() {
    let mut bench = Bench::new(1);
    bench.neighbours[0].first_block = number(100);
    assert_eq!(bench.want(1, 1, true), []);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let before = bench.millis;
        assert_eq!(bench.wait(), []);
        pauses.push(bench.millis - before);
    }
    assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 4000, 4000]);

    bench.neighbours[0].first_block = number(0);
    let held = bench.handle(Input::Held { number: number(1), by: member(0) });

    assert_eq!(whom(&held), [member(0)]);
}

#[test]
fn frames_that_come_put_the_next_attempt_off_but_never_beyond_the_deadline() {
    let mut bench = Bench::new(2);
    bench.want(1, 40, true);
    let deadline = 1000 + 40 * 256 * 1024 / 1000;
    for frame in 0..39 {
        bench.millis += 900;
        if bench.millis >= deadline {
            break;
        }
        assert_eq!(bench.came(1, frame, 0), [], "at {} ms", bench.millis);
    }

    assert!(bench.millis >= deadline, "frames came in time for {} ms", bench.millis);
    assert_eq!(bench.handle(Input::TimerDue).len(), 2, "a half of each of the only two");
}

#[test]
fn who_says_lacking_is_not_silent_so_that_the_first_holder_is_asked_once() {
    let mut bench = Bench::new(2);
    (0..2).for_each(|index| bench.holds(index, Holding::Announced));
    let asked = bench.want(5, 3, true);
    assert_eq!(asked.len(), 2, "{asked:?}");
    for index in 0..2 {
        bench.handle(Input::Lacking { from: member(index), number: number(5) });
    }

    for index in 0..2 {
        bench.holds(index, Holding::Committed);
    }
    let asked = bench.handle(Input::Held { number: number(5), by: member(0) });

    let frames: Vec<u32> = asked.iter().flat_map(|(.., range)| range.clone()).collect();
    assert_eq!(frames, [0, 1, 2], "no frame twice: {asked:?}");
}

#[test]
fn who_goes_is_replaced_at_once() {
    let mut bench = Bench::new(3);
    let first = bench.want(1, 1, true)[0].0;
    bench.neighbours.retain(|it| it.member != first);

    let next = whom(&bench.handle(Input::NeighbourGone(first)));

    assert_eq!(next.len(), 1);
    assert_ne!(next[0], first);
}

/// A17
#[test]
fn who_lets_questions_lapse_twice_is_asked_last() {
    let mut bench = Bench::new(3);
    (1..3).for_each(|index| bench.holds(index, Holding::Unknown));
    for block in 1..=2 {
        assert_eq!(whom(&bench.want(block, 1, true)), [member(0)]);
        bench.wait();
        bench.handle(Input::Complete(number(block)));
    }
    (1..3).for_each(|index| bench.holds(index, Holding::Announced));

    assert_ne!(whom(&bench.want(3, 1, true)), [member(0)]);
}

/// A17
#[test]
fn of_seven_holders_the_first_six_may_be_silent_for_two_time_outs() {
    let mut bench = Bench::new(7);

    let asked = [whom(&bench.want(1, 1, true)), whom(&bench.wait()), whom(&bench.wait())];

    assert_eq!(asked.each_ref().map(Vec::len), [1, 2, 4]);
    let all: std::collections::BTreeSet<MemberId> = asked.concat().into_iter().collect();
    assert_eq!(all.len(), 7, "nobody twice");
}

/// A17
#[test]
fn when_all_that_claim_a_block_are_silent_others_are_asked_and_not_the_same_again() {
    let mut bench = Bench::new(5);
    (3..5).for_each(|index| bench.holds(index, Holding::Unknown));

    let asked = [whom(&bench.want(1, 1, true)), whom(&bench.wait()), whom(&bench.wait())];

    let silent = [asked[0].clone(), asked[1].clone()].concat();
    assert!(silent.iter().all(|who| (0..3).any(|index| *who == member(index))), "{silent:?}");
    assert_eq!(silent.len(), 3);
    let others: BTreeSet<MemberId> = asked[2].iter().copied().collect();
    assert_eq!(others, (3..5).map(member).collect());
}

#[test]
fn a_frame_restores_the_standing_of_who_let_questions_lapse() {
    let mut bench = Bench::new(2);
    bench.holds(1, Holding::Announced);
    for block in 1..=2 {
        bench.want(block, 1, true);
        bench.wait();
        bench.handle(Input::Complete(number(block)));
    }
    bench.came(2, 0, 0);

    assert_eq!(whom(&bench.want(3, 1, true)), [member(0)]);
}

#[test]
fn bodies_in_flight_are_bounded_lowest_first_and_shared_among_holders() {
    let mut bench = Bench::new(4);
    let asked: Vec<Asked> = (1..=40).flat_map(|block| bench.want(block, 1, true)).collect();

    assert_eq!(asked.iter().map(|(_, block, _)| *block).collect::<Vec<_>>(), (1..=16).collect::<Vec<_>>());
    for index in 0..4 {
        assert_eq!(asked.iter().filter(|(who, ..)| *who == member(index)).count(), 4);
    }
    let next = bench.handle(Input::Complete(number(5)));
    assert_eq!(next.iter().map(|(_, block, _)| *block).collect::<Vec<_>>(), [17]);
}

#[test]
fn without_room_nothing_is_asked_until_blocks_are_committed() {
    let mut bench = Bench::new(2);
    bench.known.full = [number(2), number(3)].into();
    assert_eq!(bench.want(1, 1, true).len(), 1);
    assert_eq!(bench.want(2, 1, true), []);
    assert_eq!(bench.want(3, 1, true), []);

    bench.known.full.clear();
    let asked = bench.handle(Input::Committed(number(1)));

    assert_eq!(asked.iter().map(|(_, block, _)| *block).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn what_is_asked_for_and_has_not_begun_to_come_keeps_its_room() {
    let mut bench = Bench::new(4);
    bench.known.room = Some(4 * BODY_FRAME_BYTES as u64);
    let asked: Vec<Asked> = (1..=8).flat_map(|block| bench.want(block, 2, true)).collect();
    let blocks = |asked: &[Asked]| asked.iter().map(|it| it.1).collect::<BTreeSet<_>>();
    assert_eq!(blocks(&asked), [1, 2].into());

    // What has begun to come is in the arena's own figures.
    let next = bench.came(1, 0, 0);

    assert_eq!(blocks(&next), [3].into());
}

#[test]
fn after_a_mixed_false_body_the_whole_comes_from_one_at_a_time() {
    let mut bench = Bench::new(4);
    bench.want(1, 4, true);
    bench.handle(Input::Complete(number(1)));
    let tip = Tip { number: number(1), header_hash: Digest::of(b"one") };

    let first = bench.handle(Input::Mixed { tip, body_bytes: 4 * BODY_FRAME_BYTES as u64 });
    bench.known.missing.insert(number(1), vec![2, 3]);
    let second = bench.wait();

    for asked in [&first, &second] {
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].2, 0..4, "whole, though some frames are here");
    }
    assert_ne!(first[0].0, second[0].0);
    assert!(bench.state.expects(number(1), second[0].0));
    assert!(!bench.state.expects(number(1), first[0].0), "no frames of two members are mixed");
}

#[test]
fn late_answers_are_expected_and_strangers_are_not() {
    let mut bench = Bench::new(3);
    let first = bench.want(1, 1, true)[0].0;
    bench.wait();

    assert!(bench.state.expects(number(1), first));
    assert!(!bench.state.expects(number(1), member(99)));
    bench.handle(Input::Complete(number(1)));
    assert!(!bench.state.expects(number(1), first));
}

#[test]
fn who_has_committed_offences_is_asked_last_though_it_is_the_surest() {
    let mut bench = Bench::new(2);
    bench.holds(1, Holding::Announced);
    bench.neighbours[0].offences = 1;

    assert_eq!(whom(&bench.want(1, 1, true)), [member(1)]);
    assert_eq!(whom(&bench.handle(Input::Lacking { from: member(1), number: number(1) })), [member(0)]);
}
