//! Bad configuration is refused at the start, with file, line and cure; nothing is left behind.

use crate::Network;
use ledgercast_tests::children;
use ledgercast_tests::wait::wait_for;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A refusal takes milliseconds; a busy machine may take long.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(20);

struct Refusal {
    code: Option<i32>,
    text: String,
}

/// Starts a node that is to refuse; one that runs instead is ended.
fn start(network: &Network, name: &str) -> Refusal {
    let node = network.cluster.node(name);
    let kind = if node.listen.is_some() { "peer" } else { "orderer" };
    let mut command = Command::new(network.cluster.daemon());
    command.args([kind, "--home"]).arg(&node.home).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = children::spawn(&mut command).expect("the daemon starts");
    let ended = wait_for(&format!("{name} to refuse"), REFUSAL_DEADLINE, || {
        child.try_wait().expect("its end").map(|_| ()).ok_or_else(|| "it runs".to_owned())
    });
    if ended.is_err() {
        child.kill().expect("killed");
    }
    let id = child.id();
    let output = child.wait_with_output().expect("its output");
    children::forget(id);
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
fn a_wrong_line_is_refused_with_file_line_and_cure() {
    let network = Network::write(&[]);
    for (name, file, table, wrong, cure) in [
        ("peer0.org1", "peer.toml", "membership", "expirry = \"25s\"", "`expiry`"),
        ("peer0.org1", "peer.toml", "repair", "pause_min = \"soon\"", "\"500ms\""),
        ("orderer0.orderer", "orderer.toml", "ordering", "chanels_max = 3", "`channels_max`"),
        ("orderer0.orderer", "orderer.toml", "store", "write_blocks_max = 0", "1 to 1000000"),
    ] {
        let config = &network.cluster.node(name).config;
        let good = edit(config, |text| format!("{text}\n[{table}]\n{wrong}\n"));
        let line = format!("line {}", good.lines().count() + 3);
        let key = wrong.split(' ').next().expect("a key");

        assert_refused(&start(&network, name), &[file, &line, key, cure]);
        fs::write(config, good).expect("write");
    }
}

#[test]
fn a_configuration_that_is_missing_or_no_text_is_refused_and_the_repaired_peer_starts_once() {
    let mut network = Network::write(&[]);
    let name = "peer0.org1";
    let config = network.cluster.node(name).config.clone();
    let good = fs::read_to_string(&config).expect("a file");

    fs::write(&config, good.replace("internal_endpoint = \"127.0.0.1:", "internal_endpoint = \"127.0.0.1"))
        .expect("write");
    assert_refused(&start(&network, name), &["peer.toml", "[peer] internal_endpoint", "host:port"]);
    fs::write(&config, [good.as_bytes(), b"# \xff\n"].concat()).expect("write");
    assert_refused(&start(&network, name), &["peer.toml", "cannot read", "UTF-8"]);
    fs::remove_file(&config).expect("remove");
    assert_refused(&start(&network, name), &["peer.toml", "cannot read", "testnet"]);
    fs::write(&config, &good).expect("write");

    network.cluster.start(name).expect("the repaired peer starts");
    assert_refused(&start(&network, name), &["in use"]);
    let taken = network.cluster.node(name).listen.clone().expect("a peer listens");
    let other = "peer1.org1";
    let other_config = network.cluster.node(other).config.clone();
    let listen = network.cluster.node(other).listen.clone().expect("a peer listens");
    let good = edit(&other_config, |text| {
        text.replace(&format!("listen = [\"{listen}\"]"), &format!("listen = [\"{taken}\"]"))
    });
    let line = good.lines().position(|line| line.starts_with("listen = [")).expect("its line") + 1;
    let line = format!("line {line}");
    let refusal = start(&network, other);
    assert_refused(&refusal, &["peer.toml", &line, "[peer] listen", &taken, "in use", "choose another"]);
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
    let files = [node.config.clone(), node.home.join("tls/server.crt")];
    let aside = node.home.join("aside");
    for file in files {
        // Whoever runs this may read every file, but nobody can read a folder as one.
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
    let line = text.lines().position(|line| line.contains("\"trade\"")).expect("its line") + 1;
    for word in ["Trade_1", "a-z", &file.display().to_string(), &format!("line {line}")] {
        assert!(answer.stderr.contains(word), "no {word:?} in: {}", answer.stderr);
    }
    assert!(!Path::new(&out).exists());
}
