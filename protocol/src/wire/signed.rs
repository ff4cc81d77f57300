//! Statements that third parties must believe: exact bytes and a signature, then the proof that it was
//! checked.

use super::DecodeError;
use crate::types::{Mark, MemberId};
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::signature::{Namespace, SignatureError};
use ledgercast_crypto::{PublicKey, SecretKey, Signature};

/// The longest statement that is decoded, in bytes (about 400 are needed, with the longest endpoint).
const STATEMENT_BYTES_MAX: usize = 1024;

/// What can be signed by a member.
pub trait Statement: Clone + Sized {
    /// The namespace of its signatures; no signature is valid in two.
    const NAMESPACE: Namespace;

    /// The exact bytes to sign.
    fn encode(&self) -> Bytes;

    /// Decodes and checks the shape.
    ///
    /// # Errors
    /// [`DecodeError`] names the field that is wrong.
    fn decode(bytes: Bytes) -> Result<Self, DecodeError>;

    /// Who states it, in which order.
    fn mark(&self) -> Mark;
}

/// A decoded statement with its exact bytes and a signature that is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    statement: T,
    bytes: Bytes,
    signature: Signature,
}

/// A statement whose signature was checked under its member's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(Signed<T>);

impl<T: Statement> Signed<T> {
    /// Signs a statement. `context` is the network id or the channel id that it is meant for.
    pub fn sign(statement: T, context: &[u8; 32], key: &SecretKey) -> Self {
        let bytes = statement.encode();
        let signature = key.sign(T::NAMESPACE, context, &bytes);
        Self { statement, bytes, signature }
    }

    /// Decodes the statement in these bytes. They are copied: they are kept for long, and the frame that they
    /// came in would be kept with them.
    ///
    /// # Errors
    /// [`DecodeError`] names the field that is wrong.
    pub fn decode(bytes: Bytes, signature: Signature) -> Result<Self, DecodeError> {
        if bytes.len() > STATEMENT_BYTES_MAX {
            return Err(DecodeError::Length { field: "statement", found: bytes.len() });
        }
        let kept = Bytes::copy_from_slice(&bytes);
        Ok(Self { statement: T::decode(bytes)?, bytes: kept, signature })
    }

    /// Checks the signature under the member's key.
    ///
    /// # Errors
    /// [`SignatureError`] when it is not valid for this namespace, context and bytes.
    pub fn verify(self, key: &PublicKey, context: &[u8; 32]) -> Result<Verified<T>, SignatureError> {
        key.verify(T::NAMESPACE, context, &self.bytes, &self.signature)?;
        Ok(Verified(self))
    }

    /// Who states it, in which order.
    pub fn mark(&self) -> Mark {
        self.statement.mark()
    }

    /// Who states it.
    pub fn member(&self) -> MemberId {
        self.mark().member
    }
}

impl<T> Signed<T> {
    /// The statement; whoever uses it before [`Signed::verify`] may only drop or look things up.
    pub fn statement(&self) -> &T {
        &self.statement
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Names these bytes with this signature: the key of pending verifications.
    pub fn digest(&self) -> Digest {
        Digest::of_parts(&[&self.bytes, self.signature.as_bytes()])
    }
}

impl<T: Statement> Verified<T> {
    /// Signs a statement of our own: verified by construction.
    pub fn sign(statement: T, context: &[u8; 32], key: &SecretKey) -> Self {
        Self(Signed::sign(statement, context, key))
    }

    /// Who states it, in which order.
    pub fn mark(&self) -> Mark {
        self.0.mark()
    }

    /// Who states it.
    pub fn member(&self) -> MemberId {
        self.0.member()
    }
}

impl<T> Verified<T> {
    /// The statement.
    pub fn statement(&self) -> &T {
        self.0.statement()
    }

    /// As it travels.
    pub fn signed(&self) -> &Signed<T> {
        &self.0
    }
}
