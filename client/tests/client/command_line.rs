//! What people and scripts see of the command: exit codes, causes and cures, JSON.

use crate::support::{ledgercast, testnet};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};

const ADMIN: &str = "net/org1/users/admin/client.toml";

/// An endpoint of the loopback at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn help_documents_exit_codes() {
    let folder = tempfile::tempdir().unwrap();

    let ran = ledgercast(folder.path(), &["--help"]);

    assert_eq!(ran.code, 0);
    for code in
        ["0  done", "1  failed", "2  wrong usage", "3  not found", "4  not available", "130  interrupted"]
    {
        assert!(ran.stdout.contains(code), "{code} in {}", ran.stdout);
    }
}

#[test]
fn wrong_flags_are_usage() {
    let folder = tempfile::tempdir().unwrap();

    assert_eq!(ledgercast(folder.path(), &["submit"]).code, 2);
    assert_eq!(ledgercast(folder.path(), &["blocks", "Trade"]).code, 2);
    assert_eq!(ledgercast(folder.path(), &["blocks", "trade", "9..7"]).code, 2);
}

#[test]
fn a_missing_profile_names_file_and_cure() {
    let folder = tempfile::tempdir().unwrap();

    let ran = ledgercast(folder.path(), &["members"]);

    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("client.toml") && ran.stderr.contains("--profile"), "{}", ran.stderr);
}

#[test]
fn a_typing_error_in_a_profile_names_its_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("client.toml"), "# mine\nendpiont = \"a:1\"\n").unwrap();

    let ran = ledgercast(folder.path(), &["peers"]);

    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("line 2") && ran.stderr.contains("`endpiont`"), "{}", ran.stderr);
}

#[test]
fn a_server_that_does_not_run_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    testnet(folder.path());

    let at = nobody();

    let ran = ledgercast(folder.path(), &["--profile", ADMIN, "--at", &at, "channel", "list"]);

    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains(&at) && ran.stderr.contains("help:"), "{}", ran.stderr);
}

#[test]
fn failures_are_json_too() {
    let folder = tempfile::tempdir().unwrap();
    testnet(folder.path());

    let ran = ledgercast(folder.path(), &["--json", "--profile", ADMIN, "--at", &nobody(), "health"]);

    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((ran.code, &error["exit_code"]), (4, &serde_json::json!(4)));
    assert!(error["help"].is_string());
}

#[test]
fn operations_that_nobody_serves_are_unavailable() {
    let folder = tempfile::tempdir().unwrap();

    let ran = ledgercast(folder.path(), &["health", "--operations", &nobody()]);

    assert_eq!(ran.code, 4, "{ran:?}");
}

#[test]
fn a_channel_without_genesis_file_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    testnet(folder.path());

    let ran = ledgercast(folder.path(), &["--profile", ADMIN, "blocks", "audit"]);

    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("audit.block") && ran.stderr.contains("--channels"), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_refused_with_the_command_that_helps() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let net = testnet(folder.path());
    let key = net.join("org1/users/admin/msp/keystore/key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();

    let ran = ledgercast(folder.path(), &["--profile", ADMIN, "members"]);

    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("chmod 600"), "{}", ran.stderr);
}

#[test]
fn a_created_channel_is_inspected_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    testnet(folder.path());
    let create = ["--json", "channel", "create", "net/channels/trade.toml", "--out", "mine.block"];

    let created = ledgercast(folder.path(), &create);
    let inspected = ledgercast(folder.path(), &["--json", "channel", "inspect", "mine.block"]);
    let again = ledgercast(folder.path(), &create);

    assert_eq!((created.code, inspected.code, again.code), (0, 0, 2), "{created:?} {inspected:?} {again:?}");
    assert_eq!(created.json()["id"], inspected.json()["id"]);
    assert_eq!(inspected.json()["orgs"][1]["name"], "org2");
    assert_eq!(inspected.json()["limits"]["batch_timeout_ms"], 200);
}

#[test]
fn what_is_no_genesis_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "no block").unwrap();

    let ran = ledgercast(folder.path(), &["channel", "inspect", "file"]);

    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("file: not a genesis block"), "{}", ran.stderr);
}

#[test]
fn crypto_creates_a_ca_enrols_a_member_and_inspects_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| ledgercast(folder.path(), arguments);
    let enrol = ["--json", "crypto", "enrol", "--ca", "ca", "--name", "p", "--role", "peer", "--out", "home"];
    let enrol = [&enrol[..], &["--unit", "audit"]].concat();

    let created = run(&["crypto", "ca", "create", "--org", "org1", "--out", "ca"]);
    let refused = run(&[&enrol[..enrol.len() - 1], &["admin"]].concat());
    let enrolled = run(&enrol);
    let inspected = run(&["--json", "crypto", "inspect", "home/msp/signcerts/cert.pem"]);

    assert_eq!((created.code, enrolled.code, inspected.code), (0, 0, 0), "{created:?} {enrolled:?}");
    let inspected = inspected.json();
    assert_eq!((&inspected["org"], &inspected["role"]), (&"org1".into(), &"peer".into()));
    assert_eq!(inspected["is_valid_in_time"], true);
    assert_ne!(refused.code, 0, "a unit that names a role");
    assert!(refused.stderr.contains("cannot be a unit"), "{}", refused.stderr);
}

#[test]
fn a_file_over_the_channels_limit_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    testnet(folder.path());
    fs::write(folder.path().join("large"), vec![b'x'; 1024 * 1024 + 1]).unwrap();

    let ran = ledgercast(
        folder.path(),
        &["--profile", "net/org1/users/client/client.toml", "submit", "trade", "large"],
    );

    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("--skip-large"), "{}", ran.stderr);
}

#[test]
fn submission_gives_up_when_no_orderer_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let net = testnet(folder.path());
    fs::write(folder.path().join("payload"), "x").unwrap();
    let profile = net.join("org1/users/client/client.toml");
    let text = fs::read_to_string(&profile).unwrap();
    fs::write(&profile, text + "[submit]\ngive_up_after = \"300ms\"\n").unwrap();
    let orderer = nobody();

    let ran = ledgercast(
        folder.path(),
        &["--profile", profile.to_str().unwrap(), "--orderers", &orderer, "submit", "trade", "payload"],
    );

    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(
        ran.stderr.contains("1 envelopes have no answer") && ran.stderr.contains("--resume"),
        "{}",
        ran.stderr
    );
}
