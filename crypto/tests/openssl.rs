//! The `openssl` program reads what we write, and we accept what it makes. Without the program these tests
//! fail, and say so.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail by panicking too")]

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use ledgercast_crypto::issue::{Authority, Enrolment, MemberFiles, TlsAuthority, Validity};
use ledgercast_crypto::{
    Certificate, CertificateError, Msp, OrgRoots, RevocationList, Role, Roster, SecretKey,
};
use tempfile::TempDir;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A folder to work in.
fn workplace() -> TempDir {
    let version = Command::new("openssl").arg("version").output();
    let text = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    assert!(text.starts_with("OpenSSL 3"), "this test needs the program openssl, version 3; found {text:?}");
    tempfile::tempdir().unwrap()
}

/// Runs `openssl` with words split at spaces, in `folder`, and returns what it printed.
fn openssl(folder: &Path, words: &str) -> String {
    let output = Command::new("openssl").args(words.split(' ')).current_dir(folder).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {words}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn openssl_reads_our_folder() {
    let home = workplace();
    let validity = Validity::days_from(now(), 30);
    let enrolment = Enrolment { common_name: "peer0", role: Role::Peer, validity, unit: None };
    let ca = Authority::create("Org1", validity).unwrap();
    let tls_ca = TlsAuthority::create("Org1", validity).unwrap();
    let key = SecretKey::generate().unwrap();
    let certificate = ca.enrol(&key.public(), &enrolment).unwrap();
    let mut org = OrgRoots::new("Org1", vec![ca.certificate().clone()]);
    org.tls_roots.push(tls_ca.certificate().clone());
    org.crls.push(ca.revoke(&[&certificate], 1, validity).unwrap());
    let pair = tls_ca.issue(&enrolment, &["localhost", "127.0.0.1"]).unwrap();
    let files = MemberFiles {
        org: &org,
        certificate: &certificate,
        key: &key,
        tls: Some((&pair, tls_ca.certificate())),
    };
    files.write(home.path()).unwrap();

    let run = |words| openssl(home.path(), words);

    assert!(run("pkey -in msp/keystore/key.pem -noout -text").contains("ED25519 Private-Key"));
    assert!(run("pkey -in tls/server.key -noout -text").contains("NIST CURVE: P-256"));
    let subject = run("x509 -in msp/signcerts/cert.pem -noout -subject");
    assert_eq!(subject.trim(), "subject=O = Org1, OU = peer, CN = peer0");
    run("verify -x509_strict -CAfile msp/cacerts/ca.pem msp/signcerts/cert.pem");
    run("verify -x509_strict -purpose sslserver -verify_ip 127.0.0.1 -CAfile tls/ca.crt tls/server.crt");
    run("verify -purpose sslclient -verify_hostname localhost -CAfile tls/ca.crt tls/server.crt");
    let list = Command::new("openssl")
        .args(["crl", "-in", "msp/crls/crl.pem", "-noout", "-CAfile", "msp/cacerts/ca.pem", "-verify"])
        .current_dir(home.path())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&list.stderr).contains("verify OK"), "{list:?}");
    assert_eq!(
        run("pkey -in msp/keystore/key.pem -pubout"),
        run("x509 -in msp/signcerts/cert.pem -noout -pubkey")
    );
}

/// Makes a CA, an intermediate and two members with the program alone.
fn foreign_org(folder: &Path) {
    let run = |words: &str| openssl(folder, words);
    std::fs::write(
        folder.join("ca.ext"),
        "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n",
    )
    .unwrap();
    std::fs::write(
        folder.join("member.ext"),
        "basicConstraints=critical,CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n",
    )
    .unwrap();
    for name in ["ca", "between", "member", "direct"] {
        run(&format!("genpkey -algorithm ed25519 -out {name}.key"));
    }
    run("req -new -key ca.key -subj /C=CH/O=Foreign/CN=root -out ca.csr");
    run("x509 -req -in ca.csr -signkey ca.key -days 30 -extfile ca.ext -out ca.pem");
    run("req -new -key between.key -subj /O=Foreign/CN=issuing -out between.csr");
    run(
        "x509 -req -in between.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ca.ext -out between.pem",
    );
    run("req -new -key member.key -subj /O=Foreign/OU=finance/OU=peer/CN=member -out member.csr");
    run("x509 -req -in member.csr -CA between.pem -CAkey between.key -CAcreateserial -extfile member.ext \
         -out member.pem");
    run("req -new -key direct.key -subj /O=Foreign/OU=admin/CN=direct -out direct.csr");
    run("x509 -req -in direct.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile member.ext \
         -out direct.pem");
}

fn certificate(folder: &Path, name: &str) -> Certificate {
    Certificate::from_pem(&std::fs::read_to_string(folder.join(format!("{name}.pem"))).unwrap()).unwrap()
}

#[test]
fn accepts_an_org_made_by_openssl() {
    let folder = workplace();
    foreign_org(folder.path());
    let of = |name| certificate(folder.path(), name);
    let roster = Roster::try_new([OrgRoots::new("Foreign", vec![of("ca")])]).unwrap();

    let admin = roster.verify(&of("direct"), &[], now()).unwrap();
    let peer = roster.verify(&of("member"), &[of("between")], now()).unwrap();
    let alone = roster.verify(&of("member"), &[], now()).unwrap_err();

    assert_eq!((admin.role, peer.role), (Role::Admin, Role::Peer));
    assert_eq!(peer.certificate.ous(), ["finance", "peer"]);
    assert!(matches!(alone, CertificateError::MissingIntermediate { .. }), "{alone}");
}

#[test]
fn loads_a_folder_filled_from_openssl() {
    let folder = workplace();
    foreign_org(folder.path());
    let place = |from: &str, to: &str| {
        let to = folder.path().join("msp").join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(folder.path().join(from), to).unwrap();
    };
    place("ca.pem", "cacerts/root.pem");
    place("between.pem", "intermediatecerts/between.pem");
    place("member.pem", "signcerts/member.pem");
    place("member.key", "keystore/member_sk");

    let msp = Msp::load(&folder.path().join("msp")).unwrap();

    assert_eq!(msp.identity(now()).unwrap().org_name, "Foreign");
    assert!(msp.tls.is_none());
}

#[test]
fn obeys_a_revocation_list_made_by_openssl() {
    let folder = workplace();
    foreign_org(folder.path());
    let config = "[ca]\ndefault_ca=it\n[it]\ndatabase=index\ncrlnumber=number\ndefault_md=default\n\
                  default_crl_days=30\ncrl_extensions=list\n[list]\nauthorityKeyIdentifier=keyid\n";
    std::fs::write(folder.path().join("ca.cnf"), config).unwrap();
    std::fs::write(folder.path().join("index"), "").unwrap();
    std::fs::write(folder.path().join("number"), "1000\n").unwrap();
    openssl(folder.path(), "ca -config ca.cnf -keyfile ca.key -cert ca.pem -revoke direct.pem");
    openssl(folder.path(), "ca -config ca.cnf -keyfile ca.key -cert ca.pem -gencrl -out list.pem");
    let text = std::fs::read_to_string(folder.path().join("list.pem")).unwrap();
    let lists = RevocationList::all_from_pem(&text).unwrap();
    let of = |name| certificate(folder.path(), name);
    let mut roster = Roster::try_new([OrgRoots::new("Foreign", vec![of("ca")])]).unwrap();

    assert_eq!(roster.revoke(&lists[0]), Ok(true));

    let error = roster.verify(&of("direct"), &[], now()).unwrap_err();
    assert!(matches!(&error, CertificateError::Revoked { list, .. } if list == "1000"), "{error}");
    assert!(roster.verify(&of("member"), &[of("between")], now()).is_ok());
}

#[test]
fn extends_a_ca_made_by_openssl() {
    let folder = workplace();
    foreign_org(folder.path());
    let key =
        SecretKey::from_pkcs8_pem(&std::fs::read_to_string(folder.path().join("ca.key")).unwrap()).unwrap();
    let ca = Authority::from_parts(certificate(folder.path(), "ca"), key).unwrap();
    let enrolment = Enrolment {
        common_name: "ours",
        role: Role::Client,
        validity: Validity::days_from(now(), 1),
        unit: None,
    };

    let ours = ca.enrol(&SecretKey::generate().unwrap().public(), &enrolment).unwrap();

    let roster = Roster::try_new([OrgRoots::new("Foreign", vec![ca.certificate().clone()])]).unwrap();
    assert_eq!(roster.verify(&ours, &[], now()).unwrap().role, Role::Client);
    std::fs::write(folder.path().join("ours.pem"), ours.to_pem()).unwrap();
    openssl(folder.path(), "verify -CAfile ca.pem ours.pem");
}
