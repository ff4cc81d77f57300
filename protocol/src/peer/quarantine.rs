//! Offences have their consequence here: the session ends and the standing falls; below zero nothing is
//! exchanged with the member for a while.
//!
//! It is my own judgement: signed statements of a member in quarantine that others pass on count as before,
//! its membership among them, for others may see it otherwise (`docs/adr/100`). Without a session it is no
//! neighbour: it is not asked, not believed to lead, and sent nothing.

use super::Peer;
use crate::event::Event;
use crate::offence::Offence;
use crate::output::{CloseReason, Output};
use crate::standing::Judgement;
use crate::time::Now;
use crate::timer::Timer;
use crate::types::{MemberId, OrgId};

impl Peer {
    /// The one place where an offence has its consequence.
    pub(super) fn punish(&mut self, now: Now, member: MemberId, offence: Offence) {
        let (why, close) = (offence.reason(), CloseReason::Offence(offence.to_string()));
        self.ready_outputs.push(Output::Event(Event::Offence { member, offence }));
        if let Some(session) = self.sessions.of_member(member) {
            self.ready_outputs.push(Output::Close { session, reason: close.clone() });
            self.closing.push((session, close));
        }
        // Whose certificate no longer holds has no session to come back on.
        if let Some(org) = self.identities.identity(member).map(|identity| identity.org) {
            self.lower_standing(now, member, org, why);
        }
    }

    fn lower_standing(&mut self, now: Now, member: MemberId, org: OrgId, reason: &'static str) {
        let awake = self.membership.awake_at(now.monotonic);
        let Judgement { quarantine, displaced } = self.standings.judge(awake, member, org);
        let forgotten = displaced.map(|displaced| Event::Refused {
            kind: "standing",
            reason: "standings_full",
            member: Some(displaced),
        });
        let quarantined = quarantine.map(|quarantine| Event::MemberQuarantined {
            member,
            org,
            reason,
            lasts: quarantine.lasts,
            count: quarantine.count,
        });
        self.ready_outputs.extend(forgotten.into_iter().chain(quarantined).map(Output::Event));
        self.ready_outputs.extend(self.standing_timer(now));
    }

    fn standing_timer(&self, now: Now) -> Option<Output> {
        let due = self.standings.next_due(self.membership.awake_at(now.monotonic))?;
        Some(Output::SetTimer { timer: Timer::Standing, at: now.monotonic.saturating_add(due) })
    }

    /// Quarantines end and offences are forgiven: who was refused is dialed, who was asked last no more.
    pub(super) fn handle_standing_due(&mut self, now: Now) {
        for member in self.standings.settle(self.membership.awake_at(now.monotonic)) {
            self.outbox.event(Event::QuarantineEnded { member });
        }
        self.refresh_neighbours(now);
        self.handle_dial(now);
        self.standing_timer(now).into_iter().for_each(|timer| self.outbox.push(timer));
    }
}
