//! Clients that their org's CA revokes submit nothing more, as soon as the orderer has the list.

use crate::{DEADLINE, Network};
use ledgercast_client::authority::OrgAuthority;
use ledgercast_crypto::msp::load_certificate;
use ledgercast_protocol::WallTime;
use ledgercast_tests::client::Answer;
use ledgercast_tests::wait::wait_for;
use std::time::{SystemTime, UNIX_EPOCH};

fn submit(network: &Network, org: &str, line: &str) -> Answer {
    let input = network.cluster.folder().join("line.txt");
    std::fs::write(&input, format!("{line}\n")).expect("write");
    let input = input.display().to_string();
    network.cluster.user(org, "client").run(&["submit", "trade", "--lines", &input]).expect("it runs")
}

#[test]
fn a_revoked_client_submits_nothing_more_over_a_restart_of_the_orderer_and_others_go_on() {
    let mut network = Network::start(&[("LEDGERCAST_ORDERER_REVOCATION_CHECK_INTERVAL", "1s")]);
    let orderer = network.cluster.orderer().to_owned();
    assert_eq!(submit(&network, "org1", "in good standing").code, Some(0));

    let user = network.cluster.summary().users.iter().find(|user| user.name == "client.org1");
    let home = user.expect("a client of org1").home.clone();
    let org = home.ancestors().find(|folder| folder.join("ca").is_dir()).expect("its org's folder");
    let certificate = load_certificate(&home.join("msp/signcerts/cert.pem")).expect("its certificate");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let now = WallTime::from_millis(u64::try_from(now.as_millis()).expect("a time"));
    let authority = OrgAuthority::load(org).expect("the org's CAs");
    let (_, list) = authority.revoke(&[certificate], now, 30).expect("a list");
    let folder = network.cluster.node(&orderer).home.join("crls");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(list, folder.join("org1.pem")).expect("a copy");

    let refused = wait_for("the revoked client to be refused", DEADLINE, || {
        let answer = submit(&network, "org1", "revoked");
        if answer.code == Some(0) { Err(answer.stdout) } else { Ok(answer) }
    });
    let refused = refused.expect("it is refused");
    assert!(refused.stdout.contains("not permitted"), "{} {}", refused.stdout, refused.stderr);
    assert_eq!(submit(&network, "org2", "another org's").code, Some(0));

    network.cluster.stop(&orderer).expect("it stops");
    network.cluster.start(&orderer).expect("it starts again");
    assert_ne!(submit(&network, "org1", "revoked").code, Some(0), "the list holds from the start on");
    wait_for("the other org to go on", DEADLINE, || match submit(&network, "org2", "after").code {
        Some(0) => Ok(()),
        code => Err(format!("exit code {code:?}")),
    })
    .expect("it does");
}
