//! Our Ed25519 keys against libp2p's key pairs and peer ids. An Ed25519 peer id *is* the public key,
//! so both directions lose nothing.

use ledgercast_crypto::keys::{PublicKey, SecretKey};
use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey as HostKey, ed25519};
use thiserror::Error;

/// Why a key cannot name a host.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum IdentityError {
    /// The 32 bytes are no Ed25519 secret key.
    #[error("secret key is no ed25519 key: {0}")]
    Secret(String),
    /// The 32 bytes are no point of the curve.
    #[error("public key is no ed25519 key: {0}")]
    Public(String),
}

/// The host key pair of our member key.
///
/// # Errors
/// The bytes are no Ed25519 key.
pub(super) fn keypair(key: &SecretKey) -> Result<Keypair, IdentityError> {
    let mut seed = key.seed_bytes();
    Keypair::ed25519_from_bytes(&mut seed[..]).map_err(|error| IdentityError::Secret(error.to_string()))
}

/// The peer id of a member's public key.
///
/// # Errors
/// The bytes are no point of the curve.
pub(super) fn peer_id(key: &PublicKey) -> Result<PeerId, IdentityError> {
    let key = ed25519::PublicKey::try_from_bytes(key.as_bytes())
        .map_err(|error| IdentityError::Public(error.to_string()))?;
    Ok(HostKey::from(key).to_peer_id())
}

/// The public key inside a peer id, if it is an Ed25519 one that our own rules accept.
pub(super) fn public_key(peer: &PeerId) -> Option<PublicKey> {
    let digest = peer.as_ref().digest();
    let key = HostKey::try_decode_protobuf(digest).ok()?.try_into_ed25519().ok()?;
    PublicKey::from_bytes(key.to_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_id_is_the_public_key() {
        let pair = keypair(&SecretKey::from_seed([3; 32])).expect("a seed");
        let peer = pair.public().to_peer_id();

        let key = public_key(&peer).expect("an ed25519 peer id");

        assert_eq!(peer_id(&key), Ok(peer));
        assert_eq!(key, SecretKey::from_seed([3; 32]).public());
    }

    #[test]
    fn a_hashed_peer_id_has_no_key() {
        let hashed = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N".parse().expect("a peer id");

        assert_eq!(public_key(&hashed), None);
    }
}
