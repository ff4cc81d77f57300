//! Alives and leaves: my own are signed and pushed, others' are taken in and, when they are news, forwarded.

use super::table::{self, Entry, MemberStatus};
use super::{Context, State};
use crate::event::{Event, EvictionReason};
use crate::output::{Outbox, Output};
use crate::sampling;
use crate::store::MetaKey;
use crate::time::Now;
use crate::timer::Timer;
use crate::types::{MemberId, OrgId};
use crate::wire::{Alive, AliveRecord, InternalEndpoint, Leave, Message, Verified};
use std::time::Duration;

/// The least time between two alives of mine that somebody else causes.
const EXTRA_ALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// An alive that passed its verification.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) alive: Verified<Alive>,
    /// What travelled beside it.
    pub(super) internal: Option<InternalEndpoint>,
    pub(super) from: MemberId,
}

/// What an alive changes, if it is more than routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Joined,
    Returned,
    Restarted,
    Moved,
}

impl State {
    pub(super) fn handle_alive_due(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        out.set_timer(Timer::Alive, now.monotonic.saturating_add(self.config.alive_interval));
        if self.has_left {
            return;
        }
        let entitled = self.who_may_know(self.own.org, self.own.external.is_some(), &[], context);
        if !entitled.is_empty() {
            self.sign_alive(now, context);
        }
        for (to, org) in sampling::sample(&mut self.random, entitled, self.config.push_partners_max) {
            self.send_own(to, org, out);
        }
        self.send_digests(context, out);
    }

    /// The other side learns of me and compares views at once.
    pub(super) fn handle_session_ready(
        &mut self,
        now: Now,
        member: MemberId,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let Some(org) = context.sessions.get(&member).copied() else {
            return;
        };
        if let Some(entry) = self.members.get_mut(member) {
            entry.asked = entry.asked.filter(|asked| asked.reason != EvictionReason::Refused);
        }
        if self.has_left || !self.disclosure(context).may_meet(org) {
            return;
        }
        self.refresh_own(now, context);
        if self.disclosure(context).may_tell(self.own.org, self.own.external.is_some(), org) {
            self.send_own(member, org, out);
        }
        self.send_digest(member, org, context, out);
    }

    /// Signs a new alive unless the last one is from just now.
    pub(super) fn refresh_own(&mut self, now: Now, context: &Context<'_>) {
        let age = now.monotonic.saturating_since(self.own_signed_at);
        if self.own_alive.is_none() || age >= EXTRA_ALIVE_INTERVAL {
            self.sign_alive(now, context);
        }
    }

    pub(super) fn sign_alive(&mut self, now: Now, context: &Context<'_>) {
        self.sequence = self.sequence.next();
        let alive = self.statement_of((self.incarnation, self.sequence), now.wall);
        self.own_alive = Some(Verified::sign(alive, &self.network, context.key));
        self.own_signed_at = now.monotonic;
    }

    pub(super) fn send_own(&self, to: MemberId, org: OrgId, out: &mut Outbox) {
        if let Some(record) = self.own_record(org) {
            out.send(to, Message::Alives(vec![record]));
        }
    }

    pub(super) fn own_record(&self, to: OrgId) -> Option<AliveRecord> {
        let alive = self.own_alive.as_ref()?.signed().clone();
        let internal = (to == self.own.org).then(|| self.own_internal.clone());
        Some(AliveRecord { alive, internal })
    }

    /// A member's alive as it may go to an org.
    pub(super) fn record(&self, entry: &Entry, to: OrgId) -> AliveRecord {
        let is_inside = entry.org == self.own.org && to == self.own.org;
        let internal = entry.internal.clone().filter(|_| is_inside);
        AliveRecord { alive: entry.alive.signed().clone(), internal }
    }

    /// Ready sessions to which a member of org `about` may be named, except with these members.
    pub(super) fn who_may_know(
        &self,
        about: OrgId,
        is_external: bool,
        except: &[MemberId],
        context: &Context<'_>,
    ) -> Vec<(MemberId, OrgId)> {
        let disclosure = self.disclosure(context);
        let ready = context.sessions.iter().map(|(member, org)| (*member, *org));
        ready
            .filter(|(member, org)| !except.contains(member) && disclosure.may_tell(about, is_external, *org))
            .collect()
    }

    pub(super) fn on_alive(&mut self, now: Now, mut heard: Heard, context: &Context<'_>, out: &mut Outbox) {
        let member = heard.alive.member();
        if member == self.own.member {
            return self.on_alive_in_my_name(now, heard, context, out);
        }
        let Some(org) = context.identities.org(member) else {
            return;
        };
        heard.internal = table::internal_for(&self.own, org, heard.internal);
        self.raise_excluded(now, &heard, context, out);
        let (alive, from) = (&heard.alive, heard.from);
        if self.marks.order(member).is_some_and(|known| known >= alive.mark().order()) {
            return;
        }
        self.clear_duplicate(member, alive.statement().incarnation, out);
        self.marks.raise(alive.mark(), now.wall.max(alive.statement().wall_time));
        let news = match self.members.get(member) {
            None => Some(News::Joined),
            Some(entry) => news_of(entry, alive),
        };
        self.store_alive(now, org, heard);
        self.answer_relays(member, context, out);
        if let Some(news) = news {
            self.tell_news(member, news, out);
            self.forward_alive(member, from, context, out);
        }
    }

    fn store_alive(&mut self, now: Now, org: OrgId, Heard { alive, internal, from }: Heard) {
        let member = alive.member();
        let awake = self.awake.at(now.monotonic);
        let held = self.members.get(member);
        let is_own_session = from == member;
        let age = held.map_or(Duration::ZERO, |entry| entry.age_of(alive.statement(), now.monotonic));
        let age = match is_own_session {
            // An owner may show what it signed an interval ago; what seems older than that is a step of its
            // clock.
            true => age.min(self.config.alive_interval),
            false if age < self.config.expiry => age,
            false => Duration::ZERO,
        };
        let made = if is_own_session { awake } else { awake.saturating_sub(age) };
        let is_back = held.is_none_or(|entry| !entry.is_alive());
        let heard = held.filter(|_| !is_back).map_or(made, |entry| entry.heard.max(made));
        let kept = held.and_then(|entry| entry.internal.clone());
        let kept = kept.filter(|kept| kept.hash() == alive.statement().internal_hash);
        let silence = awake.saturating_sub(heard);
        let asked = held.filter(|_| !is_back).and_then(|entry| entry.asked);
        let asked = asked.filter(|asked| heard < asked.awake && silence >= self.least_silence(asked.reason));
        let refused_at = held.and_then(|entry| entry.refused_at);
        let checked = held.and_then(|entry| entry.checked);
        let entry = Entry {
            org,
            alive,
            internal: internal.or(kept),
            status: MemberStatus::Alive,
            last_news: now.monotonic,
            age_then: age,
            heard,
            asked,
            refused_at,
            checked,
            gone: Duration::ZERO,
        };
        self.members.insert(member, entry);
    }

    fn tell_news(&self, member: MemberId, news: News, out: &mut Outbox) {
        let Some(entry) = self.members.get(member) else {
            return;
        };
        let incarnation = entry.alive.statement().incarnation;
        match news {
            News::Joined | News::Returned => out.event(Event::MemberJoined {
                member,
                org: entry.org,
                incarnation,
                endpoint: entry.endpoint().cloned(),
                is_return: news == News::Returned,
            }),
            News::Restarted => out.event(Event::MemberRestarted { member, incarnation }),
            News::Moved => {}
        }
    }

    fn forward_alive(&mut self, member: MemberId, from: MemberId, context: &Context<'_>, out: &mut Outbox) {
        let Some(entry) = self.members.get(member) else {
            return;
        };
        let entitled = self.who_may_know(entry.org, entry.is_external(), &[member, from], context);
        for (to, org) in sampling::sample(&mut self.random, entitled, self.config.news_partners_max) {
            out.send(to, Message::Alives(vec![self.record(entry, org)]));
        }
    }

    pub(super) fn on_leave(
        &mut self,
        now: Now,
        leave: &Verified<Leave>,
        from: MemberId,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let member = leave.member();
        let awake = self.awake.at(now.monotonic);
        let Some(entry) = self.members.get_mut(member) else {
            return;
        };
        let was_alive = entry.is_alive();
        entry.status = MemberStatus::Left;
        entry.asked = None;
        entry.gone = awake;
        let (org, is_external) = (entry.org, entry.is_external());
        self.marks.raise(leave.mark(), now.wall);
        if !was_alive {
            return;
        }
        out.event(Event::MemberLeft { member });
        self.gone.push(member);
        let entitled = self.who_may_know(org, is_external, &[member, from], context);
        for (to, _) in sampling::sample(&mut self.random, entitled, self.config.news_partners_max) {
            out.send(to, Message::Leave(leave.signed().clone()));
        }
    }

    /// Signs and sends the good-bye; afterwards I say nothing more.
    pub(super) fn handle_shutdown(&mut self, context: &Context<'_>, out: &mut Outbox) {
        if let Some(marks) = self.marks.take_changed() {
            out.push(Output::Save { key: MetaKey::Marks, value: marks });
        }
        if self.has_left || self.own_alive.is_none() {
            self.has_left = true;
            return;
        }
        self.has_left = true;
        self.sequence = self.sequence.next();
        let leave = Leave { member: self.own.member, incarnation: self.incarnation, sequence: self.sequence };
        let leave = Verified::sign(leave, &self.network, context.key);
        for (to, _) in self.who_may_know(self.own.org, self.own.external.is_some(), &[], context) {
            out.send(to, Message::Leave(leave.signed().clone()));
        }
    }

    pub(super) fn handle_marks_due(&mut self, now: Now, out: &mut Outbox) {
        out.set_timer(Timer::Marks, now.monotonic.saturating_add(self.config.marks_interval));
        let keep = self.config.clock_skew_max.saturating_mul(2);
        self.marks.prune(now.wall, keep, |member| self.members.get(member).is_some());
        if let Some(marks) = self.marks.take_changed() {
            out.push(Output::Save { key: MetaKey::Marks, value: marks });
        }
    }
}

fn news_of(held: &Entry, alive: &Verified<Alive>) -> Option<News> {
    let (before, after) = (held.alive.statement(), alive.statement());
    let endpoints = |it: &Alive| (it.external_endpoint.clone(), it.internal_hash);
    if !held.is_alive() {
        Some(News::Returned)
    } else if after.incarnation > before.incarnation {
        Some(News::Restarted)
    } else {
        (endpoints(before) != endpoints(after)).then_some(News::Moved)
    }
}
