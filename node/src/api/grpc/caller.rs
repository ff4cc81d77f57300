//! Who calls, and what they may do: read off the TLS certificate, judged under each channel's own TLS roots.
//!
//! Two channels may give one org different TLS roots, so a certificate is never judged under the roots of all
//! channels together. What a caller may do is worked out for all channels at once and looked up afterwards: a
//! miss is a miss, and takes as long for a channel that is not held as for one that is forbidden.

use super::channel_table::{ChannelTable, Reference};
use super::directory::ChannelDirectory;
use super::status::unknown_channel;
use ledgercast_crypto::{CertificateError, Role, Roster, TlsIdentity};
use ledgercast_protocol::channel::{Access as Right, ChannelConfig};
use ledgercast_protocol::types::{BlockNumber, ChannelId, OrgId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_rustls::rustls::crypto::WebPkiSupportedAlgorithms;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tonic::{Request, Status};

/// A connection's rights are judged anew after this time, so that certificates expire on live connections
/// too. Guess.
const STANDING_AGE_MAX: Duration = Duration::from_secs(60);

/// Whose clients a node serves blocks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Clients and admins of the node's own org: a peer.
    OwnOrg,
    /// Everybody of the orgs that the channel's config names as readers, and other orderers: an orderer.
    ReaderOrgs,
}

/// By what callers are judged.
pub(super) struct Access {
    pub(super) directory: Arc<dyn ChannelDirectory>,
    /// The node's own org, from its own folder.
    pub(super) own: Roster,
    pub(super) audience: Audience,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

/// The caller behind one connection.
#[derive(Clone)]
pub(super) struct Caller(Arc<Connection>);

struct Connection {
    chain: Vec<CertificateDer<'static>>,
    remote: SocketAddr,
    access: Arc<Access>,
    standing: Mutex<Arc<Standing>>,
}

/// What a certificate gives the right to, at one moment.
pub(super) struct Standing {
    judged_at: Instant,
    table: Arc<ChannelTable>,
    identity: Option<TlsIdentity>,
    is_admin: bool,
    readable: BTreeMap<ChannelId, Right>,
    writable: BTreeSet<ChannelId>,
}

/// A certificate that some org's roots accept.
pub(super) struct Recognised {
    identity: TlsIdentity,
    /// By the node's own org's roots, from its own folder; not by those that a channel gives this org.
    is_own: bool,
}

impl Access {
    /// The first org, mine or a channel's, under which this chain is right.
    ///
    /// # Errors
    /// The verdict of the roster that knows the org, or of my own.
    pub(super) fn recognise(&self, chain: &[&[u8]], at: u64) -> Result<Recognised, CertificateError> {
        let verify = |roster: &Roster| roster.verify_tls(chain, at, self.algorithms.all);
        let mut verdict = match verify(&self.own) {
            Ok(identity) => return Ok(Recognised { identity, is_own: true }),
            Err(error) => error,
        };
        let table = self.directory.channels();
        // Who was removed may still have older blocks.
        let configs = table.histories().flat_map(|(_, _, history)| history.past().chain([history.current()]));
        for config in configs {
            match verify(config.roster()) {
                Ok(identity) => return Ok(Recognised { identity, is_own: false }),
                Err(error) if matches!(verdict, CertificateError::UnknownOrg { .. }) => verdict = error,
                Err(_) => {}
            }
        }
        Err(verdict)
    }
}

impl Caller {
    pub(super) fn new(access: &Arc<Access>, chain: Vec<CertificateDer<'static>>, remote: SocketAddr) -> Self {
        let standing = Mutex::new(Arc::new(Standing::judge(access, &chain)));
        Self(Arc::new(Connection { chain, remote, access: Arc::clone(access), standing }))
    }

    /// The caller that the connection of a request belongs to.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` without one; the accepting side sets it on every connection.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = request.extensions().get::<Self>().cloned();
        caller.ok_or_else(|| Status::unauthenticated("no TLS client certificate was shown"))
    }

    /// What the caller may do now.
    pub(super) fn standing(&self) -> Arc<Standing> {
        let connection = &self.0;
        let table = connection.access.directory.channels();
        // A panic of another thread leaves a whole standing: it is replaced, never changed.
        let mut standing = connection.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh =
            Arc::ptr_eq(&standing.table, &table) && standing.judged_at.elapsed() < STANDING_AGE_MAX;
        if !is_fresh {
            *standing = Arc::new(Standing::judge(&connection.access, &connection.chain));
        }
        Arc::clone(&standing)
    }

    /// The org that the caller's calls are counted under.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the certificate is accepted no more, by time or because its channels were left.
    pub(super) fn org(&self) -> Result<OrgId, Status> {
        let standing = self.standing();
        standing.identity.as_ref().map(|identity| identity.org).ok_or_else(refused_now)
    }
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.standing().identity {
            Some(who) => {
                write!(f, "{} {} of {} at {}", who.role, who.common_name, who.org_name, self.0.remote)
            }
            None => write!(f, "somebody at {}", self.0.remote),
        }
    }
}

impl Standing {
    fn judge(access: &Access, chain: &[CertificateDer<'static>]) -> Self {
        let chain: Vec<&[u8]> = chain.iter().map(|certificate| certificate.as_ref()).collect();
        let at = UnixTime::now().as_secs();
        let mut standing = Self {
            judged_at: Instant::now(),
            table: access.directory.channels(),
            identity: None,
            is_admin: false,
            readable: BTreeMap::new(),
            writable: BTreeSet::new(),
        };
        if let Ok(Recognised { identity, is_own }) = access.recognise(&chain, at) {
            standing.is_admin = is_own && identity.role == Role::Admin;
            match access.audience {
                Audience::OwnOrg if is_own => standing.judge_own_org(&identity),
                Audience::OwnOrg => {}
                Audience::ReaderOrgs => {
                    if is_own {
                        standing.judge_own_orderer(&identity);
                    }
                    standing.judge_channels(&identity.org_name, |roster| {
                        roster.verify_tls(&chain, at, access.algorithms.all).ok()
                    });
                }
            }
            standing.identity = Some(identity);
        }
        standing
    }

    fn judge_own_org(&mut self, identity: &TlsIdentity) {
        if matches!(identity.role, Role::Client | Role::Admin) {
            let rights = self.table.histories().map(|(channel, _, history)| {
                (
                    channel,
                    history.access(|config| config.may_read(identity.org, identity.role, &identity.units)),
                )
            });
            self.readable = rights.filter(|(_, right)| *right != Right::Nothing).collect();
        }
    }

    fn judge_channels(&mut self, org_name: &str, verify: impl Fn(&Roster) -> Option<TlsIdentity>) {
        // Channels that give the org the same roots get the same verdict: one path is built, not one a
        // channel.
        let mut verdicts = BTreeMap::new();
        let table = Arc::clone(&self.table);
        for (channel, _, history) in table.histories() {
            for config in history.past().chain([history.current()]) {
                if let Some(org) = config.orgs().iter().find(|org| org.name == org_name) {
                    let verdict = || verify(config.roster());
                    verdicts.entry((org.id, org.tls_roots.as_slice())).or_insert_with(verdict);
                }
            }
            let identity = |config: &ChannelConfig| {
                let org = config.orgs().iter().find(|org| org.name == org_name)?;
                let verdict =
                    verdicts.iter().find(|((id, roots), _)| *id == org.id && *roots == org.tls_roots);
                verdict.and_then(|(_, identity)| identity.clone()).filter(|it| it.org == org.id)
            };
            let right = history.access(|config| {
                identity(config).is_some_and(|it| config.may_read(it.org, it.role, &it.units))
            });
            if right != Right::Nothing {
                self.readable.insert(channel, right);
            }
            if identity(history.current()).is_some_and(|identity| may_submit(history.current(), &identity)) {
                self.writable.insert(channel);
            }
            self.admit_orderer(channel, history.current(), identity(history.current()).as_ref());
        }
    }

    /// Orderers of my own org, which a config need not name as a reader.
    fn judge_own_orderer(&mut self, identity: &TlsIdentity) {
        let table = Arc::clone(&self.table);
        for (channel, _, config) in table.iter() {
            self.admit_orderer(channel, config, Some(identity));
        }
    }

    /// Orderers of an org that runs some for this channel read it and pass envelopes on; whose envelopes they
    /// are is judged apart.
    fn admit_orderer(&mut self, channel: ChannelId, config: &ChannelConfig, identity: Option<&TlsIdentity>) {
        let Some(identity) = identity.filter(|it| it.role == Role::Orderer) else { return };
        if config.sources().iter().any(|source| source.org == identity.org_name) {
            self.readable.insert(channel, Right::Everything);
            self.writable.insert(channel);
        }
    }

    /// # Errors
    /// `PERMISSION_DENIED` for everybody but admins of the node's own org.
    pub(super) fn require_admin(&self) -> Result<(), Status> {
        match self.is_admin {
            true => Ok(()),
            false => Err(Status::permission_denied("only admins of this node's own org may do this")),
        }
    }

    /// # Errors
    /// The one `NOT_FOUND` for channels that are not held and those that the caller may not read.
    pub(super) fn readable(&self, reference: &Reference) -> Result<ChannelId, Status> {
        let channel = self.table.find(reference).filter(|channel| self.readable.contains_key(channel));
        channel.ok_or_else(unknown_channel)
    }

    pub(super) fn may_read(&self, channel: ChannelId, number: BlockNumber) -> bool {
        self.readable.get(&channel).is_some_and(|right| right.includes(number))
    }

    pub(super) fn may_write(&self, channel: ChannelId) -> bool {
        self.writable.contains(&channel)
    }
}

/// Envelopes of clients and admins of writer orgs; config updates of admins of any org.
fn may_submit(config: &ChannelConfig, identity: &TlsIdentity) -> bool {
    match identity.role {
        Role::Admin => config.org(identity.org).is_some(),
        Role::Client => config.may_submit(identity.org, &identity.units),
        Role::Peer | Role::Orderer => false,
    }
}

fn refused_now() -> Status {
    Status::unauthenticated("the TLS client certificate is not accepted any more")
}
