//! Certificates while their members live: expiry, revocation and renewal act on sessions and on the view.
//!
//! A revocation list is judged like any statement of others: by its CA's signature, under my roster. It
//! spreads by marks (which CA, which number): who has less asks. It is told to whom its org's members may
//! be named to. Nothing here is an offence: what is wrong by my lists and my clock may be right elsewhere.

use super::Peer;
use super::identities::Kept;
use super::pending::Admission;
use super::revocations::{self, authority_id, lists_for};
use crate::event::{Event, EvictionReason};
use crate::job::Job;
use crate::membership::{self, Disclosure};
use crate::output::{CloseReason, Output};
use crate::store::MetaKey;
use crate::time::Now;
use crate::timer::Timer;
use crate::types::{MemberId, OrgId, SessionId};
use crate::wire::{CertificateChain, Message, REVOCATION_MARKS_MAX, RevocationMark};
use ledgercast_crypto::{
    CertificateError, Digest, Identity, ListOwner, RevocationError, RevocationList, Roster,
};
use std::sync::Arc;
use std::time::Duration;

impl Peer {
    /// Looks whose certificate has expired, and tells everybody which revocation lists I have.
    pub(super) fn handle_certificates_due(&mut self, now: Now) {
        let at = now.wall.as_seconds();
        for member in self.identities.expired(at, self.member()) {
            self.expel(now, member, EvictionReason::Expired, "its certificate has expired");
        }
        self.judge_own_validity(at);
        let sessions: Vec<SessionId> = self.sessions.ready().map(|(session, ..)| session).collect();
        sessions.into_iter().for_each(|session| self.tell_revocations(session));
        self.schedule_certificates(now);
    }

    /// Sets the timer for the next expiry; at the latest after the regular interval.
    pub(super) fn schedule_certificates(&mut self, now: Now) {
        let regular = self.config.session.certificate_check_interval;
        let others = self.identities.next_expiry(self.member());
        let own = Some(self.own.identity.valid_until).filter(|_| !self.is_own_refused);
        let next = others.into_iter().chain(own).min().unwrap_or(u64::MAX);
        // Valid through the whole of its last second.
        let expiry = next.saturating_add(1).saturating_mul(1000);
        let wait = Duration::from_millis(expiry.saturating_sub(now.wall.as_millis())).min(regular);
        self.outbox.set_timer(Timer::Certificates, now.monotonic.saturating_add(wait));
    }

    fn judge_own_validity(&mut self, at: u64) {
        if at > self.own.identity.valid_until && !self.is_own_refused {
            let subject = self.own.identity.certificate.subject().to_string();
            let not_after = self.own.identity.valid_until;
            self.refuse_own(CertificateError::Expired { subject, not_after, at });
        }
    }

    fn refuse_own(&mut self, error: CertificateError) {
        self.is_own_refused = true;
        self.outbox.event(Event::OwnCertificateRefused { error });
    }

    /// Ends what a member has here: its certificate no longer holds.
    fn expel(&mut self, now: Now, member: MemberId, reason: EvictionReason, why: &str) {
        self.identities.remove(member);
        if let Some(session) = self.sessions.of_member(member) {
            self.close(session, CloseReason::CertificateRefused(why.to_owned()));
        }
        self.with_membership(now, membership::Input::Expelled(member, reason));
    }

    /// A certificate that is held, or was relayed, is refused: if it is the one that its member has here, the
    /// member goes.
    pub(super) fn on_refused_certificate(
        &mut self,
        now: Now,
        chain: &CertificateChain,
        error: &CertificateError,
    ) {
        let Some(member) = self.identities.member_of(chain.certificate.fingerprint()) else {
            return;
        };
        if member == self.member() {
            return self.refuse_own(error.clone());
        }
        let reason = match error {
            CertificateError::Expired { .. } => EvictionReason::Expired,
            _ => EvictionReason::Revoked,
        };
        self.expel(now, member, reason, &error.to_string());
    }

    /// A list that came into force while a certificate was being judged counts for that certificate, too.
    pub(super) fn recheck_revocation(
        &self,
        now: Now,
        chain: &CertificateChain,
    ) -> Result<(), CertificateError> {
        match self.roster.may_be_revoked(&chain.certificate, &chain.intermediates) {
            false => Ok(()),
            true => {
                let at = now.wall.as_seconds();
                self.roster.verify(&chain.certificate, &chain.intermediates, at).map(drop)
            }
        }
    }

    /// A certificate was kept: sessions and the timer follow it.
    pub(super) fn on_kept_certificate(&mut self, now: Now, identity: &Identity, kept: Kept) {
        let horizon = now.wall.saturating_add(self.config.session.certificate_check_interval);
        if identity.valid_until < horizon.as_seconds() {
            self.schedule_certificates(now);
        }
        if kept == Kept::Renewed {
            let (member, valid_until) = (identity.member, identity.valid_until);
            self.sessions.renew(identity);
            self.outbox.event(Event::CertificateRenewed { member, valid_until });
        }
    }

    /// My own certificate was renewed: shown to everybody at once, and with every later alive.
    pub(super) fn renew(&mut self, now: Now, identity: Identity, chain: CertificateChain) {
        if identity.member != self.member() || identity.org != self.org() {
            return self.refuse("renewal", "other_member", None);
        }
        let (member, valid_until) = (identity.member, identity.valid_until);
        self.identities.remove(member);
        self.identities.insert(identity.clone(), chain.clone(), |_| true);
        self.sessions.renew(&identity);
        (self.own.identity, self.own.chain) = (identity, chain.clone());
        self.is_own_refused = false;
        self.outbox.event(Event::CertificateRenewed { member, valid_until });
        let message = Message::Certificates(vec![chain]);
        let sessions: Vec<SessionId> = self.sessions.ready().map(|(session, ..)| session).collect();
        for session in sessions {
            self.send_to_session(session, &message);
            self.sessions.session_mut(session).map(|entry| entry.certificates_owed.remove(&member));
        }
        // Who refused the old one is to hear of the new one now.
        self.dialing.forgive(now.monotonic);
        self.schedule_certificates(now);
        self.handle_dial(now);
    }

    /// Whether an org may hear of another org's revocations: of whose members it may hear.
    fn may_tell_revocations(&self, of: OrgId, to: OrgId) -> bool {
        Disclosure::new(self.org(), &self.shared_orgs).may_tell(of, true, to)
    }

    /// Tells one session the marks of all lists that it may know of; nothing if there are none.
    pub(super) fn tell_revocations(&mut self, session: SessionId) {
        let Some(to) = self.sessions.session(session).and_then(|it| it.identity()).map(|it| it.org) else {
            return;
        };
        let lists = lists_for(&self.roster, |of| self.may_tell_revocations(of, to));
        let mut marks = revocations::marks(lists);
        marks.truncate(REVOCATION_MARKS_MAX);
        if !marks.is_empty() {
            self.send_to_session(session, &Message::RevocationDigest(marks));
        }
    }

    pub(super) fn on_revocation_digest(&mut self, from: MemberId, theirs: &[RevocationMark]) {
        let wanted = revocations::wanted(&self.roster, theirs);
        if !wanted.is_empty() {
            self.outbox.send(from, Message::WantRevocations(wanted));
        }
    }

    pub(super) fn on_want_revocations(&mut self, now: Now, from: MemberId, wanted: &[Digest]) {
        let Some(to) = self.ready.get(&from).copied() else {
            return;
        };
        let roster = Arc::clone(&self.roster);
        let lists = lists_for(&roster, |of| self.may_tell_revocations(of, to));
        for list in wanted.iter().filter_map(|authority| lists.get(authority)) {
            let kib = u32::try_from(list.der().len() / 1024 + 1).unwrap_or(u32::MAX);
            if !self.revocation_budget.spend(now.monotonic, from, kib) {
                return self.refuse("want_revocations", "budget_spent", Some(from));
            }
            self.outbox.send(from, Message::Revocations(vec![(*list).clone()]));
        }
    }

    pub(super) fn on_revocations(&mut self, from: MemberId, lists: Vec<RevocationList>) {
        for list in lists {
            self.judge_list(Some(from), list);
        }
    }

    /// Has a list's signature checked, unless it is in force already.
    pub(super) fn judge_list(&mut self, from: Option<MemberId>, list: RevocationList) {
        let fingerprint = list.fingerprint();
        if self.roster.lists().any(|(.., known)| *known == list) {
            return self.refuse("revocations", "known", from);
        }
        match self.pending.admit_certificate(from.unwrap_or(self.member()), fingerprint) {
            Admission::Admitted => {
                let roster = Arc::clone(&self.roster);
                self.outbox.verify(Job::Revocation { from, list, roster });
            }
            Admission::Pending => {}
            Admission::Full(reason) => self.refuse("revocations", reason, from),
        }
    }

    pub(super) fn handle_judged_list(
        &mut self,
        now: Now,
        from: Option<MemberId>,
        list: RevocationList,
        owner: Result<ListOwner, RevocationError>,
    ) {
        self.pending.certificate_done(list.fingerprint());
        let Ok(owner) = owner else {
            // No CA that I know signed it: it may be one that others know.
            return self.refuse("revocations", "unknown_issuer", from);
        };
        let mut roster = Roster::clone(&self.roster);
        if !roster.revoke(&list).is_ok_and(|is_news| is_news) {
            return self.refuse("revocations", "stale", from);
        }
        let authority = authority_id(&owner.signer);
        if !self.revocations.keep(authority, list.clone()) {
            return self.refuse("revocations", "revocations_full", from);
        }
        self.roster = Arc::new(roster);
        self.outbox.push(Output::Save { key: MetaKey::Revocations, value: self.revocations.to_saved() });
        let (issuer, number) = (list.issuer().to_owned(), list.number().clone());
        self.outbox.event(Event::RevocationListTaken { issuer, number, revoked: list.revoked_count() });
        self.judge_again(now);
        self.announce_list(authority, &list, &owner.orgs, from);
    }

    /// Judges again every certificate that a list may name: those held, and mine.
    fn judge_again(&mut self, now: Now) {
        let at = now.wall.as_seconds();
        for chain in self.identities.chains() {
            if self.roster.may_be_revoked(&chain.certificate, &chain.intermediates) {
                let (chain, roster) = (chain.clone(), Arc::clone(&self.roster));
                self.outbox.verify(Job::Certificate { shown_by: None, chain, roster, at });
            }
        }
    }

    fn announce_list(
        &mut self,
        authority: Digest,
        list: &RevocationList,
        orgs: &[OrgId],
        from: Option<MemberId>,
    ) {
        let message = Message::RevocationDigest(revocations::marks([(authority, list)]));
        let receivers: Vec<MemberId> = self
            .ready
            .iter()
            .filter(|(member, _)| Some(**member) != from)
            .filter(|(_, to)| orgs.iter().any(|of| self.may_tell_revocations(*of, **to)))
            .map(|(member, _)| *member)
            .collect();
        receivers.into_iter().for_each(|member| self.outbox.send(member, message.clone()));
    }
}
