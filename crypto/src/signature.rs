//! What a signature covers: a closed set of namespaces, a context and a message, in one unambiguous preimage.
//! Never signs without a namespace, so that no statement can pass for one of another kind (attack A22).
//!
//! ```text
//!  "ledgercast" │ version │ namespace │ length of context │ context │ message
//!    10 bytes   │ 1 byte  │  1 byte   │ 4 bytes, big end  │         │ the rest
//! ```

use std::fmt;

/// Bytes of a [`Signature`].
pub const SIGNATURE_BYTES: usize = 64;

const DOMAIN: &[u8; 10] = b"ledgercast";
const PREIMAGE_VERSION: u8 = 1;

/// The kind of statement that a signature makes.
///
/// The set is closed and its tags are part of the wire format: a tag is never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Namespace {
    /// A member says that it is alive.
    Alive = 1,
    /// A member says that it leaves.
    Leave = 2,
    /// A member says how high its ledger of a channel is.
    StateInfo = 3,
    /// A member says whether it pulls for its org.
    Leadership = 4,
    /// An orderer certifies a header.
    Header = 5,
    /// A client submits a transaction.
    Envelope = 6,
    /// An admin approves a channel configuration.
    Config = 7,
}

impl Namespace {
    /// Every namespace, in the order of the tags.
    pub const ALL: [Self; 7] = [
        Self::Alive,
        Self::Leave,
        Self::StateInfo,
        Self::Leadership,
        Self::Header,
        Self::Envelope,
        Self::Config,
    ];

    /// The exact bytes that a key signs for `message` in this namespace.
    ///
    /// # Panics
    ///
    /// If `context` is longer than a `u32` can say; a context is a channel or network id of a few bytes.
    pub fn preimage(self, context: &[u8], message: &[u8]) -> Vec<u8> {
        let context_bytes = u32::try_from(context.len()).expect("a context is an id of a few bytes");
        let mut preimage = Vec::with_capacity(DOMAIN.len() + 6 + context.len() + message.len());
        preimage.extend_from_slice(DOMAIN);
        preimage.push(PREIMAGE_VERSION);
        preimage.push(self as u8);
        preimage.extend_from_slice(&context_bytes.to_be_bytes());
        preimage.extend_from_slice(context);
        preimage.extend_from_slice(message);
        preimage
    }
}

/// An Ed25519 signature; it says nothing until [`PublicKey::verify`](crate::PublicKey::verify) accepted it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature([u8; SIGNATURE_BYTES]);

impl Signature {
    /// Takes the bytes of a signature, unjudged.
    pub const fn from_bytes(bytes: [u8; SIGNATURE_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.0
    }
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Signature {
    type Error = SignatureError;

    fn try_from(bytes: &[u8]) -> Result<Self, SignatureError> {
        bytes.try_into().map(Self).map_err(|_| SignatureError::Length { found: bytes.len() })
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Signature(")?;
        self.0[..8].iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))?;
        write!(formatter, "…)")
    }
}

/// Why a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The wrong number of bytes.
    #[error("a signature has 64 bytes, found {found}")]
    Length {
        /// Bytes given.
        found: usize,
    },
    /// Not made by this key over this namespace, context and message, or in a malleable or small-order form.
    #[error("the signature is not the key's over this statement")]
    Invalid,
}
