//! One test per reason for which an envelope is refused, and per reason for which a channel is not opened.

use super::*;
use crate::channel::UpdateError;
use crate::ledger::{EnvelopeContent, EnvelopeError, EnvelopeKind};
use crate::ordering::OpenError;
use crate::store::suite::VALIDITY;
use ledgercast_crypto::issue::{Authority, Enrolment, Validity};
use ledgercast_crypto::keys::SecretKey;
use ledgercast_crypto::subject::Role;

/// What every submitter without the right is told.
const NOT_PERMITTED: &str = "unknown channel, or not permitted";

fn refused_as_not_permitted(bench: &Bench, ticket: Ticket) -> &str {
    let refusal = bench.refusal(ticket);
    assert_eq!(refusal.to_string(), NOT_PERMITTED);
    match refusal {
        SubmitRefusal::NotPermitted { cause } => cause,
        other => panic!("refused by {other:?}"),
    }
}

fn nothing_is_ordered(bench: &mut Bench, chain: &Chain) {
    bench.pass_timeout();
    assert_eq!(bench.blocks, []);
    assert_eq!(bench.load(chain), crate::ordering::Load::default());
}

#[test]
fn refuses_bytes_that_are_no_envelope() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);

    let ticket = bench.submit_bytes(Bytes::from_static(&[0xff; 40]), &chain.client().certificate);

    assert!(matches!(bench.refusal(ticket), SubmitRefusal::Malformed(EnvelopeError::Malformed(_))));
    nothing_is_ordered(&mut bench, &chain);
}

#[test]
fn refuses_a_nonce_of_the_wrong_length() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let client = chain.client();
    let right = client.envelope(chain.channel(), 1, b"x").content().clone();
    let short = Envelope::sign(EnvelopeContent { nonce: Bytes::from_static(&[1; 15]), ..right }, &client.key);

    let ticket = bench.submit(client, &short);

    let refusal = bench.refusal(ticket);
    assert!(matches!(refusal, SubmitRefusal::Malformed(EnvelopeError::Field { field: "nonce", .. })));
}

#[test]
fn refuses_a_config_envelope_without_an_update() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let admin = Creator::enrol(chain.authority(), "admin1", Role::Admin, [7; 32]);
    let content = admin.envelope(chain.channel(), 1, b"config").content().clone();
    let update = Envelope::sign(EnvelopeContent { kind: EnvelopeKind::Config, ..content }, &admin.key);

    let ticket = bench.submit(&admin, &update);

    let refusal = bench.refusal(ticket);
    assert!(matches!(refusal, SubmitRefusal::ConfigUpdate(UpdateError::Malformed(_))), "{refusal:?}");
    nothing_is_ordered(&mut bench, &chain);
}

#[test]
fn refuses_the_certificate_of_another_creator() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let other = Creator::enrol(chain.authority(), "client2", Role::Client, [7; 32]);
    let envelope = chain.client().envelope(chain.channel(), 1, b"x");

    let ticket = bench.submit(&other, &envelope);

    assert_eq!(bench.refusal(ticket), &SubmitRefusal::OtherCreator);
}

#[test]
fn refuses_an_unsigned_envelope_in_the_form_of_block_0() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let genesis = Envelope::genesis(chain.channel(), Bytes::from_static(b"config"));

    let ticket = bench.submit(chain.client(), &genesis);

    assert_eq!(bench.refusal(ticket), &SubmitRefusal::OtherCreator);
}

#[test]
fn refuses_an_unknown_channel() {
    let (chain, other) = (Chain::new(1), Chain::new(2));
    let mut bench = Bench::new(&chain);

    let ticket = bench.submit_payload(&other, 1, b"x");

    assert!(refused_as_not_permitted(&bench, ticket).contains("is not open here"));
}

#[test]
fn refuses_a_creator_of_a_foreign_org() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let foreign = Authority::create_with(SecretKey::from_seed([9; 32]), "org9", VALIDITY).unwrap();
    let foreign = Creator::enrol(&foreign, "client9", Role::Client, [8; 32]);

    let ticket = bench.submit(&foreign, &foreign.envelope(chain.channel(), 1, b"x"));

    assert!(refused_as_not_permitted(&bench, ticket).contains("org9"));
    nothing_is_ordered(&mut bench, &chain);
}

#[test]
fn refuses_a_creator_of_another_org_of_the_same_name() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let namesake = Authority::create_with(SecretKey::from_seed([9; 32]), "org1", VALIDITY).unwrap();
    let namesake = Creator::enrol(&namesake, "client1", Role::Client, [8; 32]);

    let ticket = bench.submit(&namesake, &namesake.envelope(chain.channel(), 1, b"x"));

    refused_as_not_permitted(&bench, ticket);
}

#[test]
fn refuses_creators_that_are_peers_or_orderers() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);

    for role in [Role::Peer, Role::Orderer] {
        let creator = Creator::enrol(chain.authority(), "member", role, [7; 32]);
        let ticket = bench.submit(&creator, &creator.envelope(chain.channel(), 1, b"x"));

        assert_eq!(refused_as_not_permitted(&bench, ticket), format!("{role} of org1 may not write"));
    }
    nothing_is_ordered(&mut bench, &chain);
}

#[test]
fn refuses_creators_of_an_org_that_may_only_read() {
    let chain = Chain::with(1, |config| config.orgs[0].writer = false);
    let mut bench = Bench::new(&chain);

    let ticket = bench.submit_payload(&chain, 1, b"x");

    assert_eq!(refused_as_not_permitted(&bench, ticket), "client of org1 may not write");
}

#[test]
fn refuses_a_creator_whose_certificate_has_expired() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let key = SecretKey::from_seed([7; 32]);
    let not_after = WALL_MS / 1000 - 1;
    let validity = Validity { not_before: VALIDITY.not_before, not_after };
    let enrolment = Enrolment { common_name: "client2", role: Role::Client, validity, unit: None };
    let certificate = chain.authority().enrol(&key.public(), &enrolment).unwrap();
    let expired = Creator { certificate, key };

    let ticket = bench.submit(&expired, &expired.envelope(chain.channel(), 1, b"x"));

    refused_as_not_permitted(&bench, ticket);
}

#[test]
fn clients_and_admins_of_a_writing_org_may_write() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let admin = Creator::enrol(chain.authority(), "admin1", Role::Admin, [7; 32]);

    let by_client = bench.submit_payload(&chain, 1, b"x");
    let by_admin = bench.submit(&admin, &admin.envelope(chain.channel(), 1, b"x"));
    bench.pass_timeout();

    assert_eq!(bench.position(by_client), (1, 0));
    assert_eq!(bench.position(by_admin), (1, 1));
}

#[test]
fn a_creator_below_an_intermediate_ca_shows_it() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let intermediate = chain.authority().delegate("org1 members", VALIDITY).unwrap();
    let creator = Creator::enrol(&intermediate, "client2", Role::Client, [7; 32]);
    let envelope = creator.envelope(chain.channel(), 1, b"x");

    let without = bench.submit(&creator, &envelope);
    let (ticket, certificate) = (Ticket::new(100), creator.certificate.clone());
    let shown = CertificateChain { certificate, intermediates: vec![intermediate.certificate().clone()] };
    bench.handle(Input::Submit { ticket, envelope: envelope.encode(), creator: shown });
    bench.pass_timeout();

    refused_as_not_permitted(&bench, without);
    assert_eq!(bench.position(ticket), (1, 0));
}

#[test]
fn refuses_an_envelope_above_the_limit_and_takes_one_at_it() {
    let chain = small_blocks(1, 10, 2000);
    let mut bench = Bench::new(&chain);
    let length =
        |payload: usize| chain.client().envelope(chain.channel(), 1, &vec![0; payload]).encode().len();
    let longest = (0..=1000).find(|payload| length(payload + 1) > 1000).unwrap();

    let at_limit = bench.submit_payload(&chain, 1, &vec![0; longest]);
    let above = bench.submit_payload(&chain, 2, &vec![0; longest + 1]);
    bench.pass_timeout();

    assert_eq!(bench.position(at_limit), (1, 0));
    assert_eq!(bench.refusal(above), &SubmitRefusal::TooLarge { bytes: length(longest + 1), limit: 1000 });
}

#[test]
fn whoever_may_not_write_is_not_told_the_limits() {
    let chain = small_blocks(1, 10, 2000);
    let mut bench = Bench::new(&chain);
    let peer = Creator::enrol(chain.authority(), "peer1", Role::Peer, [7; 32]);

    let ticket = bench.submit(&peer, &peer.envelope(chain.channel(), 1, &[0; 5000]));

    refused_as_not_permitted(&bench, ticket);
}

#[test]
fn refuses_a_signature_by_another_key() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let content = chain.client().envelope(chain.channel(), 1, b"x").content().clone();
    let forged = Envelope::sign(content, &SecretKey::from_seed([66; 32]));

    let ticket = bench.submit(chain.client(), &forged);

    assert!(matches!(bench.refusal(ticket), SubmitRefusal::Signature(EnvelopeError::Signature(_))));
    nothing_is_ordered(&mut bench, &chain);
}

#[test]
fn refuses_a_second_envelope_of_one_creator_and_nonce() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);

    let first = bench.submit_payload(&chain, 1, b"first");
    let while_queued = bench.submit_payload(&chain, 1, b"second");
    bench.pass_timeout();
    let when_durable = bench.submit_payload(&chain, 1, b"third");

    assert_eq!(bench.position(first), (1, 0));
    assert_eq!(bench.refusal(while_queued), &SubmitRefusal::NonceUsed);
    assert_eq!(bench.refusal(when_durable), &SubmitRefusal::NonceUsed);
    assert_eq!(bench.envelope_counts(), [1]);
}

#[test]
fn two_creators_may_use_one_nonce() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let other = Creator::enrol(chain.authority(), "client2", Role::Client, [7; 32]);

    bench.submit_payload(&chain, 1, b"x");
    let second = bench.submit(&other, &other.envelope(chain.channel(), 1, b"x"));
    bench.pass_timeout();

    assert_eq!(bench.position(second), (1, 1));
}

#[test]
fn one_creator_may_use_one_nonce_on_two_channels() {
    let one = Chain::new(1);
    let two = Chain::with(2, |config| {
        config.orderers[0].key = Bytes::copy_from_slice(one.orderer().public().as_bytes());
        config.orgs[0].roots = vec![one.authority().certificate().der().clone()];
    });
    let mut bench = Bench::new(&one);
    bench.store.create_channel(two.name(), two.genesis()).unwrap();
    bench.open(&two).unwrap();

    let client = one.client();
    let first = bench.submit(client, &client.envelope(one.channel(), 1, b"x"));
    let second = bench.submit(client, &client.envelope(two.channel(), 1, b"x"));
    bench.pass_timeout();

    assert_eq!((bench.position(first), bench.position(second)), ((1, 0), (1, 0)));
}

#[test]
fn does_not_open_a_channel_that_it_cannot_order_for_alone() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let (foreign, group) = (Chain::new(2), group_of_two(3, &chain));
    for other in [&foreign, &group] {
        bench.store.create_channel(other.name(), other.genesis()).unwrap();
    }

    assert_eq!(bench.open(&chain), Err(OpenError::AlreadyOpen(chain.channel())));
    assert_eq!(bench.open(&foreign), Err(OpenError::NotItsOrderer(foreign.channel())));
    assert_eq!(bench.open(&group), Err(OpenError::Quorum { channel: group.channel(), quorum: 2 }));
}

#[test]
fn does_not_open_more_channels_than_allowed() {
    let (chain, other) = (Chain::new(1), Chain::new(2));
    let config = Config { channels_max: 0, ..Config::default() };
    let mut sequencer = Sequencer::new(config.clone(), vec![chain.orderer().clone()]);
    let open = |chain: &Chain, tip: &Chain| OpenChannel {
        config: chain.genesis().config().clone(),
        tip: tip.tip().clone(),
        nonces: Nonces::new(1),
    };

    let too_many = sequencer.open(open(&chain, &chain));
    let other_tip = sequencer.open(open(&chain, &other));

    assert_eq!(too_many, Err(OpenError::TooMany { channel: chain.channel(), limit: 0 }));
    assert_eq!(other_tip, Err(OpenError::OtherTip { channel: chain.channel(), found: other.channel() }));
}

/// A channel with the orderer of `chain` and another one, both of which must sign.
fn group_of_two(seed: u8, chain: &Chain) -> Chain {
    Chain::with(seed, |config| {
        let mut second = config.orderers[0].clone();
        second.key = Bytes::copy_from_slice(chain.orderer().public().as_bytes());
        config.orderers.push(second);
        config.quorum = 2;
    })
}
