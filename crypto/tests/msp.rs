//! Folders of keys and certificates: written by us, read by us, and refused where they could hurt.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail by panicking too")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ledgercast_crypto::issue::{
    Authority, Enrolment, IssueError, MemberFiles, TlsAuthority, Validity, write_new_public, write_new_secret,
};
use ledgercast_crypto::msp::load_roots;
use ledgercast_crypto::{Msp, MspError, OrgRoots, Role, SecretKey};
use tempfile::TempDir;

const NOW: u64 = 1_800_000_000;

struct Home {
    folder: TempDir,
    org: OrgRoots,
    ca: Authority,
    key: SecretKey,
}

impl Home {
    /// A member's home with everything that a folder can hold.
    fn new() -> Self {
        let validity = Validity::days_from(NOW, 30);
        let ca = Authority::create("Org1", validity).unwrap();
        let tls_ca = TlsAuthority::create("Org1", validity).unwrap();
        let enrolment = Enrolment { common_name: "peer0", role: Role::Peer, validity, unit: None };
        let key = SecretKey::generate().unwrap();
        let certificate = ca.enrol(&key.public(), &enrolment).unwrap();
        let mut org = OrgRoots::new("Org1", vec![ca.certificate().clone()]);
        org.intermediates.push(ca.delegate("Org1 issuing CA", validity).unwrap().certificate().clone());
        org.tls_roots.push(tls_ca.certificate().clone());
        org.crls.push(ca.revoke(&[], 1, validity).unwrap());
        let pair = tls_ca.issue(&enrolment, &["localhost", "127.0.0.1"]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let tls = Some((&pair, tls_ca.certificate()));
        MemberFiles { org: &org, certificate: &certificate, key: &key, tls }.write(folder.path()).unwrap();
        Self { folder, org, ca, key }
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.folder.path().join(file)
    }

    fn load(&self) -> Result<Msp, MspError> {
        Msp::load(&self.path("msp"))
    }
}

fn set_mode(file: &Path, mode: u32) {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn loads_what_it_wrote() {
    let home = Home::new();

    let msp = home.load().unwrap();

    assert_eq!(msp.org, home.org);
    assert_eq!(msp.key.public(), home.key.public());
    let identity = msp.identity(NOW).unwrap();
    assert_eq!((identity.role, identity.org_name.as_str()), (Role::Peer, "Org1"));
    let tls = msp.tls.unwrap();
    assert!(tls.key_pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert!(tls.ca_pem.starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert!(matches!(msp.org.tls_roots.as_slice(), [_]));
}

#[test]
fn an_expired_own_certificate_is_named() {
    let error = Home::new().load().unwrap().identity(NOW + 31 * 24 * 60 * 60).unwrap_err();

    assert!(error.to_string().contains("expired"), "{error}");
}

#[test]
fn keys_are_written_for_their_owner_only() {
    let home = Home::new();
    for file in ["msp/keystore/key.pem", "tls/server.key"] {
        assert_eq!(fs::metadata(home.path(file)).unwrap().permissions().mode() & 0o7777, 0o600, "{file}");
    }
}

#[test]
fn refuses_keys_that_others_can_read_with_file_mode_and_cure() {
    for (file, mode) in
        [("msp/keystore/key.pem", 0o640), ("tls/server.key", 0o604), ("msp/keystore/key.pem", 0o620)]
    {
        let home = Home::new();
        let path = home.path(file);
        set_mode(&path, mode);

        let error = home.load().unwrap_err();

        let path = path.display();
        let wanted = format!("the key {path} has mode {mode:04o}, so others may read it: chmod 600 {path}");
        assert_eq!(error.to_string(), wanted);
    }
}

#[test]
fn refuses_a_key_of_another_certificate() {
    let home = Home::new();
    let file = home.path("msp/keystore/key.pem");
    fs::remove_file(&file).unwrap();
    write_new_secret(&file, &SecretKey::generate().unwrap().to_pkcs8_pem()).unwrap();

    let error = home.load().unwrap_err();

    assert!(matches!(error, MspError::Mismatch { .. }), "{error}");
}

#[test]
fn finds_its_key_among_those_of_earlier_certificates() {
    let home = Home::new();
    let other = SecretKey::generate().unwrap().to_pkcs8_pem();
    write_new_secret(&home.path("msp/keystore/a-former.pem"), &other).unwrap();

    assert_eq!(home.load().unwrap().key.public(), home.key.public());
}

#[test]
fn names_the_file_that_is_wrong() {
    let cases = [
        ("msp/keystore/key.pem", "key.pem: no PKCS#8 private key"),
        ("msp/signcerts/cert.pem", "cert.pem lacks the member's certificate"),
        ("msp/cacerts/ca.pem", "cacerts lacks a root CA certificate"),
        ("tls/server.crt", "server.crt lacks a TLS certificate"),
    ];
    for (file, wanted) in cases {
        let home = Home::new();
        fs::write(home.path(file), "no PEM here").unwrap();

        let error = home.load().unwrap_err();

        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn names_what_is_absent() {
    for (folder, wanted) in [
        ("msp/keystore", "the member's private key"),
        ("msp/signcerts", "the member's certificate"),
        ("msp/cacerts", "a root CA certificate"),
    ] {
        let home = Home::new();
        fs::remove_dir_all(home.path(folder)).unwrap();

        let error = home.load().unwrap_err();

        assert!(matches!(&error, MspError::Nothing { wanted: what, .. } if *what == wanted), "{error}");
    }
    let error = Msp::load(Path::new("/nonexistent/msp")).unwrap_err();
    assert!(matches!(error, MspError::Read { .. }), "{error}");
}

#[test]
fn refuses_two_own_certificates_and_foreign_revocation_lists() {
    let home = Home::new();
    write_new_public(&home.path("msp/signcerts/second.pem"), &home.ca.certificate().to_pem()).unwrap();
    assert!(matches!(home.load().unwrap_err(), MspError::Several { found: 2, .. }));

    let other = Authority::create("Org1", Validity::days_from(NOW, 30)).unwrap();
    let mut foreign = OrgRoots::new("Org1", vec![home.ca.certificate().clone()]);
    foreign.crls.push(other.revoke(&[], 1, Validity::days_from(NOW, 30)).unwrap());
    foreign.write(&home.path("foreign")).unwrap();
    assert!(matches!(load_roots(&home.path("foreign"), "Org1").unwrap_err(), MspError::Roots(_)));
}

#[test]
fn refuses_files_over_the_limit() {
    let home = Home::new();
    fs::write(home.path("msp/cacerts/ca.pem"), vec![b'a'; 512 * 1024 + 1]).unwrap();

    assert!(matches!(home.load().unwrap_err(), MspError::TooLarge { .. }));
}

#[test]
fn hidden_files_and_folders_are_not_read() {
    let home = Home::new();
    fs::write(home.path("msp/cacerts/.swap"), "x").unwrap();
    fs::create_dir(home.path("msp/keystore/old")).unwrap();

    assert!(home.load().is_ok());
}

#[test]
fn never_overwrites() {
    let home = Home::new();
    let file = home.path("msp/keystore/key.pem");
    let before = fs::read(&file).unwrap();

    let again = home.org.write(&home.path("msp")).unwrap_err();
    let key = write_new_secret(&file, "new").unwrap_err();

    assert!(matches!(again, IssueError::Exists { .. }), "{again}");
    assert!(matches!(key, IssueError::Exists { .. }), "{key}");
    assert_eq!(fs::read(&file).unwrap(), before);
}
