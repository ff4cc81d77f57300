//! Certificate revocation lists (RFC 5280, section 5) of Ed25519 CAs: complete lists only.
//! Never fetches one, and never lets a list lapse: a stale list still revokes whom it names.

use std::cmp::Ordering;
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

/// Longest number of a list, in bytes (RFC 5280, section 5.2.3).
pub const NUMBER_BYTES_MAX: usize = 20;

/// The number of a CA's list: the higher one wins. Big-endian without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationNumber(Vec<u8>);

impl RevocationNumber {
    /// From big-endian bytes.
    ///
    /// # Errors
    ///
    /// [`RevocationError::Malformed`] if it has more than [`NUMBER_BYTES_MAX`] bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RevocationError> {
        let bytes = significant(bytes);
        if bytes.len() > NUMBER_BYTES_MAX {
            let what = format!("its number has {} bytes", bytes.len());
            return Err(RevocationError::Malformed { what });
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The number after this one.
    #[must_use]
    pub fn next(&self) -> Self {
        let mut bytes = self.0.clone();
        for byte in bytes.iter_mut().rev() {
            let (sum, has_carry) = byte.overflowing_add(1);
            *byte = sum;
            if !has_carry {
                return Self(bytes);
            }
        }
        bytes.insert(0, 1);
        Self(bytes)
    }

    /// Big-endian bytes without leading zeros; none for zero.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialOrd for RevocationNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RevocationNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl fmt::Display for RevocationNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let significant = digits.trim_start_matches('0');
        formatter.write_str(if significant.is_empty() { "0" } else { significant })
    }
}

/// A decoded revocation list, cheap to clone; it revokes nobody until its CA's signature was checked.
#[derive(Clone)]
pub struct RevocationList(Arc<Decoded>);

struct Decoded {
    der: Bytes,
    issuer: String,
    issuer_der: Bytes,
    number: RevocationNumber,
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
            number: RevocationNumber::from_bytes(&number)?,
            revoked: list
                .iter_revoked_certificates()
                .map(|it| significant(it.raw_serial()).to_vec())
                .collect(),
            signed: Bytes::copy_from_slice(list.tbs_cert_list.as_ref()),
            signature: signature.map_err(|_| malformed("its signature has not 64 bytes".to_owned()))?,
            // A copy: a slice would keep the whole message that it came in.
            der: Bytes::copy_from_slice(&der),
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

    /// Writes PEM.
    pub fn to_pem(&self) -> String {
        pem::encode("X509 CRL", &self.0.der)
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

    /// The issuing CA's name as it stands in the list.
    pub(crate) fn issuer_der(&self) -> &[u8] {
        &self.0.issuer_der
    }

    /// The list's number. Of two lists of one CA the higher number wins.
    pub fn number(&self) -> &RevocationNumber {
        &self.0.number
    }

    /// The serial numbers of the certificates revoked, big-endian without leading zeros.
    pub fn serials(&self) -> impl Iterator<Item = &[u8]> {
        self.0.revoked.iter().map(Vec::as_slice)
    }

    /// Certificates revoked.
    pub fn revoked_count(&self) -> usize {
        self.0.revoked.len()
    }

    /// Whether this list has a higher number than `other`.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.0.number > other.0.number
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

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8]) -> RevocationNumber {
        RevocationNumber::from_bytes(bytes).expect("a short number")
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_count_on() {
        assert!(number(&[2]) < number(&[1, 0]));
        assert_eq!(number(&[0, 0, 7]), number(&[7]));
        assert_eq!(number(&[]).next(), number(&[1]));
        assert_eq!(number(&[1, 0xff]).next(), number(&[2, 0]));
        assert_eq!(number(&[0xff]).next().to_string(), "100");
    }

    #[test]
    fn a_number_of_more_than_twenty_bytes_is_refused() {
        assert!(RevocationNumber::from_bytes(&[1; 21]).is_err());
        assert!(RevocationNumber::from_bytes(&[0; 40]).is_ok());
    }
}
