//! Whom a revocation list names orders nothing more, whatever else happens to the channel.

use super::Bench;
use crate::channel::UpdateError;
use crate::ordering::{SubmitAnswer, SubmitRefusal};
use crate::store::suite::{Chain, Creator, VALIDITY};
use ledgercast_crypto::issue::Authority;
use ledgercast_crypto::{CertificateError, RevocationList, Role, SecretKey};

fn list(chain: &Chain, revoked: &[&Creator], number: u64) -> RevocationList {
    let certificates: Vec<_> = revoked.iter().map(|it| &it.certificate).collect();
    chain.authority().revoke(&certificates, number, VALIDITY).unwrap()
}

/// Submits something new of a client and says whether it is ordered.
fn is_ordered(bench: &mut Bench, chain: &Chain, client: &Creator, nonce: u128) -> bool {
    let ticket = bench.submit(client, &client.envelope(chain.channel(), nonce, b"x"));
    bench.pass_timeout();
    match &bench.answers[&ticket] {
        SubmitAnswer::Accepted { .. } => true,
        SubmitAnswer::Refused(SubmitRefusal::NotPermitted { cause }) if cause.contains("revoked") => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_revoked_client_is_refused_from_then_on_and_others_are_not() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let other = Creator::enrol(chain.authority(), "client2", Role::Client, [7; 32]);
    assert!(is_ordered(&mut bench, &chain, chain.client(), 1));

    assert_eq!(bench.sequencer.revoke(list(&chain, &[chain.client()], 2)), Some(1));

    assert!(!is_ordered(&mut bench, &chain, chain.client(), 2));
    assert!(is_ordered(&mut bench, &chain, &other, 3));
}

#[test]
fn an_older_list_and_the_same_one_change_nothing() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let newer = list(&chain, &[chain.client()], 2);
    bench.sequencer.revoke(newer.clone());

    assert_eq!(bench.sequencer.revoke(newer), None, "it is known");
    bench.sequencer.revoke(list(&chain, &[], 1));

    assert!(!is_ordered(&mut bench, &chain, chain.client(), 1));
}

#[test]
fn a_newer_list_replaces_the_one_before() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);

    for number in 1..20 {
        bench.sequencer.revoke(list(&chain, &[chain.client()], number));
    }

    assert_eq!(bench.sequencer.revocations.len(), 1);
    bench.sequencer.revoke(list(&chain, &[], 20));
    assert!(is_ordered(&mut bench, &chain, chain.client(), 1), "the newest one names nobody");
}

#[test]
fn a_list_holds_over_a_config_update_and_for_channels_that_are_opened_later() {
    let mut chain = Chain::new(1);
    let later = Chain::new(2);
    let mut bench = Bench::new(&chain);
    let lists = [list(&chain, &[chain.client()], 1), list(&later, &[later.client()], 1)];
    assert_eq!(lists.map(|list| bench.sequencer.revoke(list)), [Some(1), Some(0)]);

    let mut update = chain.changed(|config| config.name = "second".to_owned());
    chain.admin().clone().approve(chain.channel(), &mut update);
    let envelope = chain.config_envelope(&update);
    bench.submit(&chain.admin().clone(), &envelope);
    bench.pass_timeout();
    assert_eq!(bench.configs.len(), 1, "the update is in force");
    assert!(!is_ordered(&mut bench, &chain, chain.client(), 1));

    let mut bench = Bench::new(&later);
    bench.sequencer.close(later.channel(), &mut Vec::new());
    bench.sequencer.revoke(list(&later, &[later.client()], 1));
    bench.open(&later).unwrap();
    assert!(!is_ordered(&mut bench, &later, later.client(), 1));
}

#[test]
fn a_revoked_admin_signs_no_update() {
    let mut chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let second = Creator::enrol(chain.authority(), "admin2", Role::Admin, [8; 32]);
    let revoked = list(&chain, &[chain.admin()], 1);
    bench.sequencer.revoke(revoked);

    let mut update = chain.changed(|config| config.name = "second".to_owned());
    chain.admin().clone().approve(chain.channel(), &mut update);
    let content = chain.config_envelope(&update).content().clone();
    // Submitted by an admin in good standing.
    let content = crate::ledger::EnvelopeContent { creator: second.certificate.fingerprint(), ..content };
    let envelope = crate::ledger::Envelope::sign(content, &second.key);
    let ticket = bench.submit(&second, &envelope);
    bench.pass_timeout();

    let SubmitRefusal::ConfigUpdate(UpdateError::Signer { error, .. }) = bench.refusal(ticket) else {
        panic!("{:?}", bench.answers[&ticket]);
    };
    assert!(matches!(error, CertificateError::Revoked { .. }), "{error}");
    assert_eq!(bench.configs.len(), 0);
}

#[test]
fn a_list_of_an_unknown_ca_does_nothing() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let stranger = Authority::create_with(SecretKey::from_seed([9; 32]), "org1", VALIDITY).unwrap();

    let list = stranger.revoke(&[&chain.client().certificate], 9, VALIDITY).unwrap();

    assert_eq!(bench.sequencer.revoke(list), Some(0));
    assert!(is_ordered(&mut bench, &chain, chain.client(), 1));
}

#[test]
fn a_list_of_an_unknown_ca_replaces_no_other_of_that_name() {
    let (chain, later) = (Chain::new(1), Chain::new(2));
    let mut bench = Bench::new(&later);
    bench.sequencer.close(later.channel(), &mut Vec::new());
    let stranger = Authority::create_with(SecretKey::from_seed([9; 32]), "org1", VALIDITY).unwrap();
    let of_stranger = stranger.revoke(&[&chain.client().certificate], 9, VALIDITY).unwrap();
    let of_later = list(&later, &[later.client()], 1);
    assert_eq!(of_stranger.issuer(), of_later.issuer(), "they have one name");

    bench.sequencer.revoke(of_later);
    bench.sequencer.revoke(of_stranger);
    bench.open(&later).unwrap();

    assert!(!is_ordered(&mut bench, &later, later.client(), 1));
}
