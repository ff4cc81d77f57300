//! Each check of a header and of a body refuses by its own name (A9, A12): one test for each.

use super::*;
use crate::channel::ChannelConfig;
use crate::store::suite::Chain;
use crate::time::WallTime;
use crate::types::{BlockNumber, ChannelId};
use crate::wire::proto;
use bytes::Bytes;
use ledgercast_crypto::{Digest, SecretKey};
use prost::Message as _;
use std::sync::Arc;

const ONE: BlockNumber = BlockNumber::new(1);

/// Block 1 of a channel, and the config that it is certified under.
fn block() -> (VerifiedBlock, Arc<ChannelConfig>, SecretKey) {
    let mut chain = Chain::new(7);
    let block = chain.next(&[b"first", b"second"]);
    (block, chain.config().clone(), chain.orderer().clone())
}

/// Why a header with this change is refused when the orderer itself has signed it.
fn refused(change: impl FnOnce(&mut HeaderFields)) -> BlockError {
    let (block, config, orderer) = block();
    let mut fields = block.header().header().fields().clone();
    change(&mut fields);
    let header = Header::new(fields);
    let certificate = Some(QuorumCertificate::sign(config.channel(), header.hash(), 0, &orderer));
    VerifiedHeader::try_new(CertifiedHeader { header, certificate }, &config).expect_err("it is altered")
}

/// Why a header with this change is refused under the certificate that it had before.
fn unsigned(change: impl FnOnce(&mut HeaderFields)) -> BlockError {
    let (block, config, _) = block();
    let mut fields = block.header().header().fields().clone();
    change(&mut fields);
    let altered = CertifiedHeader {
        header: Header::new(fields),
        certificate: block.header().certified().certificate.clone(),
    };
    VerifiedHeader::try_new(altered, &config).expect_err("nobody has signed it")
}

const UNSIGNED: BlockError =
    BlockError::Certificate { number: ONE, error: QuorumCertificateError::Signature { index: 0 } };

/// Why bytes are not the body of block 1.
fn no_body(change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> BlockError {
    let (block, ..) = block();
    let bytes = Bytes::from(change(block.body().bytes().to_vec()));
    VerifiedBlock::try_new(block.header().clone(), bytes).expect_err("it is altered")
}

#[test]
fn refuses_a_header_of_another_channel() {
    let error = refused(|fields| fields.channel = ChannelId::from_bytes([8; 32]));
    assert!(matches!(error, BlockError::WrongChannel { .. }));
}

#[test]
fn refuses_block_0_with_a_certificate() {
    assert_eq!(
        refused(|fields| fields.number = BlockNumber::GENESIS),
        BlockError::Genesis(BlockNumber::GENESIS)
    );
}

#[test]
fn refuses_a_header_of_another_config() {
    let error = refused(|fields| fields.config_number += 1);
    assert_eq!(error, BlockError::WrongConfig { number: ONE, found: 1, in_force: 0 });
}

#[test]
fn refuses_a_block_without_envelopes() {
    assert_eq!(refused(|fields| fields.envelope_count = 0), BlockError::Empty(ONE));
}

#[test]
fn refuses_a_body_above_the_configs_limit() {
    assert!(matches!(refused(|fields| fields.body_bytes = u64::MAX), BlockError::BodyTooLong { .. }));
}

#[test]
fn refuses_a_header_without_certificate() {
    let (block, config, _) = block();
    let bare = CertifiedHeader { certificate: None, ..block.header().certified().clone() };
    assert_eq!(VerifiedHeader::try_new(bare, &config), Err(BlockError::NoCertificate(ONE)));
}

#[test]
fn refuses_the_certificate_of_another_number() {
    assert_eq!(
        unsigned(|fields| fields.number = BlockNumber::new(2)),
        BlockError::Certificate {
            number: BlockNumber::new(2),
            error: QuorumCertificateError::Signature { index: 0 },
        }
    );
}

#[test]
fn refuses_another_previous_hash_under_the_same_certificate() {
    assert_eq!(unsigned(|fields| fields.previous_hash = Digest::of(b"another")), UNSIGNED);
}

#[test]
fn refuses_another_body_root_under_the_same_certificate() {
    assert_eq!(unsigned(|fields| fields.body_root = Digest::of(b"another")), UNSIGNED);
}

#[test]
fn refuses_another_body_length_under_the_same_certificate() {
    assert_eq!(unsigned(|fields| fields.body_bytes += 1), UNSIGNED);
}

#[test]
fn refuses_another_part_count_under_the_same_certificate() {
    assert_eq!(unsigned(|fields| fields.part_count += 1), UNSIGNED);
}

#[test]
fn refuses_another_envelope_count_under_the_same_certificate() {
    assert_eq!(unsigned(|fields| fields.envelope_count -= 1), UNSIGNED);
}

#[test]
fn refuses_another_time_under_the_same_certificate() {
    assert_eq!(unsigned(|fields| fields.timestamp = WallTime::from_millis(0)), UNSIGNED);
}

#[test]
fn refuses_a_certificate_made_for_another_channel() {
    let (block, config, orderer) = block();
    let hash = block.header().hash();
    let certificate = Some(QuorumCertificate::sign(ChannelId::from_bytes([8; 32]), hash, 0, &orderer));
    let header = CertifiedHeader { certificate, ..block.header().certified().clone() };
    assert_eq!(VerifiedHeader::try_new(header, &config), Err(UNSIGNED));
}

#[test]
fn refuses_a_signer_that_the_config_does_not_name() {
    let (block, config, orderer) = block();
    let certificate = Some(QuorumCertificate::sign(config.channel(), block.header().hash(), 3, &orderer));
    let header = CertifiedHeader { certificate, ..block.header().certified().clone() };
    let error = QuorumCertificateError::UnknownOrderer { index: 3, orderers: 1 };
    assert_eq!(VerifiedHeader::try_new(header, &config), Err(BlockError::Certificate { number: ONE, error }));
}

/// A12: headers of a coding do not exist in this version
#[test]
fn refuses_a_header_of_another_version() {
    let (block, ..) = block();
    let mut wire = proto::Header::decode(block.header().header().bytes().clone()).expect("it is a header");
    wire.version = 2;
    assert_eq!(Header::decode(wire.encode_to_vec().into()), Err(HeaderError::Version(2)));
}

#[test]
fn refuses_a_header_with_more_envelopes_than_parts() {
    let (block, ..) = block();
    let mut fields = block.header().header().fields().clone();
    fields.envelope_count = fields.part_count + 1;
    let error = Header::decode(Header::new(fields).bytes().clone()).expect_err("it contradicts itself");
    assert!(matches!(error, HeaderError::Field { field: "envelope_count", .. }));
}

#[test]
fn refuses_a_header_that_is_too_long() {
    let (block, ..) = block();
    let padded = [&block.header().header().bytes()[..], &[0xfa, 0x3f, 0xff, 0x03], &[0; 511]].concat();
    let error = Header::decode(padded.into()).expect_err("it is padded");
    assert!(matches!(error, HeaderError::Field { field: "header", .. }));
}

#[test]
fn refuses_a_body_that_is_truncated() {
    let error = no_body(|mut body| {
        body.pop();
        body
    });
    assert!(matches!(error, BlockError::BodyLength { .. }));
}

#[test]
fn refuses_a_body_that_is_oversized() {
    let error = no_body(|mut body| {
        body.push(0);
        body
    });
    assert!(matches!(error, BlockError::BodyLength { .. }));
}

#[test]
fn refuses_a_body_with_a_flipped_bit() {
    let error = no_body(|mut body| {
        let last = body.len() - 1;
        body[last] ^= 1;
        body
    });
    assert_eq!(error, BlockError::BodyRoot(ONE));
}

#[test]
fn refuses_a_body_whose_last_part_ends_beyond_it() {
    let error = no_body(|mut body| {
        body[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        body
    });
    assert!(matches!(error, BlockError::Body { error: BodyError::Truncated { .. }, .. }));
}

/// The length of the part that begins here.
fn length_at(body: &[u8], at: usize) -> usize {
    u32::from_be_bytes(body[at..at + 4].try_into().expect("four bytes")) as usize
}

/// CVE-2023-46132
#[test]
fn refuses_equal_bytes_in_fewer_parts() {
    let error = no_body(|mut body| {
        let first = length_at(&body, 0);
        let merged = first + 4 + length_at(&body, first + 4);
        body[..4].copy_from_slice(&u32::try_from(merged).expect("short").to_be_bytes());
        body
    });
    assert_eq!(error, BlockError::PartCount { number: ONE, found: 2, expected: 3 });
}

/// CVE-2023-46132
#[test]
fn refuses_equal_bytes_in_more_parts() {
    let error = no_body(|mut body| {
        let first = length_at(&body, 0);
        body[..4].copy_from_slice(&u32::try_from(first - 4).expect("short").to_be_bytes());
        body[first..first + 4].copy_from_slice(&0_u32.to_be_bytes());
        body
    });
    assert!(matches!(error, BlockError::Body { error: BodyError::TooManyParts(3), .. }));
}

/// CVE-2023-46132
#[test]
fn refuses_equal_bytes_in_as_many_other_parts() {
    let error = no_body(|mut body| {
        // The first part ends earlier, and its last bytes become the second one's first.
        let first = length_at(&body, 0);
        let second = length_at(&body, first + 4);
        let moved = first - 8;
        body[..4].copy_from_slice(&u32::try_from(moved).expect("short").to_be_bytes());
        let length = u32::try_from(second + 8).expect("short");
        body[moved + 4..moved + 8].copy_from_slice(&length.to_be_bytes());
        body
    });
    assert_eq!(error, BlockError::BodyRoot(ONE));
}
