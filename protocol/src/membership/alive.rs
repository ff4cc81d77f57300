//! Alives and leaves: my own are signed and pushed, others' are taken in and, when they are news, forwarded.

use super::table::{self, Entry, Hearing, MemberStatus};
use super::ticks::{OwnChain, newest_of};
use super::{Context, State};
use crate::event::{Event, EvictionReason};
use crate::output::{Outbox, Output};
use crate::sampling;
use crate::store::MetaKey;
use crate::time::{Now, WallTime};
use crate::timer::Timer;
use crate::types::{Incarnation, MemberId, OrgId, Tick};
use crate::wire::{Alive, AliveRecord, InternalEndpoint, LINKS_MAX, Leave, Message, Verified};
use std::time::Duration;

/// The least time between two alives of mine that somebody else causes.
const EXTRA_ALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// An alive that passed its verification.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) alive: Verified<Alive>,
    /// What travelled beside it.
    pub(super) internal: Option<InternalEndpoint>,
    pub(super) tick: Option<Tick>,
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
        self.set_alive_timer(now, out);
        if self.has_left {
            return;
        }
        if !self.who_may_know(self.own.org, self.own.external.is_some(), &[], context).is_empty() {
            self.advance_own(now, context, out);
        }
        self.ask_for_missed(now, context, out);
        self.send_view_digests(context, out);
    }

    /// Ticks are shown at whole intervals after their alive.
    fn set_alive_timer(&self, now: Now, out: &mut Outbox) {
        let interval = self.config.alive_interval;
        let next = self.own_chain.as_ref().map(|chain| chain.next_at(now.monotonic, interval));
        out.set_timer(Timer::Alive, next.unwrap_or(now.monotonic.saturating_add(interval)));
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
        self.advance_own(now, context, out);
        if self.disclosure(context).may_tell(self.own.org, self.own.external.is_some(), org) {
            self.send_own(member, org, out);
        }
        self.send_digest(member, org, context, out);
    }

    /// Signs a new alive for somebody's question, unless the last one, or its last tick, is from just now, or
    /// this has happened in the last interval: each new alive is fetched by everybody.
    pub(super) fn refresh_own(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        let age = now.monotonic.saturating_since(self.own_said_at);
        let is_spared = self
            .own_refreshed_at
            .is_some_and(|at| now.monotonic.saturating_since(at) < self.config.alive_interval);
        if self.own_alive.is_none() || age >= EXTRA_ALIVE_INTERVAL && !is_spared {
            self.own_refreshed_at = Some(now.monotonic);
            self.sign_alive(now, context, out);
        }
    }

    /// Signs an alive with a new chain of ticks.
    pub(super) fn sign_alive(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        self.sequence = self.sequence.next();
        let links = self.config.tick_links.clamp(1, LINKS_MAX);
        let chain = OwnChain::new(&mut self.random, links, now.monotonic);
        let alive = Alive {
            ticks: Some(chain.terms(self.config.alive_interval)),
            ..self.statement_of((self.incarnation, self.sequence), now.wall)
        };
        self.own_alive = Some(Verified::sign(alive, &self.network, context.key));
        self.own_said_at = now.monotonic;
        self.index.set(self.own.member, Some(chain.newest()), None);
        self.passing.note(self.own.member, self.own.member);
        self.own_chain = Some(chain);
        self.set_alive_timer(now, out);
    }

    pub(super) fn send_own(&self, to: MemberId, org: OrgId, out: &mut Outbox) {
        if let Some(record) = self.own_record(org) {
            out.send(to, Message::Alives(vec![record]));
        }
    }

    pub(super) fn own_record(&self, to: OrgId) -> Option<AliveRecord> {
        let alive = self.own_alive.as_ref()?.signed().clone();
        let internal = (to == self.own.org).then(|| self.own_internal.clone());
        Some(AliveRecord { alive, internal, tick: self.own_chain.as_ref().map(OwnChain::newest) })
    }

    /// A member's alive as it may go to an org.
    pub(super) fn record(&self, entry: &Entry, to: OrgId) -> AliveRecord {
        let is_inside = entry.org == self.own.org && to == self.own.org;
        let internal = entry.internal.clone().filter(|_| is_inside);
        AliveRecord { alive: entry.alive.signed().clone(), internal, tick: entry.tick }
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
        let (link, _) = newest_of(alive.statement(), heard.tick);
        let (mark, time) = (alive.statement().mark_of(link), alive.statement().time_of(link));
        if self.marks.order(member).is_some_and(|known| known >= mark.order()) {
            return;
        }
        self.clear_duplicate(member, alive.statement().incarnation, out);
        self.marks.raise(mark, now.wall.max(time));
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

    fn store_alive(&mut self, now: Now, org: OrgId, Heard { alive, internal, tick, from }: Heard) {
        let member = alive.member();
        let (link, tick) = newest_of(alive.statement(), tick);
        let time = alive.statement().time_of(link);
        let hearing = self.hearing(now, member, (alive.statement().incarnation, time), from);
        self.index.set(member, alive.statement().ticks.map(|chain| chain.end), tick);
        self.passing.note(member, from);
        let held = self.members.get(member);
        let kept = held.and_then(|entry| entry.internal.clone());
        let kept = kept.filter(|kept| kept.hash() == alive.statement().internal_hash);
        let mut entry = Entry {
            org,
            alive,
            tick,
            link,
            internal: internal.or(kept),
            status: MemberStatus::Alive,
            last_news: now.monotonic,
            age_then: Duration::ZERO,
            heard: Duration::ZERO,
            asked: None,
            refused_at: held.and_then(|entry| entry.refused_at),
            checked: held.and_then(|entry| entry.checked),
            gone: Duration::ZERO,
        };
        entry.hear(now.monotonic, hearing);
        self.members.insert(member, entry);
    }

    /// What a newer alive or tick of a member, made at this time by its clock, says of when it was alive.
    pub(super) fn hearing(
        &self,
        now: Now,
        member: MemberId,
        made_at: (Incarnation, WallTime),
        from: MemberId,
    ) -> Hearing {
        let awake = self.awake.at(now.monotonic);
        let held = self.members.get(member);
        let is_own_session = from == member;
        let age = held.map_or(Duration::ZERO, |entry| entry.age_of(made_at, now.monotonic));
        let age = match is_own_session {
            // An owner may show what it made an interval ago; what seems older than that is a step of its
            // clock.
            true => age.min(self.config.alive_interval),
            false if age < self.config.expiry => age,
            false => Duration::ZERO,
        };
        let made = if is_own_session { awake } else { awake.saturating_sub(age) };
        let is_back = held.is_none_or(|entry| !entry.is_alive());
        let heard = held.filter(|_| !is_back).map_or(made, |entry| entry.heard.max(made));
        let silence = awake.saturating_sub(heard);
        let asked = held.filter(|_| !is_back).and_then(|entry| entry.asked);
        let asked = asked.filter(|asked| heard < asked.awake && silence >= self.least_silence(asked.reason));
        Hearing { age, heard, asked }
    }

    /// Who was evicted is heard of again: as an alive that brings somebody back.
    pub(super) fn tell_return(
        &mut self,
        member: MemberId,
        from: MemberId,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        self.tell_news(member, News::Returned, out);
        self.forward_alive(member, from, context, out);
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
