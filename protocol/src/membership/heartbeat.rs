//! Heartbeats: what a session needs of an alive, without signature. Each interval a few sessions in turn are
//! pushed the signed alive, all others a heartbeat; so in a full mesh nobody passes on what everybody hears.

use super::{Context, State};
use crate::budget::COST_QUESTION;
use crate::output::Outbox;
use crate::time::Now;
use crate::types::{Incarnation, MemberId, OrgId, Sequence};
use crate::wire::Message;

/// Members with a session, and their orgs.
type Receivers = Vec<(MemberId, OrgId)>;

impl State {
    /// Tells all that may know of me that I am alive.
    pub(super) fn tell_alive(&mut self, entitled: Receivers, out: &mut Outbox) {
        let (pushed, rest) = self.next_in_turn(entitled);
        for (to, org) in pushed {
            self.send_own(to, org, out);
        }
        let (incarnation, sequence) = (self.incarnation, self.sequence);
        for (to, _) in rest {
            out.send(to, Message::Heartbeat { incarnation, sequence });
        }
    }

    /// Whose turn it is to get the signed alive, and the others.
    fn next_in_turn(&mut self, mut sessions: Receivers) -> (Receivers, Receivers) {
        let least = sessions.len().div_ceil(self.config.push_intervals_max.max(1));
        let count = match self.config.push_partners_max {
            0 => 0,
            partners => partners.max(least).min(sessions.len()),
        };
        let start = sessions.partition_point(|(member, _)| *member <= self.pushed_last);
        sessions.rotate_left(start);
        let rest = sessions.split_off(count);
        if let Some((last, _)) = sessions.last() {
            self.pushed_last = *last;
        }
        (sessions, rest)
    }

    pub(super) fn on_heartbeat(
        &mut self,
        now: Now,
        from: MemberId,
        (incarnation, sequence): (Incarnation, Sequence),
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        if self.admit(now, "heartbeat", from, COST_QUESTION, context, out).is_none() {
            return;
        }
        let awake = self.awake.at(now.monotonic);
        let held = self.members.get_mut(from).filter(|entry| entry.is_alive());
        match held {
            Some(entry) if entry.alive.statement().incarnation == incarnation => {
                entry.beat = entry.beat.max(sequence);
                entry.heard = awake;
                entry.asked = None;
            }
            Some(entry) if entry.alive.statement().incarnation > incarnation => {
                self.handle_behind(now, from, context, out);
            }
            // Its alive was lost on the way, or it is back: a heartbeat alone makes nobody a member.
            _ => out.send(from, Message::WantAlives(vec![from])),
        }
    }
}
