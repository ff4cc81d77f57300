//! TLS client certificates of members, for gRPC: chain to the org's own TLS roots, then org and role from the
//! subject. Never brings TLS algorithms itself: the caller passes those of its TLS library.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};

use crate::certificate::{CertificateError, parse_der};
use crate::identity::OrgId;
use crate::roster::{INTERMEDIATES_MAX, OrgRoots, Roster};
use crate::subject::{Role, Subject};

/// A certificate as PEM text, the form in which TLS libraries take trust anchors.
pub fn to_certificate_pem(der: &[u8]) -> String {
    crate::pem::encode("CERTIFICATE", der)
}

/// Who stands behind a verified TLS certificate. It names no member: TLS keys are not members' keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The org whose TLS root the chain ends at.
    pub org: OrgId,
    /// Its name.
    pub org_name: String,
    /// What the holder may be.
    pub role: Role,
    /// All its organisational units, the role's among them.
    pub units: Vec<String>,
    /// The holder's common name.
    pub common_name: String,
}

impl Roster {
    /// Judges the chain that a TLS client showed, its own certificate first, at a time.
    ///
    /// The TLS library has checked the chain against the TLS roots of all orgs together; this check binds
    /// it to the one org that the subject names. Revocation lists do not reach TLS certificates.
    ///
    /// # Errors
    ///
    /// [`CertificateError::UnknownOrg`], [`CertificateError::Path`], [`CertificateError::UnknownRole`], or
    /// what the decoding finds.
    pub fn verify_tls(
        &self,
        chain: &[&[u8]],
        at_unix_seconds: u64,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<TlsIdentity, CertificateError> {
        let Some((own, intermediates)) = chain.split_first() else {
            return Err(CertificateError::Malformed { what: "an empty chain".to_owned() });
        };
        if intermediates.len() > INTERMEDIATES_MAX {
            let (found, limit) = (intermediates.len(), INTERMEDIATES_MAX);
            return Err(CertificateError::TooManyIntermediates { found, limit });
        }
        let subject = Subject::read(parse_der(own)?.subject())?;
        let role =
            subject.role().ok_or_else(|| CertificateError::UnknownRole { ous: subject.units.clone() })?;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at_unix_seconds));
        let mut verdict = CertificateError::UnknownOrg { org: subject.org.clone() };
        for (id, org) in self.orgs().filter(|(_, org)| org.name == subject.org) {
            match find_path(org, own, intermediates, at, algorithms) {
                Ok(()) => {
                    let Subject { org: org_name, common_name, units } = subject;
                    return Ok(TlsIdentity { org: *id, org_name, role, units, common_name });
                }
                Err(error) => {
                    verdict =
                        CertificateError::Path { subject: subject.to_string(), reason: error.to_string() };
                }
            }
        }
        Err(verdict)
    }
}

fn find_path(
    org: &OrgRoots,
    own: &[u8],
    intermediates: &[&[u8]],
    at: UnixTime,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<(), Error> {
    let own = CertificateDer::from(own);
    let roots: Vec<_> = org.tls_roots.iter().map(|der| CertificateDer::from(der.as_ref())).collect();
    // A root that cannot be an anchor anchors nothing; the others still do.
    let anchors: Vec<_> = roots.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
    let between: Vec<_> = intermediates.iter().map(|der| CertificateDer::from(*der)).collect();
    EndEntityCert::try_from(&own)?
        .verify_for_usage(algorithms, &anchors, &between, at, KeyUsage::client_auth(), None, None)
        .map(|_| ())
}
