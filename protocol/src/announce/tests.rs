//! Facts about announcements.

use super::*;
use crate::output::Action;
use crate::store::suite::VALIDITY;
use crate::time::WallTime;
use crate::types::{Height, OrgId};
use crate::wire::Message;
use ledgercast_crypto::issue::Authority;
use ledgercast_crypto::{Digest, SecretKey};

struct Bench {
    state: State,
    neighbours: Vec<Neighbour>,
    out: Outbox,
    millis: u64,
}

fn member(index: usize) -> MemberId {
    MemberId::from_digest(Digest::of(&index.to_be_bytes()))
}

fn tip(number: u64, name: &str) -> Tip {
    Tip { number: BlockNumber::new(number), header_hash: Digest::of(name.as_bytes()) }
}

impl Bench {
    /// Neighbours 0, 1, … in turn of each org.
    fn new(neighbours: usize, orgs: usize) -> Self {
        let key = SecretKey::from_seed([7; 32]);
        let authority = Authority::reproducible(key, "any", VALIDITY).unwrap();
        let org = |index| OrgId::of(&format!("org{index}"), [authority.certificate()]);
        let orgs: Vec<OrgId> = (0..orgs).map(org).collect();
        let neighbours = (0..neighbours).map(|index| Neighbour {
            member: member(index),
            org: orgs[index % orgs.len()],
            claimed_height: Height::ZERO,
            first_block: BlockNumber::GENESIS,
            offences: 0,
        });
        Self {
            state: State::new(Config::default(), [3; 32]),
            neighbours: neighbours.collect(),
            out: Outbox::default(),
            millis: 0,
        }
    }

    fn handle(&mut self, input: Input) {
        let monotonic = Monotonic::new(Duration::from_millis(self.millis));
        let now = Now { monotonic, wall: WallTime::from_millis(0) };
        let context = Context { channel: ChannelId::from_bytes([1; 32]), neighbours: &self.neighbours };
        self.state.handle(now, input, &context, &mut self.out);
    }

    fn announced(&mut self, from: usize, tip: Tip) {
        let from = member(from);
        self.handle(Input::Announced { from, tip, is_complete: false, is_being_proven: false });
    }

    /// Whom the questions since the last call go to, and for which numbers.
    fn asked(&mut self) -> Vec<(MemberId, u64)> {
        let questions = self.state.take_questions();
        assert!(questions.iter().all(|(_, want)| want.count == 1));
        questions.into_iter().map(|(member, want)| (member, want.first.as_u64())).collect()
    }

    fn sent(&mut self) -> Vec<(MemberId, ChannelMessage)> {
        let sent = self.out.drain().map(|action| match action {
            Action::Send { to, message: Message::Channel(_, message), .. } => (to, message),
            other => panic!("announcements want {other:?}"),
        });
        sent.collect()
    }
}

#[test]
fn the_first_announcer_is_asked_and_twice_as_many_each_time_nobody_answers() {
    let mut bench = Bench::new(8, 1);
    (0..8).for_each(|from| bench.announced(from, tip(1, "one")));
    assert_eq!(bench.asked(), [(member(0), 1)]);

    for next in [1..3, 3..7, 7..8] {
        bench.millis += 1000;
        assert_eq!(bench.state.next_due(), Some(Monotonic::new(Duration::from_millis(bench.millis))));
        bench.handle(Input::TimerDue);
        assert_eq!(bench.asked(), next.map(|index| (member(index), 1)).collect::<Vec<_>>());
    }
    bench.millis += 1000;
    bench.handle(Input::TimerDue);
    assert_eq!((bench.asked(), bench.state.next_due()), (vec![], None), "the claim is forgotten");
}

#[test]
fn who_lacks_the_header_or_goes_is_replaced_at_once() {
    let mut bench = Bench::new(3, 1);
    (0..3).for_each(|from| bench.announced(from, tip(1, "one")));
    bench.asked();

    bench.handle(Input::Lacking { from: member(0), number: BlockNumber::new(1) });
    assert_eq!(bench.asked(), [(member(1), 1)]);
    bench.handle(Input::NeighbourGone(member(1)));
    assert_eq!(bench.asked(), [(member(2), 1)]);
}

#[test]
fn who_lacks_the_header_is_replaced_once_while_others_are_waited_for() {
    let mut bench = Bench::new(4, 1);
    (0..4).for_each(|from| bench.announced(from, tip(1, "one")));
    bench.millis += 1000;
    bench.handle(Input::TimerDue);
    assert_eq!(bench.asked().len(), 3, "one, then two");

    let lacks = |index| Input::Lacking { from: member(index), number: BlockNumber::new(1) };
    bench.handle(lacks(1));
    assert_eq!(bench.asked(), [(member(3), 1)]);
    bench.handle(lacks(3));
    bench.handle(lacks(3));
    assert_eq!(bench.asked(), []);

    assert!(bench.state.next_due().is_some(), "the third still has time");
    bench.handle(lacks(2));
    assert_eq!(bench.state.next_due(), None);
}

#[test]
fn a_header_that_is_being_proven_is_asked_only_when_the_proof_fails_to_come() {
    let mut bench = Bench::new(1, 1);
    let from = member(0);
    let input = Input::Announced { from, tip: tip(1, "one"), is_complete: true, is_being_proven: true };
    bench.handle(input);
    assert_eq!(bench.asked(), []);

    bench.millis += 1000;
    bench.handle(Input::TimerDue);

    assert_eq!(bench.asked(), [(member(0), 1)]);
}

#[test]
fn announcers_are_handed_over_in_order_when_the_header_is_proven() {
    let mut bench = Bench::new(3, 1);
    bench.announced(2, tip(1, "one"));
    bench.announced(0, tip(1, "one"));
    let input =
        Input::Announced { from: member(2), tip: tip(1, "one"), is_complete: true, is_being_proven: false };
    bench.handle(input);

    let announcers = bench.state.take_announcers(tip(1, "one"));

    let seen: Vec<(MemberId, bool)> = announcers.iter().map(|it| (it.member, it.is_complete)).collect();
    assert_eq!(seen, [(member(2), true), (member(0), false)]);
}

#[test]
fn four_partners_of_all_orgs_are_told_and_not_the_source() {
    let mut bench = Bench::new(40, 4);
    for number in 1..50 {
        bench.handle(Input::Proven { tip: tip(number, "any"), source: Some(member(0)) });

        let told: Vec<MemberId> = bench.sent().into_iter().map(|(to, _)| to).collect();

        let org = |to: &MemberId| bench.neighbours.iter().find(|it| it.member == *to).unwrap().org;
        let orgs: std::collections::BTreeSet<OrgId> = told.iter().map(org).collect();
        assert_eq!((told.len(), orgs.len()), (4, 4));
        assert!(!told.contains(&member(0)));
    }
}

#[test]
fn who_claims_to_have_the_block_is_not_told() {
    let mut bench = Bench::new(5, 1);
    (1..5).for_each(|index| bench.neighbours[index].claimed_height = Height::new(8));

    bench.handle(Input::Proven { tip: tip(7, "seven"), source: None });

    assert_eq!(bench.sent(), [(member(0), ChannelMessage::Announce(tip(7, "seven")))]);
}

#[test]
fn those_told_of_the_header_are_told_of_the_commit_once() {
    let mut bench = Bench::new(20, 2);
    bench.handle(Input::Proven { tip: tip(1, "one"), source: None });
    let told: Vec<MemberId> = bench.sent().into_iter().map(|(to, _)| to).collect();
    bench.neighbours.retain(|it| it.member != told[0]);

    bench.handle(Input::Committed(tip(1, "one")));

    let complete: Vec<MemberId> = bench.sent().into_iter().map(|(to, _)| to).collect();
    assert_eq!(complete, told[1..], "one of the four is gone");
    bench.handle(Input::Committed(tip(1, "one")));
    assert_eq!(bench.sent(), []);
}

/// A18
#[test]
fn one_member_opens_a_bounded_number_of_claims_and_others_still_get_theirs() {
    let mut bench = Bench::new(2, 1);

    (1..100).for_each(|number| bench.announced(0, tip(number, "nothing")));
    assert_eq!((bench.asked().len(), bench.state.refused()), (32, 99 - 32));

    bench.announced(1, tip(99, "true"));
    assert_eq!(bench.asked(), [(member(1), 99)]);
}

/// A18
#[test]
fn one_number_has_a_bounded_number_of_claims_each_with_bounded_announcers() {
    let mut bench = Bench::new(20, 1);
    (0..6).for_each(|from| bench.announced(from, tip(1, &format!("hash {from}"))));
    assert_eq!(bench.state.refused(), 2);

    (0..20).for_each(|from| bench.announced(from, tip(2, "two")));

    assert_eq!(bench.state.take_announcers(tip(2, "two")).len(), 8);
}

#[test]
fn claims_end_with_the_proof_of_any_header_of_their_number_and_with_its_commit() {
    let mut bench = Bench::new(2, 1);
    bench.announced(0, tip(1, "false"));
    bench.announced(0, tip(2, "false"));
    bench.announced(0, tip(3, "false"));

    bench.handle(Input::Proven { tip: tip(2, "true"), source: None });
    bench.handle(Input::Committed(tip(1, "true")));

    bench.asked();
    bench.millis += 5000;
    assert!(bench.state.take_announcers(tip(1, "false")).is_empty());
    assert!(bench.state.take_announcers(tip(2, "false")).is_empty());
    assert_eq!(bench.state.take_announcers(tip(3, "false")).len(), 1);
}
