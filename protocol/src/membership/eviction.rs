//! Eviction: silence is measured on my awake time, stretched when my partners went quiet too, and asked about
//! first.

use super::table::{Asked, Entry};
use super::{Context, MemberStatus, State};
use crate::event::{Event, EvictionReason};
use crate::output::Outbox;
use crate::sampling;
use crate::time::Now;
use crate::timer::Timer;
use crate::types::{MemberId, OrgId};
use crate::wire::Message;
use std::collections::BTreeSet;
use std::time::Duration;

/// With fewer partners their silence says nothing about me.
const PARTNERS_MIN: usize = 3;

impl State {
    pub(super) fn handle_awake(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        out.set_timer(Timer::Awake, now.monotonic.saturating_add(self.config.awake_tick));
        if let Some(lost) = self.awake.measure(now.monotonic) {
            out.event(Event::Paused { lost });
        }
        self.judge_clock(out);
        if !self.has_left {
            self.outlive_silent(now, context, out);
        }
        let awake = self.awake.at(now.monotonic);
        let silent: Vec<MemberId> = self
            .members
            .alive()
            .filter(|(_, it)| it.asked.is_some() || it.silent_for(awake) >= self.config.question_after)
            .map(|(member, _)| member)
            .collect();
        for member in silent {
            self.judge(now, member, context, out);
        }
        self.members.forget(awake, self.config.forget_after);
        let (members, me) = (&self.members, self.own.member);
        self.duplicates.retain(|member| member == me || members.get(member).is_some());
        self.index.retain(|member| member == me || members.get(member).is_some());
        self.relays.expire(now.monotonic);
        self.passing.expire(now.monotonic);
        self.pass_ticks_on(context, out);
    }

    /// Asks about a silent member, or evicts it when the question brought nothing.
    pub(super) fn judge(&mut self, now: Now, member: MemberId, context: &Context<'_>, out: &mut Outbox) {
        // What looks like silence may be what I refuse for its time.
        if self.clocks.is_suspect() {
            return;
        }
        let awake = self.awake.at(now.monotonic);
        let Some(entry) = self.members.get(member).filter(|entry| entry.is_alive()) else {
            return;
        };
        let silent_for = entry.silent_for(awake);
        if !self.disclosure(context).may_meet(entry.org) {
            // Known from my org alone: it owes me nothing, and its silence is no news.
            if silent_for >= self.config.expiry {
                self.forget_stranger(member, out);
            }
            return;
        }
        match entry.asked {
            Some(Asked { awake: asked, reason: EvictionReason::Refused }) => {
                if awake.saturating_sub(asked) >= self.config.refused_question_timeout {
                    self.evict(now, member, silent_for, EvictionReason::Refused, out);
                } else {
                    self.send_question(member, context, out);
                }
            }
            Some(Asked { awake: asked, .. }) => {
                let is_answer_late = awake.saturating_sub(asked) >= self.config.question_timeout;
                if is_answer_late && silent_for >= self.stretch(self.config.expiry, awake, context) {
                    self.evict(now, member, silent_for, EvictionReason::Silence, out);
                } else {
                    // Asked again at each tick, of other witnesses too: one lost frame must not evict
                    // anybody.
                    self.send_question(member, context, out);
                }
            }
            None => {
                if silent_for >= self.stretch(self.config.question_after, awake, context) {
                    self.ask(now, member, EvictionReason::Silence, context, out);
                }
            }
        }
    }

    /// The operating system says that nobody listens there: asked at once, but no oftener than alives come.
    pub(super) fn handle_endpoints_refused(
        &mut self,
        now: Now,
        member: MemberId,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let awake = self.awake.at(now.monotonic);
        let interval = self.config.alive_interval;
        let disclosure = self.disclosure(context);
        let is_judged = |entry: &&mut Entry| entry.is_alive() && disclosure.may_meet(entry.org);
        let Some(entry) = self.members.get_mut(member).filter(is_judged) else {
            return;
        };
        let is_recent = entry.refused_at.is_some_and(|at| awake.saturating_sub(at) < interval);
        let is_asked = entry.asked.is_some_and(|asked| asked.reason == EvictionReason::Refused);
        // Of two processes of one identity the one that ended may be the one that this endpoint is of.
        let is_in_use_twice = self.duplicates.endpoints(member).is_some();
        if context.sessions.contains_key(&member) || is_recent || is_asked || is_in_use_twice {
            return;
        }
        entry.refused_at = Some(awake);
        self.ask(now, member, EvictionReason::Refused, context, out);
    }

    fn ask(
        &mut self,
        now: Now,
        member: MemberId,
        reason: EvictionReason,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let awake = self.awake.at(now.monotonic);
        let timeout = match reason {
            EvictionReason::Refused => self.config.refused_question_timeout,
            _ => self.config.question_timeout,
        };
        let Some(entry) = self.members.get_mut(member) else {
            return;
        };
        entry.asked = Some(Asked { awake, reason });
        self.send_question(member, context, out);
        out.set_timer(Timer::Question(member), now.monotonic.saturating_add(timeout));
    }

    /// To the member itself and to a few who may know it.
    fn send_question(&mut self, member: MemberId, context: &Context<'_>, out: &mut Outbox) {
        let Some(entry) = self.members.get(member) else {
            return;
        };
        let (subject, org, is_external) = (entry.mark(), entry.org, entry.is_external());
        let witnesses = self.who_may_know(org, is_external, &[member], context);
        let witnesses = sampling::sample(&mut self.random, witnesses, self.config.question_witnesses);
        let itself = context.sessions.contains_key(&member).then_some(member);
        for to in witnesses.into_iter().map(|(witness, _)| witness).chain(itself) {
            out.send(to, Message::Question { subject, passed_on: false });
        }
    }

    /// With whom no channel is shared any more, of those nothing is heard or told: their silence means
    /// nothing. With whom one is shared from now on, their silence begins now.
    pub(super) fn handle_orgs_changed(
        &mut self,
        now: Now,
        lost: &BTreeSet<OrgId>,
        gained: &BTreeSet<OrgId>,
        out: &mut Outbox,
    ) {
        let (mine, awake) = (self.own.org, self.awake.at(now.monotonic));
        let strangers =
            self.members.iter().filter(|(_, entry)| entry.org != mine && lost.contains(&entry.org));
        for stranger in strangers.map(|(member, _)| member).collect::<Vec<_>>() {
            self.forget_stranger(stranger, out);
        }
        let others = self.members.iter_mut().filter(|entry| entry.org != mine);
        for entry in others.filter(|entry| gained.contains(&entry.org)) {
            (entry.heard, entry.asked) = (awake, None);
        }
    }

    fn forget_stranger(&mut self, member: MemberId, out: &mut Outbox) {
        self.members.remove(member);
        out.event(Event::MemberForgotten { member });
    }

    /// Not my judgement but the certificate's: no question is asked.
    pub(super) fn handle_expelled(
        &mut self,
        now: Now,
        member: MemberId,
        reason: EvictionReason,
        out: &mut Outbox,
    ) {
        let awake = self.awake.at(now.monotonic);
        if let Some(entry) = self.members.get(member).filter(|entry| entry.is_alive()) {
            let silent_for = entry.silent_for(awake);
            self.evict(now, member, silent_for, reason, out);
        }
    }

    fn evict(
        &mut self,
        now: Now,
        member: MemberId,
        silent_for: Duration,
        reason: EvictionReason,
        out: &mut Outbox,
    ) {
        let awake = self.awake.at(now.monotonic);
        if let Some(entry) = self.members.get_mut(member) {
            entry.status = MemberStatus::Evicted { reason, at: now.monotonic };
            entry.asked = None;
            entry.gone = awake;
            self.gone.push(member);
            out.event(Event::MemberEvicted { member, silent_for, reason });
        }
    }

    /// The silence that keeps a question of this kind open; less answers it.
    pub(super) fn least_silence(&self, reason: EvictionReason) -> Duration {
        match reason {
            EvictionReason::Refused => Duration::ZERO,
            _ => self.config.question_after,
        }
    }

    /// Local health: the more of my partners beyond one half have been quiet for three intervals, the longer
    /// I wait, at most twice as long. Then the fault is likely mine. Of the living two ticks may be missed.
    fn stretch(&self, threshold: Duration, awake: Duration, context: &Context<'_>) -> Duration {
        let quiet_after = self.config.alive_interval.saturating_mul(3);
        let partners = self.members.alive().filter(|(member, _)| context.sessions.contains_key(member));
        let (mut all, mut quiet) = (0_u32, 0_u32);
        for (_, entry) in partners {
            all += 1;
            quiet += u32::from(entry.silent_for(awake) >= quiet_after);
        }
        let is_mine = all as usize >= PARTNERS_MIN && quiet * 2 > all;
        if is_mine { threshold.saturating_mul(2 * quiet) / all } else { threshold }
    }
}
