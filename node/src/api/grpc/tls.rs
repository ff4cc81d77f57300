//! The TLS side of gRPC: both sides show certificates, and a caller's is judged in the handshake by the orgs
//! that the node knows at that moment. A stranger gets an alert and not one byte of HTTP.

use super::caller::Access;
use ledgercast_crypto::{CertificateError, TlsFiles};
use std::sync::Arc;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    CertificateError as Alert, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};

/// Why the TLS pair cannot be served.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TlsError {
    /// A file is not what it should be.
    #[error("tls/{file}: {cause}")]
    File {
        /// Its name in the folder `tls/`.
        file: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// Key and certificate do not fit together.
    #[error("tls/server.crt and tls/server.key: {0}")]
    Pair(String),
}

/// The cryptography of TLS here; chosen explicitly, as several libraries in one process could each bring
/// their own.
pub(super) fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// An acceptor for the node's own pair. HTTP/2 only; TLS 1.3 and 1.2.
///
/// # Errors
/// [`TlsError`] names the file.
pub(super) fn acceptor(files: &TlsFiles, access: Arc<Access>) -> Result<TlsAcceptor, TlsError> {
    let chain = CertificateDer::pem_slice_iter(files.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong("server.crt", &error))?;
    let key = PrivateKeyDer::from_pem_slice(files.key_pem.as_bytes())
        .map_err(|error| wrong("server.key", &error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| TlsError::Pair(error.to_string()))?
        .with_client_cert_verifier(Arc::new(OrgVerifier(access)))
        .with_single_cert(chain, key)
        .map_err(|error| TlsError::Pair(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would bring back a certificate without judging it again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn wrong(file: &'static str, error: &impl ToString) -> TlsError {
    TlsError::File { file, cause: error.to_string() }
}

/// Judges client certificates by the orgs known now. It hints no roots: they would tell strangers which orgs
/// share channels with the node.
struct OrgVerifier(Arc<Access>);

impl std::fmt::Debug for OrgVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OrgVerifier")
    }
}

impl ClientCertVerifier for OrgVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<&[u8]> =
            std::iter::once(end_entity).chain(intermediates).map(|der| der.as_ref()).collect();
        match self.0.recognise(&chain, now.as_secs()) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(error) => {
                tracing::debug!(%error, "a gRPC caller's certificate was refused");
                Err(alert(&error).into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.algorithms.supported_schemes()
    }
}

/// The alert tells malformed bytes from a certificate that we do not accept, and no more.
fn alert(error: &CertificateError) -> Alert {
    match error {
        CertificateError::Malformed { .. } => Alert::BadEncoding,
        _ => Alert::UnknownIssuer,
    }
}
