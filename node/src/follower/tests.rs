//! A follower in this process, with a store in memory; the orderers that it looks for do not run.

use super::*;
use ledgercast_crypto::OrgRoots;
use ledgercast_crypto::SecretKey;
use ledgercast_crypto::issue::{Authority, Enrolment, TlsAuthority, TlsPair};
use ledgercast_crypto::msp::TlsFiles;
use ledgercast_crypto::tls::to_certificate_pem;
use ledgercast_protocol::store::MemoryStore;
use ledgercast_protocol::store::suite::{Chain, Creator, VALIDITY};

/// The identity of an orderer of this org with this key.
fn msp(org: &str, authority: &Authority, seed: [u8; 32]) -> Msp {
    let Creator { certificate, key } = Creator::enrol(authority, "follower0", Role::Orderer, seed);
    let tls = TlsAuthority::create(org, VALIDITY).expect("a CA");
    let enrolment =
        Enrolment { common_name: "follower0", role: Role::Orderer, validity: VALIDITY, unit: None };
    let TlsPair { certificate_pem, key_pem } = tls.issue(&enrolment, &["localhost"]).expect("a pair");
    let tls = TlsFiles { ca_pem: to_certificate_pem(tls.certificate()), certificate_pem, key_pem };
    let roots = OrgRoots::new(org, vec![authority.certificate().clone()]);
    Msp { org: roots, certificate, chain: Vec::new(), key, other_keys: Vec::new(), tls: Some(tls) }
}

/// An org that no channel here names.
fn stranger() -> Msp {
    let key = SecretKey::from_seed([70; 32]);
    let authority = Authority::reproducible(key, "elsewhere", VALIDITY).expect("a CA");
    msp("elsewhere", &authority, [71; 32])
}

async fn start(msp: Msp, store: &Arc<MemoryStore>) -> Arc<FollowerNode> {
    let settings = FollowerSettings {
        msp,
        feed: FeedConfig::default(),
        channels_max: 8,
        verify_threads: 1,
        verify_queue_max: 100,
        requests_waiting_max: 16,
        writes: WriteLimits::default(),
        store: Arc::clone(store) as Arc<dyn BlockStore>,
    };
    FollowerNode::start(settings).await.expect("it starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_and_serves_a_channel_whose_config_gives_it_no_part_and_says_so() {
    let mut chain = Chain::new(1);
    let store = Arc::new(MemoryStore::new());
    store.create_channel(chain.name(), chain.genesis()).expect("new");
    store.append(&chain.extend(3)).expect("stored");

    let node = start(stranger(), &store).await;

    let standing = node.standings().await.expect("it runs").remove(&chain.channel()).expect("held");
    assert_eq!(standing.height, 4);
    let failure = standing.failure.expect("somebody has to see to it");
    assert!(failure.contains("names no orderer or follower of org elsewhere"), "{failure}");
    assert!(node.channels().config(chain.channel()).is_some(), "it is served");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_a_channel_whose_block_0_gives_it_no_part_only_as_a_newcomer() {
    let chain = Chain::new(1);
    let store = Arc::new(MemoryStore::new());
    let node = start(stranger(), &store).await;

    let refused = node.join(chain.name().clone(), chain.genesis().clone(), false).await;
    let held_after_refusal = store.channels().expect("readable").len();
    node.join(chain.name().clone(), chain.genesis().clone(), true).await.expect("joined");

    let refused = refused.expect_err("block 0 names no follower of that org").to_string();
    assert!(refused.contains("org elsewhere") && refused.contains("as newcomer"), "{refused}");
    assert_eq!(held_after_refusal, 0);
    assert_eq!(node.standings().await.expect("it runs")[&chain.channel()].height, 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_key_signs_is_told_to_start_without_follow() {
    let chain = Chain::new(1);
    let node =
        start(msp("org1", chain.authority(), *chain.orderer().seed_bytes()), &Arc::new(MemoryStore::new()))
            .await;

    let refused = node.join(chain.name().clone(), chain.genesis().clone(), false).await;

    let refused = refused.expect_err("it would have to sign").to_string();
    assert!(refused.contains("start without `follow`"), "{refused}");
    node.stop().await;
}
