//! Making CAs, certificates, revocation lists and MSP folders: for the command line and tests.
//! Never part of a running peer or orderer (feature `issue`), and never overwrites a file.

mod authority;
mod files;
mod tls;

use std::path::PathBuf;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyUsagePurpose, SerialNumber};
use time::OffsetDateTime;

use crate::certificate::CertificateError;
use crate::keys::KeyError;
use crate::revocation::RevocationError;

pub use authority::{Authority, Enrolment};
pub use files::{MemberFiles, replace_public, write_new_public, write_new_secret};
pub use tls::{TlsAuthority, TlsPair};

/// First and last second of validity, since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First valid second.
    pub not_before: u64,
    /// Last valid second.
    pub not_after: u64,
}

impl Validity {
    /// From five minutes before `now`, so that clocks may differ, for `days`.
    pub fn days_from(now_unix_seconds: u64, days: u64) -> Self {
        const CLOCK_SKEW_SECONDS: u64 = 300;
        let not_after = now_unix_seconds.saturating_add(days.saturating_mul(24 * 60 * 60));
        Self { not_before: now_unix_seconds.saturating_sub(CLOCK_SKEW_SECONDS), not_after }
    }
}

/// The subject of a CA.
fn ca_name(common_name: &str, org: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, org);
    name.push(DnType::CommonName, common_name);
    name
}

/// The parameters that all our certificates share: subject, validity, a random serial number.
fn params(name: DistinguishedName, validity: Validity) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.not_before = moment(validity.not_before)?;
    params.not_after = moment(validity.not_after)?;
    params.serial_number = Some(random_serial()?);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// What our CAs may do.
fn ca_usages() -> Vec<KeyUsagePurpose> {
    vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature]
}

fn moment(unix_seconds: u64) -> Result<OffsetDateTime, IssueError> {
    i64::try_from(unix_seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or(IssueError::Time { unix_seconds })
}

/// Sixteen random bytes, positive and of full length as an ASN.1 integer.
fn random_serial() -> Result<SerialNumber, IssueError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| KeyError::Randomness(error.to_string()))?;
    Ok(positive_serial(bytes))
}

fn positive_serial(mut bytes: [u8; 16]) -> SerialNumber {
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// Why nothing was issued or written.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A time that X.509 cannot say.
    #[error("{unix_seconds} seconds since 1970 is no time that a certificate can state")]
    Time {
        /// The time.
        unix_seconds: u64,
    },
    /// The certificate of a CA with the key of another.
    #[error("the key is not that of the CA {subject}")]
    OtherKey {
        /// The CA.
        subject: String,
    },
    /// A certificate that may not sign others.
    #[error("{subject} is no CA")]
    NotCa {
        /// Whose certificate.
        subject: String,
    },
    /// A CA whose name we cannot reproduce byte for byte, so chains would break.
    #[error("the CA's name {subject} has a form that cannot be written into certificates")]
    CaName {
        /// The CA.
        subject: String,
    },
    /// A certificate to revoke that another CA has issued.
    #[error("{subject} was issued by {issuer}: only that CA can revoke it")]
    OtherIssuer {
        /// Whose certificate.
        subject: String,
        /// The CA that issued it.
        issuer: String,
    },
    /// A unit that says nothing, or names a role.
    #[error("{unit:?} cannot be a unit: give a name that is none of peer, orderer, client and admin")]
    Unit {
        /// The unit.
        unit: String,
    },
    /// A name for TLS that is neither DNS name nor IP address.
    #[error("{name:?} is neither a DNS name nor an IP address")]
    TlsName {
        /// The name.
        name: String,
    },
    /// The certificate library refused.
    #[error("cannot encode: {0}")]
    Encoding(#[from] rcgen::Error),
    /// What was issued is not acceptable to ourselves.
    #[error("the certificate asked for is not acceptable: {0}")]
    Certificate(#[from] CertificateError),
    /// The revocation list issued is not acceptable to ourselves.
    #[error("the revocation list asked for is not acceptable: {0}")]
    Revocation(#[from] RevocationError),
    /// No key could be drawn.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file that exists already.
    #[error("{} exists already and is not overwritten: remove it, or choose another folder", file.display())]
    Exists {
        /// Which.
        file: PathBuf,
    },
    /// A file or folder that cannot be written.
    #[error("cannot write {}: {error}", file.display())]
    Write {
        /// Which.
        file: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
}
