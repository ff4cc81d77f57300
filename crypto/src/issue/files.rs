//! Writes the folders that [`Msp::load`](crate::Msp::load) reads. Never overwrites but by
//! [`replace_public`], and never creates a secret file with a mode that others could read, not even for a
//! moment.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;

use crate::certificate::Certificate;
use crate::issue::{IssueError, TlsPair};
use crate::keys::SecretKey;
use crate::pem;
use crate::roster::OrgRoots;

/// Everything in a member's home folder.
#[derive(Debug)]
pub struct MemberFiles<'a> {
    /// The member's org.
    pub org: &'a OrgRoots,
    /// Its certificate.
    pub certificate: &'a Certificate,
    /// Its key.
    pub key: &'a SecretKey,
    /// Its TLS pair, if it talks gRPC, and the TLS root.
    pub tls: Option<(&'a TlsPair, &'a Bytes)>,
}

impl MemberFiles<'_> {
    /// Writes `home/msp` and, with a TLS pair, `home/tls`.
    ///
    /// # Errors
    ///
    /// [`IssueError::Exists`] at the first file that is there already, or [`IssueError::Write`]; files
    /// written before stay.
    pub fn write(&self, home: &Path) -> Result<(), IssueError> {
        let msp = home.join("msp");
        self.org.write(&msp)?;
        write_new_public(&msp.join("signcerts/cert.pem"), &self.certificate.to_pem())?;
        write_new_secret(&msp.join("keystore/key.pem"), &self.key.to_pkcs8_pem())?;
        if let Some((pair, root)) = self.tls {
            let tls = home.join("tls");
            write_new_public(&tls.join("ca.crt"), &pem::encode("CERTIFICATE", root))?;
            write_new_public(&tls.join("server.crt"), &pair.certificate_pem)?;
            write_new_secret(&tls.join("server.key"), &pair.key_pem)?;
        }
        Ok(())
    }
}

impl OrgRoots {
    /// Writes the org's public files, all that other orgs need of it, under `msp`: what
    /// [`load_roots`](crate::msp::load_roots) reads.
    ///
    /// # Errors
    ///
    /// [`IssueError::Exists`] or [`IssueError::Write`].
    pub fn write(&self, msp: &Path) -> Result<(), IssueError> {
        let write_all = |folder: &str, stem: &str, pems: Vec<String>| {
            pems.iter().enumerate().try_for_each(|(index, pem)| {
                let number = if index == 0 { String::new() } else { format!("-{}", index + 1) };
                write_new_public(&msp.join(folder).join(format!("{stem}{number}.pem")), pem)
            })
        };
        write_all("cacerts", "ca", self.roots.iter().map(Certificate::to_pem).collect())?;
        write_all(
            "intermediatecerts",
            "intermediate",
            self.intermediates.iter().map(Certificate::to_pem).collect(),
        )?;
        let tls_roots = self.tls_roots.iter().map(|der| pem::encode("CERTIFICATE", der));
        write_all("tlscacerts", "tlsca", tls_roots.collect())?;
        write_all("crls", "crl", self.crls.iter().map(|list| pem::encode("X509 CRL", list.der())).collect())
    }
}

/// Writes a new file of mode 0644 (less the umask), and the folders above it.
///
/// # Errors
///
/// [`IssueError::Exists`] or [`IssueError::Write`].
pub fn write_new_public(file: &Path, text: &str) -> Result<(), IssueError> {
    write_new(file, text, 0o644)
}

/// Replaces a file of mode 0644 (less the umask), or writes it anew: a reader finds the old one or the new
/// one, whole.
///
/// # Errors
///
/// [`IssueError::Exists`] if an earlier replacement was cut short, or [`IssueError::Write`].
pub fn replace_public(file: &Path, text: &str) -> Result<(), IssueError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // Hidden, so that no folder's reader takes it for a certificate.
    let fresh = file.with_file_name(format!(".{name}.new"));
    write_new_public(&fresh, text)?;
    fs::rename(&fresh, file).map_err(|error| IssueError::Write { file: file.to_owned(), error })
}

/// Writes a new file of mode 0600, and the folders above it.
///
/// # Errors
///
/// [`IssueError::Exists`] or [`IssueError::Write`].
pub fn write_new_secret(file: &Path, text: &str) -> Result<(), IssueError> {
    write_new(file, text, 0o600)
}

fn write_new(file: &Path, text: &str, mode: u32) -> Result<(), IssueError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => IssueError::Exists { file: file.to_owned() },
        _ => IssueError::Write { file: file.to_owned(), error },
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| IssueError::Write { file: folder.to_owned(), error })?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    with_mode(&mut options, mode);
    let mut opened = options.open(file).map_err(failed)?;
    opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all()).map_err(failed)
}

#[cfg(unix)]
fn with_mode(options: &mut OpenOptions, mode: u32) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(mode);
}

#[cfg(not(unix))]
fn with_mode(_options: &mut OpenOptions, _mode: u32) {}
