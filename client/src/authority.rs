//! An org's CAs on disk, for members and for TLS, and the homes that they enrol: what `crypto` and `testnet`
//! share.
//!
//! ```text
//! FOLDER/ca/{cert,key}.pem      signs members       FOLDER/msp/   the org's public files, for others
//!        tlsca/{cert,key}.pem   signs TLS pairs              msp/crls/crl.pem   the newest revocation list
//! ```

use ledgercast_crypto::issue::{
    Authority, Enrolment, IssueError, MemberFiles, TlsAuthority, TlsPair, Validity, replace_public,
    write_new_public, write_new_secret,
};
use ledgercast_crypto::msp::{self, MspError};
use ledgercast_crypto::tls::to_certificate_pem;
use ledgercast_crypto::{Certificate, MemberId, Msp, OrgRoots, RevocationList, Role, Roster, SecretKey};
use ledgercast_protocol::time::WallTime;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Names under which a process on this machine is reached.
pub const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// An org's CAs.
#[derive(Debug)]
pub struct OrgAuthority {
    folder: PathBuf,
    authority: Authority,
    tls_authority: TlsAuthority,
    roots: OrgRoots,
}

/// A member to enrol.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its common name.
    pub name: &'a str,
    /// What it may be.
    pub role: Role,
    /// A unit beside the role's, as channels name them for who may read and write.
    pub unit: Option<&'a str>,
    /// DNS names and IP addresses under which it is reached, for its TLS certificate.
    pub hosts: &'a [&'a str],
    /// How long its certificates are valid.
    pub days: u64,
}

/// Why CAs were not created or read, or a member not enrolled.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// Nothing was issued, or a file could not be written.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// A file cannot be read, or is refused.
    #[error(transparent)]
    Msp(#[from] MspError),
    /// A member of another org, or without a role.
    #[error("{subject} cannot be renewed by the CA of {org}: it has another org or no role")]
    NotOurs {
        /// Whose certificate.
        subject: String,
        /// The CA's org.
        org: String,
    },
    /// A certificate that was not made here.
    #[error(
        "this CA writes the role's unit and one more, and cannot renew a certificate with the units {units:?}"
    )]
    Units {
        /// Its units.
        units: Vec<String>,
    },
}

impl OrgAuthority {
    /// Creates an org's CAs and writes them with its public files.
    ///
    /// # Errors
    /// [`AuthorityError::Issue`]; existing files are not overwritten.
    pub fn create(folder: &Path, org: &str, now: WallTime, days: u64) -> Result<Self, AuthorityError> {
        let validity = Validity::days_from(now.as_seconds(), days);
        let authority = Authority::create(org, validity)?;
        let tls_authority = TlsAuthority::create(org, validity)?;
        let mut roots = OrgRoots::new(org, vec![authority.certificate().clone()]);
        roots.tls_roots.push(tls_authority.certificate().clone());
        let created = Self { folder: folder.to_owned(), authority, tls_authority, roots };
        created.write()?;
        Ok(created)
    }

    fn write(&self) -> Result<(), IssueError> {
        write_new_public(&self.folder.join("ca/cert.pem"), &self.authority.certificate().to_pem())?;
        write_new_secret(&self.folder.join("ca/key.pem"), &self.authority.key().to_pkcs8_pem())?;
        write_new_public(&self.folder.join("tlsca/cert.pem"), &self.tls_authority.pair().certificate_pem)?;
        write_new_secret(&self.folder.join("tlsca/key.pem"), &self.tls_authority.pair().key_pem)?;
        self.roots.write(&self.folder.join("msp"))
    }

    /// Reads the CAs that [`OrgAuthority::create`] wrote.
    ///
    /// # Errors
    /// [`AuthorityError`] names the file.
    pub fn load(folder: &Path) -> Result<Self, AuthorityError> {
        let certificate = msp::load_certificate(&folder.join("ca/cert.pem"))?;
        let key = msp::load_key(&folder.join("ca/key.pem"))?;
        let org = certificate.org().to_owned();
        let tls_file = folder.join("tlsca/cert.pem");
        let certificate_pem =
            std::fs::read_to_string(&tls_file).map_err(|error| MspError::Read { file: tls_file, error })?;
        let pair = TlsPair { certificate_pem, key_pem: msp::read_secret(&folder.join("tlsca/key.pem"))? };
        Ok(Self {
            folder: folder.to_owned(),
            authority: Authority::from_parts(certificate, key)?,
            tls_authority: TlsAuthority::from_pair(&org, pair)?,
            roots: msp::load_roots(&folder.join("msp"), &org)?,
        })
    }

    /// The org's name.
    pub fn org(&self) -> &str {
        &self.roots.name
    }

    /// The CAs' folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The members' root certificate.
    pub fn root(&self) -> &Certificate {
        self.authority.certificate()
    }

    /// Draws a member's keys, certifies them, and writes its home: `msp/` and `tls/`.
    ///
    /// # Errors
    /// [`AuthorityError::Issue`]; existing files are not overwritten.
    pub fn enrol(&self, home: &Path, member: Member<'_>, now: WallTime) -> Result<MemberId, AuthorityError> {
        let key = SecretKey::generate().map_err(IssueError::Key)?;
        let validity = Validity::days_from(now.as_seconds(), member.days);
        let enrolment =
            Enrolment { common_name: member.name, role: member.role, validity, unit: member.unit };
        let certificate = self.authority.enrol(&key.public(), &enrolment)?;
        let pair = self.tls_authority.issue(&enrolment, member.hosts)?;
        let files = MemberFiles {
            org: &self.roots,
            certificate: &certificate,
            key: &key,
            tls: Some((&pair, self.tls_authority.certificate())),
        };
        files.write(home)?;
        Ok(MemberId::of(&self.root().public_key(), &key.public()))
    }
}

impl OrgAuthority {
    /// Certifies a member's keys anew, with the same name, role, unit and hosts, and puts the certificates in
    /// the place of the old ones. A running process takes up the member's, and needs a start for that of its
    /// TLS pair; a pair of another CA stays. The member stays the same. Returns the member's certificate,
    /// and whether the TLS pair is renewed.
    ///
    /// # Errors
    /// [`AuthorityError`] names the cause; the member's old certificate stays.
    pub fn renew(
        &self,
        home: &Path,
        now: WallTime,
        days: u64,
    ) -> Result<(Certificate, bool), AuthorityError> {
        let msp = home.join("msp");
        let old = Msp::load(&msp)?;
        let subject = old.certificate.subject().to_string();
        let role = old.certificate.role().filter(|_| old.certificate.org() == self.org());
        let role = role.ok_or(AuthorityError::NotOurs { subject, org: self.org().to_owned() })?;
        let validity = Validity::days_from(now.as_seconds(), days);
        let mut units = old.certificate.ous().iter().filter(|unit| *unit != role.unit());
        let (unit, None) = (units.next().map(String::as_str), units.next()) else {
            return Err(AuthorityError::Units { units: old.certificate.ous().to_vec() });
        };
        let enrolment = Enrolment { common_name: old.certificate.common_name(), role, validity, unit };
        let renewed = self.authority.enrol(&old.key.public(), &enrolment)?;
        let own_ca = to_certificate_pem(self.tls_authority.certificate());
        let tls = old.tls.filter(|files| files.ca_pem.trim() == own_ca.trim());
        if let Some(files) = &tls {
            let (certificate_pem, key_pem) = (files.certificate_pem.clone(), files.key_pem.clone());
            let pair = self.tls_authority.renew(&enrolment, &TlsPair { certificate_pem, key_pem })?;
            replace_public(&home.join("tls/server.crt"), &pair.certificate_pem)?;
        }
        replace_public(&msp::certificate_file(&msp)?, &renewed.to_pem())?;
        Ok((renewed, tls.is_some()))
    }

    /// Revokes certificates beside those that the newest list names, and puts the next list into the org's
    /// public files. Returns the list and its file.
    ///
    /// # Errors
    /// [`AuthorityError`] names the cause; the newest list stays.
    pub fn revoke(
        &self,
        certificates: &[Certificate],
        now: WallTime,
        days: u64,
    ) -> Result<(RevocationList, PathBuf), AuthorityError> {
        let mine = Roster::try_new([OrgRoots::new(self.org(), vec![self.root().clone()])]);
        let is_mine = |list: &&RevocationList| mine.as_ref().is_ok_and(|mine| mine.signer_of(list).is_ok());
        let older = self.roots.crls.iter().filter(is_mine).max_by_key(|list| list.number().clone());
        let validity = Validity::days_from(now.as_seconds(), days);
        let revoked: Vec<&Certificate> = certificates.iter().collect();
        let list = self.authority.revoke_more(older, &revoked, validity)?;
        let file = self.folder.join("msp/crls/crl.pem");
        replace_public(&file, &list.to_pem())?;
        Ok((list, file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::CertificateError;

    #[test]
    fn a_loaded_authority_enrols_members_that_the_org_accepts() {
        let folder = tempfile::tempdir().unwrap();
        let now = WallTime::from_millis(1_800_000_000_000);
        OrgAuthority::create(folder.path(), "org1", now, 10).unwrap();
        let home = folder.path().join("peer0");
        let member =
            Member { name: "peer0.org1", role: Role::Peer, unit: None, hosts: &LOCAL_NAMES, days: 1 };

        let id = OrgAuthority::load(folder.path()).unwrap().enrol(&home, member, now).unwrap();

        let msp = Msp::load(&home.join("msp")).unwrap();
        let identity = msp.identity(now.as_seconds()).unwrap();
        assert_eq!((identity.member, identity.role), (id, Role::Peer));
        assert!(msp.tls.is_some());
    }

    #[test]
    fn existing_authorities_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let now = WallTime::from_millis(1_800_000_000_000);
        OrgAuthority::create(folder.path(), "org1", now, 10).unwrap();

        let again = OrgAuthority::create(folder.path(), "org1", now, 10);

        assert!(matches!(again, Err(AuthorityError::Issue(IssueError::Exists { .. }))));
    }

    #[test]
    fn a_renewed_member_is_the_same_and_a_revoked_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let now = WallTime::from_millis(1_800_000_000_000);
        let ca = OrgAuthority::create(folder.path(), "org1", now, 10).unwrap();
        let home = folder.path().join("peer0");
        let member = Member {
            name: "peer0.org1",
            role: Role::Peer,
            unit: Some("audit"),
            hosts: &LOCAL_NAMES,
            days: 1,
        };
        let id = ca.enrol(&home, member, now).unwrap();
        let old = Msp::load(&home.join("msp")).unwrap();

        assert!(ca.renew(&home, now, 5).unwrap().1, "the TLS pair is renewed as well");
        let renewed = Msp::load(&home.join("msp")).unwrap();
        let (list, _) = ca.revoke(std::slice::from_ref(&old.certificate), now, 5).unwrap();
        let ca = OrgAuthority::load(folder.path()).unwrap();
        let (next, _) = ca.revoke(std::slice::from_ref(&renewed.certificate), now, 5).unwrap();

        assert_eq!(renewed.identity(now.as_seconds()).unwrap().member, id);
        assert_eq!(renewed.certificate.ous(), ["peer", "audit"]);
        let [before, after] = [&old, &renewed].map(|msp| msp.tls.clone().unwrap());
        assert_eq!(*before.key_pem, *after.key_pem);
        assert_ne!(before.certificate_pem, after.certificate_pem);
        assert!(renewed.certificate.not_after() > old.certificate.not_after());
        assert_eq!((list.revoked_count(), next.revoked_count()), (1, 2));
        let org = msp::load_roots(&folder.path().join("msp"), "org1").unwrap();
        let judged = Roster::try_new([org]).unwrap().verify(&renewed.certificate, &[], now.as_seconds());
        assert!(matches!(judged, Err(CertificateError::Revoked { .. })), "{judged:?}");
    }
}
