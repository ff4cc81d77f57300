//! Identities in use twice: a copied disk, a stolen key.
//!
//! Two alives of one member that one process cannot have signed are proof (`Alive::exclude_each_other`). Who
//! finds or is sent such a pair raises an alarm and passes it on once, under the disclosure rule. Nobody is
//! condemned: the member stays what it is. A newer incarnation clears the alarm.
//!
//! The owner itself finds an alive of its own that it did not sign. Signed before its process started, it is
//! of an earlier life that this disk does not remember (new disk, restored copy): the owner takes a newer
//! incarnation. Signed later, somebody else speaks in its name: the owner signs another alive of the same
//! order, and the two are the proof. When nothing newer follows, that somebody is gone, and the owner takes a
//! newer incarnation as well.
//!
//! Bounds: one alarm a member and alive interval, at most as many as members; beyond, refused and counted.

use super::alive::Heard;
use super::{Context, State};
use crate::event::Event;
use crate::job::VerifiedConflict;
use crate::output::{Outbox, Output};
use crate::refusal::Refusal;
use crate::sampling;
use crate::store::MetaKey;
use crate::time::{Monotonic, Now, WallTime};
use crate::types::{Endpoint, Incarnation, MemberId, OrgId, Sequence, Tick};
use crate::wire::{Alive, Conflict, InternalEndpoint, Message, Signed, TickChain, Verified};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// A proof goes to so many sessions of each that has it. Derived: of all members, one in e¹⁶ misses it.
const PROOF_PARTNERS: usize = 16;

/// A copy that runs is heard of within so many alive intervals.
const SILENT_INTERVALS: u32 = 3;

/// Where the two processes of one identity say that they are, as far as it may be known here.
pub type Endpoints = [Option<Endpoint>; 2];

#[derive(Clone, Debug)]
struct Alarm {
    /// The newer of the two.
    incarnation: Incarnation,
    raised_at: Monotonic,
    endpoints: Endpoints,
    is_cleared: bool,
}

/// The alarms, at most so many.
#[derive(Clone, Debug)]
pub(super) struct Duplicates {
    alarms: BTreeMap<MemberId, Alarm>,
    count_max: usize,
    interval: Duration,
}

impl Duplicates {
    pub(super) fn new(count_max: usize, interval: Duration) -> Self {
        Self { alarms: BTreeMap::new(), count_max, interval }
    }

    /// Whether a further proof about this incarnation of a member would change anything now.
    fn require_news(&self, now: Now, member: MemberId, incarnation: Incarnation) -> Result<(), Refusal> {
        match self.alarms.get(&member) {
            None if self.alarms.len() >= self.count_max => Err(Refusal("duplicates_full")),
            None => Ok(()),
            Some(known) if !known.is_cleared && known.incarnation >= incarnation => {
                Err(Refusal("known_duplicate"))
            }
            Some(known) if now.monotonic.saturating_since(known.raised_at) < self.interval => {
                Err(Refusal("alarm_too_soon"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Says whether an alarm stood that this incarnation clears.
    fn clear(&mut self, member: MemberId, incarnation: Incarnation) -> bool {
        let alarm = self.alarms.get_mut(&member);
        let alarm = alarm.filter(|alarm| !alarm.is_cleared && alarm.incarnation < incarnation);
        alarm.map(|alarm| alarm.is_cleared = true).is_some()
    }

    pub(super) fn endpoints(&self, member: MemberId) -> Option<&Endpoints> {
        self.alarms.get(&member).filter(|alarm| !alarm.is_cleared).map(|alarm| &alarm.endpoints)
    }

    pub(super) fn retain(&mut self, is_held: impl Fn(MemberId) -> bool) {
        self.alarms.retain(|member, _| is_held(*member));
    }
}

/// An alive in my name that I did not sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct InMyName {
    order: (Incarnation, Sequence),
    /// By its signer's clock.
    wall_time: WallTime,
    heard_at: Monotonic,
    /// The ticks that may follow it, and which one was the last.
    ticks: Option<TickChain>,
    link: u32,
}

impl InMyName {
    fn of(alive: &Alive, heard_at: Monotonic) -> Self {
        let order = (alive.incarnation, alive.sequence);
        Self { order, wall_time: alive.wall_time, heard_at, ticks: alive.ticks, link: 0 }
    }

    /// Whether a tick shows that who signed it still runs; then so much later.
    fn follow(&mut self, tick: Tick, now: Monotonic) {
        let Some(chain) = self.ticks else {
            return;
        };
        let mut link = tick;
        for number in 0..=chain.links {
            if link == chain.end {
                if number > self.link {
                    let passed =
                        u64::from(chain.interval_millis).saturating_mul(u64::from(number - self.link));
                    self.wall_time = self.wall_time.saturating_add(Duration::from_millis(passed));
                    (self.link, self.heard_at) = (number, now);
                }
                return;
            }
            link = link.before();
        }
    }
}

impl State {
    /// Whether this alive, which is not newer than the held one, excludes it and nobody knows yet.
    pub(super) fn screen_excluded(
        &self,
        now: Now,
        alive: &Signed<Alive>,
        old: Refusal,
    ) -> Result<(), Refusal> {
        let held = self.members.get(alive.member()).map(|entry| entry.alive.signed());
        match held.filter(|held| Alive::exclude_each_other(held, alive)) {
            None => Err(old),
            Some(held) => {
                let newer = held.statement().incarnation.max(alive.statement().incarnation);
                self.duplicates.require_news(now, alive.member(), newer)
            }
        }
    }

    /// Whether an alive in my own name is newer than all that I have signed.
    pub(super) fn screen_in_my_name(&self, now: Now, alive: &Signed<Alive>) -> Result<(), Refusal> {
        let statement = alive.statement();
        let (order, mine) = (alive.mark().order(), (self.incarnation, self.sequence));
        let is_other = self.own_alive.as_ref().is_some_and(|own| own.signed().bytes() != alive.bytes());
        let is_foreign = order > mine || (order == mine && is_other && self.own_mark_is(order));
        if !is_foreign {
            return Err(Refusal("about_me"));
        }
        if statement.incarnation.started_at() > now.wall.saturating_add(self.config.clock_skew_max) {
            return Err(Refusal("incarnation_in_future"));
        }
        match self.in_my_name {
            Some(held) if held.order >= order => Err(Refusal("known_duplicate")),
            _ => Ok(()),
        }
    }

    fn own_mark_is(&self, order: (Incarnation, Sequence)) -> bool {
        self.own_mark().is_some_and(|mark| mark.order() == order)
    }

    fn is_of_earlier_life(&self, alive: &Alive) -> bool {
        alive.incarnation > self.incarnation && alive.wall_time < self.started_at
    }

    /// A verified pair that somebody sends.
    ///
    /// # Errors
    /// [`Refusal`] names the check.
    pub fn screen_conflict(
        &self,
        now: Now,
        conflict: &Conflict,
        from: MemberId,
        context: &Context<'_>,
    ) -> Result<(), Refusal> {
        let (first, second) = (conflict.first.alive.statement(), conflict.second.alive.statement());
        let newer = first.incarnation.max(second.incarnation);
        let is_external = first.external_endpoint.is_some() && second.external_endpoint.is_some();
        if first.member != self.own.member {
            let org = context.identities.org(first.member).ok_or(Refusal("unknown_identity"))?;
            self.require_right_to_tell(org, is_external, from, context)?;
            self.members.get(first.member).ok_or(Refusal("unknown_member"))?;
        }
        if newer.started_at() > now.wall.saturating_add(self.config.clock_skew_max) {
            return Err(Refusal("incarnation_in_future"));
        }
        let held = self.members.get(first.member).map(|entry| entry.alive.statement().incarnation);
        if held.is_some_and(|held| held > newer) {
            return Err(Refusal("cleared"));
        }
        self.duplicates.require_news(now, first.member, newer)
    }

    /// An alive that excludes the held one; the held one stays what it is.
    pub(super) fn raise_excluded(
        &mut self,
        now: Now,
        Heard { alive, internal, from, .. }: &Heard,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let Some(entry) = self.members.get(alive.member()) else {
            return;
        };
        if !Alive::exclude_each_other(entry.alive.signed(), alive.signed()) {
            return;
        }
        let first = (entry.alive.clone(), entry.internal.clone());
        let conflict = VerifiedConflict { first, second: (alive.clone(), internal.clone()) };
        self.raise(now, &conflict, *from, context, out);
    }

    /// Raises the alarm unless it stands, and passes the proof on once.
    pub(super) fn raise(
        &mut self,
        now: Now,
        conflict: &VerifiedConflict,
        from: MemberId,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let (first, second) = (&conflict.first, &conflict.second);
        let member = first.0.member();
        let incarnation = first.0.statement().incarnation.max(second.0.statement().incarnation);
        if self.duplicates.require_news(now, member, incarnation).is_err() {
            return;
        }
        let is_me = member == self.own.member;
        let org = if is_me { Some(self.own.org) } else { context.identities.org(member) };
        let Some(org) = org else {
            return;
        };
        let endpoint = |(alive, internal): &(Verified<Alive>, Option<InternalEndpoint>)| {
            let internal = internal.as_ref().map(|it| it.endpoint.clone());
            internal.or_else(|| alive.statement().external_endpoint.clone())
        };
        let endpoints = [endpoint(first), endpoint(second)];
        let alarm =
            Alarm { incarnation, raised_at: now.monotonic, endpoints: endpoints.clone(), is_cleared: false };
        self.duplicates.alarms.insert(member, alarm);
        out.event(Event::DuplicateIdentity { member, incarnation, endpoints, is_me });
        self.spread(org, conflict, from, context, out);
    }

    fn spread(
        &mut self,
        org: OrgId,
        conflict: &VerifiedConflict,
        from: MemberId,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let inside = conflict.to_wire();
        let mut abroad = inside.clone();
        (abroad.first.internal, abroad.second.internal) = (None, None);
        let endpoints = [&inside.first, &inside.second].map(|it| &it.alive.statement().external_endpoint);
        let is_external = endpoints.iter().all(|endpoint| endpoint.is_some());
        let entitled = self.who_may_know(org, is_external, &[from], context);
        for (to, to_org) in sampling::sample(&mut self.random, entitled, PROOF_PARTNERS) {
            let is_inside = org == self.own.org && to_org == org;
            let proof = if is_inside { inside.clone() } else { abroad.clone() };
            out.send(to, Message::Conflict(Box::new(proof)));
        }
    }

    /// An alive in my name that I did not sign.
    pub(super) fn on_alive_in_my_name(
        &mut self,
        now: Now,
        Heard { alive, internal, from, tick }: Heard,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        if self.screen_in_my_name(now, alive.signed()).is_err() {
            return;
        }
        if self.is_of_earlier_life(alive.statement()) {
            let heard = InMyName::of(alive.statement(), now.monotonic);
            return self.outlive(now, heard, context, out);
        }
        let statement = alive.statement();
        let mut in_my_name = InMyName::of(statement, now.monotonic);
        tick.into_iter().for_each(|tick| in_my_name.follow(tick, now.monotonic));
        self.in_my_name = Some(in_my_name);
        self.index.add(self.own.member, statement.ticks.map(|chain| chain.end));
        let mine = self.statement_of((statement.incarnation, statement.sequence), now.wall);
        let mine = Verified::sign(mine, &self.network, context.key);
        if Alive::exclude_each_other(mine.signed(), alive.signed()) {
            let first = (mine, Some(self.own_internal.clone()));
            let conflict = VerifiedConflict { first, second: (alive, internal) };
            self.raise(now, &conflict, from, context, out);
        }
    }

    /// A tick of mine, or of who speaks in my name.
    pub(super) fn on_tick_in_my_name(&mut self, now: Now, tick: Tick) {
        if let Some(in_my_name) = &mut self.in_my_name {
            in_my_name.follow(tick, now.monotonic);
        }
    }

    /// Who spoke in my name and has said nothing since is no process that runs: a life that ended, seen by a
    /// clock that is slower now, or a single theft.
    pub(super) fn outlive_silent(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        let patience = self.config.alive_interval.saturating_mul(SILENT_INTERVALS);
        if let Some(heard) = self.in_my_name
            && now.monotonic.saturating_since(heard.heard_at) >= patience
        {
            self.outlive(now, heard, context, out);
        }
    }

    /// Takes an incarnation after that of an earlier life; it waits if that is still beyond the skew. It
    /// starts now at the earliest, and after the last word of the earlier life by that one's clock, up to the
    /// skew: none of what it said excludes this one.
    fn outlive(&mut self, now: Now, earlier: InMyName, context: &Context<'_>, out: &mut Outbox) {
        let latest = now.wall.saturating_add(self.config.clock_skew_max);
        let begins = now.wall.max(earlier.wall_time.min(latest));
        let next = earlier.order.0.next().max(Incarnation::from_millis(begins.as_millis()));
        if next.started_at() > latest {
            return;
        }
        self.incarnation = next;
        self.sequence = Sequence::default();
        self.in_my_name = None;
        self.clear_duplicate(self.own.member, next, out);
        let value = Bytes::copy_from_slice(&next.as_millis().to_be_bytes());
        out.push(Output::Save { key: MetaKey::Incarnation, value });
        out.event(Event::IncarnationRaised { incarnation: next });
        if self.has_left {
            return;
        }
        self.sign_alive(now, context, out);
        let entitled = self.who_may_know(self.own.org, self.own.external.is_some(), &[], context);
        for (to, org) in entitled {
            self.send_own(to, org, out);
        }
    }

    /// A newer life of a member ends what was said about its earlier ones.
    pub(super) fn clear_duplicate(&mut self, member: MemberId, incarnation: Incarnation, out: &mut Outbox) {
        if self.duplicates.clear(member, incarnation) {
            out.event(Event::DuplicateCleared { member, incarnation });
        }
    }

    /// A member on its own session is behind what I hold of it: it is shown that.
    pub(super) fn handle_behind(
        &mut self,
        now: Now,
        member: MemberId,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let cost = crate::budget::COST_QUESTION;
        let Some(org) = self.admit(now, "alive", member, cost, context, out) else {
            return;
        };
        if let Some(entry) = self.members.get(member) {
            out.send(member, Message::Alives(vec![self.record(entry, org)]));
        }
    }

    /// The endpoints of both processes of a member whose identity is in use twice.
    pub fn duplicate(&self, member: MemberId) -> Option<&Endpoints> {
        self.duplicates.endpoints(member)
    }

    /// An alive of mine with this order.
    pub(super) fn statement_of(
        &self,
        (incarnation, sequence): (Incarnation, Sequence),
        wall_time: WallTime,
    ) -> Alive {
        Alive {
            member: self.own.member,
            incarnation,
            sequence,
            wall_time,
            external_endpoint: self.own.external.clone(),
            internal_hash: self.own_internal.hash(),
            ticks: None,
        }
    }
}
