//! Who a verified member is. Made only by a [`Roster`](crate::Roster), so holding one is proof of the check.

use std::fmt;
use std::str::FromStr;

use crate::certificate::{Certificate, CertificateError};
use crate::digest::{Digest, DigestError};
use crate::keys::PublicKey;
use crate::subject::Role;

/// A member: SHA-256 over `"ledgercast member"`, the root CA's public key and the member's.
///
/// Keys, not certificates: a renewed certificate of the same key is the same member, and so is one under a
/// renewed root certificate of the same root key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(Digest);

impl MemberId {
    /// The member with `key` under the root CA with `root_key`.
    pub fn of(root_key: &PublicKey, key: &PublicKey) -> Self {
        Self(Digest::of_parts(&[b"ledgercast member", root_key.as_bytes(), key.as_bytes()]))
    }

    /// Takes an id that somebody states.
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest.
    pub const fn digest(&self) -> &Digest {
        &self.0
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The first eight hex characters, for logs and tables; not an identifier.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

/// An org: SHA-256 over `"ledgercast org"`, the length of its name (4 bytes, big end), the name, and the
/// sorted fingerprints of its roots. So the same name with other roots is another org, and so are the same
/// roots under another name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrgId(Digest);

impl OrgId {
    /// The org with this name and these roots, in any order.
    pub fn of<'a>(name: &str, roots: impl IntoIterator<Item = &'a Certificate>) -> Self {
        let mut fingerprints: Vec<Digest> = roots.into_iter().map(Certificate::fingerprint).collect();
        fingerprints.sort_unstable();
        fingerprints.dedup();
        let name_bytes = u32::try_from(name.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![b"ledgercast org", &name_bytes, name.as_bytes()];
        parts.extend(fingerprints.iter().map(|fingerprint| fingerprint.as_bytes().as_slice()));
        Self(Digest::of_parts(&parts))
    }

    /// Takes an id that somebody states.
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest.
    pub const fn digest(&self) -> &Digest {
        &self.0
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The first eight hex characters, for logs and tables; not an identifier.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

/// A member whose certificate was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The member.
    pub member: MemberId,
    /// Its org.
    pub org: OrgId,
    /// Its org's name.
    pub org_name: String,
    /// What it may be.
    pub role: Role,
    /// The certificate that says so.
    pub certificate: Certificate,
    /// Last second, since 1970, in which the whole chain up to the root is valid.
    pub valid_until: u64,
}

impl Identity {
    /// The member's key.
    pub fn public_key(&self) -> PublicKey {
        self.certificate.public_key()
    }

    /// Checks that the member has the role wanted.
    ///
    /// # Errors
    ///
    /// [`CertificateError::WrongRole`].
    pub fn require_role(&self, wanted: Role) -> Result<(), CertificateError> {
        match self.role == wanted {
            true => Ok(()),
            false => Err(CertificateError::WrongRole { found: self.role, wanted }),
        }
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MemberId({})", self.short())
    }
}

impl FromStr for MemberId {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for OrgId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OrgId({})", self.short())
    }
}

impl FromStr for OrgId {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(Self)
    }
}
