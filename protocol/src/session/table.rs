//! The table of open sessions, by number and by member.

use crate::types::{ChannelId, Endpoint, Incarnation, Lane, MemberId, SessionId};
use bytes::Bytes;
use ledgercast_crypto::{Identity, PublicKey};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How far a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The other side's certificate has not come.
    AwaitingHello,
    /// It is being judged.
    Judging,
    /// It was accepted.
    Ready(Identity),
}

/// One open session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The key that the transport has proven.
    pub key: PublicKey,
    /// The endpoint that we dialed, if we did.
    pub dialed: Option<Endpoint>,
    /// Orders the sessions of one dialer: the life of its process, and which dial of that life this was.
    /// Known to the listener once the dialer's hello has come.
    pub order: (Incarnation, u64),
    /// How far it is.
    pub phase: Phase,
    /// Frames that came while the certificate is judged.
    pub held: VecDeque<(Lane, Bytes)>,
    /// Channels that the other side has named.
    pub named: BTreeSet<ChannelId>,
    /// Channels that we have named.
    pub told: Option<BTreeSet<ChannelId>>,
    /// Members whose certificates were renewed since: the other side holds the old one and would not ask.
    pub certificates_owed: BTreeSet<MemberId>,
}

/// All open sessions.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    by_id: BTreeMap<SessionId, Session>,
    by_member: BTreeMap<MemberId, SessionId>,
}

impl Session {
    /// The accepted identity.
    pub fn identity(&self) -> Option<&Identity> {
        match &self.phase {
            Phase::Ready(identity) => Some(identity),
            _ => None,
        }
    }
}

impl Sessions {
    /// Adds a fresh session.
    pub fn insert(
        &mut self,
        id: SessionId,
        key: PublicKey,
        dialed: Option<Endpoint>,
        order: (Incarnation, u64),
    ) {
        let session = Session {
            key,
            dialed,
            order,
            phase: Phase::AwaitingHello,
            held: VecDeque::new(),
            named: BTreeSet::new(),
            told: None,
            certificates_owed: BTreeSet::new(),
        };
        self.by_id.insert(id, session);
    }

    /// One session.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(&id)
    }

    /// One session, to change it.
    pub fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(&id)
    }

    /// The session that is used for a member.
    pub fn of_member(&self, member: MemberId) -> Option<SessionId> {
        self.by_member.get(&member).copied()
    }

    /// Uses this session for its member from now on; returns the one used before.
    pub fn bind(&mut self, member: MemberId, id: SessionId) -> Option<SessionId> {
        self.by_member.insert(member, id)
    }

    /// Removes a session; the member whose session it was when that leaves the member without.
    pub fn remove(&mut self, id: SessionId) -> Option<(Session, Option<MemberId>)> {
        let session = self.by_id.remove(&id)?;
        let member = session.identity().map(|identity| identity.member);
        let lost = member.filter(|member| self.by_member.get(member) == Some(&id));
        if let Some(member) = lost {
            self.by_member.remove(&member);
        }
        Some((session, lost))
    }

    /// A member has another certificate: it is what its session shows, and what others are owed.
    pub fn renew(&mut self, identity: &Identity) {
        for session in self.by_id.values_mut() {
            session.certificates_owed.insert(identity.member);
            if session.identity().is_some_and(|shown| shown.member == identity.member) {
                session.phase = Phase::Ready(identity.clone());
            }
        }
    }

    /// The sessions in use, one a member, by member.
    pub fn ready(&self) -> impl Iterator<Item = (SessionId, &Session, &Identity)> {
        self.by_member.values().filter_map(|id| {
            let session = self.by_id.get(id)?;
            Some((*id, session, session.identity()?))
        })
    }

    /// All sessions, by number.
    pub fn all(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.by_id.iter().map(|(id, session)| (*id, session))
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}
