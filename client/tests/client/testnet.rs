//! What `ledgercast testnet` writes is accepted by those who read it.

use crate::support::{ledgercast, testnet};
use ledgercast_client::Profile;
use ledgercast_client::testnet::Summary;
use ledgercast_crypto::Msp;
use ledgercast_protocol::channel::Genesis;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

fn summary(net: &Path) -> Summary {
    serde_json::from_slice(&fs::read(net.join("network.json")).unwrap()).unwrap()
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn every_member_has_an_identity_that_its_org_accepts() {
    let folder = tempfile::tempdir().unwrap();

    let summary = summary(&testnet(folder.path()));

    assert_eq!((summary.orderers.len(), summary.peers.len(), summary.users.len()), (1, 2, 5));
    for node in summary.orderers.iter().chain(&summary.peers) {
        let msp = Msp::load(&node.home.join("msp")).unwrap();
        let identity = msp.identity(now_seconds()).unwrap();
        assert_eq!(identity.member.to_string(), node.member);
        assert_eq!(identity.org_name, node.org);
        assert!(msp.tls.is_some());
    }
    for user in &summary.users {
        let msp = Msp::load(&user.home.join("msp")).unwrap();
        assert_eq!(msp.identity(now_seconds()).unwrap().role.unit(), user.role);
        assert!(Profile::load(&user.profile).unwrap().endpoint.is_some());
    }
}

#[test]
fn genesis_files_name_orgs_anchors_and_the_orderer() {
    let folder = tempfile::tempdir().unwrap();

    let summary = summary(&testnet(folder.path()));

    let genesis = Genesis::decode(fs::read(&summary.channels[0].genesis).unwrap().into()).unwrap();
    let config = genesis.config();
    let orgs: Vec<&str> = config.orgs().iter().map(|org| org.name.as_str()).collect();
    assert_eq!(orgs, ["org1", "org2"]);
    assert_eq!(config.orgs()[0].anchors[0].as_str(), summary.peers[0].listen.as_ref().unwrap());
    assert_eq!(config.orderers()[0].endpoint.as_str(), summary.orderers[0].api);
    let orderer = Msp::load(&summary.orderers[0].home.join("msp")).unwrap();
    assert_eq!(config.orderers()[0].key, orderer.key.public());
}

#[test]
fn written_configurations_use_only_documented_keys() {
    let folder = tempfile::tempdir().unwrap();

    let summary = summary(&testnet(folder.path()));

    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    for (written, documented) in
        [(&summary.peers[0].config, "peer.toml"), (&summary.orderers[0].config, "orderer.toml")]
    {
        let text = fs::read_to_string(configs.join(documented)).unwrap();
        // Keys that are off by default are documented as comments.
        let documented = keys(&text.replace("#external_endpoint", "external_endpoint"));
        let written = keys(&fs::read_to_string(written).unwrap());
        assert_eq!(written.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}

fn keys(text: &str) -> BTreeSet<String> {
    let table: toml::Table = text.parse().unwrap();
    let of_section = |(section, values): (&String, &toml::Value)| {
        let values = values.as_table().unwrap();
        values.keys().map(|key| format!("{section}.{key}")).collect::<Vec<_>>()
    };
    table.iter().flat_map(of_section).collect()
}

#[cfg(unix)]
#[test]
fn private_keys_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();

    let net = testnet(folder.path());

    for key in ["org1/ca/key.pem", "org1/tlsca/key.pem", "org1/peers/peer0/tls/server.key"] {
        assert_eq!(fs::metadata(net.join(key)).unwrap().permissions().mode() & 0o777, 0o600, "{key}");
    }
}

#[test]
fn a_folder_with_something_in_it_is_refused_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "precious").unwrap();

    let ran = ledgercast(folder.path(), &["testnet", "--out", "."]);

    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("not empty") && ran.stderr.contains("help:"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_base_port_gives_consecutive_ports() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["testnet", "--out", "net", "--orgs", "1", "--peers", "1", "--base-port", "40000"];

    let ran = ledgercast(folder.path(), &arguments);

    assert_eq!(ran.code, 0, "{ran:?}");
    let summary = summary(&folder.path().join("net"));
    assert_eq!(summary.orderers[0].api, "127.0.0.1:40000");
    assert_eq!(summary.peers[0].listen.as_deref(), Some("127.0.0.1:40002"));
    assert_eq!(summary.peers[0].operations, "127.0.0.1:40004");
}

#[test]
fn a_plan_that_makes_no_sense_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();

    let ran = ledgercast(folder.path(), &["testnet", "--out", "net", "--channel", "trade=org1,org9"]);

    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("org9"), "{}", ran.stderr);
    assert!(!folder.path().join("net").exists());
}
