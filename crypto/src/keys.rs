//! Ed25519 keys of members: secret halves that are wiped and never printed, public halves that are judged
//! once when they come in. Never touches the file system (that is `msp`).

use std::fmt;

use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::pem::{self, PemError};
use crate::signature::{Namespace, SIGNATURE_BYTES, Signature, SignatureError};

/// Bytes of a [`PublicKey`], and of the seed of a [`SecretKey`].
pub const KEY_BYTES: usize = 32;

/// A member's secret key, wiped from memory when dropped.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Derives the key of a seed (RFC 8032, section 5.1.5). The seed is as secret as the key.
    pub fn from_seed(seed: [u8; KEY_BYTES]) -> Self {
        Self(SigningKey::from_bytes(&Zeroizing::new(seed)))
    }

    /// Draws a key from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// [`KeyError::Randomness`] if the system has none to give.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(seed.as_mut_slice()).map_err(|error| KeyError::Randomness(error.to_string()))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads a PKCS#8 key, version 1 (as OpenSSL writes) or 2, from the first `PRIVATE KEY` section.
    ///
    /// # Errors
    ///
    /// [`KeyError::Pem`] if there is no such section, [`KeyError::NotEd25519`] if it holds another kind of
    /// key.
    pub fn from_pkcs8_pem(text: &str) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(PemError::from)?;
        let key = SigningKey::from_pkcs8_der(der.secret_pkcs8_der()).map_err(|_| KeyError::NotEd25519)?;
        Ok(Self(key))
    }

    /// Writes PKCS#8 version 1, the form that OpenSSL 3.0 reads (version 2 adds the public key, which it
    /// refuses).
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        let version_1 = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let der = version_1.to_pkcs8_der().expect("a 32-byte key always encodes");
        Zeroizing::new(pem::encode("PRIVATE KEY", der.as_bytes()))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` under `namespace` and `context` (a channel or network id).
    pub fn sign(&self, namespace: Namespace, context: &[u8], message: &[u8]) -> Signature {
        self.sign_bytes(&namespace.preimage(context, message))
    }

    /// Signs bytes without a namespace: for X.509 structures, which have their own borders.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> Signature {
        Signature::from_bytes(self.0.sign(bytes).to_bytes())
    }

    /// The seed, for libp2p's host key, which is this same key.
    pub fn seed_bytes(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        Zeroizing::new(self.0.to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretKey(of {:?})", self.public())
    }
}

/// A member's public key: a canonical point of the curve, not of small order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// Takes the bytes of a key.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotAPoint`], [`KeyError::NotCanonical`] or [`KeyError::SmallOrder`]: such bytes would
    /// let one signature fit many messages, or one key have several names.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotAPoint)?;
        if key.to_edwards().compress().to_bytes() != bytes {
            return Err(KeyError::NotCanonical);
        }
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Checks that this key's owner signed `message` under `namespace` and `context`.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Invalid`] if not, or if the signature has a malleable or small-order form.
    pub fn verify(
        &self,
        namespace: Namespace,
        context: &[u8],
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        self.verify_bytes(&namespace.preimage(context, message), signature.as_bytes())
    }

    /// Strict verification over bytes without a namespace: for X.509 structures, which have their own
    /// borders.
    pub(crate) fn verify_bytes(
        &self,
        bytes: &[u8],
        signature: &[u8; SIGNATURE_BYTES],
    ) -> Result<(), SignatureError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| SignatureError::Invalid)?;
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        key.verify_strict(bytes, &signature).map_err(|_| SignatureError::Invalid)
    }
}

impl AsRef<[u8]> for PublicKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for PublicKey {
    type Error = KeyError;

    fn try_from(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::from_bytes(bytes.try_into().map_err(|_| KeyError::Length { found: bytes.len() })?)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({self})")
    }
}

/// Why bytes or text are no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The wrong number of bytes.
    #[error("a public key has 32 bytes, found {found}")]
    Length {
        /// Bytes given.
        found: usize,
    },
    /// No point of the curve has this encoding.
    #[error("the public key is no point of the curve")]
    NotAPoint,
    /// A second encoding of a point.
    #[error("the public key is not in its canonical form")]
    NotCanonical,
    /// A point that one signature over many messages fits.
    #[error("the public key is of small order")]
    SmallOrder,
    /// No `PRIVATE KEY` section.
    #[error("no PKCS#8 private key: {0}")]
    Pem(#[from] PemError),
    /// A PKCS#8 key of another algorithm, encrypted, or malformed.
    #[error("the private key is no plain Ed25519 key in PKCS#8 form")]
    NotEd25519,
    /// The operating system gave no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap())
    }

    /// RFC 8032, section 7.1, test 1.
    #[test]
    fn derives_the_published_key() {
        let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let key = SecretKey::from_seed(seed);

        let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(key.public().as_bytes(), &public);
        assert_eq!(
            key.sign_bytes(b"").as_bytes(),
            &bytes(concat!(
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
                "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            ))
        );
    }

    #[test]
    fn statement_and_signature_have_frozen_bytes() {
        let preimage = Namespace::Header.preimage(b"net", b"message");
        let signature = SecretKey::from_seed([7; 32]).sign(Namespace::Header, b"net", b"message");

        assert_eq!(preimage, b"ledgercast\x01\x05\0\0\0\x03netmessage");
        assert_eq!(signature.as_bytes(), &bytes(FROZEN_SIGNATURE));
    }

    const FROZEN_SIGNATURE: &str = concat!(
        "3a0be78f1bfe817a21a76619fefc42dfce4f91eb3bc6f210fae7f6473a154ce4",
        "0e7df324cfb6c34426dbe6d987ab873d2be7b785bda6ab477981aa4746673e09"
    );

    #[test]
    fn namespace_tags_are_distinct_and_frozen() {
        let tags: Vec<u8> = Namespace::ALL.iter().map(|namespace| *namespace as u8).collect();

        assert_eq!(tags, [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn signature_holds_in_its_own_namespace_context_and_message_only() {
        let key = SecretKey::from_seed([1; 32]);
        for namespace in Namespace::ALL {
            let signature = key.sign(namespace, b"channel", b"text");
            for other in Namespace::ALL {
                let verdict = key.public().verify(other, b"channel", b"text", &signature);
                assert_eq!(verdict.is_ok(), other == namespace, "{namespace:?} as {other:?}");
            }
            for (context, message) in
                [(&b"channe"[..], &b"ltext"[..]), (b"other", b"text"), (b"channel", b"tex")]
            {
                let verdict = key.public().verify(namespace, context, message, &signature);
                assert_eq!(verdict, Err(SignatureError::Invalid));
            }
        }
        let signature = key.sign(Namespace::Alive, b"", b"");
        let stranger = SecretKey::from_seed([2; 32]).public();
        assert_eq!(stranger.verify(Namespace::Alive, b"", b"", &signature), Err(SignatureError::Invalid));
    }

    #[test]
    fn refuses_the_malleable_twin_of_a_signature() {
        const GROUP_ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let key = SecretKey::from_seed([1; 32]);
        let mut twin = *key.sign(Namespace::Alive, b"", b"x").as_bytes();

        let mut carry = 0_u16;
        for (byte, order) in twin[32..].iter_mut().zip(bytes::<32>(GROUP_ORDER)) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = ((sum & 0xff) as u8, sum >> 8);
        }

        let verdict = key.public().verify(Namespace::Alive, b"", b"x", &Signature::from_bytes(twin));
        assert_eq!(verdict, Err(SignatureError::Invalid));
    }

    #[test]
    fn refuses_a_signature_with_a_small_order_point() {
        let key = SecretKey::from_seed([1; 32]).public();
        let mut neutral = [0; 64];
        neutral[0] = 1;

        let verdict = key.verify(Namespace::Alive, b"", b"x", &Signature::from_bytes(neutral));
        assert_eq!(verdict, Err(SignatureError::Invalid));
    }

    #[test]
    fn refuses_small_order_keys() {
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let order_8 = bytes("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");

        for key in [neutral, [0; 32], order_8] {
            assert_eq!(PublicKey::from_bytes(key), Err(KeyError::SmallOrder));
        }
    }

    #[test]
    fn refuses_every_second_encoding_of_a_point() {
        // The 19 values from the field's prime 2^255 - 19 up, with either sign.
        for low in 0xed..=0xff_u8 {
            for high in [0x7f, 0xff] {
                let mut key = [0xff; 32];
                (key[0], key[31]) = (low, high);
                let error = PublicKey::from_bytes(key).unwrap_err();
                assert!(matches!(error, KeyError::NotCanonical | KeyError::NotAPoint), "{low:x} {high:x}");
            }
        }
        assert_eq!(PublicKey::try_from(&[0; 31][..]), Err(KeyError::Length { found: 31 }));
    }

    #[test]
    fn pem_round_trips_as_version_1_of_48_bytes() {
        let key = SecretKey::from_seed([9; 32]);

        let text = key.to_pkcs8_pem();

        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).unwrap();
        assert_eq!(der.secret_pkcs8_der()[..16], bytes::<16>("302e020100300506032b657004220420"));
        assert_eq!(der.secret_pkcs8_der().len(), 48);
        assert_eq!(SecretKey::from_pkcs8_pem(&text).unwrap().public(), key.public());
    }

    #[test]
    fn reads_keys_of_version_2_too() {
        let key = SecretKey::from_seed([9; 32]);
        let pair = KeypairBytes::from(&key.0).to_pkcs8_der().unwrap();
        assert!(pair.as_bytes().len() > 48);

        let read = SecretKey::from_pkcs8_pem(&pem::encode("PRIVATE KEY", pair.as_bytes())).unwrap();

        assert_eq!(read.public(), key.public());
    }

    #[test]
    fn refuses_text_without_a_key_and_other_keys() {
        let other = pem::encode("PRIVATE KEY", b"\x30\x03\x02\x01\x00");

        assert!(matches!(SecretKey::from_pkcs8_pem("nothing"), Err(KeyError::Pem(_))));
        assert!(matches!(SecretKey::from_pkcs8_pem(&other), Err(KeyError::NotEd25519)));
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let key = SecretKey::from_seed([0xab; 32]);

        assert!(!format!("{key:?}").contains("abab"));
        assert_ne!(SecretKey::generate().unwrap().public(), SecretKey::generate().unwrap().public());
    }
}
