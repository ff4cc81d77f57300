//! Ticks: between two signed alives a member shows the links of the hash chain that the last one names, one
//! an interval.
//!
//! ```text
//! signed alive ──► end ◄─hash─ tick 1 ◄─hash─ tick 2 ◄─hash─ … ◄─hash─ tick n, known to the owner only
//! sequence s                    s + 1          s + 2                    s + n
//! wall time w                   w + T          w + 2T                   w + nT
//! ```
//!
//! - Whoever holds the alive tells by one hash whose the next tick is, and that its owner was alive at its
//!   time; a later tick covers those that were missed. A tick that is shown late is old, as an alive is.
//! - Ticks pass through each peer once, in batches, to a few sessions that may know their members.
//! - Whose tick belongs to no chain that is known here is asked for the alive. The chain's end goes round
//!   like a tick, and so a new alive is asked for by each peer once. Unknown ticks are no offence.
//! - Two members may name one chain, or one a link of the other's (one of them copies): a tick counts for
//!   both.
//!
//! Bounds: hashes for each tick ([`LINKS_MAX`] + 1), ticks for each frame and second, ticks that one sender
//! is asked about.

use super::table::Entry;
use super::{Context, MemberStatus, State};
use crate::asked::Asked;
use crate::budget::COST_LIST;
use crate::event::Event;
use crate::output::Outbox;
use crate::refusal::Refusal;
use crate::sampling;
use crate::time::{Monotonic, Now};
use crate::types::{MemberId, OrgId, Tick};
use crate::wire::{Alive, LINKS_MAX, Message, TICKS_MAX, TickChain, WANT_ANCHORS_MAX};
use ledgercast_crypto::Digest;
use rand_core::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Who was asked about a tick has so long to answer. Guess: several slow round trips.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// The most ticks that one sender is asked about at once. Guess: a newcomer's view of a large network.
const ASKED_PER_SENDER: usize = 1024;

/// The chain that my newest alive names.
#[derive(Debug)]
pub(super) struct OwnChain {
    /// The end first.
    ticks: Vec<Tick>,
    shown: u32,
    signed_at: Monotonic,
}

impl OwnChain {
    /// A chain of about `links`: their number is drawn, so that not all members sign at once for ever.
    pub(super) fn new(random: &mut impl Rng, links: u32, now: Monotonic) -> Self {
        let least = links.div_ceil(2);
        let drawn = sampling::below(random, (links - least) as usize + 1);
        let mut link = [0; 16];
        random.fill_bytes(&mut link);
        let mut ticks = vec![Tick::from_bytes(link)];
        for _ in 0..least as usize + drawn {
            ticks.push(ticks[ticks.len() - 1].before());
        }
        ticks.reverse();
        Self { ticks, shown: 0, signed_at: now }
    }

    fn links(&self) -> u32 {
        u32::try_from(self.ticks.len() - 1).expect("a chain is short")
    }

    /// What the alive says of it.
    pub(super) fn terms(&self, interval: Duration) -> TickChain {
        let interval_millis = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX).max(1);
        TickChain { end: self.ticks[0], links: self.links(), interval_millis }
    }

    /// The newest tick that I have shown, or the end.
    pub(super) fn newest(&self) -> Tick {
        self.ticks[self.shown as usize]
    }

    /// The one after it.
    #[cfg(test)]
    pub(super) fn next(&self) -> Tick {
        self.ticks[self.shown as usize + 1]
    }

    /// How many intervals have passed since the alive.
    fn due(&self, now: Monotonic, interval: Duration) -> u32 {
        let passed = now.saturating_since(self.signed_at).as_millis() / interval.as_millis().max(1);
        u32::try_from(passed).unwrap_or(u32::MAX)
    }

    /// When the next interval is over.
    pub(super) fn next_at(&self, now: Monotonic, interval: Duration) -> Monotonic {
        let next = self.due(now, interval).saturating_add(1);
        self.signed_at.saturating_add(interval.saturating_mul(next))
    }
}

/// Whose chain a tick belongs to: the ends and the newest ticks of all that are held.
#[derive(Debug, Default)]
pub(super) struct Index {
    known: BTreeSet<(Tick, MemberId)>,
    of_member: BTreeMap<MemberId, Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// The end of the chain before: its late ticks are nothing to ask about.
    previous: Option<Tick>,
    end: Tick,
    newest: Tick,
}

impl Known {
    fn ticks(self) -> impl Iterator<Item = Tick> {
        [Some(self.end), Some(self.newest), self.previous].into_iter().flatten()
    }
}

impl Index {
    pub(super) fn set(&mut self, member: MemberId, end: Option<Tick>, newest: Option<Tick>) {
        let before = self.of_member.remove(&member);
        before.iter().flat_map(|it| it.ticks()).for_each(|tick| {
            self.known.remove(&(tick, member));
        });
        let Some(end) = end else {
            return;
        };
        let previous = before.and_then(|it| if it.end == end { it.previous } else { Some(it.end) });
        let known = Known { previous, end, newest: newest.unwrap_or(end) };
        self.known.extend(known.ticks().map(|tick| (tick, member)));
        self.of_member.insert(member, known);
    }

    /// One more end of chains in a member's name: of who uses its identity as well. It stays until the next
    /// [`Index::set`] of that member, as the chain before.
    pub(super) fn add(&mut self, member: MemberId, end: Option<Tick>) {
        if let (Some(known), Some(end)) = (self.of_member.get_mut(&member), end) {
            let replaced = known.previous.replace(end);
            let is_needed = |tick: &Tick| known.ticks().any(|it| it == *tick);
            let replaced = replaced.filter(|tick| !is_needed(tick));
            self.known.insert((end, member));
            replaced.into_iter().for_each(|tick| {
                self.known.remove(&(tick, member));
            });
        }
    }

    /// The members to one of whose known ticks this one leads, each with the nearest of these and how many
    /// links it is away. All links are looked at: who names a link of another's chain as its own end must not
    /// stand between that chain and its owner.
    fn find(&self, tick: Tick) -> BTreeMap<MemberId, Hit> {
        let first = MemberId::from_digest(Digest::ZERO);
        let (mut link, mut found) = (tick, BTreeMap::new());
        for distance in 0..=LINKS_MAX {
            let here = self.known.range((link, first)..).take_while(|(known, _)| *known == link);
            for (_, member) in here {
                found.entry(*member).or_insert(Hit { tick: link, distance });
            }
            link = link.before();
        }
        found
    }

    pub(super) fn retain(&mut self, is_held: impl Fn(MemberId) -> bool) {
        let gone: Vec<MemberId> = self.of_member.keys().copied().filter(|member| !is_held(*member)).collect();
        gone.into_iter().for_each(|member| self.set(member, None, None));
    }
}

/// A known tick that another one leads to, and over how many links.
#[derive(Clone, Copy, Debug)]
struct Hit {
    tick: Tick,
    distance: u32,
}

/// Ticks on their way: those to pass on, with who brought each, and those that others were asked about.
#[derive(Debug)]
pub(super) struct Passing {
    fresh: BTreeMap<MemberId, MemberId>,
    asked: Asked<Tick>,
}

impl Default for Passing {
    fn default() -> Self {
        Self { fresh: BTreeMap::new(), asked: Asked::new(ASKED_PER_SENDER, ASK_AGAIN) }
    }
}

impl Passing {
    pub(super) fn note(&mut self, member: MemberId, from: MemberId) {
        self.fresh.insert(member, from);
    }

    /// Whether to ask who showed an unknown tick about it now. Beyond the bound nothing is asked for a
    /// moment: whose alive is missed for that is asked for when its ticks are missed.
    fn may_ask(&mut self, now: Monotonic, tick: Tick, from: MemberId) -> bool {
        self.asked.may_ask(now, tick, from)
    }

    pub(super) fn expire(&mut self, now: Monotonic) {
        self.asked.expire(now);
    }
}

impl State {
    /// Shows the tick that is due, or signs anew when the chain is used up or there is none.
    pub(super) fn advance_own(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        let (me, interval) = (self.own.member, self.config.alive_interval);
        let anchor = self.own_alive.as_ref().map(|own| own.mark().sequence);
        match (&mut self.own_chain, anchor) {
            (Some(chain), Some(anchor)) if chain.due(now.monotonic, interval) <= chain.links() => {
                let due = chain.due(now.monotonic, interval);
                if due > chain.shown {
                    chain.shown = due;
                    self.sequence = anchor.after(due);
                    self.own_said_at = now.monotonic;
                    self.index.set(me, Some(chain.ticks[0]), Some(chain.newest()));
                    self.passing.note(me, me);
                }
            }
            _ => self.sign_alive(now, context, out),
        }
    }

    /// Passes on what ticks came since the last time, each to a few who may know its member.
    pub(super) fn pass_ticks_on(&mut self, context: &Context<'_>, out: &mut Outbox) {
        let fresh = std::mem::take(&mut self.passing.fresh);
        if fresh.is_empty() || self.has_left {
            return;
        }
        for (to, org) in self.tick_partners(context) {
            let told = fresh.iter().filter(|(_, from)| **from != to);
            let ticks: Vec<Tick> =
                told.filter_map(|(member, _)| self.tick_for(*member, org, context)).collect();
            for chunk in ticks.chunks(TICKS_MAX) {
                out.send(to, Message::Ticks(chunk.to_vec()));
            }
        }
    }

    /// A few of my org, who may know of everybody that I know of; and abroad, where my org's members are told
    /// by my org only, so many that together we reach each org a few times.
    fn tick_partners(&mut self, context: &Context<'_>) -> Vec<(MemberId, OrgId)> {
        let count = self.config.push_partners_max;
        let (inside, abroad): (Vec<_>, Vec<_>) =
            self.lively(self.met(context)).into_iter().partition(|(_, org)| *org == self.own.org);
        let mut of_org: BTreeMap<OrgId, Vec<(MemberId, OrgId)>> = BTreeMap::new();
        abroad.into_iter().for_each(|it| of_org.entry(it.1).or_default().push(it));
        let mine = self.members.alive().filter(|(_, entry)| entry.org == self.own.org).count() + 1;
        let seeds = count.saturating_mul(of_org.len()).div_ceil(mine);
        let (each, more) = (seeds / of_org.len().max(1), seeds % of_org.len().max(1));
        let mut partners = sampling::sample(&mut self.random, inside, count);
        let orgs = sampling::sample(&mut self.random, of_org.into_values().collect(), usize::MAX);
        for (index, members) in orgs.into_iter().enumerate() {
            let seeds = each + usize::from(index < more);
            partners.extend(sampling::sample(&mut self.random, members, seeds));
        }
        partners
    }

    /// The newest tick of a member, or of mine, as far as an org may know of it.
    fn tick_for(&self, member: MemberId, to: OrgId, context: &Context<'_>) -> Option<Tick> {
        let disclosure = self.disclosure(context);
        if member == self.own.member {
            let may_tell = disclosure.may_tell(self.own.org, self.own.external.is_some(), to);
            return self.own_chain.as_ref().filter(|_| may_tell).map(OwnChain::newest);
        }
        let entry = self.members.get(member).filter(|entry| entry.is_alive())?;
        entry.tick.filter(|_| disclosure.may_tell(entry.org, entry.is_external(), to))
    }

    pub(super) fn on_ticks(
        &mut self,
        now: Now,
        from: MemberId,
        ticks: &[Tick],
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let Some(org) = context.sessions.get(&from).copied() else {
            return;
        };
        if self.has_left || !self.disclosure(context).may_meet(org) {
            return out.event(Event::Refused { kind: "ticks", reason: "nothing_shared", member: Some(from) });
        }
        let mut unknown = Vec::new();
        // Each costs hashes, so it is looked at once.
        for tick in ticks.iter().copied().collect::<BTreeSet<Tick>>() {
            let members = self.index.find(tick);
            if members.is_empty()
                && unknown.len() < WANT_ANCHORS_MAX
                && self.passing.may_ask(now.monotonic, tick, from)
            {
                unknown.push(tick);
            }
            for (member, hit) in members {
                if let Err(Refusal(reason)) = self.take_tick(now, (member, hit), tick, from, context, out) {
                    out.event(Event::Refused { kind: "ticks", reason, member: Some(from) });
                }
            }
        }
        if !unknown.is_empty() {
            out.send(from, Message::WantAnchors(unknown));
        }
    }

    /// A tick that leads to a member's chain: news if it is beyond the newest one.
    fn take_tick(
        &mut self,
        now: Now,
        (member, hit): (MemberId, Hit),
        tick: Tick,
        from: MemberId,
        context: &Context<'_>,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        if member == self.own.member {
            self.on_tick_in_my_name(now, tick);
            return Ok(());
        }
        let Some(entry) = self.members.get(member) else {
            return Ok(());
        };
        self.require_right_to_tell(entry.org, entry.is_external(), from, context)?;
        let link = link_at(entry, hit).filter(|link| *link > entry.link);
        let Some(link) = link.filter(|_| entry.status != MemberStatus::Left) else {
            return Ok(());
        };
        // Its certificate no longer holds: whatever it goes on to show, it stays away.
        context.identities.org(member).ok_or(Refusal("unknown_identity"))?;
        let (alive, org) = (entry.alive.statement(), entry.org);
        let (mark, time) = (alive.mark_of(link), alive.time_of(link));
        let is_too_old = entry.age_of((alive.incarnation, time), now.monotonic) >= self.config.expiry;
        if self.marks.order(member).is_some_and(|known| known >= mark.order()) {
            return Ok(());
        }
        if from != member && !entry.is_alive() && is_too_old {
            return Err(Refusal("too_old"));
        }
        if from == member {
            self.clocks.note(from, org, time.distance(now.wall) > self.config.clock_skew_max);
        }
        let is_back = !entry.is_alive();
        let end = alive.ticks.map(|chain| chain.end);
        let hearing = self.hearing(now, member, (alive.incarnation, time), from);
        self.marks.raise(mark, now.wall.max(time));
        self.index.set(member, end, Some(tick));
        if let Some(entry) = self.members.get_mut(member) {
            (entry.tick, entry.link) = (Some(tick), link);
            entry.hear(now.monotonic, hearing);
        }
        self.passing.note(member, from);
        self.answer_relays(member, context, out);
        if is_back {
            self.tell_return(member, from, context, out);
        }
        Ok(())
    }

    /// Somebody has ticks of chains that it does not know.
    pub(super) fn on_want_anchors(
        &mut self,
        now: Now,
        from: MemberId,
        ticks: &[Tick],
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let Some(org) = self.admit(now, "want_anchors", from, COST_LIST, context, out) else {
            return;
        };
        let wanted: BTreeSet<MemberId> =
            ticks.iter().flat_map(|tick| self.index.find(*tick).into_keys()).collect();
        let records = self.records_for(org, context, |mark| wanted.contains(&mark.member));
        self.send_records(from, records, out);
    }
}

/// Which link of a held member's chain a tick is that leads to one of its known ticks so many links away.
fn link_at(entry: &Entry, hit: Hit) -> Option<u32> {
    let chain = entry.alive.statement().ticks?;
    let known = match hit.tick {
        tick if entry.tick == Some(tick) => entry.link,
        tick if tick == chain.end => 0,
        // Of the chain before.
        _ => return None,
    };
    Some(known + hit.distance).filter(|link| *link <= chain.links)
}

/// What an alive and the tick beside it say together: which link that is, and the tick if it is one.
pub(super) fn newest_of(alive: &Alive, tick: Option<Tick>) -> (u32, Option<Tick>) {
    let link = tick.and_then(|tick| alive.link_of(tick));
    (link.unwrap_or(0), link.and(tick).or(alive.ticks.map(|chain| chain.end)))
}
