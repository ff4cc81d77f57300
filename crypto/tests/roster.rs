//! A certificate is judged by the roster: one test for each reason to refuse it.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail by panicking too")]

use bytes::Bytes;
use ledgercast_crypto::issue::{Authority, Enrolment, TlsAuthority, Validity};
use ledgercast_crypto::{
    Certificate, CertificateError, Identity, MemberId, OrgRoots, RevocationError, Role, Roster, RosterError,
    SecretKey,
};

/// The middle of the validity of everything issued here, in seconds since 1970.
const NOW: u64 = 1_800_000_000;
const DAY: u64 = 24 * 60 * 60;
const YEARS: Validity = Validity { not_before: NOW - 1_000 * DAY, not_after: NOW + 1_000 * DAY };
const WEEK: Validity = Validity { not_before: NOW - 3 * DAY, not_after: NOW + 3 * DAY };

fn authority(org: &str, seed: u8) -> Authority {
    Authority::create_with(SecretKey::from_seed([seed; 32]), org, YEARS).unwrap()
}

fn key() -> SecretKey {
    SecretKey::from_seed([200; 32])
}

fn enrol(ca: &Authority, role: Role, validity: Validity) -> Certificate {
    ca.enrol(&key().public(), &Enrolment { common_name: "peer0", role, validity, unit: None }).unwrap()
}

fn roster_of(orgs: &[(&str, &Authority)]) -> Roster {
    let roots = |(name, ca): &(&str, &Authority)| OrgRoots::new(*name, vec![ca.certificate().clone()]);
    Roster::try_new(orgs.iter().map(roots)).unwrap()
}

fn verdict(orgs: &[(&str, &Authority)], certificate: &Certificate) -> Result<Identity, CertificateError> {
    roster_of(orgs).verify(certificate, &[], NOW)
}

#[test]
fn accepts_members_of_every_role() {
    let ca = authority("Org1", 1);
    for role in Role::ALL {
        let certificate = enrol(&ca, role, WEEK);

        let identity = verdict(&[("Org1", &ca)], &certificate).unwrap();

        assert_eq!((identity.role, identity.org_name.as_str()), (role, "Org1"));
        assert_eq!(identity.member, MemberId::of(&ca.key().public(), &key().public()));
        assert_eq!(identity.org, OrgRoots::new("Org1", vec![ca.certificate().clone()]).id());
        assert_eq!(identity.certificate, certificate);
    }
}

#[test]
fn a_renewed_certificate_of_the_same_key_is_the_same_member() {
    let ca = authority("Org1", 1);
    let renewed_ca = authority("Org1", 1);
    let orgs = [("Org1", &ca)];

    let before = verdict(&orgs, &enrol(&ca, Role::Peer, WEEK)).unwrap();
    let after = verdict(&orgs, &enrol(&ca, Role::Peer, YEARS)).unwrap();
    let under_renewed_root = verdict(&[("Org1", &renewed_ca)], &enrol(&ca, Role::Peer, WEEK)).unwrap();

    assert_ne!(before.certificate, after.certificate);
    assert_eq!(before.member, after.member);
    assert_eq!(before.member, under_renewed_root.member);
}

#[test]
fn refuses_an_unknown_org() {
    let (ca, stranger) = (authority("Org1", 1), authority("Org9", 9));

    let error = verdict(&[("Org1", &ca)], &enrol(&stranger, Role::Peer, WEEK)).unwrap_err();

    assert_eq!(error, CertificateError::UnknownOrg { org: "Org9".into() });
}

#[test]
fn refuses_a_certificate_of_the_wrong_ca() {
    // The CA of Org2 certifies somebody as a member of Org1.
    let (ca, other) = (authority("Org1", 1), authority("Org2", 2));
    let usurper = Authority::create_with(other.key().clone(), "Org1", YEARS).unwrap();
    let forged = usurper.enrol(
        &key().public(),
        &Enrolment { common_name: "peer0", role: Role::Peer, validity: WEEK, unit: None },
    );
    let roots = OrgRoots::new("Org2", vec![usurper.certificate().clone()]);
    let mut roster = roster_of(&[("Org1", &ca)]);
    roster.insert(roots).unwrap();

    let error = roster.verify(&forged.unwrap(), &[], NOW).unwrap_err();

    assert_eq!(error, CertificateError::WrongCa { org: "Org1".into(), signed_by: "Org2".into() });
}

#[test]
fn refuses_the_same_org_name_with_other_roots() {
    let (ca, namesake) = (authority("Org1", 1), authority("Org1", 7));

    let error = verdict(&[("Org1", &ca)], &enrol(&namesake, Role::Peer, WEEK)).unwrap_err();

    assert!(matches!(&error, CertificateError::OtherRoots { org, .. } if org == "Org1"), "{error}");
}

#[test]
fn a_root_that_the_member_shows_itself_proves_nothing() {
    let (ca, namesake) = (authority("Org1", 1), authority("Org1", 7));
    let certificate = enrol(&namesake, Role::Peer, WEEK);
    let renamed = Authority::create_with(SecretKey::from_seed([8; 32]), "Elsewhere", YEARS).unwrap();
    let roster = roster_of(&[("Org1", &ca)]);

    let shown = [namesake.certificate().clone(), renamed.certificate().clone()];
    let error = roster.verify(&certificate, &shown, NOW).unwrap_err();

    assert!(matches!(error, CertificateError::OtherRoots { .. }), "{error}");
}

#[test]
fn orgs_of_one_name_stay_apart_in_one_roster() {
    let (ca, namesake) = (authority("Org1", 1), authority("Org1", 7));
    let orgs = [("Org1", &ca), ("Org1", &namesake)];

    let of_first = verdict(&orgs, &enrol(&ca, Role::Peer, WEEK)).unwrap();
    let of_second = verdict(&orgs, &enrol(&namesake, Role::Peer, WEEK)).unwrap();

    assert_ne!(of_first.org, of_second.org);
    assert_ne!(of_first.member, of_second.member);
}

#[test]
fn refuses_an_expired_certificate_from_the_second_after() {
    let ca = authority("Org1", 1);
    let certificate = enrol(&ca, Role::Peer, WEEK);
    let roster = roster_of(&[("Org1", &ca)]);

    assert!(roster.verify(&certificate, &[], WEEK.not_after).is_ok());
    let error = roster.verify(&certificate, &[], WEEK.not_after + 1).unwrap_err();

    let subject = certificate.subject().to_string();
    let (not_after, at) = (WEEK.not_after, WEEK.not_after + 1);
    assert_eq!(error, CertificateError::Expired { subject, not_after, at });
}

#[test]
fn refuses_a_certificate_before_its_first_second() {
    let ca = authority("Org1", 1);
    let certificate = enrol(&ca, Role::Peer, WEEK);
    let roster = roster_of(&[("Org1", &ca)]);

    assert!(roster.verify(&certificate, &[], WEEK.not_before).is_ok());
    let error = roster.verify(&certificate, &[], WEEK.not_before - 1).unwrap_err();

    let subject = certificate.subject().to_string();
    let (not_before, at) = (WEEK.not_before, WEEK.not_before - 1);
    assert_eq!(error, CertificateError::NotYetValid { subject, not_before, at });
}

#[test]
fn refuses_members_of_an_expired_root() {
    let old = Authority::create_with(SecretKey::from_seed([1; 32]), "Org1", WEEK).unwrap();
    let certificate = enrol(&old, Role::Peer, YEARS);
    let roster = roster_of(&[("Org1", &old)]);

    let error = roster.verify(&certificate, &[], WEEK.not_after + 1).unwrap_err();

    assert!(
        matches!(&error, CertificateError::Expired { subject, .. } if subject.contains("Org1 CA")),
        "{error}"
    );
}

#[test]
fn accepts_through_an_intermediate_and_names_a_missing_one() {
    let ca = authority("Org1", 1);
    let between = ca.delegate("Org1 issuing CA", YEARS).unwrap();
    let certificate = enrol(&between, Role::Peer, WEEK);
    let roster = roster_of(&[("Org1", &ca)]);
    let mut knowing = OrgRoots::new("Org1", vec![ca.certificate().clone()]);
    knowing.intermediates.push(between.certificate().clone());
    let knowing = Roster::try_new([knowing]).unwrap();

    let error = roster.verify(&certificate, &[], NOW).unwrap_err();
    let shown = roster.verify(&certificate, &[between.certificate().clone()], NOW).unwrap();
    let known = knowing.verify(&certificate, &[], NOW).unwrap();

    assert!(
        matches!(&error, CertificateError::MissingIntermediate { issuer, .. } if issuer.contains("issuing")),
        "{error}"
    );
    assert_eq!(shown, known);
    assert_eq!(shown.member, MemberId::of(&ca.key().public(), &key().public()));
}

#[test]
fn refuses_an_expired_intermediate() {
    let ca = authority("Org1", 1);
    let between = ca.delegate("Org1 issuing CA", WEEK).unwrap();
    let certificate = enrol(&between, Role::Peer, YEARS);
    let roster = roster_of(&[("Org1", &ca)]);

    let shown = [between.certificate().clone()];
    let error = roster.verify(&certificate, &shown, WEEK.not_after + 1).unwrap_err();

    assert!(
        matches!(&error, CertificateError::Expired { subject, .. } if subject.contains("issuing")),
        "{error}"
    );
}

#[test]
fn refuses_a_ca_below_a_ca_that_may_have_none() {
    let ca = authority("Org1", 1);
    let between = ca.delegate("Org1 issuing CA", YEARS).unwrap();
    let below = between.delegate("Org1 shadow CA", YEARS).unwrap();
    let certificate = enrol(&below, Role::Peer, WEEK);
    let roster = roster_of(&[("Org1", &ca)]);

    let shown = [between.certificate().clone(), below.certificate().clone()];
    let error = roster.verify(&certificate, &shown, NOW).unwrap_err();

    assert!(matches!(error, CertificateError::Path { .. }), "{error}");
}

#[test]
fn refuses_a_member_that_plays_ca() {
    // A member signs with its own key, in its own name; our issuing code refuses to, the library does not.
    let ca = authority("Org1", 1);
    let member = enrol(&ca, Role::Peer, WEEK);
    let roster = roster_of(&[("Org1", &ca)]);
    let forged = forge_below(&member);

    let error = roster.verify(&forged, &[member], NOW).unwrap_err();

    assert!(
        matches!(&error, CertificateError::IssuerNotCa { issuer } if issuer.contains("peer0")),
        "{error}"
    );
}

#[test]
fn refuses_a_ca_as_a_member() {
    let ca = authority("Org1", 1);

    let error = verdict(&[("Org1", &ca)], ca.certificate()).unwrap_err();

    assert!(matches!(error, CertificateError::CaAsMember { .. }), "{error}");
}

#[test]
fn refuses_a_certificate_whose_units_name_no_single_role() {
    for units in [&["finance"][..], &[], &["peer", "admin"]] {
        let (ca, certificate) = with_units(units);

        let error = verdict(&[("Org1", &ca)], &certificate).unwrap_err();

        assert_eq!(
            error,
            CertificateError::UnknownRole { ous: units.iter().map(|it| it.to_string()).collect() }
        );
    }
}

#[test]
fn a_genuine_member_of_another_role_is_told_apart() {
    let ca = authority("Org1", 1);
    let identity = verdict(&[("Org1", &ca)], &enrol(&ca, Role::Client, WEEK)).unwrap();

    assert_eq!(identity.require_role(Role::Client), Ok(()));
    let (found, wanted) = (Role::Client, Role::Peer);
    assert_eq!(identity.require_role(wanted), Err(CertificateError::WrongRole { found, wanted }));
}

#[test]
fn refuses_version_1() {
    let error = Certificate::from_pem(include_str!("fixtures/version1.pem")).unwrap_err();

    assert_eq!(error, CertificateError::Version { found: 1 });
}

#[test]
fn refuses_keys_of_other_algorithms() {
    let tls = TlsAuthority::create("Org1", YEARS).unwrap();

    let error = Certificate::from_pem(&tls.pair().certificate_pem).unwrap_err();

    assert!(
        matches!(&error, CertificateError::NotEd25519 { algorithm, .. } if algorithm == "1.2.840.10045.2.1"),
        "{error}"
    );
}

#[test]
fn refuses_a_chain_signed_by_another_algorithm() {
    let ca = authority("Org1", 1);
    let der = rustls_pki_types::CertificateDer::from(ca.certificate().der().as_ref());
    let issuer = rcgen::Issuer::from_ca_cert_der(&der, rcgen::KeyPair::generate().unwrap()).unwrap();
    let signed = rcgen_params(&["peer"]).signed_by(&rcgen_key(&key()), &issuer).unwrap();
    let certificate = Certificate::from_der(Bytes::copy_from_slice(signed.der())).unwrap();

    let error = verdict(&[("Org1", &ca)], &certificate).unwrap_err();

    assert!(matches!(error, CertificateError::NotEd25519 { .. }), "{error}");
}

#[test]
fn refuses_an_altered_certificate_anywhere() {
    let ca = authority("Org1", 1);
    let certificate = enrol(&ca, Role::Peer, WEEK);
    let roster = roster_of(&[("Org1", &ca)]);
    for position in 0..certificate.der().len() {
        let mut der = certificate.der().to_vec();
        der[position] ^= 1;

        let verdict = Certificate::from_der(der).and_then(|altered| roster.verify(&altered, &[], NOW));

        assert!(verdict.is_err(), "byte {position}");
    }
}

#[test]
fn refuses_malformed_bytes() {
    let der = authority("Org1", 1).certificate().der().clone();
    let longer = [der.as_ref(), b"\0"].concat();

    let truncated = Certificate::from_der(der.slice(..der.len() - 1)).unwrap_err();
    let trailing = Certificate::from_der(longer).unwrap_err();
    let large = Certificate::from_der(vec![0; 8193]).unwrap_err();

    assert!(matches!(truncated, CertificateError::Malformed { .. }), "{truncated}");
    assert_eq!(trailing, CertificateError::Malformed { what: "1 bytes after its end".into() });
    assert_eq!(large, CertificateError::TooLarge { found: 8193 });
    assert!(matches!(Certificate::from_pem("text").unwrap_err(), CertificateError::Malformed { .. }));
}

#[test]
fn refuses_more_intermediates_than_it_looks_at() {
    let ca = authority("Org1", 1);
    let shown = vec![ca.certificate().clone(); 9];

    let error = roster_of(&[("Org1", &ca)]).verify(&enrol(&ca, Role::Peer, WEEK), &shown, NOW).unwrap_err();

    assert_eq!(error, CertificateError::TooManyIntermediates { found: 9, limit: 8 });
}

#[test]
fn refuses_a_revoked_certificate_and_only_that() {
    let ca = authority("Org1", 1);
    let (first, second) = (enrol(&ca, Role::Peer, WEEK), enrol(&ca, Role::Peer, WEEK));
    let mut roster = roster_of(&[("Org1", &ca)]);

    let news = roster.revoke(&ca.revoke(&[&first], 7, WEEK).unwrap());

    assert_eq!(news, Ok(true));
    let error = roster.verify(&first, &[], NOW).unwrap_err();
    let subject = first.subject().to_string();
    assert_eq!(error, CertificateError::Revoked { subject, list: "7".into() });
    assert!(roster.verify(&second, &[], NOW).is_ok());
    // A stale list still revokes.
    assert!(matches!(roster.verify(&first, &[], WEEK.not_after), Err(CertificateError::Revoked { .. })));
}

#[test]
fn the_list_of_the_higher_number_wins_in_either_order() {
    let ca = authority("Org1", 1);
    let certificate = enrol(&ca, Role::Peer, WEEK);
    let older = ca.revoke(&[], 0xff, WEEK).unwrap();
    let newer = ca.revoke(&[&certificate], 0x100, WEEK).unwrap();
    let mut roster = roster_of(&[("Org1", &ca)]);

    assert_eq!(roster.revoke(&newer), Ok(true));
    assert_eq!(roster.revoke(&older), Ok(false));
    assert_eq!(roster.revoke(&newer), Ok(false));

    assert!(matches!(roster.verify(&certificate, &[], NOW), Err(CertificateError::Revoked { .. })));
    let (_, org) = roster.orgs().next().unwrap();
    assert_eq!(org.crls, [newer]);
}

#[test]
fn a_revoked_intermediate_takes_its_members_along() {
    let ca = authority("Org1", 1);
    let between = ca.delegate("Org1 issuing CA", YEARS).unwrap();
    let certificate = enrol(&between, Role::Peer, WEEK);
    let shown = [between.certificate().clone()];
    let mut roster = roster_of(&[("Org1", &ca)]);
    assert!(roster.verify(&certificate, &shown, NOW).is_ok());

    roster.revoke(&ca.revoke(&[between.certificate()], 1, WEEK).unwrap()).unwrap();

    assert!(matches!(roster.verify(&certificate, &shown, NOW), Err(CertificateError::Revoked { .. })));
}

#[test]
fn a_list_that_no_known_ca_signed_revokes_nobody() {
    let (ca, namesake) = (authority("Org1", 1), authority("Org1", 7));
    let certificate = enrol(&ca, Role::Peer, WEEK);
    let forged = namesake.revoke(&[&certificate], 1_000, WEEK).unwrap();
    let mut roster = roster_of(&[("Org1", &ca)]);

    let error = roster.revoke(&forged).unwrap_err();

    assert!(matches!(error, RevocationError::UnknownIssuer { .. }), "{error}");
    assert!(roster.verify(&certificate, &[], NOW).is_ok());
}

#[test]
fn a_namesake_without_the_list_does_not_undo_a_revocation() {
    let (ca, extra) = (authority("Org1", 1), authority("Org1", 7));
    let certificate = enrol(&ca, Role::Peer, WEEK);
    let mut revoking = OrgRoots::new("Org1", vec![ca.certificate().clone()]);
    revoking.crls.push(ca.revoke(&[&certificate], 1, WEEK).unwrap());
    let both = OrgRoots::new("Org1", vec![ca.certificate().clone(), extra.certificate().clone()]);

    let roster = Roster::try_new([revoking, both]).unwrap();

    assert!(matches!(roster.verify(&certificate, &[], NOW), Err(CertificateError::Revoked { .. })));
}

#[test]
fn a_roster_refuses_orgs_that_cannot_judge_anybody() {
    let ca = authority("Org1", 1);
    let member = enrol(&ca, Role::Peer, WEEK);
    let root = || vec![ca.certificate().clone()];
    let mut roster = roster_of(&[("Org1", &ca)]);

    let none = roster.insert(OrgRoots::new("Org2", Vec::new()));
    let nameless = roster.insert(OrgRoots::new("", root()));
    let leaf = roster.insert(OrgRoots::new("Org2", vec![member]));
    let twice = roster.insert(OrgRoots::new("Org1", root()));
    let many = roster.insert(OrgRoots::new("Org2", vec![ca.certificate().clone(); 17]));

    assert_eq!(none, Err(RosterError::NoRoot { org: "Org2".into() }));
    assert_eq!(nameless, Err(RosterError::NoRoot { org: String::new() }));
    assert!(matches!(leaf, Err(RosterError::NotCa { .. })));
    assert_eq!(twice, Err(RosterError::Duplicate { org: "Org1".into() }));
    assert_eq!(many, Err(RosterError::TooManyCertificates { org: "Org2".into(), found: 17 }));
    assert_eq!(roster.len(), 1);
}

#[test]
fn org_ids_depend_on_name_and_roots_but_not_on_their_order() {
    let (a, b) = (authority("Org1", 1), authority("Org1", 2));
    let roots = |list: &[&Authority]| list.iter().map(|ca| ca.certificate().clone()).collect::<Vec<_>>();
    let id = OrgRoots::new("Org1", roots(&[&a, &b])).id();

    assert_eq!(id, OrgRoots::new("Org1", roots(&[&b, &a])).id());
    assert_ne!(id, OrgRoots::new("Org1", roots(&[&a])).id());
    assert_ne!(id, OrgRoots::new("Org2", roots(&[&a, &b])).id());
}

/// A certificate "signed" by a member's key, which the library issues without question.
fn forge_below(member: &Certificate) -> Certificate {
    let pair = rcgen_key(&key());
    let der = rustls_pki_types::CertificateDer::from(member.der().as_ref());
    let issuer = rcgen::Issuer::from_ca_cert_der(&der, pair).unwrap();
    let params = rcgen_params(&["peer"]);
    let signed = params.signed_by(&rcgen_key(&SecretKey::from_seed([201; 32])), &issuer).unwrap();
    Certificate::from_der(Bytes::copy_from_slice(signed.der())).unwrap()
}

/// A member's certificate with free units, and the CA that signed it.
fn with_units(units: &[&str]) -> (Authority, Certificate) {
    let ca = authority("Org1", 1);
    let der = rustls_pki_types::CertificateDer::from(ca.certificate().der().as_ref());
    let issuer = rcgen::Issuer::from_ca_cert_der(&der, rcgen_key(ca.key())).unwrap();
    let signed = rcgen_params(units).signed_by(&rcgen_key(&key()), &issuer).unwrap();
    (ca, Certificate::from_der(Bytes::copy_from_slice(signed.der())).unwrap())
}

fn rcgen_key(key: &SecretKey) -> rcgen::KeyPair {
    rcgen::KeyPair::from_pem(&key.to_pkcs8_pem()).unwrap()
}

/// The library keeps one value per attribute type; several units need types that it does not know as the
/// same.
fn rcgen_params(units: &[&str]) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::default();
    let name = &mut params.distinguished_name;
    *name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::OrganizationName, "Org1");
    name.push(rcgen::DnType::CommonName, "peer0");
    let types = [rcgen::DnType::OrganizationalUnitName, rcgen::DnType::CustomDnType(vec![2, 5, 4, 11])];
    for (kind, unit) in types.into_iter().zip(units) {
        name.push(kind, *unit);
    }
    params
}

#[test]
fn without_a_clock_an_expired_member_is_judged_by_the_time_of_its_whole_chain() {
    let root = Validity { not_before: NOW - DAY, not_after: NOW + 1_000 * DAY };
    let ca = Authority::create_with(SecretKey::from_seed([1; 32]), "Org1", root).unwrap();
    let roster = roster_of(&[("Org1", &ca)]);
    let expired = Validity { not_before: NOW - 3 * DAY, not_after: NOW + DAY };
    let before_its_root = Validity { not_before: NOW - 9 * DAY, not_after: NOW - 8 * DAY };

    let once_valid = roster.verify_at_any_time(&enrol(&ca, Role::Admin, expired), &[]);
    let never_valid = roster.verify_at_any_time(&enrol(&ca, Role::Admin, before_its_root), &[]);
    let stranger = roster.verify_at_any_time(&enrol(&authority("Org1", 2), Role::Admin, YEARS), &[]);

    assert_eq!(once_valid.map(|it| it.role), Ok(Role::Admin));
    assert!(never_valid.is_err());
    assert!(stranger.is_err());
}
