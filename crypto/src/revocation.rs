//! Certificate revocation lists (RFC 5280, section 5) of Ed25519 CAs: complete lists only.
//! Never fetches one, and never lets a list lapse: a stale list still revokes whom it names.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rustls_pki_types::CertificateRevocationListDer;
use x509_parser::oid_registry::{
    OID_SIG_ED25519, OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_CRL_NUMBER,
};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::certificate::Certificate;
use crate::digest::Digest;
use crate::keys::PublicKey;
use crate::pem::{self, PemError};

/// Largest list that we decode, in bytes of DER: about 7,000 revoked certificates. Guess.
pub const REVOCATION_LIST_BYTES_MAX: usize = 256 * 1024;

/// A decoded revocation list, cheap to clone; it revokes nobody until its CA's signature was checked.
#[derive(Clone)]
pub struct RevocationList(Arc<Decoded>);

struct Decoded {
    der: Bytes,
    issuer: String,
    issuer_der: Bytes,
    /// Big-endian without leading zeros.
    number: Vec<u8>,
    revoked: BTreeSet<Vec<u8>>,
    signed: Bytes,
    signature: [u8; 64],
}

impl RevocationList {
    /// Decodes one list that fills `der` exactly.
    ///
    /// # Errors
    ///
    /// [`RevocationError::TooLarge`], [`RevocationError::Malformed`], [`RevocationError::NotEd25519`] or
    /// [`RevocationError::Unsupported`].
    pub fn from_der(der: impl Into<Bytes>) -> Result<Self, RevocationError> {
        let der = der.into();
        if der.len() > REVOCATION_LIST_BYTES_MAX {
            return Err(RevocationError::TooLarge { found: der.len() });
        }
        let malformed = |what: String| RevocationError::Malformed { what };
        let (rest, list) =
            CertificateRevocationList::from_der(&der).map_err(|error| malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(malformed(format!("{} bytes after its end", rest.len())));
        }
        if list.signature_algorithm.algorithm != OID_SIG_ED25519 {
            return Err(RevocationError::NotEd25519 {
                algorithm: list.signature_algorithm.algorithm.to_id_string(),
            });
        }
        refuse_partial(&list)?;
        let number = list.crl_number().ok_or_else(|| malformed("it has no number".to_owned()))?.to_bytes_be();
        let signature = list.signature_value.data.as_ref().try_into();
        let decoded = Decoded {
            issuer: list.issuer().to_string(),
            issuer_der: Bytes::copy_from_slice(list.issuer().as_raw()),
            number: significant(&number).to_vec(),
            revoked: list
                .iter_revoked_certificates()
                .map(|it| significant(it.raw_serial()).to_vec())
                .collect(),
            signed: Bytes::copy_from_slice(list.tbs_cert_list.as_ref()),
            signature: signature.map_err(|_| malformed("its signature has not 64 bytes".to_owned()))?,
            der: der.clone(),
        };
        Ok(Self(Arc::new(decoded)))
    }

    /// Decodes every list of a PEM text.
    ///
    /// # Errors
    ///
    /// [`RevocationError::Pem`], else as [`RevocationList::from_der`].
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, RevocationError> {
        pem::decode_all::<CertificateRevocationListDer<'static>>(text.as_bytes())?
            .into_iter()
            .map(|der| Self::from_der(der.as_ref().to_vec()))
            .collect()
    }

    /// The exact bytes.
    pub fn der(&self) -> &Bytes {
        &self.0.der
    }

    /// SHA-256 of the exact bytes.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.0.der)
    }

    /// The issuing CA's name, for messages.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The list's number in hex. Of two lists of one CA the higher number wins.
    pub fn number(&self) -> String {
        let digits: String = self.0.number.iter().map(|byte| format!("{byte:02x}")).collect();
        let significant = digits.trim_start_matches('0');
        if significant.is_empty() { "0".to_owned() } else { significant.to_owned() }
    }

    /// Certificates revoked.
    pub fn revoked_count(&self) -> usize {
        self.0.revoked.len()
    }

    /// Whether this list has a higher number than `other`.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.0.number, &other.0.number);
        (mine.len(), mine) > (theirs.len(), theirs)
    }

    /// Whether `certificate`'s serial number is on the list; the caller knows that they share an issuer.
    pub(crate) fn names(&self, certificate: &Certificate) -> bool {
        self.0.revoked.contains(significant(certificate.serial()))
    }

    /// The key of the CA among `candidates` that signed this list, if one did and may.
    pub(crate) fn signer<'a>(
        &self,
        candidates: impl IntoIterator<Item = &'a Certificate>,
    ) -> Option<PublicKey> {
        candidates
            .into_iter()
            .filter(|it| it.may_sign_crls() && it.subject_der() == self.0.issuer_der)
            .map(Certificate::public_key)
            .find(|key| key.verify_bytes(&self.0.signed, &self.0.signature).is_ok())
    }
}

/// Refuses what would make a list speak of fewer certificates than it seems to: delta lists, partitions,
/// indirect lists. All of them carry a critical extension.
fn refuse_partial(list: &CertificateRevocationList<'_>) -> Result<(), RevocationError> {
    let known = [OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_CRL_NUMBER];
    let entries = list.iter_revoked_certificates().flat_map(|entry| entry.extensions());
    match list.extensions().iter().chain(entries).find(|it| it.critical && !known.contains(&it.oid)) {
        Some(extension) => Err(RevocationError::Unsupported { extension: extension.oid.to_id_string() }),
        None => Ok(()),
    }
}

/// A DER integer's bytes without the leading zeros, of which encoders write different numbers.
fn significant(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

impl PartialEq for RevocationList {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for RevocationList {}

impl fmt::Debug for RevocationList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RevocationList({}, number {})", self.0.issuer, self.number())
    }
}

/// Why a revocation list is refused. Nothing of ours has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// Over [`REVOCATION_LIST_BYTES_MAX`].
    #[error("a revocation list of {found} bytes is over the limit of {REVOCATION_LIST_BYTES_MAX}")]
    TooLarge {
        /// Bytes given.
        found: usize,
    },
    /// Not DER, not a version 2 list.
    #[error("malformed revocation list: {what}")]
    Malformed {
        /// The first thing found wrong.
        what: String,
    },
    /// Not PEM.
    #[error("no revocation list: {0}")]
    Pem(#[from] PemError),
    /// Signed by another algorithm.
    #[error("the revocation list is signed by algorithm {algorithm}, wanted Ed25519 (1.3.101.112)")]
    NotEd25519 {
        /// Its object identifier.
        algorithm: String,
    },
    /// A delta, partitioned or indirect list.
    #[error("the revocation list has the critical extension {extension}; only complete lists are supported")]
    Unsupported {
        /// Its object identifier.
        extension: String,
    },
    /// No CA of ours signed it.
    #[error("no CA of a known org named {issuer:?} signed the revocation list")]
    UnknownIssuer {
        /// The issuer's name in the list.
        issuer: String,
    },
}
