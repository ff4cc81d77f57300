//! TLS clients are bound to the org whose TLS root their chain ends at.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail by panicking too")]

use ledgercast_crypto::issue::{Authority, Enrolment, IssueError, TlsAuthority, TlsPair, Validity};
use ledgercast_crypto::{CertificateError, OrgRoots, Role, Roster, TlsIdentity};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

const NOW: u64 = 1_800_000_000;
const VALIDITY: Validity = Validity { not_before: NOW - 1_000, not_after: NOW + 1_000 };

fn org(name: &str, tls: &TlsAuthority) -> OrgRoots {
    let mut org = OrgRoots::new(name, vec![Authority::create(name, VALIDITY).unwrap().certificate().clone()]);
    org.tls_roots.push(tls.certificate().clone());
    org
}

fn pair(tls: &TlsAuthority) -> TlsPair {
    let enrolment = Enrolment { common_name: "app", role: Role::Client, validity: VALIDITY, unit: None };
    tls.issue(&enrolment, &["localhost", "127.0.0.1", "::1"]).unwrap()
}

fn judge(roster: &Roster, pair: &TlsPair, at: u64) -> Result<TlsIdentity, CertificateError> {
    let der = CertificateDer::from_pem_slice(pair.certificate_pem.as_bytes()).unwrap();
    roster.verify_tls(&[&der], at, &[webpki::ring::ECDSA_P256_SHA256])
}

#[test]
fn names_org_and_role_of_a_client() {
    let (tls, other) =
        (TlsAuthority::create("Org1", VALIDITY).unwrap(), TlsAuthority::create("Org2", VALIDITY).unwrap());
    let org1 = org("Org1", &tls);
    let roster = Roster::try_new([org("Org2", &other), org1.clone()]).unwrap();

    let identity = judge(&roster, &pair(&tls), NOW).unwrap();

    let (org_name, common_name, units) = ("Org1".to_owned(), "app".to_owned(), vec!["client".to_owned()]);
    assert_eq!(identity, TlsIdentity { org: org1.id(), org_name, role: Role::Client, units, common_name });
}

#[test]
fn refuses_a_client_that_another_org_certified() {
    // The TLS CA of Org2 certifies a client of "Org1"; a TLS library that trusts all roots would let it in.
    let (tls, other) =
        (TlsAuthority::create("Org1", VALIDITY).unwrap(), TlsAuthority::create("Org2", VALIDITY).unwrap());
    let usurper = TlsAuthority::from_pair("Org1", other.pair().clone()).unwrap();
    let roster = Roster::try_new([org("Org1", &tls), org("Org2", &other)]).unwrap();

    let error = judge(&roster, &pair(&usurper), NOW).unwrap_err();

    assert!(matches!(error, CertificateError::Path { .. }), "{error}");
}

#[test]
fn refuses_unknown_orgs_expired_certificates_and_empty_chains() {
    let (tls, other) =
        (TlsAuthority::create("Org1", VALIDITY).unwrap(), TlsAuthority::create("Org9", VALIDITY).unwrap());
    let roster = Roster::try_new([org("Org1", &tls)]).unwrap();

    let unknown = judge(&roster, &pair(&other), NOW).unwrap_err();
    let expired = judge(&roster, &pair(&tls), VALIDITY.not_after + 1).unwrap_err();
    let empty = roster.verify_tls(&[], NOW, &[]).unwrap_err();

    assert_eq!(unknown, CertificateError::UnknownOrg { org: "Org9".into() });
    assert!(matches!(expired, CertificateError::Path { .. }), "{expired}");
    assert!(matches!(empty, CertificateError::Malformed { .. }), "{empty}");
}

#[test]
fn issues_for_dns_names_and_addresses_only() {
    let tls = TlsAuthority::create("Org1", VALIDITY).unwrap();
    let enrolment = Enrolment { common_name: "app", role: Role::Client, validity: VALIDITY, unit: None };

    let error = tls.issue(&enrolment, &["not a name"]).unwrap_err();

    assert!(matches!(error, IssueError::TlsName { .. }), "{error}");
}

#[test]
fn a_renewed_pair_has_the_key_and_the_hosts_of_the_old_one_and_lasts_longer() {
    let tls = TlsAuthority::create("Org1", VALIDITY).unwrap();
    let enrolment = |not_after| Enrolment {
        common_name: "app",
        role: Role::Client,
        unit: Some("sales"),
        validity: Validity { not_after, ..VALIDITY },
    };
    let hosts = ["localhost", "127.0.0.1", "::1"];
    let old = tls.issue(&enrolment(VALIDITY.not_after - 100), &hosts).unwrap();

    let renewed = tls.renew(&enrolment(VALIDITY.not_after), &old).unwrap();

    let said = |pem: &str| {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        let parsed = pem.parse_x509().unwrap();
        let names = parsed.subject_alternative_name().unwrap().unwrap();
        let hosts: Vec<String> = names.value.general_names.iter().map(ToString::to_string).collect();
        (hosts, parsed.public_key().raw.to_vec(), parsed.validity().not_after.timestamp())
    };
    let [before, after] = [&old, &renewed].map(|pair| said(&pair.certificate_pem));
    assert_eq!((&before.0, &before.1), (&after.0, &after.1));
    assert_eq!(before.0.len(), hosts.len());
    assert_eq!(after.2 - before.2, 100);
    assert_eq!(*old.key_pem, *renewed.key_pem);
    let roster = Roster::try_new([org("Org1", &tls)]).unwrap();
    assert_eq!(judge(&roster, &renewed, NOW).unwrap().units, ["client", "sales"]);
}
