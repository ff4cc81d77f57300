//! "Have you anything newer of X?": answered from what I hold, else passed on once, to X only.

use super::table::Checked;
use super::{Context, State};
use crate::budget::COST_QUESTION;
use crate::output::Outbox;
use crate::time::{Monotonic, Now};
use crate::types::{Endpoint, Incarnation, Mark, MemberId, OrgId, Sequence};
use crate::wire::Message;
use std::collections::BTreeMap;
use std::time::Duration;

/// The most askers that wait for one subject.
const ASKERS_MAX: usize = 16;

/// The time between two checks of one member doubles so often: whoever names a living member again and again
/// soon makes nobody dial it. Derived: 5 s become 320 s.
const CHECK_DOUBLINGS_MAX: u32 = 6;

#[derive(Clone, Debug)]
struct Relay {
    until: Monotonic,
    askers: BTreeMap<MemberId, (Incarnation, Sequence)>,
}

/// Questions that were passed on to their subjects, and who waits for the answer.
#[derive(Clone, Debug)]
pub(super) struct Relays {
    open: BTreeMap<MemberId, Relay>,
    count_max: usize,
}

impl Relays {
    pub(super) fn new(count_max: usize) -> Self {
        Self { open: BTreeMap::new(), count_max }
    }

    /// Notes an asker; says whether the subject is to be asked now.
    fn note(&mut self, subject: Mark, asker: MemberId, until: Monotonic) -> bool {
        if let Some(relay) = self.open.get_mut(&subject.member) {
            if relay.askers.len() < ASKERS_MAX {
                relay.askers.insert(asker, subject.order());
            }
            return false;
        }
        if self.open.len() >= self.count_max {
            return false;
        }
        let askers = [(asker, subject.order())].into();
        self.open.insert(subject.member, Relay { until, askers });
        true
    }

    pub(super) fn expire(&mut self, now: Monotonic) {
        self.open.retain(|_, relay| relay.until > now);
    }
}

impl State {
    pub(super) fn on_question(
        &mut self,
        now: Now,
        from: MemberId,
        subject: Mark,
        passed_on: bool,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let Some(org) = self.admit(now, "question", from, COST_QUESTION, context, out) else {
            return;
        };
        if subject.member == self.own.member {
            self.answer_for_myself(now, (from, org), subject, context, out);
        } else {
            self.answer_for_other(now, (from, org), subject, passed_on, context, out);
        }
    }

    fn answer_for_myself(
        &mut self,
        now: Now,
        (from, org): (MemberId, OrgId),
        subject: Mark,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        if !self.disclosure(context).may_tell(self.own.org, self.own.external.is_some(), org) {
            return;
        }
        self.advance_own(now, context, out);
        // A mark above mine is not of this life: signing for it would help nobody.
        if self.own_mark().is_none_or(|mark| mark.order() == subject.order()) {
            self.refresh_own(now, context, out);
        }
        match self.own_mark() {
            Some(mark) if mark.order() > subject.order() => match self.tick_after(subject) {
                Some(tick) => out.send(from, Message::Ticks(vec![tick])),
                None => self.send_own(from, org, out),
            },
            // Who holds more in my name shows it to me, if it can.
            Some(mark) if mark.order() < subject.order() => self.send_own(from, org, out),
            _ => {}
        }
    }

    fn answer_for_other(
        &mut self,
        now: Now,
        (from, org): (MemberId, OrgId),
        subject: Mark,
        passed_on: bool,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let disclosure = self.disclosure(context);
        let entry = self.members.get(subject.member).filter(|entry| entry.is_alive());
        let Some(entry) = entry.filter(|it| disclosure.may_tell(it.org, it.is_external(), org)) else {
            return;
        };
        if entry.mark().order() > subject.order() {
            self.send_newer(from, org, entry, subject, out);
        }
        // Even so it is passed on: what I hold may be as old as what the asker holds.
        let may_ask = disclosure.may_meet(entry.org);
        if passed_on || !may_ask {
            return;
        }
        if !context.sessions.contains_key(&subject.member) {
            return self.doubt(now, subject.member);
        }
        let held = entry.mark();
        let until = now.monotonic.saturating_add(self.config.question_timeout);
        let newest = if held.order() > subject.order() { held } else { subject };
        if self.relays.note(newest, from, until) {
            out.send(subject.member, Message::Question { subject: newest, passed_on: true });
        }
    }

    /// Somebody misses a member with which I have no session: I look for myself whether anybody listens at
    /// its endpoint. That it does not is what the operating system says, never the asker.
    fn doubt(&mut self, now: Now, member: MemberId) {
        let awake = self.awake.at(now.monotonic);
        let Some(entry) = self.members.get_mut(member) else {
            return;
        };
        let count = entry.checked.map_or(0, |it| it.count);
        let pause = self.config.alive_interval.saturating_mul(1 << count.min(CHECK_DOUBLINGS_MAX));
        let pause = if count == 0 { Duration::ZERO } else { pause };
        let since = entry.checked.map_or(Duration::MAX, |it| awake.saturating_sub(it.awake));
        if since >= pause {
            entry.checked = Some(Checked { awake, count: count.saturating_add(1) });
            self.doubted.push(member);
        }
    }

    /// Takes out who is to be checked by dialing, on others' questions.
    pub fn take_doubted(&mut self) -> Vec<MemberId> {
        std::mem::take(&mut self.doubted)
    }

    /// Where a living member is dialed.
    pub fn endpoint_of(&self, member: MemberId) -> Option<Endpoint> {
        let entry = self.members.get(member).filter(|entry| entry.is_alive())?;
        entry.endpoint().cloned()
    }

    /// Hands a newer alive to those who asked for it.
    pub(super) fn answer_relays(&mut self, member: MemberId, context: &Context<'_>, out: &mut Outbox) {
        let Some(relay) = self.relays.open.remove(&member) else {
            return;
        };
        let Some(entry) = self.members.get(member) else {
            return;
        };
        let disclosure = self.disclosure(context);
        for (asker, order) in relay.askers {
            let org = context.sessions.get(&asker).copied();
            let org = org.filter(|org| disclosure.may_tell(entry.org, entry.is_external(), *org));
            if let Some(org) = org.filter(|_| entry.mark().order() > order) {
                let (incarnation, sequence) = order;
                self.send_newer(asker, org, entry, Mark { member, incarnation, sequence }, out);
            }
        }
    }
}
