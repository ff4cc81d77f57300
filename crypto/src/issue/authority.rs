//! An org's CA: issues members' certificates, intermediates and revocation lists, all Ed25519.
//! Never keeps a register of what it issued.

use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, IsCa,
    Issuer, KeyIdMethod, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, RevokedCertParams, SerialNumber,
    SignatureAlgorithm, SigningKey,
};
use rustls_pki_types::CertificateDer;

use crate::certificate::{Certificate, CertificateError};
use crate::digest::Digest;
use crate::issue::{IssueError, Validity, ca_name, ca_usages, moment, params, positive_serial};
use crate::keys::{PublicKey, SecretKey};
use crate::revocation::RevocationList;
use crate::subject::Role;

/// What a member's certificate is to say.
#[derive(Debug, Clone, Copy)]
pub struct Enrolment<'a> {
    /// The member's name within its org.
    pub common_name: &'a str,
    /// What it may be.
    pub role: Role,
    /// An organisational unit beside the role's, as channels name them for who may read and write. More than
    /// one cannot be written by our certificate library.
    pub unit: Option<&'a str>,
    /// When it is valid.
    pub validity: Validity,
}

impl Enrolment<'_> {
    /// The subject of its certificates: org, the role's unit and the other one, common name.
    ///
    /// # Errors
    ///
    /// [`IssueError::Unit`]: the unit would make the member something else.
    pub(super) fn name(&self, org: &str) -> Result<DistinguishedName, IssueError> {
        // X.520's id-at-organizationalUnitName. The library keeps one value for each kind of attribute, and
        // takes this for another kind.
        const UNIT: [u64; 4] = [2, 5, 4, 11];
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, org);
        name.push(DnType::OrganizationalUnitName, self.role.unit());
        if let Some(unit) = self.unit {
            if unit.is_empty() || unit.parse::<Role>().is_ok() {
                return Err(IssueError::Unit { unit: unit.to_owned() });
            }
            name.push(DnType::CustomDnType(UNIT.to_vec()), unit);
        }
        name.push(DnType::CommonName, self.common_name);
        Ok(name)
    }
}

/// A CA with its key.
#[derive(Debug, Clone)]
pub struct Authority {
    certificate: Certificate,
    key: SecretKey,
    serials: Serials,
}

/// Where serial numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Serials {
    Random,
    Derived,
}

impl Serials {
    /// Replaces a random serial number by one that follows from what is certified, if so wanted.
    fn apply(self, params: &mut CertificateParams, key: &PublicKey, common_name: &str, validity: Validity) {
        if self == Self::Derived {
            let (start, end) = (validity.not_before.to_be_bytes(), validity.not_after.to_be_bytes());
            let parts: [&[u8]; 5] =
                [b"ledgercast serial", key.as_bytes(), common_name.as_bytes(), &start, &end];
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&Digest::of_parts(&parts).as_bytes()[..16]);
            params.serial_number = Some(positive_serial(bytes));
        }
    }
}

impl Authority {
    /// Creates an org's root CA.
    ///
    /// # Errors
    ///
    /// [`IssueError::Time`], [`IssueError::Encoding`], [`IssueError::Certificate`] or [`IssueError::Key`].
    pub fn create(org: &str, validity: Validity) -> Result<Self, IssueError> {
        Self::create_with(SecretKey::generate()?, org, validity)
    }

    /// Creates an org's root CA with a given key: an existing one at renewal, or one of a seed in tests.
    ///
    /// # Errors
    ///
    /// As [`Authority::create`].
    pub fn create_with(key: SecretKey, org: &str, validity: Validity) -> Result<Self, IssueError> {
        Self::create_root(key, org, validity, Serials::Random)
    }

    /// Creates an org's root CA whose certificates are the same, byte for byte, in every run that certifies
    /// the same keys, names and times: for simulations, which replay from a seed. Real CAs draw their serial
    /// numbers.
    ///
    /// # Errors
    ///
    /// As [`Authority::create`].
    pub fn reproducible(key: SecretKey, org: &str, validity: Validity) -> Result<Self, IssueError> {
        Self::create_root(key, org, validity, Serials::Derived)
    }

    fn create_root(
        key: SecretKey,
        org: &str,
        validity: Validity,
        serials: Serials,
    ) -> Result<Self, IssueError> {
        let name = format!("{org} CA");
        let mut params = params(ca_name(&name, org), validity)?;
        serials.apply(&mut params, &key.public(), &name, validity);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = ca_usages();
        let certificate = decode(params.self_signed(&RcgenKey::of(&key))?.der())?;
        Ok(Self { certificate, key, serials })
    }

    /// Takes an existing CA.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotCa`] or [`IssueError::OtherKey`].
    pub fn from_parts(certificate: Certificate, key: SecretKey) -> Result<Self, IssueError> {
        let subject = || certificate.subject().to_string();
        if !certificate.is_ca() {
            return Err(IssueError::NotCa { subject: subject() });
        }
        if certificate.public_key() != key.public() {
            return Err(IssueError::OtherKey { subject: subject() });
        }
        Ok(Self { certificate, key, serials: Serials::Random })
    }

    /// The CA's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The CA's key.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Certifies a member's key, in the CA's org.
    ///
    /// # Errors
    ///
    /// As [`Authority::create`], and [`IssueError::CaName`].
    pub fn enrol(&self, key: &PublicKey, enrolment: &Enrolment<'_>) -> Result<Certificate, IssueError> {
        let org = self.certificate.org();
        let mut params = params(enrolment.name(org)?, enrolment.validity)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        self.serials.apply(&mut params, key, enrolment.common_name, enrolment.validity);
        self.sign(&params, key)
    }

    /// Creates a CA below this one, which may sign members but no further CAs.
    ///
    /// # Errors
    ///
    /// As [`Authority::enrol`].
    pub fn delegate(&self, common_name: &str, validity: Validity) -> Result<Self, IssueError> {
        let key = SecretKey::generate()?;
        let mut params = params(ca_name(common_name, self.certificate.org()), validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = ca_usages();
        Ok(Self { certificate: self.sign(&params, &key.public())?, key, serials: Serials::Random })
    }

    /// Issues a complete revocation list that names `revoked`. Give each list a higher number than the last.
    ///
    /// # Errors
    ///
    /// As [`Authority::enrol`], and [`IssueError::Revocation`].
    pub fn revoke(
        &self,
        revoked: &[&Certificate],
        number: u64,
        validity: Validity,
    ) -> Result<RevocationList, IssueError> {
        let serials = revoked.iter().map(|certificate| certificate.serial()).collect();
        self.list(serials, SerialNumber::from(number), validity)
    }

    /// Issues the list that follows `older`, or the first one: all that it names, and `revoked`.
    ///
    /// # Errors
    ///
    /// As [`Authority::revoke`], and [`IssueError::OtherIssuer`] for what another CA has issued.
    pub fn revoke_more(
        &self,
        older: Option<&RevocationList>,
        revoked: &[&Certificate],
        validity: Validity,
    ) -> Result<RevocationList, IssueError> {
        let is_foreign = |it: &&&Certificate| it.issuer_der() != self.certificate.subject_der();
        if let Some(foreign) = revoked.iter().find(is_foreign) {
            let (subject, issuer) = (foreign.subject().to_string(), foreign.issuer().to_owned());
            return Err(IssueError::OtherIssuer { subject, issuer });
        }
        let number = older.map_or_else(|| vec![1], |older| older.number().next().as_bytes().to_vec());
        let named = older.iter().flat_map(|older| older.serials());
        let mut serials: Vec<&[u8]> = named.chain(revoked.iter().map(|it| it.serial())).collect();
        serials.sort_unstable();
        serials.dedup();
        self.list(serials, SerialNumber::from_slice(&number), validity)
    }

    fn list(
        &self,
        serials: Vec<&[u8]>,
        crl_number: SerialNumber,
        validity: Validity,
    ) -> Result<RevocationList, IssueError> {
        let this_update = moment(validity.not_before)?;
        let entry = |serial: &[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: this_update,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update,
            next_update: moment(validity.not_after)?,
            crl_number,
            issuing_distribution_point: None,
            revoked_certs: serials.into_iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer()?)?;
        Ok(RevocationList::from_der(Bytes::copy_from_slice(list.der()))?)
    }

    fn sign(&self, params: &CertificateParams, key: &PublicKey) -> Result<Certificate, IssueError> {
        let issued = decode(params.signed_by(&RcgenPublicKey(*key), &self.issuer()?)?.der())?;
        match issued.issuer_der() == self.certificate.subject_der() {
            true => Ok(issued),
            false => Err(IssueError::CaName { subject: self.certificate.subject().to_string() }),
        }
    }

    fn issuer(&self) -> Result<Issuer<'static, RcgenKey>, IssueError> {
        let der = CertificateDer::from(self.certificate.der().as_ref());
        Ok(Issuer::from_ca_cert_der(&der, RcgenKey::of(&self.key))?)
    }
}

fn decode(der: &CertificateDer<'_>) -> Result<Certificate, CertificateError> {
    Certificate::from_der(Bytes::copy_from_slice(der))
}

/// Our key in the shape that the certificate library signs with.
struct RcgenKey {
    secret: SecretKey,
    public: PublicKey,
}

impl RcgenKey {
    fn of(secret: &SecretKey) -> Self {
        Self { secret: secret.clone(), public: secret.public() }
    }
}

impl PublicKeyData for RcgenKey {
    fn der_bytes(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl SigningKey for RcgenKey {
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.secret.sign_bytes(bytes).as_bytes().to_vec())
    }
}

struct RcgenPublicKey(PublicKey);

impl PublicKeyData for RcgenPublicKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALIDITY: Validity = Validity { not_before: 1_700_000_000, not_after: 1_800_000_000 };

    fn enrol(common_name: &str) -> (Certificate, Certificate) {
        let ca = Authority::reproducible(SecretKey::from_seed([1; 32]), "org1", VALIDITY).expect("a CA");
        let enrolment = Enrolment { common_name, role: Role::Peer, validity: VALIDITY, unit: None };
        let member = ca.enrol(&SecretKey::from_seed([2; 32]).public(), &enrolment).expect("a member");
        (ca.certificate().clone(), member)
    }

    #[test]
    fn a_reproducible_authority_issues_the_same_bytes_again() {
        assert_eq!(enrol("peer0"), enrol("peer0"));
        assert_ne!(enrol("peer0").1.serial(), enrol("peer1").1.serial());
    }

    #[test]
    fn a_later_list_names_what_the_earlier_one_named() {
        let ca = Authority::reproducible(SecretKey::from_seed([1; 32]), "org1", VALIDITY).expect("a CA");
        let (first, second) = (enrol("peer0").1, enrol("peer1").1);

        let one = ca.revoke_more(None, &[&first], VALIDITY).expect("a list");
        let two = ca.revoke_more(Some(&one), &[&second, &first], VALIDITY).expect("a list");

        assert!(two.is_newer_than(&one));
        assert_eq!((one.revoked_count(), two.revoked_count()), (1, 2));
        assert!(two.names(&first) && two.names(&second));
    }

    #[test]
    fn a_ca_revokes_only_what_it_has_issued() {
        let other = Authority::reproducible(SecretKey::from_seed([3; 32]), "org2", VALIDITY).expect("a CA");

        let refused = other.revoke_more(None, &[&enrol("peer0").1], VALIDITY);

        assert!(matches!(refused, Err(IssueError::OtherIssuer { .. })));
    }
}
