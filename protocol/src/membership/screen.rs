//! The cheap checks before a signature is verified, and again after: each refusal has its name.

use super::ticks::newest_of;
use super::{Context, MemberStatus, State};
use crate::refusal::Refusal;
use crate::time::{Now, WallTime};
use crate::types::{Mark, MemberId, OrgId, Tick};
use crate::wire::{Alive, Leave, Signed};

impl State {
    /// Whether this alive would be stored: not known, plausible, and from who may tell it.
    ///
    /// # Errors
    /// [`Refusal`] names the check.
    pub fn screen_alive(
        &self,
        now: Now,
        alive: &Signed<Alive>,
        tick: Option<Tick>,
        from: MemberId,
        context: &Context<'_>,
    ) -> Result<(), Refusal> {
        let statement = alive.statement();
        if statement.member == self.own.member {
            return self.screen_in_my_name(now, alive);
        }
        let org = self.require_org(statement.member, context)?;
        self.require_right_to_tell(org, statement.external_endpoint.is_some(), from, context)?;
        let (link, _) = newest_of(statement, tick);
        let time = statement.time_of(link);
        self.require_plausible_time(now, statement, time, from)?;
        if let Err(old) = self.require_above_mark(statement.mark_of(link)) {
            let is_known = self.members.get(statement.member).map(|it| it.alive.signed()) == Some(alive);
            return if is_known { Err(Refusal("known")) } else { self.screen_excluded(now, alive, old) };
        }
        match self.members.get(statement.member) {
            None => self.members.require_room(org),
            Some(_) if from == statement.member => Ok(()),
            Some(entry) => {
                // What is older than the expiry already is no sign of life: it brings nobody back.
                let is_too_old =
                    entry.age_of((statement.incarnation, time), now.monotonic) >= self.config.expiry;
                let is_gone = entry.status != MemberStatus::Alive;
                if is_gone && is_too_old { Err(Refusal("too_old")) } else { Ok(()) }
            }
        }
    }

    /// Whether this leave would change anything.
    ///
    /// # Errors
    /// [`Refusal`] names the check.
    pub fn screen_leave(
        &self,
        now: Now,
        leave: &Signed<Leave>,
        from: MemberId,
        context: &Context<'_>,
    ) -> Result<(), Refusal> {
        let statement = leave.statement();
        let org = self.require_org(statement.member, context)?;
        let Some(entry) = self.members.get(statement.member) else {
            return Err(Refusal("unknown_member"));
        };
        self.require_right_to_tell(org, entry.is_external(), from, context)?;
        self.require_above_mark(leave.mark())?;
        let is_new_life = statement.incarnation > entry.alive.statement().incarnation;
        if is_new_life
            && statement.incarnation.started_at() > now.wall.saturating_add(self.config.clock_skew_max)
        {
            return Err(Refusal("incarnation_in_future"));
        }
        Ok(())
    }

    fn require_org(&self, member: MemberId, context: &Context<'_>) -> Result<OrgId, Refusal> {
        if member == self.own.member {
            return Err(Refusal("about_me"));
        }
        context.identities.org(member).ok_or(Refusal("unknown_identity"))
    }

    pub(super) fn require_right_to_tell(
        &self,
        about: OrgId,
        is_external: bool,
        from: MemberId,
        context: &Context<'_>,
    ) -> Result<(), Refusal> {
        let teller = context.identities.org(from).ok_or(Refusal("unknown_sender"))?;
        match self.disclosure(context).may_hear(about, is_external, teller) {
            true => Ok(()),
            false => Err(Refusal("not_entitled")),
        }
    }

    fn require_above_mark(&self, mark: Mark) -> Result<(), Refusal> {
        match self.marks.order(mark.member) {
            Some(known) if known == mark.order() => Err(Refusal("known")),
            Some(known) if known > mark.order() => Err(Refusal("stale")),
            _ => Ok(()),
        }
    }

    /// An incarnation that I know already was judged when it was new: my clock may have jumped since.
    fn require_plausible_time(
        &self,
        now: Now,
        alive: &Alive,
        time: WallTime,
        from: MemberId,
    ) -> Result<(), Refusal> {
        let is_known = self.marks.order(alive.member).is_some_and(|(known, _)| known >= alive.incarnation);
        let skew = self.config.clock_skew_max;
        if !is_known && alive.incarnation.started_at() > now.wall.saturating_add(skew) {
            return Err(Refusal("incarnation_in_future"));
        }
        if from != alive.member && time.distance(now.wall) > skew {
            return Err(Refusal("beyond_clock_skew"));
        }
        Ok(())
    }
}
