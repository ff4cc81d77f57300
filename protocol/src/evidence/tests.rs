//! What proves guilt, and what proves nothing: one test a check.

use super::*;
use crate::channel::Genesis;
use crate::event::Source;
use crate::job::{self, Job};
use crate::ledger::{
    Block, BlockError, CertifiedHeader, Header, HeaderFields, QuorumCertificate, QuorumCertificateError,
};
use crate::store::suite::Chain;
use crate::types::{BlockNumber, ChannelId, SourceId};
use crate::wire::proto;
use bytes::Bytes;
use ledgercast_crypto::SecretKey;
use ledgercast_crypto::digest::Digest;

fn orderer(index: u8) -> SecretKey {
    SecretKey::from_seed([0x80 + index; 32])
}

fn orderer_config(key: &SecretKey) -> proto::OrdererConfig {
    proto::OrdererConfig {
        key: Bytes::copy_from_slice(key.public().as_bytes()),
        org: "org1".to_owned(),
        endpoint: "127.0.0.1:7050".to_owned(),
        tls_roots: Vec::new(),
    }
}

/// A channel of four orderers, three of which certify.
fn four_orderers() -> Chain {
    Chain::with(7, |config| {
        config.orderers = (0..4).map(|index| orderer_config(&orderer(index))).collect();
        config.quorum = 3;
    })
}

fn fields(chain: &Chain, number: u64, name: &str) -> HeaderFields {
    HeaderFields {
        number: BlockNumber::new(number),
        previous_hash: Digest::of(b"whatever is before"),
        body_root: Digest::of(name.as_bytes()),
        body_bytes: 100,
        part_count: 1,
        envelope_count: 1,
        config_number: chain.config().number(),
        ..chain.genesis().block().header().header().fields().clone()
    }
}

/// A header with the signatures of these orderers, in ascending order.
fn signed(fields: HeaderFields, signers: &[u8]) -> CertifiedHeader {
    let (channel, header) = (fields.channel, Header::new(fields));
    let mut bitmap = 0_u8;
    let mut signatures = Vec::new();
    for index in signers {
        let one = QuorumCertificate::sign(channel, header.hash(), 0, &orderer(*index));
        bitmap |= 1 << index;
        signatures.extend(proto::QuorumCertificate::from(&one).signatures);
    }
    let wire = proto::QuorumCertificate { signers: vec![bitmap].into(), signatures };
    CertifiedHeader { header, certificate: Some(wire.try_into().expect("bits and signatures fit")) }
}

/// Two headers of block 5, each signed by some orderers.
fn pair(chain: &Chain, first: &[u8], second: &[u8]) -> Equivocation {
    let (one, other) = (fields(chain, 5, "one"), fields(chain, 5, "other"));
    Equivocation::try_new(signed(one, first), signed(other, second)).expect("they contradict each other")
}

fn verdict(chain: &Chain, equivocation: Equivocation) -> Result<Verdict, EvidenceError> {
    let evidence = Evidence { configs: Vec::new(), equivocation };
    let evidence = Evidence::decode(evidence.encode()).expect("what is encoded decodes");
    verify(chain.genesis(), &evidence)
}

#[test]
fn an_orderer_that_signed_two_headers_of_one_number_is_guilty() {
    let chain = four_orderers();

    let verdict = verdict(&chain, pair(&chain, &[0, 1, 2], &[2]));

    let number = BlockNumber::new(5);
    assert_eq!(verdict, Ok(Verdict::DoubleSignature { number, guilty: vec![orderer(2).public()] }));
}

#[test]
fn two_certificates_are_a_fork_and_who_signed_both_is_guilty() {
    let chain = four_orderers();

    let verdict = verdict(&chain, pair(&chain, &[0, 1, 2], &[1, 2, 3]));

    let guilty = vec![orderer(1).public(), orderer(2).public()];
    assert_eq!(verdict, Ok(Verdict::Fork { number: BlockNumber::new(5), guilty }));
}

#[test]
fn different_orderers_that_signed_different_headers_prove_nothing() {
    let chain = four_orderers();

    let verdict = verdict(&chain, pair(&chain, &[0, 1], &[2, 3]));

    let error = EquivocationError::NobodyGuilty(BlockNumber::new(5));
    assert_eq!(verdict, Err(EvidenceError::Equivocation(error)));
}

#[test]
fn a_signature_of_somebody_else_in_an_orderers_place_proves_nothing() {
    let chain = four_orderers();
    let channel = chain.channel();
    let header = Header::new(fields(&chain, 5, "forged"));
    let certificate = QuorumCertificate::sign(channel, header.hash(), 1, &orderer(0));
    let forged = CertifiedHeader { header, certificate: Some(certificate) };
    let genuine = signed(fields(&chain, 5, "one"), &[0, 1, 2]);

    let verdict = verdict(&chain, Equivocation::try_new(genuine, forged).unwrap());

    let error = QuorumCertificateError::Signature { index: 1 };
    let error = EquivocationError::Certificate { number: BlockNumber::new(5), error };
    assert_eq!(verdict, Err(EvidenceError::Equivocation(error)));
}

#[test]
fn a_right_signature_beside_a_wrong_one_proves_nothing_in_that_form() {
    let chain = four_orderers();
    let header = Header::new(fields(&chain, 5, "other"));
    let sign = |key| QuorumCertificate::sign(chain.channel(), header.hash(), 0, key);
    let signatures = [sign(&orderer(0)), sign(&orderer(3))].map(|it| proto::QuorumCertificate::from(&it));
    let signatures = signatures.into_iter().flat_map(|it| it.signatures).collect();
    // The second signature stands in the place of orderer 1.
    let certificate = proto::QuorumCertificate { signers: vec![0b11].into(), signatures };
    let mixed = CertifiedHeader { header, certificate: Some(certificate.try_into().unwrap()) };
    let genuine = signed(fields(&chain, 5, "one"), &[0, 1, 2]);

    let refused = verdict(&chain, Equivocation::try_new(genuine.clone(), mixed.clone()).unwrap());
    let trimmed = mixed.certificate.as_ref().unwrap().only_right(chain.config(), mixed.hash());
    let trimmed = CertifiedHeader { certificate: trimmed, ..mixed };
    let accepted = verdict(&chain, Equivocation::try_new(genuine, trimmed).unwrap());

    assert!(matches!(refused, Err(EvidenceError::Equivocation(EquivocationError::Certificate { .. }))));
    let (number, guilty) = (BlockNumber::new(5), vec![orderer(0).public()]);
    assert_eq!(accepted, Ok(Verdict::DoubleSignature { number, guilty }));
}

#[test]
fn headers_that_do_not_contradict_each_other_are_no_equivocation() {
    let chain = four_orderers();
    let one = signed(fields(&chain, 5, "one"), &[0]);
    let error = |fields| Equivocation::try_new(one.clone(), signed(fields, &[0])).unwrap_err();
    let other = fields(&chain, 5, "other");
    let elsewhere = ChannelId::from_bytes([9; 32]);

    assert_eq!(error(fields(&chain, 5, "one")), EquivocationError::SameHeader(BlockNumber::new(5)));
    assert!(matches!(error(fields(&chain, 6, "other")), EquivocationError::Numbers { .. }));
    let of_other_channel = HeaderFields { channel: elsewhere, ..other.clone() };
    assert!(matches!(error(of_other_channel), EquivocationError::Channels { .. }));
    let of_other_config = HeaderFields { config_number: 1, ..other.clone() };
    assert!(matches!(error(of_other_config), EquivocationError::Configs { .. }));
    let unsigned = CertifiedHeader { header: Header::new(other), certificate: None };
    let error = Equivocation::try_new(one, unsigned).unwrap_err();
    assert_eq!(error, EquivocationError::NoCertificate(BlockNumber::new(5)));
}

#[test]
fn nobody_signs_block_0() {
    let chain = four_orderers();
    let [one, other] = ["one", "other"].map(|name| signed(fields(&chain, 0, name), &[0, 1, 2]));

    assert_eq!(Equivocation::try_new(one, other), Err(EquivocationError::Genesis));
}

#[test]
fn the_order_in_which_headers_are_shown_makes_no_other_evidence() {
    let chain = four_orderers();
    let one = signed(fields(&chain, 5, "one"), &[0, 1, 2]);
    let other = signed(fields(&chain, 5, "other"), &[0, 1, 2]);

    let [pair, turned] = [(one.clone(), other.clone()), (other, one)]
        .map(|(first, second)| Equivocation::try_new(first, second).expect("they contradict each other"));

    assert_eq!(pair, turned);
    assert_eq!(pair.id(), turned.id());
}

/// A chain whose second block brings another orderer, that orderer's two headers of block 5, and the block.
fn after_a_config() -> (Chain, Block, Equivocation) {
    let mut chain = Chain::new(8);
    chain.extend(1);
    let key = orderer(0);
    let named = key.clone();
    let block = chain.update(move |config| config.orderers = vec![orderer_config(&named)], &[]);
    chain.set_orderer(key);
    let pair = pair(&chain, &[0], &[0]);
    (chain, block.to_block(), pair)
}

fn with_configs(
    chain: &Chain,
    configs: Vec<Block>,
    equivocation: Equivocation,
) -> Result<Verdict, EvidenceError> {
    verify(chain.genesis(), &Evidence { configs, equivocation })
}

#[test]
fn evidence_under_a_later_config_carries_the_blocks_that_lead_to_it() {
    let (chain, config, pair) = after_a_config();

    let proven = with_configs(&chain, vec![config.clone()], pair.clone());
    let bare = with_configs(&chain, Vec::new(), pair.clone());
    let twice = with_configs(&chain, vec![config.clone(), config], pair);

    let guilty = vec![orderer(0).public()];
    assert_eq!(proven, Ok(Verdict::Fork { number: BlockNumber::new(5), guilty }));
    assert_eq!(bare, Err(EvidenceError::ConfigCount { found: 0, needed: 1 }));
    assert_eq!(twice, Err(EvidenceError::ConfigCount { found: 2, needed: 1 }));
}

#[test]
fn a_config_block_must_be_certified_below_the_headers_and_bring_a_config() {
    let (chain, config, pair) = after_a_config();
    let mut altered = config.clone();
    let mut body = altered.body.to_vec();
    body.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
    altered.body = body.into();
    let mut uncertified = config.clone();
    uncertified.header.certificate = None;
    let plain = Chain::new(8).extend(1)[0].to_block();
    let of_another = Chain::new(9).update(|_| {}, &[]).to_block();
    let late = Equivocation::try_new(
        signed(fields(&chain, 2, "one"), &[0]),
        signed(fields(&chain, 2, "other"), &[0]),
    );

    let verdict = |block: Block, pair: &Equivocation| with_configs(&chain, vec![block], pair.clone());
    let number = BlockNumber::new(2);
    assert!(matches!(verdict(altered, &pair), Err(EvidenceError::Block(BlockError::BodyRoot(_)))));
    assert_eq!(verdict(uncertified, &pair), Err(EvidenceError::Block(BlockError::NoCertificate(number))));
    assert_eq!(verdict(plain, &pair), Err(EvidenceError::NoConfig(BlockNumber::new(1))));
    assert!(matches!(verdict(of_another, &pair), Err(EvidenceError::Block(BlockError::WrongChannel { .. }))));
    assert_eq!(verdict(config, &late.unwrap()), Err(EvidenceError::ConfigOrder(number)));
}

#[test]
fn a_config_that_its_admins_did_not_sign_leads_nowhere() {
    let mut chain = Chain::new(8);
    chain.extend(1);
    let honest = chain.genesis().clone();
    let mut forged = chain.changed(|config| config.orderers = vec![orderer_config(&orderer(0))]);
    chain.client().approve(chain.channel(), &mut forged);
    let block = chain.config_block(&forged).to_block();
    let under_next = |name| HeaderFields { config_number: 1, ..fields(&chain, 5, name) };
    let pair = Equivocation::try_new(signed(under_next("one"), &[0]), signed(under_next("other"), &[0]));

    let verdict = verify(&honest, &Evidence { configs: vec![block], equivocation: pair.unwrap() });

    assert!(matches!(verdict, Err(EvidenceError::Update { .. })), "{verdict:?}");
}

#[test]
fn evidence_of_another_channel_proves_nothing_here() {
    let (chain, other) = (four_orderers(), Genesis::clone(Chain::new(9).genesis()));
    let evidence = Evidence { configs: Vec::new(), equivocation: pair(&chain, &[0, 1, 2], &[0]) };

    let verdict = verify(&other, &evidence);

    let error = EquivocationError::Channels { first: chain.channel(), second: other.channel() };
    assert_eq!(verdict, Err(EvidenceError::Equivocation(error)));
}

#[test]
fn what_is_no_evidence_does_not_decode() {
    let chain = four_orderers();
    let pair = pair(&chain, &[0], &[0]);
    let half = proto::Evidence {
        configs: Vec::new(),
        equivocation: Some(proto::Equivocation { second: None, ..(&pair).into() }),
    };
    let encoded = |wire: &proto::Evidence| Bytes::from(prost::Message::encode_to_vec(wire));

    assert!(matches!(Evidence::decode(Bytes::from_static(b"\xff")), Err(EvidenceError::Malformed(_))));
    assert!(matches!(Evidence::decode(Bytes::new()), Err(EvidenceError::Malformed(_))));
    assert!(matches!(Evidence::decode(encoded(&half)), Err(EvidenceError::Equivocation(_))));
    let long = Bytes::from(vec![0; EVIDENCE_BYTES_MAX + 1]);
    assert_eq!(Evidence::decode(long), Err(EvidenceError::TooLong { found: EVIDENCE_BYTES_MAX + 1 }));
    assert_eq!(Equivocation::decode(pair.encode()), Ok(pair));
}

/// A proof that some orderers of four certified a fork at this number.
fn fork(chain: &Chain, number: u64, name: &str) -> Proof {
    let genuine = signed(fields(chain, number, "one"), &[0, 1, 2]);
    let rival = signed(fields(chain, number, name), &[0, 1, 2]);
    let equivocation = Equivocation::try_new(genuine, rival).expect("they contradict each other");
    let verdict = equivocation.judge(chain.config()).expect("a fork");
    Proof { equivocation, verdict }
}

#[test]
fn a_header_beside_the_held_one_is_false_or_evidence_or_both() {
    let chain = four_orderers();
    let held = signed(fields(&chain, 5, "one"), &[0, 1, 2]);
    let run = |signers: &[u8]| {
        let other = signed(fields(&chain, 5, "other"), signers);
        let (from, config) = (Source::Orderer(SourceId(0)), chain.config().clone());
        match (Job::Rival { from, config, held: held.clone(), other }).run() {
            job::Verdict::Rival { error, proof, .. } => (error, proof.map(|proof| proof.verdict.name())),
            other => panic!("a verdict of another kind: {other:?}"),
        }
    };

    assert_eq!(run(&[1, 2, 3]), (None, Ok("fork")));
    let below = QuorumCertificateError::BelowQuorum { found: 1, quorum: 3 };
    let number = BlockNumber::new(5);
    let uncertified = || Some(BlockError::Certificate { number, error: below.clone() });
    assert_eq!(run(&[2]), (uncertified(), Ok("double_signature")));
    assert_eq!(run(&[3]), (uncertified(), Err(EquivocationError::NobodyGuilty(number))));
}

/// A proof that one orderer of four signed two headers of this number, and no more than that.
fn double_signature(chain: &Chain, number: u64, name: &str) -> Proof {
    let genuine = signed(fields(chain, number, "one"), &[0]);
    let rival = signed(fields(chain, number, name), &[0]);
    let equivocation = Equivocation::try_new(genuine, rival).expect("they contradict each other");
    let verdict = equivocation.judge(chain.config()).expect("a double signature");
    Proof { equivocation, verdict }
}

#[test]
fn double_signatures_of_one_orderer_are_bounded_and_each_is_kept_once() {
    let chain = four_orderers();
    let mut kept = Kept::default();

    assert!(kept.insert(double_signature(&chain, 5, "other"), false));
    assert!(!kept.insert(double_signature(&chain, 5, "other"), false), "it is known");
    let taken =
        (6..100).filter(|number| kept.insert(double_signature(&chain, *number, "other"), false)).count();

    assert_eq!(taken + 1, PROOFS_PER_ORDERER_MAX);
    assert_eq!(kept.proofs().count(), PROOFS_PER_ORDERER_MAX);
}

#[test]
fn a_fork_takes_the_place_of_what_was_cut_out_of_it() {
    let chain = four_orderers();
    let mut kept = Kept::default();
    let (part, whole) = (double_signature(&chain, 5, "other"), fork(&chain, 5, "other"));
    assert_eq!(part.equivocation.id(), whole.equivocation.id());
    assert!(whole.equivocation.claims_fork(chain.config()));
    assert!(!part.equivocation.claims_fork(chain.config()));

    assert!(kept.insert(part.clone(), true));
    assert_eq!(kept.halted_at(), None);
    assert!(kept.insert(whole.clone(), true));
    assert!(!kept.insert(part, true) && !kept.insert(whole, true), "it is known");

    assert_eq!(kept.halted_at(), Some(BlockNumber::new(5)));
    assert_eq!(kept.proofs().map(Proof::is_fork).collect::<Vec<_>>(), [true]);
}

#[test]
fn a_fork_stops_the_channel_however_much_is_known_of_its_signers() {
    let chain = four_orderers();
    let mut kept = Kept::default();
    for number in 100..100 + PROOFS_PER_ORDERER_MAX as u64 {
        kept.insert(double_signature(&chain, number, "other"), false);
    }
    for number in 200..300 {
        kept.insert(fork(&chain, number, "other"), false);
    }
    assert_eq!(kept.proofs().count(), PROOFS_MAX);
    assert!(kept.proofs().all(Proof::is_fork), "they displace double signatures");

    for number in (301..400).rev() {
        assert!(kept.insert(fork(&chain, number, "other"), true), "{number}");
        assert_eq!(kept.halted_at(), Some(BlockNumber::new(number)));
    }

    assert_eq!(kept.proofs().count(), PROOFS_MAX);
    assert!(!kept.insert(fork(&chain, 399, "other"), true), "what was displaced does not come back");
}

#[test]
fn a_halt_is_for_the_lowest_fork_and_a_lifted_one_does_not_come_back() {
    let chain = four_orderers();
    let mut kept = Kept::default();
    let find = |kept: &mut Kept, number, name| kept.insert(fork(&chain, number, name), true);

    for number in [1_000_000, 7, 8] {
        assert!(find(&mut kept, number, "other"));
    }
    assert_eq!(kept.halted_at(), Some(BlockNumber::new(7)));
    assert!(kept.lift());
    assert!(!kept.lift());

    assert!(!find(&mut kept, 7, "other"));
    assert_eq!(kept.halted_at(), None);
    assert!(find(&mut kept, 9, "other"), "another fork is another matter");
    assert!(find(&mut kept, 7, "a third one"));
    assert_eq!(kept.halted_at(), Some(BlockNumber::new(7)));
}

#[test]
fn what_is_kept_comes_back_from_the_disk_as_it_was() {
    let chain = four_orderers();
    let mut kept = Kept::default();
    kept.insert(fork(&chain, 4, "other"), true);
    kept.lift();
    kept.insert(fork(&chain, 5, "other"), true);
    kept.insert(double_signature(&chain, 6, "other"), false);

    let saved = to_saved([(chain.channel(), &kept)].into_iter());

    assert_eq!(from_saved(saved).and_then(|mut all| all.remove(&chain.channel())), Some(kept));
    assert_eq!(from_saved(Bytes::from_static(b"\xff")), None);
}
