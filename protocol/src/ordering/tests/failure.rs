//! Crashes, failing disks, channels that are left: what is acknowledged is durable, and nothing waits for
//! ever.

use super::*;
use crate::ordering::Load;
use crate::store::StoreError;

fn unavailable(bench: &Bench, ticket: Ticket) -> &str {
    match bench.refusal(ticket) {
        SubmitRefusal::Unavailable { cause } => cause,
        other => panic!("refused by {other:?}"),
    }
}

#[test]
fn acknowledges_when_the_block_is_durable_and_not_before() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.is_holding_commits = true;

    let ticket = bench.submit_payload(&chain, 1, b"x");
    bench.pass_timeout();
    let before = bench.answer(ticket).cloned();
    bench.release_commits();

    assert_eq!(before, None);
    assert_eq!(bench.position(ticket), (1, 0));
    assert_eq!(bench.status(&chain).height.as_u64(), 2);
}

#[test]
fn one_answer_of_the_store_acknowledges_all_blocks_up_to_it() {
    let chain = small_blocks(1, 1, 100_000);
    let mut bench = Bench::new(&chain);
    bench.is_holding_commits = true;
    let tickets = [1, 2, 3].map(|nonce| bench.submit_payload(&chain, nonce, b"x"));

    bench.handle(Input::Committed { channel: chain.channel(), through: BlockNumber::new(2) });

    assert_eq!(tickets.map(|ticket| bench.answer(ticket).is_some()), [true, true, false]);
}

#[test]
fn goes_on_from_the_stored_tip_after_a_restart() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.submit_payload(&chain, 1, b"x");
    bench.pass_timeout();
    let last = bench.blocks[0].header().clone();

    let mut bench = bench.restart(&chain);
    let ticket = bench.submit_payload(&chain, 2, b"x");
    bench.pass_timeout();

    assert_eq!(bench.position(ticket), (2, 0));
    assert!(bench.blocks[0].header().follows(&last));
}

#[test]
fn what_was_not_acknowledged_before_a_crash_may_be_submitted_again() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.is_holding_commits = true;
    let lost = bench.submit_payload(&chain, 1, b"x");
    bench.pass_timeout();
    let answer = bench.answer(lost).cloned();

    let mut bench = bench.restart(&chain);
    let again = bench.submit_payload(&chain, 1, b"x");
    bench.pass_timeout();

    assert_eq!(answer, None);
    assert_eq!(bench.position(again), (1, 0));
    assert_eq!(bench.height(&chain), 2);
}

#[test]
fn a_block_that_cannot_be_stored_refuses_all_that_waits_on_its_channel() {
    let chain = small_blocks(1, 1, 100_000);
    let mut bench = Bench::with(&chain, Config { commits_in_flight_max: 1, ..Config::default() });
    bench.is_holding_commits = true;
    let in_block = bench.submit_payload(&chain, 1, b"x");
    let queued = bench.submit_payload(&chain, 2, b"x");
    bench.is_holding_verdicts = true;
    let in_judgement = bench.submit_payload(&chain, 3, b"x");

    bench.fail_commit(&chain, 1);

    for ticket in [in_block, queued, in_judgement] {
        assert_eq!(unavailable(&bench, ticket), "block 1 could not be stored: no space left on device");
    }
    assert_eq!(bench.load(&chain), Load::default());
    bench.release_verdicts();
    bench.pass_timeout();
    assert_eq!(bench.blocks.len(), 1);
}

#[test]
fn a_halted_channel_orders_nothing_until_a_restart() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.is_holding_commits = true;
    bench.submit_payload(&chain, 1, b"x");
    bench.pass_timeout();
    bench.fail_commit(&chain, 1);

    let ticket = bench.submit_payload(&chain, 2, b"x");
    bench.pass_timeout();

    assert!(unavailable(&bench, ticket).contains("no space left"));
    assert!(!bench.refusal(ticket).to_string().contains("space"), "submitters are not told of our disk");
    assert!(bench.status(&chain).halted.is_some());

    let mut bench = bench.restart(&chain);
    let again = bench.submit_payload(&chain, 2, b"x");
    bench.pass_timeout();
    assert_eq!(bench.position(again), (1, 0));
}

#[test]
fn a_halted_channel_still_tells_nothing_to_whoever_may_not_write() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.fail_commit(&chain, 1);
    let peer = ledgercast_crypto::subject::Role::Peer;
    let peer = Creator::enrol(chain.authority(), "peer1", peer, [7; 32]);

    let ticket = bench.submit(&peer, &peer.envelope(chain.channel(), 1, b"x"));

    assert!(matches!(bench.refusal(ticket), SubmitRefusal::NotPermitted { .. }));
}

#[test]
fn other_channels_go_on_when_one_is_halted() {
    let one = Chain::new(1);
    let two = Chain::with(2, |config| {
        config.orderers[0].key = Bytes::copy_from_slice(one.orderer().public().as_bytes());
    });
    let mut bench = Bench::new(&one);
    bench.store.create_channel(two.name(), two.genesis()).unwrap();
    bench.open(&two).unwrap();

    bench.fail_commit(&one, 1);
    let ticket = bench.submit_payload(&two, 1, b"x");
    bench.pass_timeout();

    assert_eq!(bench.position(ticket), (1, 0));
}

#[test]
fn a_store_that_cannot_be_asked_refuses_and_orders_nothing_twice() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.submit_payload(&chain, 1, b"x");
    bench.pass_timeout();
    bench.is_holding_lookups = true;

    let ticket = bench.submit_payload(&chain, 1, b"x");
    let (channel, envelope) = bench.held_lookups.remove(0);
    let position = Err(StoreError::Io("read error".to_owned()));
    bench.handle(Input::Found { channel, envelope, position });

    assert_eq!(unavailable(&bench, ticket), "read error");
    assert_eq!(bench.blocks.len(), 1);
}

#[test]
fn leaving_a_channel_answers_all_that_waits_and_forgets_it() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let waiting = bench.submit_payload(&chain, 1, b"x");

    let mut out = Vec::new();
    let was_open = bench.sequencer.close(chain.channel(), &mut out);
    bench.carry_out(out);
    let after = bench.submit_payload(&chain, 2, b"x");
    bench.pass_timeout();

    assert!(was_open);
    assert_eq!(unavailable(&bench, waiting), "the orderer leaves the channel");
    assert!(matches!(bench.refusal(after), SubmitRefusal::NotPermitted { .. }));
    assert_eq!(bench.sequencer.statuses().count(), 0);
    assert!(!bench.sequencer.close(chain.channel(), &mut Vec::new()));
}

#[test]
fn answers_for_a_channel_that_was_left_are_dropped() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.is_holding_verdicts = true;
    bench.submit_payload(&chain, 1, b"x");
    let mut out = Vec::new();
    bench.sequencer.close(chain.channel(), &mut out);
    bench.carry_out(out);

    bench.release_verdicts();
    bench.handle(Input::Committed { channel: chain.channel(), through: BlockNumber::new(1) });
    bench.handle(Input::TimerDue(chain.channel()));

    assert_eq!(bench.blocks, []);
}
