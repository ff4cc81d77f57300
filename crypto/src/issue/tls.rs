//! TLS pairs for gRPC: ECDSA P-256, because most gRPC clients cannot verify Ed25519 in TLS.
//! Never certifies a member's key.

use std::net::IpAddr;

use bytes::Bytes;
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::GeneralName;
use zeroize::Zeroizing;

use crate::certificate::{CertificateError, parse_der};
use crate::issue::{Enrolment, IssueError, Validity, ca_name, ca_usages, params};
use crate::pem::{self, PemError};

/// A certificate and its key as PEM texts.
#[derive(Clone)]
pub struct TlsPair {
    /// The certificate.
    pub certificate_pem: String,
    /// The key: PKCS#8 version 1.
    pub key_pem: Zeroizing<String>,
}

/// The CA of an org's TLS certificates.
#[derive(Clone)]
pub struct TlsAuthority {
    org: String,
    certificate: Bytes,
    pair: TlsPair,
}

impl TlsAuthority {
    /// Creates an org's TLS CA.
    ///
    /// # Errors
    ///
    /// [`IssueError::Time`], [`IssueError::Encoding`] or [`IssueError::Key`].
    pub fn create(org: &str, validity: Validity) -> Result<Self, IssueError> {
        let key = KeyPair::generate()?;
        let mut params = params(ca_name(&format!("{org} TLS CA"), org), validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = ca_usages();
        let der = params.self_signed(&key)?.der().to_vec();
        Ok(Self { org: org.to_owned(), pair: pair(&der, &key), certificate: der.into() })
    }

    /// Takes an existing TLS CA of `org`.
    ///
    /// # Errors
    ///
    /// [`IssueError::Encoding`] if the key is no PKCS#8 key, [`IssueError::Certificate`] if the certificate
    /// is none.
    pub fn from_pair(org: &str, pair: TlsPair) -> Result<Self, IssueError> {
        KeyPair::from_pem(&pair.key_pem)?;
        let der = decode(&pair.certificate_pem)?;
        Ok(Self { org: org.to_owned(), certificate: Bytes::copy_from_slice(&der), pair })
    }

    /// The CA's certificate as DER.
    pub fn certificate(&self) -> &Bytes {
        &self.certificate
    }

    /// The CA's certificate and key.
    pub fn pair(&self) -> &TlsPair {
        &self.pair
    }

    /// Draws a key and certifies it for a member as TLS server and client, under these DNS names and IP
    /// addresses.
    ///
    /// # Errors
    ///
    /// As [`TlsAuthority::create`], and [`IssueError::TlsName`].
    pub fn issue(&self, enrolment: &Enrolment<'_>, names: &[&str]) -> Result<TlsPair, IssueError> {
        let names = names.iter().map(|name| san(name)).collect::<Result<_, _>>()?;
        self.certify(enrolment, names, &KeyPair::generate()?)
    }

    /// Certifies the key of a pair of this CA's anew, under the names that its certificate has.
    ///
    /// # Errors
    ///
    /// As [`TlsAuthority::issue`], and [`IssueError::Certificate`] for a certificate that cannot be
    /// read.
    pub fn renew(&self, enrolment: &Enrolment<'_>, old: &TlsPair) -> Result<TlsPair, IssueError> {
        let names = names_of(&decode(&old.certificate_pem)?)?;
        self.certify(enrolment, names, &KeyPair::from_pem(&old.key_pem)?)
    }

    fn certify(
        &self,
        enrolment: &Enrolment<'_>,
        names: Vec<SanType>,
        key: &KeyPair,
    ) -> Result<TlsPair, IssueError> {
        let mut params = params(enrolment.name(&self.org)?, enrolment.validity)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = names;
        let ca_key = KeyPair::from_pem(&self.pair.key_pem)?;
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(self.certificate.as_ref()), ca_key)?;
        Ok(pair(params.signed_by(key, &issuer)?.der(), key))
    }
}

fn decode(pem: &str) -> Result<CertificateDer<'static>, CertificateError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| CertificateError::Pem(PemError::from(error)))
}

/// The DNS names and IP addresses of a certificate.
fn names_of(der: &[u8]) -> Result<Vec<SanType>, IssueError> {
    let malformed = || CertificateError::Malformed { what: "subject alternative names".to_owned() };
    let parsed = parse_der(der)?;
    let Some(names) = parsed.subject_alternative_name().map_err(|_| malformed())? else {
        return Ok(Vec::new());
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(san(name)),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = address.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| Ok(SanType::IpAddress(address)))
        }
        _ => None,
    };
    names.value.general_names.iter().filter_map(name).collect()
}

fn pair(certificate_der: &[u8], key: &KeyPair) -> TlsPair {
    TlsPair {
        certificate_pem: pem::encode("CERTIFICATE", certificate_der),
        key_pem: Zeroizing::new(pem::encode("PRIVATE KEY", key.serialized_der())),
    }
}

fn san(name: &str) -> Result<SanType, IssueError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let is_dns = rustls_pki_types::DnsName::try_from(name).is_ok();
    match name.try_into() {
        Ok(text) if is_dns => Ok(SanType::DnsName(text)),
        _ => Err(IssueError::TlsName { name: name.to_owned() }),
    }
}

impl std::fmt::Debug for TlsPair {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TlsPair").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TlsAuthority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TlsAuthority({})", self.org)
    }
}
