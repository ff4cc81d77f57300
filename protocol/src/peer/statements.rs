//! Statements meet their modules: screened, verified, screened again, handed over.
//!
//! A statement whose member's certificate is still unknown waits; the sender is asked for the certificate.

use super::Peer;
use super::flush::certificate_batches;
use super::mentions::Mentions;
use super::pending::{Admission, Waiting};
use crate::job::{Job, SignedStatement, VerifiedStatement};
use crate::membership::{self, Disclosure};
use crate::offence::Offence;
use crate::refusal::Refusal;
use crate::time::Now;
use crate::types::{ChannelId, MemberId, OrgId, SessionId};
use crate::wire::{AliveRecord, CERTIFICATES_MAX, CertificateChain, Message};
use ledgercast_crypto::{Digest, SignatureError};

impl Peer {
    /// A message of a session whose member is known.
    pub(super) fn on_message(&mut self, now: Now, session: SessionId, from: MemberId, message: Message) {
        match message {
            // Judged where sessions are: a second hello never comes here.
            Message::Hello(_) => {}
            Message::Channels(channels) => self.on_channels(now, session, channels),
            Message::Certificates(chains) => self.on_certificates(now, from, chains),
            Message::WantCertificates(members) => self.on_want_certificates(now, from, &members),
            Message::Alives(records) => {
                for record in records {
                    self.note_time(now, from, &record);
                    self.take_in_record(now, from, record);
                }
            }
            Message::Ticks(ticks) => self.with_membership(now, membership::Input::Ticks { from, ticks }),
            Message::WantAnchors(ticks) => {
                self.with_membership(now, membership::Input::WantAnchors { from, ticks });
            }
            Message::ViewDigest(summary) => {
                self.with_membership(now, membership::Input::ViewDigest { from, summary });
            }
            Message::AliveDigest(marks) => {
                self.with_membership(now, membership::Input::Digest { from, marks });
            }
            Message::WantAlives(marks) => {
                self.with_membership(now, membership::Input::Want { from, marks });
            }
            Message::Question { subject, passed_on } => {
                self.with_membership(now, membership::Input::Question { from, subject, passed_on });
            }
            Message::Leave(leave) => self.take_in(now, from, SignedStatement::Leave(leave)),
            Message::RevocationDigest(marks) => self.on_revocation_digest(from, &marks),
            Message::WantRevocations(wanted) => self.on_want_revocations(now, from, &wanted),
            Message::Revocations(lists) => self.on_revocations(from, lists),
            Message::Conflict(conflict) => self.take_in(now, from, SignedStatement::Conflict(conflict)),
            Message::Channel(channel, message) => self.on_channel_message(now, from, channel, message),
        }
        self.ask_for_certificates(from);
    }

    fn on_want_certificates(&mut self, now: Now, from: MemberId, wanted: &[MemberId]) {
        let Some(to) = self.ready.get(&from).copied() else {
            return;
        };
        let chains = wanted
            .iter()
            .filter(|member| self.may_mention(**member, to))
            .filter_map(|member| self.identities.chain(*member).cloned())
            .take(CERTIFICATES_MAX);
        let chains: Vec<CertificateChain> = chains.collect();
        let cost = u32::try_from(chains.len()).unwrap_or(u32::MAX);
        if !self.certificate_budget.spend(now.monotonic, from, cost) {
            return self.refuse("want_certificates", "budget_spent", Some(from));
        }
        for batch in certificate_batches(chains) {
            self.outbox.send(from, Message::Certificates(batch));
        }
    }

    fn may_mention(&self, about: MemberId, to: OrgId) -> bool {
        let mentions = Mentions {
            org: self.org(),
            identities: &self.identities,
            membership: &self.membership,
            shared_orgs: &self.shared_orgs,
        };
        mentions.are_allowed(about, to)
    }

    /// An alive with its newest tick; of an alive that is held only the tick can be news.
    fn take_in_record(&mut self, now: Now, from: MemberId, record: AliveRecord) {
        match record.tick {
            Some(tick) if self.membership.holds(&record.alive) => {
                self.with_membership(now, membership::Input::Ticks { from, ticks: vec![tick] });
            }
            tick => self.take_in(now, from, SignedStatement::Alive(record.alive, record.internal, tick)),
        }
    }

    /// Takes in one statement up to its verification.
    pub(super) fn take_in(&mut self, now: Now, from: MemberId, statement: SignedStatement) {
        let kind = statement.kind();
        let Some(identity) = self.identities.identity(statement.member()) else {
            return self.wait_for_certificate(now, from, statement);
        };
        let key = identity.public_key();
        if let Err(Refusal(reason)) = self.screen(now, from, &statement) {
            self.refuse(kind, reason, Some(from));
            if kind == "alive" && reason == "stale" && from == statement.member() {
                self.with_membership(now, membership::Input::Behind(from));
            }
            return;
        }
        match self.pending.admit_statement(from, statement.digest()) {
            Admission::Admitted => {
                let context = self.context_of(&statement);
                self.outbox.verify(Job::Statement { from, context, key, statement });
            }
            Admission::Pending => {}
            Admission::Full(reason) => self.refuse(kind, reason, Some(from)),
        }
    }

    fn note_time(&mut self, now: Now, from: MemberId, record: &AliveRecord) {
        let context = membership::Context {
            key: &self.own.key,
            sessions: &self.ready,
            identities: &self.identities,
            shared_orgs: &self.shared_orgs,
        };
        self.membership.note_time(now, record, from, &context);
    }

    fn wait_for_certificate(&mut self, now: Now, from: MemberId, statement: SignedStatement) {
        let (member, kind) = (statement.member(), statement.kind());
        // A config may have removed its org while the session stays: nothing is heard from it, or asked.
        let org = self.identities.identity(from).map(|it| it.org);
        let rule = Disclosure::new(self.org(), &self.shared_orgs);
        if !org.is_some_and(|org| rule.may_meet(org)) {
            return self.refuse(kind, "unshared_org", Some(from));
        }
        if let Waiting::InPlaceOf(reason) = self.pending.wait_for_certificate(from, statement) {
            self.refuse(kind, reason, Some(from));
        }
        self.pending.want_certificate(now.monotonic, member, from);
    }

    /// Asks for the certificates that this member's statements wait for, and that it was not asked for
    /// lately.
    fn ask_for_certificates(&mut self, from: MemberId) {
        for members in self.pending.take_wanted().chunks(CERTIFICATES_MAX) {
            self.outbox.send(from, Message::WantCertificates(members.to_vec()));
        }
    }

    /// A certificate was accepted: what waited for it goes on.
    pub(super) fn resume_waiting(&mut self, now: Now, member: MemberId) {
        if self.identities.identity(member).is_none() {
            return;
        }
        for (from, statement) in self.pending.take_waiting(member) {
            self.take_in(now, from, statement);
        }
    }

    fn context_of(&self, statement: &SignedStatement) -> [u8; 32] {
        match statement {
            SignedStatement::Alive(..) | SignedStatement::Leave(_) | SignedStatement::Conflict(_) => {
                self.config.network
            }
            SignedStatement::StateInfo(channel, _)
            | SignedStatement::Leadership(channel, _)
            | SignedStatement::ChannelLeave(channel, _) => *channel.as_bytes(),
        }
    }

    /// The cheap checks of the owning module.
    fn screen(&self, now: Now, from: MemberId, statement: &SignedStatement) -> Result<(), Refusal> {
        let context = self.membership_context();
        match statement {
            SignedStatement::Alive(alive, _, tick) => {
                self.membership.screen_alive(now, alive, *tick, from, &context)
            }
            SignedStatement::Leave(leave) => self.membership.screen_leave(now, leave, from, &context),
            SignedStatement::Conflict(pair) => self.membership.screen_conflict(now, pair, from, &context),
            SignedStatement::StateInfo(channel, state) => {
                self.require_channel_member(*channel, state.member())?;
                self.joined(*channel)?.state_info.screen(now, state)
            }
            SignedStatement::Leadership(channel, claim) => {
                self.require_channel_member(*channel, claim.member())?;
                if self.identities.identity(claim.member()).map(|it| it.org) != Some(self.org()) {
                    return Err(Refusal("foreign_org"));
                }
                self.joined(*channel)?.leadership.screen(now, claim)
            }
            SignedStatement::ChannelLeave(channel, leave) => {
                self.require_channel_member(*channel, leave.member())?;
                self.joined(*channel)?.state_info.screen_leave(now, leave)
            }
        }
    }

    /// A statement about a channel counts for its members only, and while they are alive.
    fn require_channel_member(&self, channel: ChannelId, member: MemberId) -> Result<(), Refusal> {
        let joined = self.joined(channel)?;
        let is_entitled = self.identities.identity(member).is_some_and(|it| joined.config().may_gossip(it));
        if !is_entitled {
            return Err(Refusal("not_entitled"));
        }
        match self.membership.is_alive(member) {
            true => Ok(()),
            false => Err(Refusal("not_alive")),
        }
    }

    pub(super) fn handle_judged_statement(
        &mut self,
        now: Now,
        from: MemberId,
        digest: Digest,
        kind: &'static str,
        statement: Result<VerifiedStatement, SignatureError>,
    ) {
        self.pending.statement_done(digest);
        let Ok(statement) = statement else {
            return self.outbox.offence(from, Offence::BadSignature(kind));
        };
        // Time has passed: a newer statement, a leave or an eviction may have come in between.
        if let Err(Refusal(reason)) = self.screen(now, from, &statement.to_signed()) {
            return self.refuse(kind, reason, Some(from));
        }
        match statement {
            VerifiedStatement::Alive(alive, internal, tick) => {
                self.with_membership(now, membership::Input::Alive { alive, internal, tick, from });
                self.outbox.set_timer(crate::timer::Timer::Dial, now.monotonic);
            }
            VerifiedStatement::Leave(leave) => {
                self.with_membership(now, membership::Input::Leave { leave, from });
            }
            VerifiedStatement::Conflict(conflict) => {
                self.with_membership(now, membership::Input::Conflict { conflict, from });
            }
            VerifiedStatement::StateInfo(channel, state) => self.hand_over_state(now, channel, state, from),
            VerifiedStatement::Leadership(channel, claim) => self.hand_over_claim(now, channel, claim, from),
            VerifiedStatement::ChannelLeave(channel, leave) => self.hand_over_leave(now, channel, leave),
        }
    }
}
