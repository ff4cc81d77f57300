//! Ledgercast's cryptography: digests, keys, namespaced signatures, X.509 identities and Merkle trees.
//!
//! Bytes in, verdicts out: no network and no clock (time is an argument). Only `msp` reads files, and, with
//! the feature `issue`, writes new ones.
//!
//! Reading order: `digest`, `signature`, `keys`; `certificate` (with `subject`), `identity`, `roster` (with
//! `path` and `revocation`); `merkle` stands alone.

pub mod certificate;
pub mod digest;
pub mod identity;
#[cfg(feature = "issue")]
pub mod issue;
pub mod keys;
pub mod merkle;
pub mod msp;
mod path;
mod pem;
pub mod revocation;
pub mod roster;
pub mod signature;
pub mod subject;
pub mod tls;

pub use certificate::{Certificate, CertificateError};
pub use digest::{Digest, DigestError};
pub use identity::{Identity, MemberId, OrgId};
pub use keys::{KeyError, PublicKey, SecretKey};
pub use merkle::{InclusionProof, MerkleBuilder, MerkleError};
pub use msp::{Msp, MspError, TlsFiles};
pub use pem::PemError;
pub use revocation::{RevocationError, RevocationList, RevocationNumber};
pub use roster::{ListOwner, OrgRoots, Roster, RosterError};
pub use signature::{Namespace, Signature, SignatureError};
pub use subject::{Role, Subject};
pub use tls::TlsIdentity;
