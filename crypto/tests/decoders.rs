//! Decoders give a verdict on any bytes: they never panic, and accept nothing that was altered unnoticed.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail by panicking too")]

use ledgercast_crypto::issue::{Authority, Validity};
use ledgercast_crypto::{Certificate, Digest, PublicKey, RevocationList, SecretKey, Signature};
use proptest::prelude::*;

const VALIDITY: Validity = Validity { not_before: 1_700_000_000, not_after: 1_900_000_000 };

fn authority() -> Authority {
    Authority::create_with(SecretKey::from_seed([1; 32]), "Org1", VALIDITY).unwrap()
}

fn list_of_one() -> RevocationList {
    authority().revoke(&[authority().certificate()], 3, VALIDITY).unwrap()
}

/// Genuine bytes with some replaced, cut or added: these get deeper into a decoder than random ones.
fn altered(genuine: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    let cut = any::<prop::sample::Index>();
    (changes, cut, any::<bool>(), prop::collection::vec(any::<u8>(), 0..4)).prop_map(
        move |(changes, cut, cuts, tail)| {
            let mut bytes = genuine.clone();
            for (position, value) in changes {
                let position = position.index(bytes.len());
                bytes[position] = value;
            }
            if cuts {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes.extend(tail);
            bytes
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Certificate::from_der(bytes.clone()).is_err());
        prop_assert!(RevocationList::from_der(bytes.clone()).is_err());
        let _ = PublicKey::try_from(bytes.as_slice());
        prop_assert_eq!(Digest::try_from(bytes.as_slice()).is_ok(), bytes.len() == 32);
        prop_assert_eq!(Signature::try_from(bytes.as_slice()).is_ok(), bytes.len() == 64);
    }

    #[test]
    fn any_text_gets_a_verdict(text in ".{0,300}", inner in "[A-Za-z0-9+/=\n]{0,200}") {
        let section =
            |label: &str| format!("{text}\n-----BEGIN {label}-----\n{inner}\n-----END {label}-----\n");

        prop_assert!(SecretKey::from_pkcs8_pem(&section("PRIVATE KEY")).is_err());
        prop_assert!(Certificate::from_pem(&section("CERTIFICATE")).is_err());
        let _ = RevocationList::all_from_pem(&section("X509 CRL"));
        prop_assert!(text.parse::<Digest>().is_err() || text.len() == 64);
    }

    #[test]
    fn altered_certificates_get_a_verdict(bytes in altered(authority().certificate().der().to_vec())) {
        if let Ok(certificate) = Certificate::from_der(bytes) {
            let _ = (certificate.role(), format!("{certificate:?}"), certificate.check_validity(0));
        }
    }

    #[test]
    fn altered_revocation_lists_get_a_verdict(
        bytes in altered(list_of_one().der().to_vec()),
    ) {
        if let Ok(list) = RevocationList::from_der(bytes) {
            let _ = (format!("{list:?}"), list.revoked_count());
        }
    }

    #[test]
    fn certificates_round_trip_through_pem(seed: [u8; 32]) {
        let ca = Authority::create_with(SecretKey::from_seed(seed), "Org1", VALIDITY).unwrap();

        let read = Certificate::from_pem(&ca.certificate().to_pem()).unwrap();

        prop_assert_eq!(&read, ca.certificate());
        prop_assert_eq!(read.fingerprint(), Digest::of(read.der()));
        prop_assert_eq!(read.public_key(), ca.key().public());
    }
}
