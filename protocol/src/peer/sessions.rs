//! Sessions meet the rest: certificates are judged, duplicates end, members become ready or lost, dials go
//! out.

use super::Peer;
use super::identities::Kept;
use super::pending::Admission;
use crate::event::Event;
use crate::job::Job;
use crate::membership;
use crate::offence::Offence;
use crate::output::{CloseReason, Output};
use crate::session::{DialTarget, Phase, Rated, Session};
use crate::time::Now;
use crate::timer::Timer;
use crate::types::{Endpoint, Incarnation, Lane, MemberId, OrgId, SessionId};
use crate::wire::{CertificateChain, Hello, Message, WIRE_VERSION};
use bytes::Bytes;
use ledgercast_crypto::{CertificateError, Digest, Identity, PublicKey, Role};
use std::collections::{BTreeMap, BTreeSet};

impl Peer {
    pub(super) fn handle_opened(
        &mut self,
        now: Now,
        session: SessionId,
        key: PublicKey,
        dialed: Option<Endpoint>,
    ) {
        let is_dialer = dialed.is_some();
        if key == self.own.identity.public_key() {
            if let Some(endpoint) = &dialed {
                self.dialing.is_mine(endpoint);
            }
            self.outbox.push(Output::Close { session, reason: CloseReason::OwnKey });
            return;
        }
        if let Some(endpoint) = &dialed
            && self.dialing.end_check(endpoint)
            && !self.dial_room().take(None)
        {
            self.dialing.only_checked(now.monotonic, endpoint);
            self.outbox.push(Output::Close { session, reason: CloseReason::Checked });
            return;
        }
        let order = match is_dialer {
            true => {
                self.dialed = self.dialed.saturating_add(1);
                (self.incarnation(), self.dialed)
            }
            false => (Incarnation::default(), 0),
        };
        self.sessions.insert(session, key, dialed, order);
        let deadline = now.monotonic.saturating_add(self.config.session.hello_timeout);
        self.outbox.set_timer(Timer::Hello(session), deadline);
        if is_dialer {
            self.send_hello(session);
        }
    }

    fn send_hello(&mut self, session: SessionId) {
        let Some(entry) = self.sessions.session(session) else {
            return;
        };
        let (incarnation, dial) = entry.order;
        let certificate = self.own.chain.clone();
        let hello = Message::Hello(Hello { version: WIRE_VERSION, incarnation, dial, certificate });
        self.send_to_session(session, &hello);
    }

    pub(super) fn send_to_session(&mut self, session: SessionId, message: &Message) {
        self.outbox.push(super::flush::send(session, message.lane(), message));
    }

    pub(super) fn handle_hello_timeout(&mut self, session: SessionId) {
        let is_late = self.sessions.session(session).is_some_and(|entry| entry.identity().is_none());
        if is_late {
            self.close(session, CloseReason::HelloTimeout);
        }
    }

    /// A frame: held while the sender is judged, decoded otherwise.
    pub(super) fn handle_received(&mut self, now: Now, session: SessionId, lane: Lane, frame: Bytes) {
        let held_max = self.config.session.held_frames_max;
        let Some(entry) = self.sessions.session_mut(session) else {
            return;
        };
        if entry.phase == Phase::Judging {
            if entry.held.len() < held_max {
                entry.held.push_back((lane, frame));
            } else {
                self.refuse("frame", "held_frames_full", None);
            }
            return;
        }
        let member = entry.identity().map(|identity| identity.member);
        let message = match Message::decode(frame) {
            Ok(message) => message,
            Err(error) => return self.punish_session(session, Offence::Malformed(error.to_string())),
        };
        if !message.travels_on(lane) {
            return self.punish_session(session, Offence::WrongLane(message.kind()));
        }
        match (member, message) {
            (None, Message::Hello(hello)) => self.on_hello(now, session, hello),
            (None, other) => self.punish_session(session, Offence::OutOfTurn(other.kind())),
            (Some(_), Message::Hello(_)) => self.punish_session(session, Offence::OutOfTurn("hello")),
            (Some(member), message) => match self.rate(now, member, &message) {
                Rated::Taken => self.on_message(now, session, member, message),
                Rated::Dropped(reason) => self.refuse(message.kind(), reason, Some(member)),
                Rated::Persistent(reason) => {
                    self.refuse(message.kind(), reason, Some(member));
                    self.close(session, CloseReason::Flooding);
                }
            },
        }
    }

    fn rate(&mut self, now: Now, from: MemberId, message: &Message) -> Rated {
        let ready = &self.ready;
        let is_ready = |member| ready.contains_key(&member);
        self.rates.judge(now.monotonic, &self.config.session, from, message, is_ready)
    }

    fn on_hello(&mut self, now: Now, session: SessionId, hello: Hello) {
        if hello.version != WIRE_VERSION {
            return self.close(session, CloseReason::VersionUnknown(hello.version));
        }
        let Some(entry) = self.sessions.session_mut(session) else {
            return;
        };
        if hello.certificate.certificate.public_key() != entry.key {
            let reason = "the certificate's key is not the connection's key".to_owned();
            return self.close(session, CloseReason::CertificateRefused(reason));
        }
        if entry.dialed.is_none() {
            entry.order = (hello.incarnation, hello.dial);
        }
        entry.phase = Phase::Judging;
        self.judge_certificate(now, Some(session), hello.certificate);
    }

    fn judge_certificate(&mut self, now: Now, shown_by: Option<SessionId>, chain: CertificateChain) {
        let roster = self.roster.clone();
        let at = now.wall.as_seconds();
        self.outbox.verify(Job::Certificate { shown_by, chain, roster, at });
    }

    /// Certificates that somebody passes on, before statements that mention their members.
    pub(super) fn on_certificates(&mut self, now: Now, from: MemberId, chains: Vec<CertificateChain>) {
        for chain in chains {
            let fingerprint = chain.certificate.fingerprint();
            if self.identities.is_known(fingerprint) {
                continue;
            }
            match self.pending.admit_certificate(from, fingerprint) {
                Admission::Admitted => self.judge_certificate(now, None, chain),
                Admission::Pending => {}
                Admission::Full(reason) => self.refuse("certificate", reason, Some(from)),
            }
        }
    }

    pub(super) fn handle_judged_certificate(
        &mut self,
        now: Now,
        shown_by: Option<SessionId>,
        chain: CertificateChain,
        identity: Result<Identity, CertificateError>,
    ) {
        self.pending.certificate_done(chain.certificate.fingerprint());
        let identity = identity.and_then(|identity| {
            identity.require_role(Role::Peer)?;
            self.recheck_revocation(now, &chain)?;
            Ok(identity)
        });
        match (identity, shown_by) {
            (Ok(identity), shown_by) => self.on_accepted_certificate(now, shown_by, chain, identity),
            (Err(error), Some(session)) => {
                self.refuse("hello", refusal_reason(&error), None);
                self.close(session, CloseReason::CertificateRefused(error.to_string()));
            }
            // Wrong under my roster and clock only: refused and counted, the relay is not to blame.
            (Err(error), None) => {
                self.refuse("certificate", refusal_reason(&error), None);
                self.on_refused_certificate(now, &chain, &error);
            }
        }
    }

    fn on_accepted_certificate(
        &mut self,
        now: Now,
        shown_by: Option<SessionId>,
        chain: CertificateChain,
        identity: Identity,
    ) {
        let member = identity.member;
        if let Some(session) = shown_by
            && self.standings.is_quarantined(member)
        {
            self.refuse("session", "quarantined", Some(member));
            return self.close(session, CloseReason::Quarantined);
        }
        if let Some(session) = shown_by
            && !self.has_room_for(session, member, identity.org)
        {
            self.refuse("session", "sessions_of_org_full", Some(member));
            return self.close(session, CloseReason::OrgQuota);
        }
        let kept = self.keep_certificate(identity.clone(), chain);
        if let Kept::Full(reason) = kept {
            self.refuse("certificate", reason, Some(member));
            // Without its certificate nothing that a session's member says could be judged.
            return shown_by.into_iter().for_each(|session| self.close(session, CloseReason::OrgQuota));
        }
        self.on_kept_certificate(now, &identity, kept);
        if let Some(session) = shown_by {
            self.accept_session(now, session, identity);
        }
        self.resume_waiting(now, member);
    }

    /// Whether an org may have one more inbound session; who we dialed ourselves is always welcome. Judged
    /// before we show our certificate, so that the dialer takes it for a failed dial and backs off.
    fn has_room_for(&self, session: SessionId, member: MemberId, org: OrgId) -> bool {
        let is_inbound = |entry: &Session| entry.dialed.is_none();
        if !self.sessions.session(session).is_some_and(is_inbound) {
            return true;
        }
        let of_org = self.sessions.ready().filter(|(_, entry, it)| it.org == org && is_inbound(entry));
        let quota = self.standings.org_quota(org, self.config.session.sessions_inbound_per_org);
        of_org.filter(|(.., it)| it.member != member).count() < quota
    }

    /// Keeps a certificate. Who has a session or is alive keeps its place, and so do I.
    fn keep_certificate(&mut self, identity: Identity, chain: CertificateChain) -> Kept {
        let (ready, membership) = (&self.ready, &self.membership);
        let is_needed = |member| ready.contains_key(&member) || membership.is_alive(member);
        self.identities.insert(identity, chain, is_needed)
    }

    /// The session's certificate is right: bind it to its member, end a duplicate, say what we share.
    fn accept_session(&mut self, now: Now, session: SessionId, identity: Identity) {
        let member = identity.member;
        let Some(entry) = self.sessions.session_mut(session) else {
            return;
        };
        let is_dialed = entry.dialed.is_some();
        let dialed = entry.dialed.clone();
        entry.phase = Phase::Ready(identity.clone());
        let held = std::mem::take(&mut entry.held);
        if let Some(endpoint) = dialed {
            self.dialing.answered(now.monotonic, &endpoint, member);
            self.refused_endpoints.remove(&endpoint);
        }
        if !is_dialed {
            self.send_hello(session);
        }
        if !self.keep_one_session(session, member, is_dialed) {
            return;
        }
        self.outbox.event(Event::SessionReady { session, member, org: identity.org, is_dialed });
        self.ready.insert(member, identity.org);
        self.tell_channels(session);
        self.tell_revocations(session);
        // Also when it takes the place of another one: what was said there may be lost.
        self.with_membership(now, membership::Input::SessionReady(member));
        for (lane, frame) in held {
            self.handle_received(now, session, lane, frame);
        }
        self.refresh_neighbours(now);
    }

    /// Keeps one session a member; both sides choose alike: the one whose dialer has the smaller id, of two
    /// of one dialer the one that it dialed later. Says whether `session` stays.
    fn keep_one_session(&mut self, session: SessionId, member: MemberId, is_dialed: bool) -> bool {
        let Some(other) = self.sessions.of_member(member).filter(|other| *other != session) else {
            self.sessions.bind(member, session);
            return true;
        };
        let order_of = |id| self.sessions.session(id).map(|entry| entry.order);
        let is_other_dialed = self.sessions.session(other).is_some_and(|entry| entry.dialed.is_some());
        let stays = match is_dialed == is_other_dialed {
            true => order_of(session) >= order_of(other),
            false => is_dialed == (self.member() < member),
        };
        let loser = if stays {
            self.sessions.bind(member, session);
            other
        } else {
            session
        };
        self.close(loser, CloseReason::Duplicate);
        stays
    }

    pub(super) fn handle_closed(&mut self, now: Now, session: SessionId) {
        let Some((entry, lost)) = self.sessions.remove(session) else {
            return;
        };
        let member = entry.identity().map(|identity| identity.member);
        self.outbox.event(Event::SessionClosed { session, member, reason: None });
        self.handle_lost(now, lost);
        // Whether its process ended is to be known at once, also when there is no room for a session.
        lost.into_iter().for_each(|member| self.check(now, member));
        if let (Some(endpoint), None) = (&entry.dialed, member) {
            // It was closed before a certificate was accepted: as good as a failed dial.
            self.dialing.failed(now.monotonic, endpoint);
        }
        self.outbox.set_timer(Timer::Dial, now.monotonic);
    }

    fn handle_lost(&mut self, now: Now, lost: Option<MemberId>) {
        if let Some(member) = lost {
            self.ready.remove(&member);
            self.pending.forget(member);
            self.revocation_budget.forget(member);
            self.certificate_budget.forget(member);
            self.with_membership(now, membership::Input::SessionLost(member));
            self.refresh_neighbours(now);
        }
    }

    /// Ends a session from our side; the table forgets it at once, so nothing more is sent or taken.
    pub(super) fn close(&mut self, session: SessionId, reason: CloseReason) {
        self.outbox.push(Output::Close { session, reason: reason.clone() });
        self.closing.push((session, reason));
    }

    /// Carries out the table's part of [`Peer::close`], once the step that wanted it is through.
    pub(super) fn forget_closed(&mut self, now: Now) {
        while let Some((session, reason)) = self.closing.pop() {
            if let Some((entry, lost)) = self.sessions.remove(session) {
                let member = entry.identity().map(|identity| identity.member);
                self.outbox.event(Event::SessionClosed { session, member, reason: Some(reason) });
                if let (Some(endpoint), None) = (&entry.dialed, member) {
                    self.dialing.failed(now.monotonic, endpoint);
                }
                self.handle_lost(now, lost);
            }
        }
    }

    /// An offence on a session: it ends, and its member, if known, is reported.
    pub(super) fn punish_session(&mut self, session: SessionId, offence: Offence) {
        let member = self.sessions.session(session).and_then(|entry| entry.identity()).map(|it| it.member);
        match member {
            Some(member) => self.outbox.offence(member, offence),
            None => self.close(session, CloseReason::Offence(offence.to_string())),
        }
    }

    pub(super) fn handle_dial_failed(&mut self, now: Now, endpoint: &Endpoint, is_refused: bool) {
        self.dialing.failed(now.monotonic, endpoint);
        if is_refused {
            self.refused_endpoints.insert(endpoint.clone());
            self.report_refused_members(now, endpoint);
        } else {
            self.refused_endpoints.remove(endpoint);
        }
        let look = self.dialing.next_look(now.monotonic);
        self.outbox.set_timer(Timer::Dial, look);
    }

    /// Dials a member without session to see whether somebody listens there, without need of room for one.
    pub(super) fn check(&mut self, now: Now, member: MemberId) {
        let endpoint = self.membership.endpoint_of(member).filter(|_| !self.ready.contains_key(&member));
        let is_avoided = self.is_stopping || self.standings.is_quarantined(member);
        let Some(endpoint) = endpoint.filter(|_| !is_avoided) else {
            return;
        };
        if self.dialing.check(now.monotonic, &endpoint) {
            let expect = self.identities.identity(member).map(Identity::public_key);
            self.outbox.push(Output::Dial { endpoint, expect });
        }
    }

    /// Who has no session and listens nowhere, says the operating system, is asked for at once.
    fn report_refused_members(&mut self, now: Now, endpoint: &Endpoint) {
        let targets = self.membership.candidates_to_dial(now);
        let refused: BTreeSet<MemberId> = targets
            .iter()
            .filter(|(member, at)| at == endpoint && !self.ready.contains_key(member))
            .map(|(member, _)| *member)
            .filter(|member| {
                let mut endpoints = targets.iter().filter(|(other, _)| other == member);
                endpoints.all(|(_, at)| self.refused_endpoints.contains(at))
            })
            .collect();
        for member in refused {
            self.with_membership(now, membership::Input::EndpointsRefused(member));
        }
    }

    pub(super) fn handle_dial(&mut self, now: Now) {
        if self.is_stopping {
            return;
        }
        let wanted = self.dial_targets(now);
        let mut room = self.dial_room();
        let (ready, standings, me) = (&self.ready, &self.standings, self.own.identity.member);
        // Nobody to dial: who is connected, and who is in quarantine.
        let has_session = |member| ready.contains_key(&member) || standings.is_quarantined(member);
        let dials_me = |member| member < me;
        let due = self.dialing.due(now.monotonic, &wanted, has_session, dials_me, |it| room.take(it.org));
        for target in due {
            let expect = target.member.and_then(|member| self.identities.identity(member));
            let expect = expect.map(Identity::public_key);
            self.outbox.push(Output::Dial { endpoint: target.endpoint, expect });
        }
        self.refused_endpoints.retain(|endpoint| wanted.iter().any(|target| target.endpoint == *endpoint));
        self.outbox.set_timer(Timer::Dial, self.dialing.next_look(now.monotonic));
    }

    /// Places for sessions that I dial: up to the wanted number in all, and a fair share of it for each org
    /// even when sessions of another one have used that up. An org that shares no channel with me any more
    /// takes none: its sessions may live on for what it may still ask.
    fn dial_room(&self) -> DialRoom {
        let wanted = self.config.session.sessions_wanted_max;
        let (mine, shared) = (self.org(), &self.shared_orgs);
        let share = wanted / shared.iter().chain([&mine]).collect::<BTreeSet<_>>().len();
        let mut of_org: BTreeMap<OrgId, usize> = BTreeMap::new();
        let mut of_others = 0;
        for org in self.ready.values() {
            match *org == mine || shared.contains(org) {
                true => *of_org.entry(*org).or_default() += 1,
                false => of_others += 1,
            }
        }
        let held = self.sessions.len().saturating_sub(of_others);
        DialRoom { left: wanted.saturating_sub(held), share, of_org }
    }

    /// Bootstrap peers, anchors of the orgs, then members; each endpoint once.
    fn dial_targets(&self, now: Now) -> Vec<DialTarget> {
        let mine = [Some(&self.config.internal_endpoint), self.config.external_endpoint.as_ref()];
        let read = self.channels.iter().filter(|(channel, _)| self.removed_at(**channel).is_none());
        let anchors = read.flat_map(|(_, joined)| {
            let readers = joined.config().orgs().iter().filter(|org| org.is_reader);
            readers.flat_map(|org| org.anchors.iter().map(|anchor| (org.id, anchor.clone())))
        });
        let bootstrap = self.config.bootstrap.iter().map(|endpoint| (self.org(), endpoint.clone()));
        let fixed = bootstrap.chain(anchors).map(|(org, endpoint)| {
            let claimant = self.membership.member_at(&endpoint);
            let claimed_by = claimant.filter(|claimant| !self.standings.is_quarantined(*claimant));
            DialTarget { endpoint, org: Some(org), member: None, claimed_by }
        });
        let members = self.in_dial_order(self.membership.candidates_to_dial(now)).into_iter();
        let members = members.map(|(member, endpoint)| {
            let org = self.identities.identity(member).map(|identity| identity.org);
            DialTarget { endpoint, org, member: Some(member), claimed_by: None }
        });
        // Members of others may still be named, by who does not know yet that nothing is shared any more.
        let is_shared = |org: OrgId| org == self.org() || self.shared_orgs.contains(&org);
        let members = members.filter(|target| target.org.is_none_or(is_shared));
        let mut seen = BTreeSet::new();
        // Fixed ones first: whoever claims such an endpoint, a dial that expects its key must not take the
        // place of the one that takes whoever answers.
        fixed
            .chain(members)
            .filter(|target| !mine.contains(&Some(&target.endpoint)) && seen.insert(target.endpoint.clone()))
            .collect()
    }
}

impl Peer {
    /// One of each org in turn, in an order that is another one at each peer: so that a view larger than my
    /// number of sessions is kept in a part that no one else chooses alike, with all orgs in it.
    fn in_dial_order(&self, members: Vec<(MemberId, Endpoint)>) -> Vec<(MemberId, Endpoint)> {
        if members.len() <= self.config.session.sessions_wanted_max {
            return members;
        }
        let me = self.member();
        let rank = |member: MemberId| Digest::of_parts(&[me.as_bytes(), member.as_bytes()]);
        let mut ranked: Vec<(Digest, MemberId, Endpoint)> =
            members.into_iter().map(|(member, endpoint)| (rank(member), member, endpoint)).collect();
        ranked.sort_unstable_by_key(|(rank, ..)| *rank);
        let mut of_org: BTreeMap<Option<OrgId>, usize> = BTreeMap::new();
        let mut in_turn: Vec<(usize, MemberId, Endpoint)> = ranked
            .into_iter()
            .map(|(_, member, endpoint)| {
                let org = self.identities.identity(member).map(|identity| identity.org);
                let turn = of_org.entry(org).or_default();
                *turn += 1;
                (*turn, member, endpoint)
            })
            .collect();
        in_turn.sort_by_key(|(turn, ..)| *turn);
        in_turn.into_iter().map(|(_, member, endpoint)| (member, endpoint)).collect()
    }
}

/// See [`Peer::dial_room`].
struct DialRoom {
    left: usize,
    share: usize,
    of_org: BTreeMap<OrgId, usize>,
}

impl DialRoom {
    /// Takes a place for a session with a member of this org, if it is known; `false`: there is none.
    fn take(&mut self, org: Option<OrgId>) -> bool {
        let of_org = org.map(|org| self.of_org.entry(org).or_default());
        let is_below_share = of_org.as_ref().is_some_and(|count| **count < self.share);
        let has_room = self.left > 0 || is_below_share;
        if has_room {
            self.left = self.left.saturating_sub(1);
            of_org.into_iter().for_each(|count| *count += 1);
        }
        has_room
    }
}

fn refusal_reason(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired { .. } => "expired",
        CertificateError::NotYetValid { .. } => "not_yet_valid",
        CertificateError::Revoked { .. } => "revoked",
        CertificateError::UnknownOrg { .. } => "unknown_org",
        CertificateError::WrongCa { .. } | CertificateError::OtherRoots { .. } => "wrong_ca",
        CertificateError::MissingIntermediate { .. } => "missing_intermediate",
        CertificateError::WrongRole { .. } => "wrong_role",
        _ => "certificate_refused",
    }
}
