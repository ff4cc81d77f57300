//! Certificate paths (RFC 5280, section 6) from a member up to a root, by `webpki` with our strict Ed25519.
//! Never consults revocation lists or roles: the roster does.

use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, TrustAnchor,
    UnixTime, alg_id,
};
use std::time::Duration;
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert};

use crate::certificate::Certificate;
use crate::keys::PublicKey;

/// Strict Ed25519 in the shape that path validation asks for.
#[derive(Debug)]
struct Ed25519;

impl SignatureVerificationAlgorithm for Ed25519 {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = PublicKey::try_from(key).map_err(|_| InvalidSignature)?;
        let signature = signature.try_into().map_err(|_| InvalidSignature)?;
        key.verify_bytes(message, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ED25519
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ED25519
    }
}

/// Membership is no TLS usage: extended key usages, if present, play no part.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _usages: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

/// Finds a valid path; returns it from the member to the root, both included.
pub(crate) fn find<'a>(
    member: &'a Certificate,
    roots: &[&'a Certificate],
    intermediates: &[&'a Certificate],
    at_unix_seconds: u64,
) -> Result<Vec<&'a Certificate>, Error> {
    let member_der = CertificateDer::from(member.der().as_ref());
    let end_entity = EndEntityCert::try_from(&member_der)?;
    let root_ders: Vec<_> = roots.iter().map(|root| CertificateDer::from(root.der().as_ref())).collect();
    let anchors =
        root_ders.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<TrustAnchor<'_>>, _>>()?;
    let between: Vec<_> = intermediates.iter().map(|it| CertificateDer::from(it.der().as_ref())).collect();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at_unix_seconds));
    let path = end_entity.verify_for_usage(&[&Ed25519], &anchors, &between, at, AnyUsage, None, None)?;

    let mut chain = vec![member];
    for link in path.intermediate_certificates() {
        let der = link.der();
        chain.extend(intermediates.iter().find(|it| it.der().as_ref() == der.as_ref()));
    }
    let root = anchors.iter().position(|anchor| anchor == path.anchor());
    chain.push(roots[root.expect("the path's anchor is one of those given")]);
    Ok(chain)
}
