//! Ledger objects: envelopes, bodies, headers, quorum certificates and the blocks made of them.
//!
//! ```text
//! Block ── CertifiedHeader ── header bytes ──────► hash = SHA-256 ◄─ signed by a quorum of orderers
//!       │                  └─ QuorumCertificate          ▲
//!       └─ body = (length ‖ part)*  ── RFC 6962 root ────┘ body_root, counts and length stand in the header
//! ```
//!
//! Whatever arrives is a `CertifiedHeader` and bytes; [`VerifiedHeader`] and [`VerifiedBlock`] can only be
//! made by checking. Equal bytes cut into other parts give another root (CVE-2023-46132 cannot happen here).

mod block;
mod body;
mod envelope;
mod header;
mod quorum_certificate;
mod verified;

pub use block::Block;
pub use body::{Body, BodyBuilder, BodyError};
pub use envelope::{
    ENVELOPE_NONCE_BYTES, Envelope, EnvelopeContent, EnvelopeError, EnvelopeId, EnvelopeKind,
};
pub use header::{CertifiedHeader, HEADER_VERSION, Header, HeaderError, HeaderFields};
pub use quorum_certificate::{ORDERERS_MAX, QuorumCertificate, QuorumCertificateError};
pub use verified::{BlockError, VerifiedBlock, VerifiedHeader};

#[cfg(test)]
mod tests;
