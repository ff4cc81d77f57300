//! A member's folder of keys and certificates, in the layout that operators of the reference system know.
//! The only module that reads files; never follows a key that others can read.
//!
//! ```text
//!  HOME/msp/cacerts/            root CAs of the org, PEM               HOME/tls/ca.crt       TLS root
//!           intermediatecerts/  CAs between, if any                             server.crt   TLS certificate
//!           tlscacerts/         roots of the org's TLS certificates             server.key   its key, 0600
//!           signcerts/          the member's one certificate
//!           keystore/           its key, PKCS#8 PEM, 0600; an orderer's further keys
//!           crls/               revocation lists, if any
//! ```
//!
//! Other files of that layout (`config.yaml`, `admincerts`) are ignored: roles are units of the certificates.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::certificate::{Certificate, CertificateError, parse_der};
use crate::identity::Identity;
use crate::keys::{KeyError, SecretKey};
use crate::pem::{self, PemError};
use crate::revocation::{RevocationError, RevocationList};
use crate::roster::{OrgRoots, Roster, RosterError};

/// Largest file read, in bytes: a revocation list of the largest size as PEM, and room.
pub const FILE_BYTES_MAX: u64 = 512 * 1024;
/// Most files read in one folder. Guess; a folder has one to three.
pub const FOLDER_FILES_MAX: usize = 64;

/// A member's identity with its key, its org's roots, and its TLS files.
#[derive(Debug, Clone)]
pub struct Msp {
    /// The org's roots, intermediates, TLS roots and revocation lists.
    pub org: OrgRoots,
    /// The member's certificate.
    pub certificate: Certificate,
    /// Intermediates that stand behind the certificate in its file, to be shown with it.
    pub chain: Vec<Certificate>,
    /// The member's key.
    pub key: SecretKey,
    /// Other Ed25519 keys of the keystore: an orderer signs with that one which a channel's config names.
    pub other_keys: Vec<SecretKey>,
    /// The files of `tls/`, if there is such a folder.
    pub tls: Option<TlsFiles>,
}

/// The TLS pair as PEM texts, in the form that TLS libraries take; they check that key and certificate match.
#[derive(Clone)]
pub struct TlsFiles {
    /// `ca.crt`.
    pub ca_pem: String,
    /// `server.crt`.
    pub certificate_pem: String,
    /// `server.key`.
    pub key_pem: Zeroizing<String>,
}

impl std::fmt::Debug for TlsFiles {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TlsFiles").finish_non_exhaustive()
    }
}

impl Msp {
    /// Reads the folder `directory`, and `tls/` beside it. The org's name is the certificate's `O`.
    ///
    /// # Errors
    ///
    /// [`MspError`], with the file and the cure. Validity in time is not judged here: see [`Msp::identity`].
    pub fn load(directory: &Path) -> Result<Self, MspError> {
        let directory = absolute(directory)?;
        let (file, mut certificates) = own_certificates(&directory.join("signcerts"))?;
        let certificate = certificates.remove(0);
        if certificate.org().is_empty() {
            let error = CertificateError::UnknownOrg { org: String::new() };
            return Err(MspError::Certificate { file, error });
        }
        let (key, other_keys) = own_keys(&directory.join("keystore"), &certificate)?;
        Ok(Self {
            org: load_roots(&directory, certificate.org())?,
            key,
            other_keys,
            tls: load_tls(&directory.with_file_name("tls"))?,
            chain: certificates,
            certificate,
        })
    }

    /// The member's key, then the others of its keystore.
    pub fn all_keys(&self) -> Vec<SecretKey> {
        std::iter::once(&self.key).chain(&self.other_keys).cloned().collect()
    }

    /// A roster of the member's own org only.
    ///
    /// # Errors
    ///
    /// As [`Roster::insert`].
    pub fn roster(&self) -> Result<Roster, RosterError> {
        Roster::try_new([self.org.clone()])
    }

    /// Judges the own certificate by the own roots at a time.
    ///
    /// # Errors
    ///
    /// [`MspError::Roots`] if the org's files do not fit together, [`MspError::Identity`] if the
    /// certificate is not acceptable now.
    pub fn identity(&self, at_unix_seconds: u64) -> Result<Identity, MspError> {
        let roster = self.roster().map_err(MspError::Roots)?;
        roster.verify(&self.certificate, &self.chain, at_unix_seconds).map_err(MspError::Identity)
    }
}

/// Reads an org's public files only, for a channel config: `directory` needs neither `signcerts` nor
/// `keystore`.
///
/// # Errors
///
/// [`MspError`], with the file and the cure.
pub fn load_roots(directory: &Path, name: &str) -> Result<OrgRoots, MspError> {
    let roots = certificates_in(&directory.join("cacerts"))?;
    if roots.is_empty() {
        return Err(MspError::Nothing { folder: directory.join("cacerts"), wanted: "a root CA certificate" });
    }
    let intermediates = certificates_in(&directory.join("intermediatecerts"))?;
    let mut tls_roots = Vec::new();
    for file in files_in(&directory.join("tlscacerts"))? {
        tls_roots.extend(tls_certificates(&file)?);
    }
    let crls = load_lists(&directory.join("crls"))?;
    let roots = OrgRoots { name: name.to_owned(), roots, intermediates, tls_roots, crls };
    Roster::try_new([roots.clone()]).map_err(MspError::Roots)?;
    Ok(roots)
}

/// Reads the revocation lists of a folder, whoever signed them; a folder that is not there has none.
///
/// # Errors
///
/// [`MspError`], with the file and the cure.
pub fn load_lists(folder: &Path) -> Result<Vec<RevocationList>, MspError> {
    let mut lists = Vec::new();
    for file in files_in(folder)? {
        let found = RevocationList::all_from_pem(&read_public(&file)?);
        lists.extend(found.map_err(|error| MspError::Revocation { file, error })?);
    }
    Ok(lists)
}

/// The one file of a member's folder that holds its certificate, for a renewal.
///
/// # Errors
///
/// [`MspError::Nothing`] or [`MspError::Several`].
pub fn certificate_file(directory: &Path) -> Result<PathBuf, MspError> {
    own_certificates(&directory.join("signcerts")).map(|(file, _)| file)
}

/// Reads a secret key's file.
///
/// # Errors
///
/// [`MspError::Exposed`] if group or others may read it, [`MspError::Key`] if it holds no Ed25519 key.
pub fn load_key(file: &Path) -> Result<SecretKey, MspError> {
    let text = read_secret(file)?;
    SecretKey::from_pkcs8_pem(&text).map_err(|error| MspError::Key { file: file.to_owned(), error })
}

/// Reads a file with exactly one certificate.
///
/// # Errors
///
/// [`MspError::Read`] or [`MspError::Certificate`].
pub fn load_certificate(file: &Path) -> Result<Certificate, MspError> {
    let text = read_public(file)?;
    Certificate::from_pem(&text).map_err(|error| MspError::Certificate { file: file.to_owned(), error })
}

/// Reads a PEM file that only its owner may read.
///
/// # Errors
///
/// [`MspError::Exposed`] if group or others may read it, [`MspError::Read`] or [`MspError::TooLarge`].
pub fn read_secret(file: &Path) -> Result<Zeroizing<String>, MspError> {
    let opened = open(file)?;
    // The mode of what was opened, so that no swap between check and reading helps.
    refuse_exposed(file, &opened)?;
    read_text(file, opened)
}

fn read_public(file: &Path) -> Result<String, MspError> {
    read_text(file, open(file)?).map(|text| text.to_string())
}

fn open(file: &Path) -> Result<File, MspError> {
    File::open(file).map_err(|error| MspError::Read { file: file.to_owned(), error })
}

#[cfg(unix)]
fn refuse_exposed(file: &Path, opened: &File) -> Result<(), MspError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = opened.metadata().map_err(|error| MspError::Read { file: file.to_owned(), error })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(MspError::Exposed { file: file.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_exposed(_file: &Path, _opened: &File) -> Result<(), MspError> {
    Ok(())
}

fn read_text(file: &Path, opened: File) -> Result<Zeroizing<String>, MspError> {
    // Reserved at once: a growing buffer would leave copies of a key behind.
    let mut text = Zeroizing::new(String::with_capacity(8 * 1024));
    let read = opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    let bytes = read.map_err(|error| MspError::Read { file: file.to_owned(), error })?;
    if bytes as u64 > FILE_BYTES_MAX {
        return Err(MspError::TooLarge { file: file.to_owned() });
    }
    Ok(text)
}

fn absolute(directory: &Path) -> Result<PathBuf, MspError> {
    let failed = |error| MspError::Read { file: directory.to_owned(), error };
    let absolute = std::path::absolute(directory).map_err(failed)?;
    fs::metadata(&absolute).map_err(failed)?;
    Ok(absolute)
}

/// Plain files of a folder by name, without hidden ones; none if there is no folder.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, MspError> {
    let failed = |error| MspError::Read { file: folder.to_owned(), error };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") || !entry.path().is_file() {
            continue;
        }
        if files.len() == FOLDER_FILES_MAX {
            return Err(MspError::TooManyFiles { folder: folder.to_owned() });
        }
        files.push(entry.path());
    }
    files.sort();
    Ok(files)
}

fn certificates_of(file: &Path) -> Result<Vec<Certificate>, MspError> {
    let text = read_public(file)?;
    Certificate::all_from_pem(&text).map_err(|error| MspError::Certificate { file: file.to_owned(), error })
}

fn certificates_in(folder: &Path) -> Result<Vec<Certificate>, MspError> {
    let mut certificates = Vec::new();
    for file in files_in(folder)? {
        certificates.extend(certificates_of(&file)?);
    }
    Ok(certificates)
}

/// The member's certificate and those behind it, from the one file of `signcerts`.
fn own_certificates(folder: &Path) -> Result<(PathBuf, Vec<Certificate>), MspError> {
    let mut files = files_in(folder)?;
    let wanted = "the member's certificate";
    match (files.pop(), files.len()) {
        (Some(file), 0) => {
            let certificates = certificates_of(&file)?;
            match certificates.is_empty() {
                true => Err(MspError::Nothing { folder: file, wanted }),
                false => Ok((file, certificates)),
            }
        }
        (Some(_), others) => Err(MspError::Several { folder: folder.to_owned(), found: others + 1 }),
        (None, _) => Err(MspError::Nothing { folder: folder.to_owned(), wanted }),
    }
}

/// The key in `keystore` that the certificate certifies; others, of earlier certificates, may lie beside it.
/// The certificate's key, and the other Ed25519 keys beside it.
fn own_keys(folder: &Path, certificate: &Certificate) -> Result<(SecretKey, Vec<SecretKey>), MspError> {
    let (mut own, mut others, mut unreadable) = (None, Vec::new(), None);
    let files = files_in(folder)?;
    for file in &files {
        match load_key(file) {
            Ok(key) if key.public() == certificate.public_key() => own = Some(key),
            Ok(key) => others.push(key),
            Err(MspError::Key { file, error }) => unreadable = Some(MspError::Key { file, error }),
            Err(error) => return Err(error),
        }
    }
    if let Some(own) = own {
        return Ok((own, others));
    }
    let folder = folder.to_owned();
    Err(match unreadable {
        _ if files.is_empty() => MspError::Nothing { folder, wanted: "the member's private key" },
        Some(error) => error,
        None => MspError::Mismatch { folder, subject: certificate.subject().to_string() },
    })
}

fn tls_certificates(file: &Path) -> Result<Vec<Bytes>, MspError> {
    let text = read_public(file)?;
    let ders = pem::decode_all::<CertificateDer<'static>>(text.as_bytes())
        .map_err(|error| MspError::Pem { file: file.to_owned(), error })?;
    for der in &ders {
        parse_der(der).map_err(|error| MspError::Certificate { file: file.to_owned(), error })?;
    }
    Ok(ders.into_iter().map(|der| Bytes::copy_from_slice(&der)).collect())
}

fn load_tls(folder: &Path) -> Result<Option<TlsFiles>, MspError> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let (ca, certificate) = (folder.join("ca.crt"), folder.join("server.crt"));
    for file in [&ca, &certificate] {
        if tls_certificates(file)?.is_empty() {
            return Err(MspError::Nothing { folder: file.clone(), wanted: "a TLS certificate" });
        }
    }
    Ok(Some(TlsFiles {
        ca_pem: read_public(&ca)?,
        certificate_pem: read_public(&certificate)?,
        key_pem: read_secret(&folder.join("server.key"))?,
    }))
}

/// Why a folder of keys and certificates is refused.
#[derive(Debug, thiserror::Error)]
pub enum MspError {
    /// A file or folder that cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// Over [`FILE_BYTES_MAX`].
    #[error("{} is over the limit of {FILE_BYTES_MAX} bytes", file.display())]
    TooLarge {
        /// Which.
        file: PathBuf,
    },
    /// Over [`FOLDER_FILES_MAX`].
    #[error("{} has more than {FOLDER_FILES_MAX} files: move the others away", folder.display())]
    TooManyFiles {
        /// Which.
        folder: PathBuf,
    },
    /// A key that others than its owner may read.
    #[error("the key {0} has mode {mode:04o}, so others may read it: chmod 600 {0}", file.display())]
    Exposed {
        /// Which.
        file: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Something needed is absent.
    #[error("{} lacks {wanted}: put it there as PEM", folder.display())]
    Nothing {
        /// Where.
        folder: PathBuf,
        /// What.
        wanted: &'static str,
    },
    /// More than one certificate of the member.
    #[error("{} has {found} files: keep only the member's current certificate", folder.display())]
    Several {
        /// Where.
        folder: PathBuf,
        /// Files found.
        found: usize,
    },
    /// No key of the certificate.
    #[error("no key in {} belongs to the certificate of {subject}: put its key there", folder.display())]
    Mismatch {
        /// Where.
        folder: PathBuf,
        /// Whose certificate.
        subject: String,
    },
    /// A file that is no PEM.
    #[error("{}: {error}", file.display())]
    Pem {
        /// Which.
        file: PathBuf,
        /// Why.
        error: PemError,
    },
    /// A file whose certificate is unacceptable.
    #[error("{}: {error}; {cure}", file.display(), cure = error.cure())]
    Certificate {
        /// Which.
        file: PathBuf,
        /// Why.
        error: CertificateError,
    },
    /// A file whose key is unacceptable.
    #[error("{}: {error}", file.display())]
    Key {
        /// Which.
        file: PathBuf,
        /// Why.
        error: KeyError,
    },
    /// A file whose revocation list is unacceptable.
    #[error("{}: {error}", file.display())]
    Revocation {
        /// Which.
        file: PathBuf,
        /// Why.
        error: RevocationError,
    },
    /// Roots, intermediates and revocation lists that do not fit together.
    #[error("the org's certificates: {0}")]
    Roots(RosterError),
    /// The own certificate is not acceptable now.
    #[error("the own certificate: {0}; {cure}", cure = .0.cure())]
    Identity(CertificateError),
}
