//! Certificates, revocation lists, keys, and short values.

use super::{Seed, seed};
use bytes::{BufMut as _, BytesMut};
use ledgercast_crypto::issue::{Authority, Enrolment};
use ledgercast_crypto::{Certificate, Digest, RevocationList, Role, SecretKey};
use ledgercast_protocol::store::suite::VALIDITY;

pub(super) fn authority(seed: u8, org: &str) -> Authority {
    Authority::reproducible(SecretKey::from_seed([seed; 32]), org, VALIDITY).expect("a CA")
}

fn members(authority: &Authority) -> Vec<Certificate> {
    let member = |(index, role): (u8, Role)| {
        let key = SecretKey::from_seed([0x40 + index; 32]).public();
        let enrolment = Enrolment { common_name: role.unit(), role, unit: None, validity: VALIDITY };
        authority.enrol(&key, &enrolment).expect("a member")
    };
    (0..).zip(Role::ALL).map(member).collect()
}

pub(super) fn seeds() -> Vec<Seed> {
    let authority = authority(0x31, "org1");
    let members = members(&authority);
    let revoked: Vec<&Certificate> = members.iter().collect();
    let revoke = |count, number| authority.revoke(&revoked[..count], number, VALIDITY).expect("a list");
    let lists = [("none", revoke(0, 1)), ("one", revoke(1, 2)), ("all", revoke(4, 0x1_0000))];

    let mut seeds = vec![seed("certificate", "ca", authority.certificate().der().clone())];
    for member in &members {
        seeds.push(seed("certificate", member.common_name(), member.der().clone()));
    }
    for (name, list) in &lists {
        seeds.push(seed("revocation_list", *name, list.der().clone()));
    }
    seeds.extend(texts(&authority, &members, &lists[1].1));
    seeds.extend([saved("one", &[&lists[1].1]), saved("two", &[&lists[0].1, &lists[2].1])]);
    seeds.extend(values());
    seeds
}

fn texts(authority: &Authority, members: &[Certificate], list: &RevocationList) -> [Seed; 5] {
    let (ca, member) = (authority.certificate().to_pem(), members[0].to_pem());
    let key = authority.key().to_pkcs8_pem().to_string();
    [
        seed("pem", "bundle", format!("a comment\n{member}{ca}")),
        seed("pem", "all_kinds", format!("{key}{}{ca}", list.to_pem())),
        seed("pem", "certificate", member.replace('\n', "\r\n")),
        seed("pem", "list", list.to_pem()),
        seed("pem", "key", key),
    ]
}

/// The lists of `peer::revocations`: CA, length and bytes of each.
fn saved(name: &str, lists: &[&RevocationList]) -> Seed {
    let mut saved = BytesMut::new();
    for (index, list) in (0_u8..).zip(lists) {
        saved.put_slice(Digest::of(&[index]).as_bytes());
        saved.put_u32(u32::try_from(list.der().len()).expect("a short list"));
        saved.put_slice(list.der());
    }
    seed("saved_revocations", name, saved.freeze())
}

fn values() -> [Seed; 9] {
    let key = SecretKey::from_seed([7; 32]);
    [
        ("key", key.public().as_bytes().to_vec()),
        ("digest", Digest::of(b"abc").to_string().into_bytes()),
        ("signature", vec![7; 64]),
        ("number", vec![0, 1, 2, 3]),
        ("endpoint_name", b"peer0.org1.example:7051".to_vec()),
        ("endpoint_v4", b"127.0.0.1:7051".to_vec()),
        ("endpoint_v6", b"[::1]:7051".to_vec()),
        ("channel", b"trade.2-b".to_vec()),
        ("role", b"orderer".to_vec()),
    ]
    .map(|(name, bytes)| seed("values", name, bytes))
}
