//! Blocks and what they are made of, configs and their updates, and evidence.

use super::identities::authority;
use super::{Seed, seed};
use bytes::Bytes;
use ledgercast_crypto::{Digest, Role, SecretKey};
use ledgercast_protocol::channel::ConfigUpdate;
use ledgercast_protocol::evidence::{Equivocation, Evidence, Kept, Proof, Verdict, to_saved};
use ledgercast_protocol::ledger::{CertifiedHeader, Header, HeaderFields, QuorumCertificate, VerifiedBlock};
use ledgercast_protocol::store::suite::{Chain, Creator, org_config};
use ledgercast_protocol::types::BlockNumber;
use ledgercast_protocol::wire::proto;

pub(super) fn seeds() -> Vec<Seed> {
    let (mut small, mut large) = (Chain::new(1), large());
    let mut seeds = Vec::new();
    for (name, chain) in [("small", &mut small), ("large", &mut large)] {
        let genesis = chain.genesis().block().clone();
        let transactions = chain.next(&[b"one", b"", b"three"]);
        let update = chain.config_block(&update(chain));
        let blocks = [("genesis", &genesis), ("transactions", &transactions), ("config", &update)];
        seeds.extend(blocks.iter().flat_map(|(kind, block)| of_block(&format!("{name}_{kind}"), block)));
        seeds.push(seed("genesis", name, genesis.to_block().encode()));
        seeds.push(seed("config", name, chain.genesis().config().bytes().clone()));
        seeds.push(seed("config", format!("{name}_next"), chain.config().bytes().clone()));
        seeds.push(seed("config_update", name, update.config_update().expect("it is one")));
        seeds.extend(of_evidence(name, chain, &update));
    }
    let unsigned = ConfigUpdate::new(Bytes::from_static(b"no config"));
    seeds.push(seed("config_update", "unsigned", unsigned.encode()));
    seeds
}

/// Two orgs, three orderers, a follower, and every field in use.
fn large() -> Chain {
    let other = authority(0x32, "org2");
    Chain::with(2, |config| {
        let endpoint = |index| format!("orderer{index}.example:7050");
        config.orgs.push(proto::OrgConfig {
            intermediates: vec![other.certificate().der().clone()],
            tls_roots: vec![Bytes::from_static(b"any bytes")],
            anchors: vec!["peer0.org2.example:7051".to_owned(), "[::1]:7052".to_owned()],
            reader_ous: vec!["audit".to_owned(), "trade".to_owned()],
            writer_ous: vec!["trade".to_owned()],
            ..org_config(&other)
        });
        for index in 1..3 {
            config.orderers.push(proto::OrdererConfig {
                key: Bytes::copy_from_slice(SecretKey::from_seed([0x80 + index; 32]).public().as_bytes()),
                org: "org2".to_owned(),
                endpoint: endpoint(index),
                tls_roots: vec![Bytes::from_static(b"any bytes")],
            });
        }
        config.followers.push(proto::FollowerConfig {
            org: "org2".to_owned(),
            endpoint: endpoint(9),
            tls_roots: Vec::new(),
        });
        config.limits = Some(proto::ChannelLimits {
            envelope_bytes_max: 1 << 20,
            batch_envelopes_max: 100,
            batch_bytes_max: 1 << 20,
            batch_timeout_ms: 200,
        });
    })
}

/// Signed by the admins of both orgs, whether the channel has the second or not.
fn update(chain: &Chain) -> ConfigUpdate {
    let other = Creator::enrol(&authority(0x32, "org2"), "admin2", Role::Admin, [0x33; 32]);
    let mut update = chain.changed(|config| config.name = "renamed".to_owned());
    chain.admin().approve(chain.channel(), &mut update);
    if chain.config().orgs().len() > 1 {
        other.approve(chain.channel(), &mut update);
    }
    update
}

fn of_block(name: &str, block: &VerifiedBlock) -> [Seed; 5] {
    let certified = block.header().certified();
    [
        seed("block", name, block.to_block().encode()),
        seed("body", name, block.body().bytes().clone()),
        seed("header", name, certified.encode()),
        seed("header", format!("{name}_bare"), certified.header.bytes().clone()),
        seed("envelope", name, block.envelopes().next().expect("an envelope")),
    ]
}

fn of_evidence(name: &str, chain: &Chain, config: &VerifiedBlock) -> [Seed; 4] {
    let pair = equivocation(chain);
    let (number, guilty) = (pair.number(), vec![chain.orderer().public()]);
    let evidence = Evidence { configs: vec![config.to_block()], equivocation: pair.clone() };
    let bare = Evidence { configs: Vec::new(), equivocation: pair.clone() };
    let mut kept = Kept::default();
    kept.insert(
        Proof { equivocation: pair.clone(), verdict: Verdict::Fork { number, guilty } },
        name == "large",
    );
    [
        seed("equivocation", name, pair.encode()),
        seed("evidence", name, evidence.encode()),
        seed("evidence", format!("{name}_bare"), bare.encode()),
        seed("kept_evidence", name, to_saved([(chain.channel(), &kept)].into_iter())),
    ]
}

/// Two headers of the next number, each with a signature.
fn equivocation(chain: &Chain) -> Equivocation {
    let header = |name: &str| {
        let header = Header::new(HeaderFields {
            number: BlockNumber::new(chain.tip().number().as_u64() + 1),
            body_root: Digest::of(name.as_bytes()),
            config_number: chain.config().number(),
            ..chain.tip().header().fields().clone()
        });
        let index = if name == "other" { 9 } else { 0 };
        let certificate = QuorumCertificate::sign(chain.channel(), header.hash(), index, chain.orderer());
        CertifiedHeader { header, certificate: Some(certificate) }
    };
    Equivocation::try_new(header("one"), header("other")).expect("they contradict each other")
}
