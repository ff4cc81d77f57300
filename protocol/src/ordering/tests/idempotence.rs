//! The same envelope again gets the same answer, at whatever stage the first copy is; nothing is ordered
//! twice.

use super::*;

#[test]
fn a_copy_that_comes_during_judgement_waits_for_the_first_ones_verdict() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.is_holding_verdicts = true;

    let tickets = [0; 3].map(|_| bench.submit_payload(&chain, 1, b"x"));
    let jobs = bench.held_jobs.len();
    bench.release_verdicts();
    bench.pass_timeout();

    assert_eq!(jobs, 1);
    assert_eq!(tickets.map(|ticket| bench.position(ticket)), [(1, 0); 3]);
    assert_eq!(bench.envelope_counts(), [1]);
}

#[test]
fn a_copy_that_comes_before_its_block_is_durable_gets_the_same_answer() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.is_holding_commits = true;

    let first = bench.submit_payload(&chain, 1, b"x");
    let while_queued = bench.submit_payload(&chain, 1, b"x");
    bench.pass_timeout();
    let while_in_block = bench.submit_payload(&chain, 1, b"x");
    let before = [first, while_queued, while_in_block].map(|ticket| bench.answer(ticket).cloned());
    bench.release_commits();

    assert_eq!(before, [None, None, None]);
    assert_eq!([first, while_queued, while_in_block].map(|ticket| bench.position(ticket)), [(1, 0); 3]);
    assert_eq!(bench.envelope_counts(), [1]);
}

#[test]
fn a_copy_that_comes_when_its_block_is_durable_gets_the_same_answer() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.submit_payload(&chain, 1, b"before");
    let first = bench.submit_payload(&chain, 2, b"x");
    bench.pass_timeout();
    bench.submit_payload(&chain, 3, b"after");
    bench.pass_timeout();

    let copy = bench.submit_payload(&chain, 2, b"x");

    assert_eq!(bench.answer(copy), bench.answer(first));
    assert_eq!(bench.position(copy), (1, 1));
    assert_eq!(bench.envelope_counts(), [2, 1]);
}

#[test]
fn a_copy_that_comes_after_a_restart_gets_the_same_answer() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let first = bench.submit_payload(&chain, 1, b"x");
    bench.pass_timeout();
    let answer = bench.answer(first).cloned();

    let mut bench = bench.restart(&chain);
    let copy = bench.submit_payload(&chain, 1, b"x");
    let other = bench.submit_payload(&chain, 1, b"another payload");

    assert_eq!(bench.answer(copy), answer.as_ref());
    assert_eq!(bench.refusal(other), &SubmitRefusal::NonceUsed);
    assert_eq!(bench.blocks, []);
}

#[test]
fn a_copy_whose_nonce_was_forgotten_still_gets_the_same_answer() {
    let chain = small_blocks(1, 1, 100_000);
    let mut bench = Bench::with(&chain, Config { nonces_max: 2, ..Config::default() });
    let tickets = bench.submit_all(&chain, 0..5, b"x");

    let copies = bench.submit_all(&chain, 0..5, b"x");

    for (first, copy) in tickets.iter().zip(&copies) {
        assert_eq!(bench.answer(*copy), bench.answer(*first));
    }
    assert_eq!(bench.height(&chain), 6);
}

#[test]
fn a_forgotten_nonce_is_the_stated_limit_of_memory() {
    let chain = small_blocks(1, 1, 100_000);
    let mut bench = Bench::with(&chain, Config { nonces_max: 2, ..Config::default() });
    bench.submit_all(&chain, 0..5, b"x");

    let forgotten = bench.submit_payload(&chain, 0, b"another payload");
    let remembered = bench.submit_payload(&chain, 4, b"another payload");

    assert_eq!(bench.position(forgotten), (6, 0));
    assert_eq!(bench.refusal(remembered), &SubmitRefusal::NonceUsed);
}

#[test]
fn copies_that_come_while_the_store_is_asked_are_ordered_once() {
    let chain = small_blocks(1, 1, 100_000);
    let mut bench = Bench::with(&chain, Config { nonces_max: 1, ..Config::default() });
    bench.submit_all(&chain, 0..3, b"x");
    bench.is_holding_lookups = true;

    let copies = [0; 2].map(|_| bench.submit_payload(&chain, 9, b"new"));
    let same_nonce = bench.submit_payload(&chain, 9, b"other");
    let lookups = bench.held_lookups.len();
    bench.release_lookups();

    assert_eq!(lookups, 2, "one for each distinct envelope");
    assert_eq!(copies.map(|ticket| bench.position(ticket)), [(4, 0); 2]);
    assert_eq!(bench.refusal(same_nonce), &SubmitRefusal::NonceUsed);
}

#[test]
fn a_copy_with_a_false_signature_neither_holds_up_nor_joins_the_right_one() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let right = chain.client().envelope(chain.channel(), 1, b"x");
    let key = ledgercast_crypto::keys::SecretKey::from_seed([66; 32]);
    let forged = Envelope::sign(right.content().clone(), &key);
    bench.is_holding_verdicts = true;

    let forged = bench.submit(chain.client(), &forged);
    let right = bench.submit(chain.client(), &right);
    bench.release_verdicts();
    bench.pass_timeout();

    assert!(matches!(bench.refusal(forged), SubmitRefusal::Signature(_)));
    assert_eq!(bench.position(right), (1, 0));
}

#[test]
fn two_encodings_of_one_envelope_are_ordered_once() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let bytes = chain.client().envelope(chain.channel(), 1, b"x").encode();
    let padded = [&bytes[..], &[0x7a, 1, 0]].concat();
    bench.is_holding_verdicts = true;

    let one = bench.submit_bytes(bytes, &chain.client().certificate);
    let two = bench.submit_bytes(padded.into(), &chain.client().certificate);
    bench.release_verdicts();
    bench.pass_timeout();

    assert_eq!((bench.position(one), bench.position(two)), ((1, 0), (1, 0)));
    assert_eq!(bench.envelope_counts(), [1]);
    assert_eq!(bench.load(&chain), crate::ordering::Load::default());
}
