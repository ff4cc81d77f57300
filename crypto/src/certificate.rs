//! X.509 certificates with Ed25519 keys: bounded decoding into the few facts that we use.
//! Never says that a certificate is genuine: a [`Roster`](crate::Roster) does.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rustls_pki_types::CertificateDer;
use x509_parser::oid_registry::OID_SIG_ED25519;
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use crate::digest::Digest;
use crate::keys::{KeyError, PublicKey};
use crate::pem::{self, PemError};
use crate::subject::{Role, Subject};

/// Largest certificate that we decode, in bytes of DER. Ours have under 600; the rest is for long names and
/// extensions of existing CAs.
pub const CERTIFICATE_BYTES_MAX: usize = 8 * 1024;

/// A decoded certificate, cheap to clone; equal if its bytes are.
#[derive(Clone)]
pub struct Certificate(Arc<Decoded>);

struct Decoded {
    der: Bytes,
    fingerprint: Digest,
    public_key: PublicKey,
    subject: Subject,
    subject_der: Bytes,
    issuer: String,
    issuer_der: Bytes,
    serial: Bytes,
    not_before: u64,
    not_after: u64,
    has_ca_flag: bool,
    may_sign_certificates: bool,
    may_sign_crls: bool,
}

impl Certificate {
    /// Decodes one certificate that fills `der` exactly.
    ///
    /// # Errors
    ///
    /// [`CertificateError::TooLarge`], [`CertificateError::Malformed`], [`CertificateError::Version`],
    /// [`CertificateError::NotEd25519`] or [`CertificateError::Key`].
    pub fn from_der(der: impl Into<Bytes>) -> Result<Self, CertificateError> {
        let der = der.into();
        let parsed = parse_der(&der)?;
        let decoded = decode(&der, &parsed)?;
        Ok(Self(Arc::new(decoded)))
    }

    /// Decodes the only certificate of a PEM text.
    ///
    /// # Errors
    ///
    /// [`CertificateError::Malformed`] if the text has none or several, [`CertificateError::Pem`] if it is
    /// broken, else as [`Certificate::from_der`].
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let mut all = Self::all_from_pem(text)?;
        match (all.pop(), all.len()) {
            (Some(only), 0) => Ok(only),
            (_, others) => {
                Err(CertificateError::Malformed { what: format!("{} certificates, not one", others + 1) })
            }
        }
    }

    /// Decodes every certificate of a PEM text; text without any has none.
    ///
    /// # Errors
    ///
    /// [`CertificateError::Pem`] at a broken section, else as [`Certificate::from_der`].
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, CertificateError> {
        pem::decode_all::<CertificateDer<'static>>(text.as_bytes())?
            .into_iter()
            .map(|der| Self::from_der(der.as_ref().to_vec()))
            .collect()
    }

    /// Writes PEM.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.0.der)
    }

    /// The exact bytes.
    pub fn der(&self) -> &Bytes {
        &self.0.der
    }

    /// SHA-256 of the exact bytes: what a certificate is referenced by once it has been shown.
    pub fn fingerprint(&self) -> Digest {
        self.0.fingerprint
    }

    /// The Ed25519 key certified.
    pub fn public_key(&self) -> PublicKey {
        self.0.public_key
    }

    /// The subject's readable parts.
    pub fn subject(&self) -> &Subject {
        &self.0.subject
    }

    /// The subject's organisation, or empty.
    pub fn org(&self) -> &str {
        &self.0.subject.org
    }

    /// The subject's common name, or empty.
    pub fn common_name(&self) -> &str {
        &self.0.subject.common_name
    }

    /// The one role among the organisational units; CAs have none.
    pub fn role(&self) -> Option<Role> {
        self.0.subject.role()
    }

    /// The subject's organisational units.
    pub fn ous(&self) -> &[String] {
        &self.0.subject.units
    }

    /// The issuer's name, for messages.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// First second of validity, since 1970.
    pub fn not_before(&self) -> u64 {
        self.0.not_before
    }

    /// Last second of validity, since 1970.
    pub fn not_after(&self) -> u64 {
        self.0.not_after
    }

    /// The serial number's bytes, as a revocation list names it.
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// Whether this certificate may sign others: the CA flag, and no key usage that speaks against it.
    pub fn is_ca(&self) -> bool {
        self.0.has_ca_flag && self.0.may_sign_certificates
    }

    /// Whether the CA flag is set, which no member's certificate may have.
    pub(crate) fn has_ca_flag(&self) -> bool {
        self.0.has_ca_flag
    }

    pub(crate) fn may_sign_crls(&self) -> bool {
        self.0.has_ca_flag && self.0.may_sign_crls
    }

    pub(crate) fn subject_der(&self) -> &[u8] {
        &self.0.subject_der
    }

    pub(crate) fn issuer_der(&self) -> &[u8] {
        &self.0.issuer_der
    }

    /// Judges `at_unix_seconds` against the validity.
    ///
    /// # Errors
    ///
    /// [`CertificateError::NotYetValid`] or [`CertificateError::Expired`].
    pub fn check_validity(&self, at_unix_seconds: u64) -> Result<(), CertificateError> {
        let subject = || self.0.subject.to_string();
        if at_unix_seconds < self.0.not_before {
            let not_before = self.0.not_before;
            return Err(CertificateError::NotYetValid {
                subject: subject(),
                not_before,
                at: at_unix_seconds,
            });
        }
        if at_unix_seconds > self.0.not_after {
            let not_after = self.0.not_after;
            return Err(CertificateError::Expired { subject: subject(), not_after, at: at_unix_seconds });
        }
        Ok(())
    }
}

/// Parses DER of any key algorithm within the size bound, consuming all of it.
pub(crate) fn parse_der(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(CertificateError::TooLarge { found: der.len() });
    }
    match X509Certificate::from_der(der) {
        Ok(([], parsed)) => Ok(parsed),
        Ok((rest, _)) => {
            Err(CertificateError::Malformed { what: format!("{} bytes after its end", rest.len()) })
        }
        Err(error) => Err(CertificateError::Malformed { what: error.to_string() }),
    }
}

fn decode(der: &[u8], parsed: &X509Certificate<'_>) -> Result<Decoded, CertificateError> {
    if parsed.version() != X509Version::V3 {
        return Err(CertificateError::Version { found: u64::from(parsed.version().0) + 1 });
    }
    let subject = Subject::read(parsed.subject())?;
    let info = parsed.public_key();
    if info.algorithm.algorithm != OID_SIG_ED25519 {
        let algorithm = info.algorithm.algorithm.to_id_string();
        return Err(CertificateError::NotEd25519 { subject: subject.to_string(), algorithm });
    }
    let extension_error = |error: x509_parser::error::X509Error| CertificateError::Malformed {
        what: format!("an extension: {error}"),
    };
    let has_ca_flag = parsed.basic_constraints().map_err(extension_error)?.is_some_and(|it| it.value.ca);
    let key_usage = parsed.key_usage().map_err(extension_error)?;
    Ok(Decoded {
        // A copy: a slice would keep the whole message that it came in.
        der: Bytes::copy_from_slice(der),
        fingerprint: Digest::of(der),
        public_key: PublicKey::try_from(info.subject_public_key.data.as_ref())?,
        subject,
        subject_der: Bytes::copy_from_slice(parsed.subject().as_raw()),
        issuer: parsed.issuer().to_string(),
        issuer_der: Bytes::copy_from_slice(parsed.issuer().as_raw()),
        serial: Bytes::copy_from_slice(parsed.raw_serial()),
        not_before: unix_seconds(parsed.validity().not_before.timestamp()),
        not_after: unix_seconds(parsed.validity().not_after.timestamp()),
        has_ca_flag,
        may_sign_certificates: key_usage.as_ref().is_none_or(|usage| usage.value.key_cert_sign()),
        may_sign_crls: key_usage.as_ref().is_none_or(|usage| usage.value.crl_sign()),
    })
}

/// Times before 1970 count as 1970: nothing that we judge lies before.
fn unix_seconds(timestamp: i64) -> u64 {
    u64::try_from(timestamp).unwrap_or(0)
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Certificate({}, {})", self.0.subject, self.0.fingerprint.short())
    }
}

/// Why a certificate is refused. Nothing of ours has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Over [`CERTIFICATE_BYTES_MAX`].
    #[error("a certificate of {found} bytes is over the limit of {CERTIFICATE_BYTES_MAX}")]
    TooLarge {
        /// Bytes given.
        found: usize,
    },
    /// Not DER, not X.509, or a subject that we cannot read.
    #[error("malformed certificate: {what}")]
    Malformed {
        /// The first thing found wrong.
        what: String,
    },
    /// Not PEM, or no certificate in it.
    #[error("no certificate: {0}")]
    Pem(#[from] PemError),
    /// Not X.509 version 3. Version 1 has no extensions, so it cannot say whether it is a CA.
    #[error("an X.509 version {found} certificate; only version 3 says who is a CA")]
    Version {
        /// The version, counted from 1.
        found: u64,
    },
    /// A key, or a signature of the chain, of another algorithm.
    #[error("{subject}: algorithm {algorithm}, wanted Ed25519 (1.3.101.112)")]
    NotEd25519 {
        /// Whose.
        subject: String,
        /// Its object identifier, or what is known of it.
        algorithm: String,
    },
    /// An Ed25519 key that is not acceptable.
    #[error("unacceptable key: {0}")]
    Key(#[from] KeyError),
    /// No org of this name is known.
    #[error("unknown org {org:?}")]
    UnknownOrg {
        /// The subject's org.
        org: String,
    },
    /// The subject names one org, another one signed.
    #[error("the certificate names org {org:?} but {signed_by:?} signed it")]
    WrongCa {
        /// The subject's org.
        org: String,
        /// The org whose root the chain ends at.
        signed_by: String,
    },
    /// An org of this name is known, by other roots: another org.
    #[error("org {org:?} is known, but not by the CA {issuer:?} that signed: another org of the same name")]
    OtherRoots {
        /// The subject's org.
        org: String,
        /// The end of the chain shown.
        issuer: String,
    },
    /// The chain breaks before any root.
    #[error("no certificate of {issuer:?}, which signed for org {org:?}: show the intermediate")]
    MissingIntermediate {
        /// The subject's org.
        org: String,
        /// The name that is missing.
        issuer: String,
    },
    /// The chain leads over a certificate that may not sign others.
    #[error("{issuer:?} signed a certificate but is no CA")]
    IssuerNotCa {
        /// Who signed.
        issuer: String,
    },
    /// More intermediates than we look at.
    #[error("{found} intermediates are over the limit of {limit}")]
    TooManyIntermediates {
        /// Certificates given.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Any other rule of path validation (RFC 5280, section 6): path length, names, critical extensions,
    /// usage.
    #[error("{subject}: the chain is not valid: {reason}")]
    Path {
        /// Whose chain.
        subject: String,
        /// The rule.
        reason: String,
    },
    /// Past its last second.
    #[error("{subject} expired at {not_after}, now {at} (seconds since 1970)")]
    Expired {
        /// Whose certificate: the member's or a CA's of its chain.
        subject: String,
        /// Last valid second.
        not_after: u64,
        /// The time judged.
        at: u64,
    },
    /// Before its first second.
    #[error("{subject} is not valid before {not_before}, now {at} (seconds since 1970)")]
    NotYetValid {
        /// Whose certificate: the member's or a CA's of its chain.
        subject: String,
        /// First valid second.
        not_before: u64,
        /// The time judged.
        at: u64,
    },
    /// On its CA's revocation list.
    #[error("{subject} is revoked by list {list}")]
    Revoked {
        /// Whose chain.
        subject: String,
        /// The list's number.
        list: String,
    },
    /// A CA's certificate where a member's is wanted.
    #[error("{subject} is a CA, not a member")]
    CaAsMember {
        /// Whose.
        subject: String,
    },
    /// No unit names a role, or several do.
    #[error("units {ous:?} name no single role: one of peer, orderer, client, admin")]
    UnknownRole {
        /// The units found.
        ous: Vec<String>,
    },
    /// A genuine member with a role that may not do this.
    #[error("role {found} where {wanted} is wanted")]
    WrongRole {
        /// The member's.
        found: Role,
        /// The one needed.
        wanted: Role,
    },
}

impl CertificateError {
    /// What an operator can do about it, as the end of a sentence.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::Malformed { .. } | Self::Pem(_) => {
                "give one X.509 certificate as PEM"
            }
            Self::Version { .. } => {
                "issue it with extensions (basicConstraints, keyUsage): then it is version 3"
            }
            Self::NotEd25519 { .. } | Self::Key(_) => {
                "issue it for an Ed25519 key, by a CA with an Ed25519 key; TLS pairs belong into tls/"
            }
            Self::UnknownOrg { .. } => "put the CA of that org into cacerts, or name the right O",
            Self::WrongCa { .. } => "have it signed by the CA of the org that it names as O",
            Self::OtherRoots { .. } => {
                "put the CA that signed it into cacerts, or have it signed by the CA there"
            }
            Self::MissingIntermediate { .. } => {
                "append the intermediate's PEM to the file in signcerts, or put it into intermediatecerts"
            }
            Self::IssuerNotCa { .. } => "have it signed by a certificate with CA:TRUE and keyCertSign",
            Self::TooManyIntermediates { .. } => "show only those between the member and the root",
            Self::Path { .. } => "openssl verify -CAfile ROOT -untrusted INTERMEDIATE FILE says more",
            Self::Expired { .. } => "renew it for the same key; the member stays the same",
            Self::NotYetValid { .. } => "check this machine's clock, or wait",
            Self::Revoked { .. } => "enrol the member with a new key: its CA has revoked this certificate",
            Self::CaAsMember { .. } => "put the member's own certificate there; CAs belong into cacerts",
            Self::UnknownRole { .. } => "give it exactly one unit (OU) of peer, orderer, client or admin",
            Self::WrongRole { .. } => "use the home of a member with that role, or enrol one",
        }
    }

    /// Whether no root of the subject's org was reached, so that another org may have signed.
    pub(crate) fn is_of_unknown_origin(&self) -> bool {
        matches!(self, Self::UnknownOrg { .. } | Self::OtherRoots { .. } | Self::MissingIntermediate { .. })
    }
}
