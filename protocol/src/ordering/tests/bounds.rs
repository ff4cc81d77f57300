//! What happens at each bound: overload is said at once, and room comes back with the answers.

use super::*;
use crate::ordering::{EnvelopeVerdict, Load};

fn overloaded(bench: &Bench, ticket: Ticket) -> bool {
    bench.answer(ticket) == Some(&SubmitAnswer::Overloaded)
}

#[test]
fn answers_overloaded_at_once_when_a_channel_has_too_many_submissions() {
    let chain = Chain::new(1);
    let mut bench = Bench::with(&chain, Config { pending_envelopes_max: 3, ..Config::default() });

    let tickets = bench.submit_all(&chain, 0..4, b"x");

    assert_eq!(
        tickets.iter().map(|ticket| overloaded(&bench, *ticket)).collect::<Vec<_>>(),
        [false, false, false, true]
    );
    bench.pass_timeout();
    let later = bench.submit_payload(&chain, 3, b"x");
    bench.pass_timeout();
    assert_eq!(bench.position(later), (2, 0));
}

#[test]
fn copies_of_one_envelope_count_each() {
    let chain = Chain::new(1);
    let mut bench = Bench::with(&chain, Config { pending_envelopes_max: 3, ..Config::default() });
    bench.is_holding_verdicts = true;

    let tickets = [0; 4].map(|_| bench.submit_payload(&chain, 1, b"x"));

    assert!(overloaded(&bench, tickets[3]));
    assert_eq!(bench.load(&chain).submissions, 3);
}

#[test]
fn answers_overloaded_at_once_when_a_channel_has_too_many_bytes() {
    let chain = Chain::new(1);
    let mut bench = Bench::with(&chain, Config { pending_bytes_max: 10_000, ..Config::default() });

    let first = bench.submit_payload(&chain, 1, &[0; 6000]);
    let second = bench.submit_payload(&chain, 2, &[0; 6000]);
    let small = bench.submit_payload(&chain, 3, b"x");
    bench.pass_timeout();

    assert!(overloaded(&bench, second));
    assert_eq!((bench.position(first), bench.position(small)), ((1, 0), (1, 1)));
}

#[test]
fn a_full_channel_leaves_room_for_others_until_the_total_is_reached() {
    let one = Chain::new(1);
    let two = Chain::with(2, |config| {
        config.orderers[0].key = Bytes::copy_from_slice(one.orderer().public().as_bytes());
    });
    let limits = Config { pending_bytes_max: 10_000, pending_bytes_total_max: 15_000, ..Config::default() };
    let mut bench = Bench::with(&one, limits);
    bench.store.create_channel(two.name(), two.genesis()).unwrap();
    bench.open(&two).unwrap();

    let in_one = [1, 2].map(|nonce| bench.submit_payload(&one, nonce, &[0; 6000]));
    let in_two = [1, 2].map(|nonce| bench.submit_payload(&two, nonce, &[0; 3500]));

    assert!(!overloaded(&bench, in_one[0]));
    assert!(overloaded(&bench, in_one[1]), "the channel's share is full");
    assert!(!overloaded(&bench, in_two[0]));
    assert!(overloaded(&bench, in_two[1]), "the total is full");
}

#[test]
fn a_full_verification_pool_is_overload_for_every_copy() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.is_holding_verdicts = true;
    let tickets = [0; 2].map(|_| bench.submit_payload(&chain, 1, b"x"));

    let verdict: EnvelopeVerdict = bench.held_jobs.remove(0).overloaded();
    bench.handle(Input::Judged(verdict));
    bench.is_holding_verdicts = false;
    let again = bench.submit_payload(&chain, 1, b"x");
    bench.pass_timeout();

    assert!(tickets.iter().all(|ticket| overloaded(&bench, *ticket)));
    assert_eq!(bench.position(again), (1, 0));
}

#[test]
fn every_answer_gives_its_room_back() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.is_holding_verdicts = true;

    for nonce in [1, 1, 2, 3] {
        bench.submit_payload(&chain, nonce, b"x");
    }
    bench.submit_payload(&chain, 3, b"a used nonce");
    let loaded = bench.load(&chain);
    bench.release_verdicts();
    bench.pass_timeout();
    bench.submit_payload(&chain, 1, b"x");

    assert_eq!(loaded.submissions, 5);
    assert_eq!(bench.load(&chain), Load::default());
    assert_eq!(bench.answers.len(), 6);
}

#[test]
fn blocks_on_their_way_to_the_disk_are_few_and_the_rest_gathers() {
    let chain = small_blocks(1, 2, 100_000);
    let mut bench = Bench::with(&chain, Config { commits_in_flight_max: 2, ..Config::default() });
    bench.is_holding_commits = true;

    bench.submit_all(&chain, 0..7, b"x");
    bench.pass_timeout();
    let in_flight = bench.held_commits.len();
    bench.release_commits();

    assert_eq!(in_flight, 2);
    assert_eq!(bench.envelope_counts(), [2, 2, 2, 1]);
    assert_eq!(bench.answers.len(), 7);
}
