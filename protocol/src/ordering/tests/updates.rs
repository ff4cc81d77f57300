//! Config updates in a channel's line: alone in their block, and everything behind them under the new config.

use super::Bench;
use crate::channel::{ChannelLimits, ConfigUpdate, UpdateError};
use crate::ledger::{Envelope, EnvelopeContent, VerifiedBlock};
use crate::ordering::envelope_job::Judgement;
use crate::ordering::line::Line;
use crate::ordering::queue::Queued;
use crate::ordering::{Config, EnvelopeVerdict, Input, Load, Nonces, SubmitAnswer, SubmitRefusal, Ticket};
use crate::store::suite::{Chain, Creator, org_config};
use crate::time::Monotonic;
use crate::wire::proto;
use bytes::Bytes;
use ledgercast_crypto::{Role, SecretKey};

/// Submits an update of the chain's config, signed by its admin.
fn update(bench: &mut Bench, chain: &mut Chain, change: impl FnOnce(&mut proto::ChannelConfig)) -> Ticket {
    let mut update = chain.changed(change);
    chain.admin().clone().approve(chain.channel(), &mut update);
    submit_update(bench, chain, &update)
}

fn submit_update(bench: &mut Bench, chain: &mut Chain, update: &ConfigUpdate) -> Ticket {
    let envelope = chain.config_envelope(update);
    bench.submit(&chain.admin().clone(), &envelope)
}

fn config_numbers(bench: &Bench) -> Vec<(u64, u32, bool)> {
    let shape = |block: &VerifiedBlock| {
        let fields = block.header().header().fields();
        (fields.config_number, fields.envelope_count, block.config_update().is_some())
    };
    bench.blocks.iter().map(shape).collect()
}

#[test]
fn an_update_is_alone_in_its_block_and_rules_from_the_next_one_on() {
    let mut chain = Chain::new(1);
    let mut bench = Bench::new(&chain);

    bench.submit_all(&chain, 100..103, b"before");
    let ticket = update(&mut bench, &mut chain, |config| config.name = "second".to_owned());
    bench.submit_all(&chain, 103..105, b"after");
    bench.pass_timeout();

    assert_eq!(config_numbers(&bench), [(0, 3, false), (0, 1, true), (1, 2, false)]);
    assert!(matches!(bench.answers[&ticket], SubmitAnswer::Accepted { .. }));
    assert_eq!(bench.configs.len(), 1);
}

#[test]
fn what_waits_behind_an_update_is_judged_by_the_new_config() {
    let mut chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.is_holding_commits = true;
    // As many blocks on their way as may be: everything else waits.
    let first: Vec<Ticket> = (0..4).map(|nonce| bench.submit_payload(&chain, 200 + nonce, b"x")).collect();
    (0..4).for_each(|_| bench.pass_timeout());

    let ticket = update(&mut bench, &mut chain, |config| config.orgs[0].writer = false);
    let behind = bench.submit_payload(&chain, 300, b"no writer any more");
    bench.release_commits();
    bench.pass_timeout();

    assert!(matches!(bench.answers[&ticket], SubmitAnswer::Accepted { .. }), "{first:?}");
    assert!(matches!(bench.refusal(behind), SubmitRefusal::NotPermitted { .. }));
}

#[test]
fn a_verdict_under_a_replaced_config_is_repeated() {
    let mut chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.is_holding_verdicts = true;
    let late = bench.submit_payload(&chain, 1, b"judged before, admitted after");
    let jobs = std::mem::take(&mut bench.held_jobs);
    bench.is_holding_verdicts = false;

    update(&mut bench, &mut chain, |config| config.orgs[0].writer = false);
    for job in jobs {
        bench.handle(Input::Judged(job.run()));
    }

    assert!(matches!(bench.refusal(late), SubmitRefusal::NotPermitted { .. }));
}

#[test]
fn an_envelope_is_judged_again_by_the_bytes_that_came() {
    let mut chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let envelope = chain.client().envelope(chain.channel(), 1, &[7; 9000]);
    let limit = envelope.encode().len() as u32;
    // Field 15, length-delimited, four bytes: unknown, so skipped by every decoder.
    let padded = [&envelope.encode()[..], &[0x7a, 4, 1, 2, 3, 4]].concat();
    let bytes = padded.len();
    bench.is_holding_verdicts = true;
    let late = bench.submit_bytes(padded.into(), &chain.client().certificate);
    let jobs = std::mem::take(&mut bench.held_jobs);
    bench.is_holding_verdicts = false;

    let limits = ChannelLimits { envelope_bytes_max: limit, ..ChannelLimits::default() };
    update(&mut bench, &mut chain, |config| config.limits = Some((&limits).into()));
    for job in jobs {
        bench.handle(Input::Judged(job.run()));
    }

    assert_eq!(bench.refusal(late), &SubmitRefusal::TooLarge { bytes, limit: limit as usize });
}

#[test]
fn an_update_that_does_not_decode_is_not_signed() {
    let chain = Chain::new(1);
    let bench = Bench::new(&chain);
    let nonces = Nonces::recover(&bench.store, chain.channel(), 10).unwrap();
    let line = Line::new(chain.config().clone(), Err(String::new()), chain.tip().clone(), nonces);
    let (bytes, admitted) = (Bytes::from_static(b"no envelope"), Monotonic::ZERO);
    let id = chain.client().envelope(chain.channel(), 1, b"any").id();
    let queued = Queued { id, bytes, creator: chain.client().chain(), is_update: true, admitted };

    assert!(matches!(line.judge_update(&[queued]), Err(UpdateError::Malformed(_))));
}

/// A bench that asks its store about every new envelope.
fn forgetful(chain: &Chain) -> Bench {
    let mut bench = Bench::with(chain, Config { nonces_max: 1, ..Config::default() });
    bench.submit_all(chain, 900..903, b"x");
    bench.pass_timeout();
    bench
}

#[test]
fn what_the_store_is_asked_about_while_the_config_changes_is_judged_again() {
    let mut chain = Chain::new(1);
    let mut bench = forgetful(&chain);
    bench.is_holding_lookups = true;

    let first = update(&mut bench, &mut chain, |config| config.orgs[0].writer = false);
    let stale = update(&mut bench, &mut chain, |config| config.name = "third".to_owned());
    let transaction = bench.submit_payload(&chain, 1, b"no writer any more");
    bench.release_lookups();
    bench.pass_timeout();

    assert!(matches!(bench.answers[&first], SubmitAnswer::Accepted { .. }));
    let old = UpdateError::Number { found: 1, expected: 2 };
    assert_eq!(bench.refusal(stale), &SubmitRefusal::ConfigUpdate(old));
    assert!(matches!(bench.refusal(transaction), SubmitRefusal::NotPermitted { .. }));
    assert_eq!(config_numbers(&bench), [(0, 3, false), (0, 1, true)]);
    assert_eq!((bench.load(&chain), bench.configs.len()), (Load::default(), 1));
}

#[test]
fn a_copy_in_judgement_takes_over_who_is_judged_again() {
    let mut chain = Chain::new(1);
    let mut bench = forgetful(&chain);
    bench.is_holding_lookups = true;
    update(&mut bench, &mut chain, |config| config.name = "second".to_owned());
    let first = bench.submit_payload(&chain, 1, b"x");
    bench.is_holding_verdicts = true;
    let copy = bench.submit_payload(&chain, 1, b"x");

    bench.release_lookups();
    bench.release_verdicts();
    bench.pass_timeout();

    assert_eq!(bench.position(first), bench.position(copy));
    assert_eq!(config_numbers(&bench)[1..], [(0, 1, true), (1, 1, false)]);
    assert_eq!(bench.load(&chain), Load::default());
}

#[test]
fn an_update_that_a_verdict_wrongly_calls_right_is_never_certified() {
    let mut chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    bench.is_holding_verdicts = true;
    let unsigned = chain.changed(|config| config.name = "second".to_owned());

    let ticket = submit_update(&mut bench, &mut chain, &unsigned);
    let job = bench.held_jobs.remove(0);
    let judgement = Judgement::Right(job.envelope.id());
    bench.handle(Input::Judged(EnvelopeVerdict { judgement, ..job.run() }));

    assert!(matches!(bench.refusal(ticket), SubmitRefusal::ConfigUpdate(UpdateError::TooFew { .. })));
    assert_eq!((bench.blocks.len(), bench.configs.len(), bench.height(&chain)), (0, 0, 1));
    assert_eq!((bench.load(&chain), halted(&bench)), (Load::default(), None));
}

#[test]
fn refuses_an_update_that_too_few_have_signed_and_a_replayed_one() {
    let mut chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let unsigned = chain.changed(|config| config.quorum = 1);
    let too_few = submit_update(&mut bench, &mut chain, &unsigned);
    let mut first = chain.changed(|config| config.name = "second".to_owned());
    chain.admin().clone().approve(chain.channel(), &mut first);
    submit_update(&mut bench, &mut chain, &first);

    let replayed = submit_update(&mut bench, &mut chain, &first);

    let few = UpdateError::TooFew { found: 0, needed: 1, orgs: 1 };
    assert_eq!(bench.refusal(too_few), &SubmitRefusal::ConfigUpdate(few));
    let old = UpdateError::Number { found: 1, expected: 2 };
    assert_eq!(bench.refusal(replayed), &SubmitRefusal::ConfigUpdate(old));
}

#[test]
fn only_admins_submit_updates() {
    let mut chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let client = Creator::enrol(chain.authority(), "client9", Role::Client, [9; 32]);
    let mut update = chain.changed(|_| {});
    chain.admin().clone().approve(chain.channel(), &mut update);
    let content = chain.config_envelope(&update).content().clone();
    let content = EnvelopeContent { creator: client.certificate.fingerprint(), ..content };
    let envelope = Envelope::sign(content, &client.key);

    let ticket = bench.submit(&client, &envelope);

    assert!(matches!(bench.refusal(ticket), SubmitRefusal::NotPermitted { .. }));
}

#[test]
fn signs_with_the_key_that_the_config_in_force_names() {
    let mut chain = Chain::new(1);
    let second = SecretKey::from_seed([77; 32]);
    let keys = vec![chain.orderer().clone(), second.clone()];
    let mut bench = Bench::with_keys(&chain, keys);

    let key = Bytes::copy_from_slice(second.public().as_bytes());
    update(&mut bench, &mut chain, |config| config.orderers[0].key = key);
    let after = bench.submit_payload(&chain, 1, b"under the second key");
    bench.pass_timeout();

    assert!(matches!(bench.answers[&after], SubmitAnswer::Accepted { .. }));
    assert_eq!(config_numbers(&bench), [(0, 1, true), (1, 1, false)]);
}

/// Has the orderer's key replaced by one that this bench does not have.
fn take_the_key_away(bench: &mut Bench, chain: &mut Chain, second: &SecretKey) -> Ticket {
    let key = Bytes::copy_from_slice(second.public().as_bytes());
    update(bench, chain, |config| config.orderers[0].key = key)
}

fn halted(bench: &Bench) -> Option<String> {
    bench.sequencer.statuses().next().and_then(|(_, status)| status.halted)
}

#[test]
fn without_a_key_that_the_config_names_nothing_more_is_ordered_and_it_says_so() {
    let mut chain = Chain::new(1);
    let mut bench = Bench::new(&chain);

    let ticket = take_the_key_away(&mut bench, &mut chain, &SecretKey::from_seed([78; 32]));
    let after = bench.submit_payload(&chain, 1, b"nobody orders this");

    assert!(matches!(bench.answers[&ticket], SubmitAnswer::Accepted { .. }));
    assert!(matches!(bench.refusal(after), SubmitRefusal::Unavailable { .. }));
    assert!(halted(&bench).is_some_and(|cause| cause.contains("keystore")));
    assert_eq!(bench.alarms, [halted(&bench).unwrap()], "one alarm");
}

#[test]
fn a_restart_without_the_key_in_force_opens_the_channel_halted_and_with_it_goes_on() {
    let mut chain = Chain::new(1);
    let second = SecretKey::from_seed([78; 32]);
    let mut bench = Bench::new(&chain);
    take_the_key_away(&mut bench, &mut chain, &second);

    let mut bench = bench.restart(&chain);
    let refused = bench.submit_payload(&chain, 1, b"nobody orders this");

    assert!(matches!(bench.refusal(refused), SubmitRefusal::Unavailable { .. }));
    assert!(halted(&bench).is_some_and(|cause| cause.contains("keystore")));

    let keys = vec![chain.orderer().clone(), second];
    let mut bench = Bench::on_keys(&chain, bench.config, keys, bench.store);
    let ordered = bench.submit_payload(&chain, 1, b"the key is there");
    bench.pass_timeout();

    assert!(matches!(bench.answers[&ordered], SubmitAnswer::Accepted { .. }));
    assert_eq!(halted(&bench), None);
}

#[test]
fn refuses_a_quorum_that_it_cannot_meet_alone() {
    let mut chain = Chain::new(1);
    let mut bench = Bench::new(&chain);

    let ticket = update(&mut bench, &mut chain, |config| {
        let mut second = config.orderers[0].clone();
        second.key = Bytes::copy_from_slice(SecretKey::from_seed([79; 32]).public().as_bytes());
        config.orderers.push(second);
        config.quorum = 2;
    });

    assert_eq!(bench.refusal(ticket), &SubmitRefusal::Quorum { quorum: 2 });
}

#[test]
fn a_restart_goes_on_under_the_config_in_force() {
    let mut chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let other = ledgercast_crypto::issue::Authority::create_with(
        SecretKey::from_seed([80; 32]),
        "org2",
        crate::store::suite::VALIDITY,
    )
    .unwrap();
    update(&mut bench, &mut chain, |config| config.orgs.push(org_config(&other)));

    let mut bench = bench.restart(&chain);
    let client = Creator::enrol(&other, "client", Role::Client, [81; 32]);
    let envelope = client.envelope(chain.channel(), 1, b"of the org that was added");
    let ticket = bench.submit(&client, &envelope);
    bench.pass_timeout();

    assert!(matches!(bench.answers[&ticket], SubmitAnswer::Accepted { .. }));
    assert_eq!(config_numbers(&bench), [(1, 1, false)]);
}
