//! Updates judged: one test for each reason to refuse.

use super::*;
use crate::channel::ChannelLimits;
use crate::store::suite::{Chain, Creator, VALIDITY, org_config};
use ledgercast_crypto::issue::{Authority, Enrolment, Validity};

fn other_org(name: &str) -> Authority {
    let key = SecretKey::from_seed(*Digest::of(name.as_bytes()).as_bytes());
    Authority::create_with(key, name, VALIDITY).unwrap()
}

fn admin_of(authority: &Authority, seed: u8) -> Creator {
    Creator::enrol(authority, "admin", Role::Admin, [seed; 32])
}

/// A channel of org1, org2 and org3, with an admin of each of the others.
fn three_orgs() -> (Chain, Creator, Creator) {
    let (two, three) = (other_org("org2"), other_org("org3"));
    let chain = Chain::with(9, |config| config.orgs.extend([org_config(&two), org_config(&three)]));
    (chain, admin_of(&two, 0x51), admin_of(&three, 0x52))
}

fn signed_by(chain: &Chain, mut update: ConfigUpdate, admins: &[&Creator]) -> ConfigUpdate {
    admins.iter().for_each(|admin| admin.approve(chain.channel(), &mut update));
    ConfigUpdate::decode(update.encode()).unwrap()
}

fn verdict(chain: &Chain, update: ConfigUpdate, admins: &[&Creator]) -> Result<ChannelConfig, UpdateError> {
    signed_by(chain, update, admins).judge(chain.config())
}

#[test]
fn a_majority_of_the_orgs_in_force_puts_the_next_config_in_force() {
    let (chain, two, _) = three_orgs();
    let added = org_config(&other_org("org4"));

    let next =
        verdict(&chain, chain.changed(|config| config.orgs.push(added)), &[chain.admin(), &two]).unwrap();

    assert_eq!((next.number(), next.orgs().len()), (1, 4));
    assert_eq!(next.previous_hash(), chain.config().hash());
}

#[test]
fn a_minority_of_the_orgs_is_too_few_and_two_admins_of_one_org_count_once() {
    let (chain, ..) = three_orgs();
    let second = admin_of(chain.authority(), 0x53);

    let refused = verdict(&chain, chain.changed(|_| {}), &[chain.admin(), &second]);

    assert_eq!(refused.unwrap_err(), UpdateError::TooFew { found: 1, needed: 2, orgs: 3 });
}

#[test]
fn an_org_that_the_update_adds_has_no_vote() {
    let (chain, ..) = three_orgs();
    let four = other_org("org4");
    let update = chain.changed(|config| config.orgs.push(org_config(&four)));

    let refused = verdict(&chain, update, &[chain.admin(), &admin_of(&four, 0x54)]);

    assert!(matches!(refused, Err(UpdateError::Signer { index: 1, .. })), "{refused:?}");
}

#[test]
fn a_namesake_with_other_roots_has_no_vote() {
    let (chain, ..) = three_orgs();
    let key = SecretKey::from_seed([0x66; 32]);
    let namesake = Authority::create_with(key, "org2", VALIDITY).unwrap();

    let refused = verdict(&chain, chain.changed(|_| {}), &[chain.admin(), &admin_of(&namesake, 0x55)]);

    assert!(matches!(refused, Err(UpdateError::Signer { index: 1, .. })), "{refused:?}");
}

#[test]
fn only_admins_have_a_vote() {
    let (chain, two, _) = three_orgs();

    let refused = verdict(&chain, chain.changed(|_| {}), &[&two, chain.client()]);

    let error = CertificateError::WrongRole { found: Role::Client, wanted: Role::Admin };
    assert_eq!(refused.unwrap_err(), UpdateError::Signer { index: 1, error });
}

#[test]
fn a_signature_over_another_config_or_for_another_channel_is_refused() {
    let (chain, two, three) = three_orgs();
    let mut update = chain.changed(|config| config.quorum = 1);
    chain.admin().approve(chain.channel(), &mut update);
    two.approve(chain.channel(), &mut update);
    let over_another = ConfigUpdate {
        config: chain.changed(|config| config.name = "else".to_owned()).config,
        signatures: update.signatures.clone(),
    };
    let mut for_another = chain.changed(|_| {});
    two.approve(chain.channel(), &mut for_another);
    three.approve(ChannelId::from_bytes([1; 32]), &mut for_another);

    assert_eq!(over_another.judge(chain.config()).unwrap_err(), UpdateError::Signature { index: 0 });
    assert_eq!(for_another.judge(chain.config()).unwrap_err(), UpdateError::Signature { index: 1 });
}

#[test]
fn an_old_config_and_one_too_far_ahead_are_refused_by_number() {
    let (mut chain, two, _) = three_orgs();
    let replayed = chain.changed(|_| {});
    let replayed = signed_by(&chain, replayed, &[chain.admin(), &two]);
    chain.update(|config| config.name = "second".to_owned(), &[&two]);
    let ahead = chain.changed(|config| config.number = 3);

    let old = replayed.judge(chain.config());
    let ahead = verdict(&chain, ahead, &[chain.admin(), &two]);

    assert_eq!(old.unwrap_err(), UpdateError::Number { found: 1, expected: 2 });
    assert_eq!(ahead.unwrap_err(), UpdateError::Number { found: 3, expected: 2 });
}

#[test]
fn an_update_of_another_config_of_the_same_number_is_refused_by_hash() {
    let (chain, two, _) = three_orgs();
    let other = Digest::of(b"another config 0");
    let update = chain.changed(|config| config.previous_hash = Bytes::copy_from_slice(other.as_bytes()));

    let refused = verdict(&chain, update, &[chain.admin(), &two]);

    let expected = chain.config().hash();
    assert_eq!(refused.unwrap_err(), UpdateError::PreviousHash { found: other, expected });
}

#[test]
fn a_config_whose_quorum_cannot_be_met_is_refused() {
    let (chain, two, _) = three_orgs();

    let refused = verdict(&chain, chain.changed(|config| config.quorum = 2), &[chain.admin(), &two]);

    assert!(matches!(refused, Err(UpdateError::Config(ConfigError::Count { found: 2, .. }))), "{refused:?}");
}

#[test]
fn an_expired_admin_counts_for_peers_and_not_for_orderers() {
    let (chain, two, _) = three_orgs();
    let validity = Validity { not_before: 1_700_000_000, not_after: 1_700_086_400 };
    let enrolment = Enrolment { common_name: "admin", role: Role::Admin, validity, unit: None };
    let key = SecretKey::from_seed([0x56; 32]);
    let certificate = chain.authority().enrol(&key.public(), &enrolment).unwrap();
    let expired = Creator { certificate, key };
    let update = signed_by(&chain, chain.changed(|_| {}), &[&expired, &two]);

    let by_peer = update.judge(chain.config());
    let by_orderer = update.judge_at(chain.config(), 1_800_000_000);

    assert!(by_peer.is_ok(), "{by_peer:?}");
    let error = by_orderer.unwrap_err();
    assert!(matches!(error, UpdateError::Signer { index: 0, .. }), "{error}");
}

#[test]
fn copies_of_one_signature_are_refused_before_any_is_verified() {
    let (chain, two, _) = three_orgs();
    let update = signed_by(&chain, chain.changed(|_| {}), &[&two]);
    let mut copies = update.clone();
    // The first one is wrong, too: nobody comes to see that.
    copies.signatures[0].signature = Signature::try_from(&[7; 64][..]).unwrap();
    copies.signatures.extend(update.signatures);

    assert_eq!(copies.judge(chain.config()).unwrap_err(), UpdateError::SignedTwice { index: 1 });
    assert_eq!(copies.signing_orgs(chain.config()).unwrap_err(), UpdateError::SignedTwice { index: 1 });
}

#[test]
fn who_signs_again_with_a_renewed_certificate_replaces_the_earlier_signature() {
    let (chain, two, _) = three_orgs();
    let renewed = Creator::enrol(chain.authority(), "admin", Role::Admin, [9 ^ 0x40; 32]);
    assert_eq!(renewed.key.public(), chain.admin().key.public());

    let update = signed_by(&chain, chain.changed(|_| {}), &[chain.admin(), &two, &renewed]);

    assert_eq!(update.signatures().len(), 2);
    assert!(update.judge(chain.config()).is_ok());
}

#[test]
fn a_config_under_which_no_further_update_would_fit_is_refused() {
    let (chain, two, _) = three_orgs();
    let limited = |bytes: u32| {
        let limits = ChannelLimits { envelope_bytes_max: bytes, ..ChannelLimits::default() };
        let update = chain.changed(|config| config.limits = Some((&limits).into()));
        signed_by(&chain, update, &[chain.admin(), &two])
    };
    // As many admins sign as must, with certificates of nearly one length.
    let needed = match limited(2_000).judge(chain.config()).unwrap_err() {
        UpdateError::EnvelopeLimit { needed, .. } => needed,
        other => panic!("{other}"),
    };
    assert!(needed >= limited(2_000).encode().len() + ENVELOPE_OVERHEAD_BYTES);
    let floor = u32::try_from(needed).unwrap();

    assert!(limited(floor).judge(chain.config()).is_ok());
    let refused = limited(floor - 1).judge(chain.config());
    assert_eq!(refused.unwrap_err(), UpdateError::EnvelopeLimit { found: floor - 1, needed });
}

#[test]
fn room_is_kept_for_the_signatures_of_a_larger_majority() {
    let chain = Chain::new(1);
    let orgs = |count: u8| -> Vec<proto::OrgConfig> {
        let authority = |number: u8| {
            Authority::reproducible(SecretKey::from_seed([100 + number; 32]), &format!("o{number}"), VALIDITY)
        };
        (0..count).map(|number| org_config(&authority(number).unwrap())).collect()
    };
    let needed = |more: u8| {
        let limits = ChannelLimits { envelope_bytes_max: 1, ..ChannelLimits::default() };
        let update = chain.changed(|config| {
            config.limits = Some((&limits).into());
            config.orgs.extend(orgs(more));
        });
        let update = signed_by(&chain, update, &[chain.admin()]);
        match update.judge(chain.config()).unwrap_err() {
            UpdateError::EnvelopeLimit { needed, .. } => (needed, update.encode().len()),
            other => panic!("{other}"),
        }
    };

    let ((alone, _), (many, length)) = (needed(0), needed(8));

    // Five of nine sign then: four certificates and signatures more than this update has.
    assert!(many > length + 4 * 64 + ENVELOPE_OVERHEAD_BYTES && many > alone, "{alone} {many} {length}");
}

#[test]
fn a_flood_of_signatures_and_malformed_bytes_are_refused_unread() {
    let (chain, ..) = three_orgs();
    let flood = proto::ConfigUpdate {
        config: chain.config().bytes().clone(),
        signatures: vec![proto::AdminSignature::default(); SIGNATURES_MAX + 1],
    };

    let admin = proto::AdminSignature {
        certificate: chain.admin().certificate.der().clone(),
        intermediates: vec![chain.admin().certificate.der().clone(); 9],
        signature: vec![0; 64].into(),
    };
    let long = proto::ConfigUpdate { config: Bytes::new(), signatures: vec![admin] };

    let flood = ConfigUpdate::decode(flood.encode_to_vec().into());
    let long = ConfigUpdate::decode(long.encode_to_vec().into()).unwrap_err().to_string();
    let malformed = ConfigUpdate::decode(Bytes::from_static(b"\xff"));

    assert_eq!(flood.unwrap_err(), UpdateError::TooManySignatures { found: SIGNATURES_MAX + 1 });
    assert!(long.ends_with("intermediates stands 9 times, the limit is 8"), "{long}");
    assert!(matches!(malformed, Err(UpdateError::Malformed(_))));
}
