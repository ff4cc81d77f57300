//! The lists of our messages, with the number of their entries and the length of the shortest right one.
//! Lengths are derived from the fields that a right one must have: a tag and a length have two bytes.

use super::Field;
use crate::channel::{
    ANCHORS_PER_ORG_MAX, CERTIFICATES_PER_ORG_MAX, FOLLOWERS_MAX, ORGS_MAX, SIGNATURES_MAX, UNITS_PER_ORG_MAX,
};
use crate::evidence::{CONFIGS_MAX, PROOFS_MAX};
use crate::ledger::ORDERERS_MAX;
use crate::wire::{
    CERTIFICATES_MAX, CHANNELS_MAX, CHILDREN_MAX, HEADERS_MAX, INTERMEDIATES_MAX, LIST_ENTRIES_MAX,
    REVOCATION_LISTS_MAX, REVOCATION_MARKS_MAX,
};
use ledgercast_crypto::roster;

const ID: usize = 32;
const SIGNATURE: usize = 64;
/// A certificate or a revocation list: its key or signature and the structure around it have more.
const DER: usize = 64;
const HEADER: usize = 3 * (2 + ID);
const SIGNED: usize = (2 + ID) + (2 + SIGNATURE);

/// A message that may stand once.
const fn one(name: &'static str, number: u32, inside: &'static [Field]) -> Field {
    Field { name, number, count_max: 1, bytes_min: 0, inside }
}

/// A list of entries in which there are no lists.
const fn list(name: &'static str, number: u32, count_max: usize, bytes_min: usize) -> Field {
    Field { name, number, count_max, bytes_min, inside: &[] }
}

/// A list of messages.
const fn messages(entries: Field, inside: &'static [Field]) -> Field {
    Field { inside, ..entries }
}

const CHAIN: &[Field] = &[list("intermediates", 2, INTERMEDIATES_MAX, DER)];
const QUORUM_CERTIFICATE: &[Field] = &[list("signatures", 2, ORDERERS_MAX, SIGNATURE)];
/// `CertifiedHeader`.
pub(crate) const CERTIFIED_HEADER: &[Field] = &[one("certificate", 2, QUORUM_CERTIFICATE)];
/// `Equivocation`.
pub(crate) const EQUIVOCATION: &[Field] =
    &[one("first", 1, CERTIFIED_HEADER), one("second", 2, CERTIFIED_HEADER)];
/// `Block`.
pub(crate) const BLOCK: &[Field] = &[one("header", 1, CERTIFIED_HEADER)];

const MEMBERS: &[Field] = &[list("members", 1, LIST_ENTRIES_MAX, ID)];
const MARKS: &[Field] = &[list("marks", 1, LIST_ENTRIES_MAX, 2 + ID)];

const CHANNEL_FRAME: &[Field] = &[
    one("state_digest", 2, MARKS),
    one("states", 3, &[list("states", 1, LIST_ENTRIES_MAX, SIGNED)]),
    one("want_states", 4, MEMBERS),
    one("headers", 9, &[messages(list("headers", 2, HEADERS_MAX, 2 + HEADER), CERTIFIED_HEADER)]),
    one("push", 10, &[one("header", 1, CERTIFIED_HEADER), list("children", 3, CHILDREN_MAX, ID)]),
    one("evidence", 16, EQUIVOCATION),
];

/// `Frame`.
pub(crate) const FRAME: &[Field] = &[
    one("hello", 1, &[one("certificate", 2, CHAIN)]),
    one("channels", 2, &[list("channels", 1, CHANNELS_MAX, ID)]),
    one("certificates", 3, &[messages(list("certificates", 1, CERTIFICATES_MAX, 2 + DER), CHAIN)]),
    one("want_certificates", 4, MEMBERS),
    one("alives", 5, &[list("alives", 1, LIST_ENTRIES_MAX, 2 + SIGNED)]),
    one("alive_digest", 6, MARKS),
    one("want_alives", 20, MARKS),
    one("channel", 10, CHANNEL_FRAME),
    one("revocation_digest", 13, &[list("revocation_digest", 1, REVOCATION_MARKS_MAX, 2 + ID)]),
    one("want_revocations", 14, &[list("want_revocations", 1, REVOCATION_MARKS_MAX, ID)]),
    one("revocations", 15, &[list("revocations", 1, REVOCATION_LISTS_MAX, DER)]),
];

const ORG: &[Field] = &[
    list("roots of one org", 2, CERTIFICATES_PER_ORG_MAX, DER),
    list("intermediates of one org", 3, CERTIFICATES_PER_ORG_MAX, DER),
    list("TLS roots of one org", 4, CERTIFICATES_PER_ORG_MAX, 0),
    list("anchors of one org", 5, ANCHORS_PER_ORG_MAX, 0),
    list("reader units of one org", 8, UNITS_PER_ORG_MAX, 0),
    list("writer units of one org", 9, UNITS_PER_ORG_MAX, 0),
];
const TLS_ROOTS_OF_ORDERER: &[Field] = &[list("TLS roots of one orderer", 4, CERTIFICATES_PER_ORG_MAX, 0)];
const TLS_ROOTS_OF_FOLLOWER: &[Field] = &[list("TLS roots of one follower", 3, CERTIFICATES_PER_ORG_MAX, 0)];

/// `ChannelConfig`.
pub(crate) const CHANNEL_CONFIG: &[Field] = &[
    messages(list("orgs", 4, ORGS_MAX, 2 + DER), ORG),
    messages(list("orderers", 5, ORDERERS_MAX, 2 + ID), TLS_ROOTS_OF_ORDERER),
    messages(list("followers", 8, FOLLOWERS_MAX, 0), TLS_ROOTS_OF_FOLLOWER),
];

/// As many intermediates as a roster looks at; frames carry fewer.
const ADMIN_SIGNATURE: &[Field] = &[list("intermediates", 2, roster::INTERMEDIATES_MAX, DER)];

/// `ConfigUpdate`; the config in it is looked at when it is decoded.
pub(crate) const CONFIG_UPDATE: &[Field] =
    &[messages(list("signatures", 2, SIGNATURES_MAX, (2 + DER) + (2 + SIGNATURE)), ADMIN_SIGNATURE)];

/// `Evidence`.
pub(crate) const EVIDENCE: &[Field] =
    &[messages(list("configs", 1, CONFIGS_MAX, 2 + HEADER), BLOCK), one("equivocation", 2, EQUIVOCATION)];

const KEPT_PROOF: &[Field] = &[one("equivocation", 1, EQUIVOCATION), list("guilty", 3, ORDERERS_MAX, ID)];
const KEPT_EVIDENCE: &[Field] = &[messages(list("proofs", 2, PROOFS_MAX, 2 * (2 + HEADER)), KEPT_PROOF)];

/// `KeptEvidenceList`. As many channels as a process may join, and no fewer than a session may name.
pub(crate) const KEPT_EVIDENCE_LIST: &[Field] =
    &[messages(list("channels", 1, LIST_ENTRIES_MAX, 2 + ID), KEPT_EVIDENCE)];
