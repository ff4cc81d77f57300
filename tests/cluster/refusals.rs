//! Bad configuration is refused at the start, with file, line and cure; nothing is left behind.

use crate::Network;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

struct Refusal {
    code: Option<i32>,
    text: String,
}

fn start(network: &Network, name: &str) -> Refusal {
    let node = network.cluster.node(name);
    let kind = if node.listen.is_some() { "peer" } else { "orderer" };
    let output = Command::new(network.cluster.daemon())
        .args([kind, "--home"])
        .arg(&node.home)
        .output()
        .expect("the daemon starts");
    Refusal { code: output.status.code(), text: String::from_utf8_lossy(&output.stderr).into_owned() }
}

fn assert_refused(refusal: &Refusal, words: &[&str]) {
    assert_eq!(refusal.code, Some(2), "{}", refusal.text);
    for word in words {
        assert!(refusal.text.contains(word), "no {word:?} in: {}", refusal.text);
    }
}

fn edit(file: &Path, change: impl FnOnce(String) -> String) -> String {
    let before = fs::read_to_string(file).expect("a file");
    fs::write(file, change(before.clone())).expect("write");
    before
}

#[test]
fn bad_configuration_is_refused_at_start_with_cause_and_cure() {
    let mut network = Network::write(&[]);
    let name = "peer0.org1";
    let config = network.cluster.node(name).config.clone();
    let home = network.cluster.node(name).home.clone();

    let good = edit(&config, |text| format!("{text}\n[membership]\nexpirry = \"25s\"\n"));
    let line = format!("line {}", good.lines().count() + 3);
    assert_refused(&start(&network, name), &["peer.toml", &line, "expirry", "`expiry`", "^"]);

    fs::write(&config, good.replace("internal_endpoint = \"127.0.0.1:", "internal_endpoint = \"127.0.0.1"))
        .expect("write");
    assert_refused(&start(&network, name), &["peer.toml", "[peer] internal_endpoint", "host:port"]);

    fs::remove_file(&config).expect("remove");
    assert_refused(&start(&network, name), &["peer.toml", "cannot read", "testnet"]);
    fs::write(&config, &good).expect("write");

    let key = fs::read_dir(home.join("msp/keystore"))
        .expect("keystore")
        .next()
        .expect("a key")
        .expect("entry")
        .path();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("chmod");
    assert_refused(&start(&network, name), &["644", "chmod 600"]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("chmod");

    network.cluster.start(name).expect("the repaired peer starts");
    assert_refused(&start(&network, name), &["in use"]);
    let taken = network.cluster.node(name).listen.clone().expect("a peer listens");
    let other = "peer1.org1";
    let other_config = network.cluster.node(other).config.clone();
    let listen = network.cluster.node(other).listen.clone().expect("a peer listens");
    edit(&other_config, |text| {
        text.replace(&format!("listen = [\"{listen}\"]"), &format!("listen = [\"{taken}\"]"))
    });
    assert_refused(&start(&network, other), &["peer.toml", "[peer] listen", &taken, "in use"]);
}

#[test]
fn an_address_in_use_is_refused_with_its_key_and_line() {
    let network = Network::write(&[]);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let taken = taken.local_addr().map(|address| (taken, address.to_string())).expect("an address");

    for (name, file) in [("peer0.org1", "peer.toml"), ("orderer0.orderer", "orderer.toml")] {
        let node = network.cluster.node(name);
        for (section, address) in [("api", &node.api), ("operations", &node.operations)] {
            let good = edit(&node.config, |text| {
                text.replace(&format!("listen = {address:?}"), &format!("listen = {:?}", taken.1))
            });
            let is_section = |line: &str| line == format!("[{section}]");
            let line = good.lines().position(is_section).expect("the section") + 2;

            let refusal = start(&network, name);

            let (key, line) = (format!("[{section}] listen"), format!("line {line}"));
            assert_refused(&refusal, &[file, &line, &key, &taken.1, "in use", "choose another"]);
            fs::write(&node.config, good).expect("write");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_its_name() {
    let network = Network::write(&[]);
    let name = "peer0.org1";
    let node = network.cluster.node(name);
    let key = fs::read_dir(node.home.join("msp/keystore")).expect("keystore").next().expect("a key");
    let files = [
        node.config.clone(),
        key.expect("entry").path(),
        node.home.join("msp/signcerts/cert.pem"),
        node.home.join("tls/server.key"),
        node.home.join("tls/server.crt"),
    ];
    for file in files {
        // Whoever runs this may read every file, but nobody can read a folder as one.
        let aside = file.with_extension("aside");
        fs::rename(&file, &aside).expect("rename");
        fs::create_dir(&file).expect("a folder in its place");

        let refusal = start(&network, name);

        assert_refused(&refusal, &[&file.display().to_string(), "cannot read"]);
        fs::remove_dir(&file).expect("remove");
        fs::rename(&aside, &file).expect("rename");
    }
}

#[test]
fn keys_that_others_may_read_are_refused_with_the_command_that_helps() {
    let network = Network::write(&[]);
    for (name, key) in [
        ("peer0.org1", "msp/keystore/key.pem"),
        ("peer0.org1", "tls/server.key"),
        ("orderer0.orderer", "msp/keystore/key.pem"),
        ("orderer0.orderer", "tls/server.key"),
    ] {
        let file = network.cluster.node(name).home.join(key);
        for mode in [0o640, 0o604] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("chmod");

            let refusal = start(&network, name);

            let text = format!("{mode:o}");
            assert_refused(&refusal, &[&file.display().to_string(), &text, "chmod 600"]);
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("chmod");
    }
}

#[test]
fn a_channel_name_that_is_not_allowed_is_refused_by_client_and_file() {
    let network = Network::write(&[]);
    let genesis = &network.cluster.summary().channels[0].genesis;
    let folder = genesis.parent().expect("its folder");
    let text = fs::read_to_string(folder.join("trade.toml")).expect("its file");
    let file = folder.join("wrong.toml");
    fs::write(&file, text.replace("\"trade\"", "\"Trade_1\"")).expect("write");
    let out = folder.join("wrong.block").display().to_string();

    let client = network.cluster.user("org1", "admin");
    let answer =
        client.run(&["channel", "create", &file.display().to_string(), "--out", &out]).expect("it runs");

    assert_eq!(answer.code, Some(2), "{}", answer.stderr);
    assert!(answer.stderr.contains("Trade_1") && answer.stderr.contains("a-z"), "{}", answer.stderr);
    assert!(!Path::new(&out).exists());
}
