//! The orgs that we know and the judgement of certificates under them: chain, validity, revocation, role.
//! Never merges orgs by name, and never learns a root from a peer.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use webpki::Error as PathError;

use crate::certificate::{Certificate, CertificateError};
use crate::identity::{Identity, MemberId, OrgId};
use crate::keys::PublicKey;
use crate::path;
use crate::revocation::{RevocationError, RevocationList};

/// Most intermediates that we look at beside a certificate. Guess; two levels of CA below a root are rare.
pub const INTERMEDIATES_MAX: usize = 8;
/// Most roots, intermediates or TLS roots of an org. Guess; a change of roots needs two for a while.
pub const ORG_CERTIFICATES_MAX: usize = 16;

/// What is known of one org.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgRoots {
    /// Its name, which is the `O` of its members' certificates.
    pub name: String,
    /// Its root CAs, at least one.
    pub roots: Vec<Certificate>,
    /// Intermediate CAs that members need not show.
    pub intermediates: Vec<Certificate>,
    /// DER of the roots of its TLS certificates, of any algorithm.
    pub tls_roots: Vec<Bytes>,
    /// Revocation lists of its CAs.
    pub crls: Vec<RevocationList>,
}

impl OrgRoots {
    /// An org with these roots and nothing else.
    pub fn new(name: impl Into<String>, roots: Vec<Certificate>) -> Self {
        let (intermediates, tls_roots, crls) = (Vec::new(), Vec::new(), Vec::new());
        Self { name: name.into(), roots, intermediates, tls_roots, crls }
    }

    /// The org's id, from its name and its roots.
    pub fn id(&self) -> OrgId {
        OrgId::of(&self.name, &self.roots)
    }

    fn check(&self) -> Result<(), RosterError> {
        let name = || self.name.clone();
        if self.name.is_empty() || self.roots.is_empty() {
            return Err(RosterError::NoRoot { org: name() });
        }
        let found = self.roots.len().max(self.intermediates.len()).max(self.tls_roots.len());
        if found > ORG_CERTIFICATES_MAX {
            return Err(RosterError::TooManyCertificates { org: name(), found });
        }
        match self.roots.iter().chain(&self.intermediates).find(|it| !it.is_ca()) {
            Some(member) => Err(RosterError::NotCa { org: name(), subject: member.subject().to_string() }),
            None => Ok(()),
        }
    }
}

/// A revocation list whose signature was checked, with the key that made it.
#[derive(Debug, Clone)]
struct ActiveList {
    signer: PublicKey,
    list: RevocationList,
}

/// Whose a revocation list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListOwner {
    /// The key of the CA that signed it.
    pub signer: PublicKey,
    /// The orgs of this roster that trust that CA.
    pub orgs: Vec<OrgId>,
}

#[derive(Debug, Clone)]
struct Org {
    known: OrgRoots,
    active_lists: Vec<ActiveList>,
}

/// A set of orgs by whose CAs certificates are judged.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    orgs: BTreeMap<OrgId, Org>,
}

impl Roster {
    /// A roster that knows nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// A roster of these orgs.
    ///
    /// # Errors
    ///
    /// As [`Roster::insert`].
    pub fn try_new(orgs: impl IntoIterator<Item = OrgRoots>) -> Result<Self, RosterError> {
        let mut roster = Self::new();
        for org in orgs {
            roster.insert(org)?;
        }
        Ok(roster)
    }

    /// Adds an org.
    ///
    /// # Errors
    ///
    /// [`RosterError`] if it has no root, a root that is no CA, a revocation list that no CA of it signed,
    /// or is known already. The roster is unchanged then.
    pub fn insert(&mut self, org: OrgRoots) -> Result<OrgId, RosterError> {
        org.check()?;
        let id = org.id();
        if self.orgs.contains_key(&id) {
            return Err(RosterError::Duplicate { org: org.name });
        }
        let lists = org.crls.clone();
        let mut entry = Org { known: OrgRoots { crls: Vec::new(), ..org }, active_lists: Vec::new() };
        for list in lists {
            entry.activate(list)?;
        }
        self.orgs.insert(id, entry);
        Ok(id)
    }

    /// Forgets an org; says whether it was known.
    pub fn remove(&mut self, org: &OrgId) -> bool {
        self.orgs.remove(org).is_some()
    }

    /// Takes in a revocation list for every org one of whose CAs signed it. Says whether it is news to any;
    /// an older list than the one in force changes nothing.
    ///
    /// # Errors
    ///
    /// [`RevocationError::UnknownIssuer`] if no CA of any org signed it.
    pub fn revoke(&mut self, list: &RevocationList) -> Result<bool, RevocationError> {
        let outcomes: Vec<_> = self.orgs.values_mut().map(|org| org.activate(list.clone())).collect();
        match outcomes.iter().any(Result::is_ok) {
            true => Ok(outcomes.into_iter().any(|outcome| outcome.unwrap_or(false))),
            false => Err(RevocationError::UnknownIssuer { issuer: list.issuer().to_owned() }),
        }
    }

    /// Whose revocation list this is: the CA's key, and the orgs that trust that CA. Costs a signature check
    /// for each CA of the issuer's name.
    ///
    /// # Errors
    ///
    /// [`RevocationError::UnknownIssuer`] if no CA of any org signed it.
    pub fn signer_of(&self, list: &RevocationList) -> Result<ListOwner, RevocationError> {
        let signed = |org: &Org| list.signer(org.authorities());
        let owners: Vec<(OrgId, PublicKey)> =
            self.orgs.iter().filter_map(|(id, org)| Some((*id, signed(org)?))).collect();
        match owners.first() {
            Some((_, signer)) => {
                Ok(ListOwner { signer: *signer, orgs: owners.iter().map(|(org, _)| *org).collect() })
            }
            None => Err(RevocationError::UnknownIssuer { issuer: list.issuer().to_owned() }),
        }
    }

    /// The CA keys of every org, by which revocation lists can be signed.
    pub fn authorities(&self) -> impl Iterator<Item = (&OrgId, PublicKey)> {
        self.orgs.iter().flat_map(|(id, org)| {
            let signers = org.authorities().filter(|it| it.may_sign_crls());
            signers.map(move |it| (id, it.public_key()))
        })
    }

    /// The revocation lists in force, with their orgs and the CA keys that signed them.
    pub fn lists(&self) -> impl Iterator<Item = (&OrgId, PublicKey, &RevocationList)> {
        self.orgs
            .iter()
            .flat_map(|(id, org)| org.active_lists.iter().map(move |it| (id, it.signer, &it.list)))
    }

    /// Whether a list in force names a certificate of this chain by issuer and serial number: cheap, without
    /// any signature check, so a `true` calls for [`Roster::verify`].
    pub fn may_be_revoked(&self, certificate: &Certificate, intermediates: &[Certificate]) -> bool {
        let mut links = std::iter::once(certificate).chain(intermediates);
        links.any(|link| {
            let of_issuer = self.lists().filter(|(.., list)| list.issuer_der() == link.issuer_der());
            of_issuer.map(|(.., list)| list).any(|list| list.names(link))
        })
    }

    /// An org by its id; its `crls` are those in force.
    pub fn org(&self, id: &OrgId) -> Option<&OrgRoots> {
        self.orgs.get(id).map(|org| &org.known)
    }

    /// Every org, in the order of the ids; their `crls` are those in force.
    pub fn orgs(&self) -> impl Iterator<Item = (&OrgId, &OrgRoots)> {
        self.orgs.iter().map(|(id, org)| (id, &org.known))
    }

    /// Orgs known.
    pub fn len(&self) -> usize {
        self.orgs.len()
    }

    /// Whether no org is known.
    pub fn is_empty(&self) -> bool {
        self.orgs.is_empty()
    }

    /// Judges a member's certificate, with the intermediates shown beside it, at a time.
    ///
    /// Revocation by any org of the subject's name wins, then acceptance by any, then the verdict that comes
    /// closest to acceptance.
    ///
    /// # Errors
    ///
    /// A [`CertificateError`] of its own for each reason.
    pub fn verify(
        &self,
        certificate: &Certificate,
        intermediates: &[Certificate],
        at_unix_seconds: u64,
    ) -> Result<Identity, CertificateError> {
        if intermediates.len() > INTERMEDIATES_MAX {
            let (found, limit) = (intermediates.len(), INTERMEDIATES_MAX);
            return Err(CertificateError::TooManyIntermediates { found, limit });
        }
        if certificate.has_ca_flag() {
            return Err(CertificateError::CaAsMember { subject: certificate.subject().to_string() });
        }
        let question = Question { certificate, intermediates, at: at_unix_seconds };
        let name = certificate.org();
        let namesakes = self.orgs.values().filter(|org| org.known.name == name);
        let mut verdicts: Vec<_> = namesakes.map(|org| org.verify(&question)).collect();
        verdicts.sort_by_key(precedence);
        let verdict = verdicts.into_iter().next();
        let unknown = || CertificateError::UnknownOrg { org: name.to_owned() };
        match verdict.unwrap_or_else(|| Err(unknown())) {
            Err(error) if error.is_of_unknown_origin() => Err(match self.signed_by_other(&question) {
                Some(signed_by) => CertificateError::WrongCa { org: name.to_owned(), signed_by },
                None => error,
            }),
            verdict => verdict,
        }
    }

    /// Judges a member's certificate without a clock: whether there was a time at which its whole chain was
    /// valid. Everybody reaches the same verdict, whenever they look.
    ///
    /// # Errors
    ///
    /// As [`Roster::verify`], at the first second of the certificate's own validity.
    pub fn verify_at_any_time(
        &self,
        certificate: &Certificate,
        intermediates: &[Certificate],
    ) -> Result<Identity, CertificateError> {
        let verdict = self.verify(certificate, intermediates, certificate.not_before());
        if verdict.is_ok() || intermediates.len() > INTERMEDIATES_MAX {
            return verdict;
        }
        // A set of intervals has a common second only if the latest of their first seconds is one.
        let namesakes = self.orgs.values().filter(|org| org.known.name == certificate.org());
        let known = namesakes.flat_map(|org| org.known.roots.iter().chain(&org.known.intermediates));
        let starts: BTreeSet<u64> = known.chain(intermediates).map(Certificate::not_before).collect();
        let later =
            starts.range(certificate.not_before()..=certificate.not_after().max(certificate.not_before()));
        let at_another = later.map(|at| self.verify(certificate, intermediates, *at)).find(Result::is_ok);
        at_another.unwrap_or(verdict)
    }

    /// The name of an org, other than the one that the subject names, whose root the chain ends at.
    fn signed_by_other(&self, question: &Question<'_>) -> Option<String> {
        let others = self.orgs.values().filter(|org| org.known.name != question.certificate.org());
        others.into_iter().find(|org| org.chain(question).is_ok()).map(|org| org.known.name.clone())
    }
}

/// The rank of a verdict among those of several orgs of one name.
fn precedence(verdict: &Result<Identity, CertificateError>) -> u8 {
    match verdict {
        Err(CertificateError::Revoked { .. }) => 0,
        Ok(_) => 1,
        Err(CertificateError::MissingIntermediate { .. }) => 3,
        Err(CertificateError::OtherRoots { .. }) => 4,
        Err(_) => 2,
    }
}

/// A certificate to judge, and when.
struct Question<'a> {
    certificate: &'a Certificate,
    intermediates: &'a [Certificate],
    at: u64,
}

impl Org {
    fn authorities(&self) -> impl Iterator<Item = &Certificate> {
        self.known.roots.iter().chain(&self.known.intermediates)
    }

    /// Puts a list in force; `Ok(false)` if one at least as new is.
    fn activate(&mut self, list: RevocationList) -> Result<bool, RevocationError> {
        let signer = list
            .signer(self.authorities())
            .ok_or_else(|| RevocationError::UnknownIssuer { issuer: list.issuer().to_owned() })?;
        match self.active_lists.iter_mut().find(|active| active.signer == signer) {
            Some(active) if !list.is_newer_than(&active.list) => return Ok(false),
            Some(active) => active.list = list,
            None => self.active_lists.push(ActiveList { signer, list }),
        }
        self.known.crls = self.active_lists.iter().map(|active| active.list.clone()).collect();
        Ok(true)
    }

    fn verify(&self, question: &Question<'_>) -> Result<Identity, CertificateError> {
        let certificate = question.certificate;
        let chain = self.chain(question)?;
        self.check_revocation(&chain)?;
        let role = certificate
            .role()
            .ok_or_else(|| CertificateError::UnknownRole { ous: certificate.ous().to_vec() })?;
        let root_key = chain.last().map_or(certificate.public_key(), |root| root.public_key());
        Ok(Identity {
            member: MemberId::of(&root_key, &certificate.public_key()),
            org: self.known.id(),
            org_name: self.known.name.clone(),
            role,
            certificate: certificate.clone(),
            valid_until: chain.iter().map(|link| link.not_after()).min().unwrap_or_default(),
        })
    }

    /// The path from the member to a root of this org, both included.
    fn chain<'a>(&'a self, question: &Question<'a>) -> Result<Vec<&'a Certificate>, CertificateError> {
        let shown = question.intermediates.iter().chain(&self.known.intermediates);
        let intermediates: Vec<&Certificate> = shown.filter(|it| it.is_ca()).collect();
        let roots: Vec<&Certificate> =
            self.known.roots.iter().filter(|root| root.check_validity(question.at).is_ok()).collect();
        path::find(question.certificate, &roots, &intermediates, question.at)
            .map_err(|error| self.explain(error, question))
    }

    fn check_revocation(&self, chain: &[&Certificate]) -> Result<(), CertificateError> {
        for (certificate, issuer) in chain.iter().zip(chain.iter().skip(1)) {
            let key = issuer.public_key();
            let revoking = |it: &&ActiveList| it.signer == key && it.list.names(certificate);
            if let Some(active) = self.active_lists.iter().find(revoking) {
                let subject = certificate.subject().to_string();
                return Err(CertificateError::Revoked { subject, list: active.list.number().to_string() });
            }
        }
        Ok(())
    }

    /// Says in our words why there is no path.
    fn explain(&self, error: PathError, question: &Question<'_>) -> CertificateError {
        if let Err(out_of_time) = question.certificate.check_validity(question.at) {
            return out_of_time;
        }
        let subject = question.certificate.subject().to_string();
        match error {
            PathError::UnknownIssuer | PathError::InvalidSignatureForPublicKey => {
                self.explain_break(question)
            }
            PathError::CertExpired { .. } | PathError::CertNotValidYet { .. } => {
                let shown = question.intermediates.iter().chain(&self.known.intermediates);
                let out_of_time = shown.map(|it| it.check_validity(question.at)).find_map(Result::err);
                out_of_time.unwrap_or(CertificateError::Path { subject, reason: error.to_string() })
            }
            PathError::UnsupportedSignatureAlgorithmContext(_)
            | PathError::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                CertificateError::NotEd25519 { subject, algorithm: "of the chain's signatures".to_owned() }
            }
            other => CertificateError::Path { subject, reason: other.to_string() },
        }
    }

    /// Follows the issuers' names up to where the chain breaks.
    fn explain_break(&self, question: &Question<'_>) -> CertificateError {
        let org = question.certificate.org().to_owned();
        let mut link = question.certificate;
        for _ in 0..=INTERMEDIATES_MAX {
            let names_issuer = |it: &&Certificate| it.subject_der() == link.issuer_der();
            let issuer = link.issuer().to_owned();
            if let Some(root) = self.known.roots.iter().find(names_issuer) {
                let expired = root.check_validity(question.at).err();
                return expired.unwrap_or(CertificateError::OtherRoots { org, issuer });
            }
            let shown = question.intermediates.iter().chain(&self.known.intermediates);
            let Some(next) = shown.into_iter().find(names_issuer) else {
                return CertificateError::MissingIntermediate { org, issuer };
            };
            if !next.is_ca() {
                return CertificateError::IssuerNotCa { issuer };
            }
            if next.subject_der() == next.issuer_der() {
                return CertificateError::OtherRoots { org, issuer };
            }
            link = next;
        }
        CertificateError::OtherRoots { org, issuer: link.issuer().to_owned() }
    }
}

/// Why an org is not taken into a roster. The roster is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// No name or no root.
    #[error("org {org:?} needs a name and at least one root certificate")]
    NoRoot {
        /// Its name.
        org: String,
    },
    /// Over [`ORG_CERTIFICATES_MAX`] of a kind.
    #[error("org {org:?} has {found} certificates of a kind, over the limit of {ORG_CERTIFICATES_MAX}")]
    TooManyCertificates {
        /// Its name.
        org: String,
        /// Certificates of the kind it has most of.
        found: usize,
    },
    /// A root or intermediate that may not sign certificates.
    #[error("org {org:?}: {subject} is no CA")]
    NotCa {
        /// Its name.
        org: String,
        /// Whose certificate.
        subject: String,
    },
    /// The same name and roots, twice.
    #[error("org {org:?} is in the roster already, with the same roots")]
    Duplicate {
        /// Its name.
        org: String,
    },
    /// A revocation list that is not this org's.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
}
