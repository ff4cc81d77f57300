//! Channels meet sessions and members: who may discuss which channel, who is a neighbour, what modules tell
//! each other.
//!
//! Isolation rests on one look-up, `Peer::access`: a message of a channel is taken from, answered to
//! and sent to a member only when I have joined it and my config entitles that member. A miss is a miss: an
//! unknown channel and a forbidden one take the same path and get the same bytes.

use super::channel::{self, Channel};
use super::joined::{Joined, Settled};
use super::mentions::Mentions;
use super::{Peer, RestoredChannel, next_seed};
use crate::channel::{Access, ConfigHistory, Genesis};
use crate::event::Event;
use crate::job::SignedStatement;
use crate::leadership;
use crate::membership;
use crate::refusal::Refusal;
use crate::state_info;
use crate::time::Now;
use crate::timer::ChannelTimer;
use crate::types::{ChannelId, ChannelName, Height, MemberId, Neighbour, OrgId, SessionId};
use crate::wire::{ChannelLeave, ChannelMessage, Leadership, Message, StateInfo, Verified};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Peer {
    pub(super) fn add_channel(&mut self, restored: RestoredChannel) {
        let RestoredChannel { name, configs, tip, epoch_start } = restored;
        let channel = configs.current().channel();
        let config_number = configs.current().number();
        let flow = Channel::new(
            self.config.channel.clone(),
            configs,
            tip,
            epoch_start,
            self.member(),
            self.org(),
            next_seed(&mut self.random),
        );
        let joined = Joined {
            name,
            flow,
            state_info: state_info::State::new(self.config.state_info.clone(), next_seed(&mut self.random)),
            leadership: leadership::State::new(self.config.leadership.clone()),
            neighbours: Vec::new(),
            is_removed: false,
            settled: Settled { config_number, ..Settled::default() },
        };
        self.channels.insert(channel, joined);
        self.refresh_orgs();
        let is_removed = self.removed_at(channel).is_some();
        if let Some(joined) = self.channels.get_mut(&channel) {
            joined.is_removed = is_removed;
        }
    }

    /// The orgs that I know and share a channel with follow from the joined channels.
    pub(super) fn refresh_orgs(&mut self) {
        let mut roster = (*self.own.roster).clone();
        let mut shared_orgs = BTreeSet::new();
        for (channel, joined) in &self.channels {
            // Who may still have older blocks must be able to ask for them.
            let past = joined.flow.configs().past();
            for (_, org) in past.chain([joined.config()]).flat_map(|config| config.roster().orgs()) {
                // An org that is known already is the same org: its id covers its roots, not its lists.
                let _ = roster.insert(org.clone());
                for list in &org.crls {
                    let _ = roster.revoke(list);
                }
            }
            if self.removed_at(*channel).is_some() {
                continue;
            }
            let readers = joined.config().orgs().iter().filter(|org| org.is_reader).map(|org| org.id);
            shared_orgs.extend(readers);
        }
        self.shared_orgs = shared_orgs;
        self.revocations.apply_to(&mut roster);
        self.roster = Arc::new(roster);
    }

    /// The orgs that I share a channel with may be others: membership has to know.
    pub(super) fn follow_orgs(&mut self, now: Now) {
        let before = self.shared_orgs.clone();
        self.refresh_orgs();
        self.tell_orgs(now, &before);
    }

    fn tell_orgs(&mut self, now: Now, before: &BTreeSet<OrgId>) {
        let lost: BTreeSet<OrgId> = before.difference(&self.shared_orgs).copied().collect();
        let gained: BTreeSet<OrgId> = self.shared_orgs.difference(before).copied().collect();
        self.with_membership(now, membership::Input::OrgsChanged { lost, gained });
    }

    pub(super) fn join(&mut self, now: Now, name: ChannelName, genesis: Genesis, is_newcomer: bool) {
        let channel = genesis.channel();
        let is_admitted = is_newcomer || genesis.config().may_gossip(&self.own.identity);
        if self.channels.contains_key(&channel) || !is_admitted {
            return self.refuse("join", "joined_or_not_entitled", None);
        }
        let tip = genesis.block().header().clone();
        let configs = ConfigHistory::new(&genesis);
        let before = self.shared_orgs.clone();
        self.add_channel(RestoredChannel { name, configs, epoch_start: tip.clone(), tip });
        self.tell_orgs(now, &before);
        self.start_channel(now, channel);
        self.tell_channels_to_all();
        self.refresh_neighbours(now);
        self.handle_dial(now);
    }

    pub(super) fn leave(&mut self, now: Now, channel: ChannelId) {
        if !self.channels.contains_key(&channel) {
            return self.refuse("leave", "channel_unknown", None);
        }
        self.with_state_info(now, channel, state_info::Input::Stop);
        self.with_leadership(now, channel, leadership::Input::Stop);
        self.pass_to_channel(now, channel, channel::Input::Stop);
        // The good-bye must find its way while the channel is still known.
        self.deliver_outbox(now);
        self.channels.remove(&channel);
        self.follow_orgs(now);
        self.tell_channels_to_all();
        self.outbox.event(Event::ChannelLeft { channel });
    }

    pub(super) fn start_channel(&mut self, now: Now, channel: ChannelId) {
        self.pass_to_channel(now, channel, channel::Input::Start);
        let Some(joined) = self.channels.get(&channel) else {
            return;
        };
        let tip = joined.flow.tip();
        let event = Event::ChannelJoined {
            channel,
            name: joined.name.clone(),
            height: joined.flow.height().as_u64(),
        };
        self.outbox.event(event);
        self.with_state_info(now, channel, state_info::Input::Start { tip });
        match self.removed_at(channel) {
            Some(number) => {
                self.outbox.event(Event::ReaderRemoved { channel, number });
                self.set_removed(now, channel, true);
            }
            None => self.start_leadership(now, channel),
        }
    }

    /// My org has no leader yet, as far as I know; also when it comes back after its removal.
    pub(super) fn start_leadership(&mut self, now: Now, channel: ChannelId) {
        if let Some(joined) = self.channels.get_mut(&channel) {
            joined.settled.was_led = false;
        }
        self.with_leadership(now, channel, leadership::Input::Start);
        let until = self.channels.get(&channel).and_then(|joined| joined.leadership.first_leader_until());
        if let Some(until) = until {
            self.pass_to_channel(now, channel, channel::Input::AwaitLeader { until });
        }
    }

    pub(super) fn joined(&self, channel: ChannelId) -> Result<&Joined, Refusal> {
        self.channels.get(&channel).ok_or(Refusal("channel_unknown"))
    }

    /// Names to the other side the channels that it may know; again when they change.
    pub(super) fn tell_channels(&mut self, session: SessionId) {
        let Some(entry) = self.sessions.session(session) else {
            return;
        };
        let Some(member) = entry.identity().map(|identity| identity.member) else {
            return;
        };
        // Also to who was removed: it has to find somebody who gives it the block that says so.
        let is_common = |channel: &ChannelId| self.access(member, *channel) != Access::Nothing;
        let common: BTreeSet<ChannelId> = self.channels.keys().copied().filter(is_common).collect();
        let has_changed = self.sessions.session(session).and_then(|it| it.told.as_ref()) != Some(&common);
        let is_first_and_empty = common.is_empty() && entry.told.is_none();
        if has_changed && !is_first_and_empty {
            let message = Message::Channels(common.iter().copied().collect());
            self.send_to_session(session, &message);
            if let Some(entry) = self.sessions.session_mut(session) {
                entry.told = Some(common);
            }
        }
    }

    pub(super) fn tell_channels_to_all(&mut self) {
        let sessions: Vec<SessionId> = self.sessions.ready().map(|(session, ..)| session).collect();
        for session in sessions {
            self.tell_channels(session);
        }
    }

    pub(super) fn on_channels(&mut self, now: Now, session: SessionId, channels: Vec<ChannelId>) {
        if let Some(entry) = self.sessions.session_mut(session) {
            // Kept as named: what I have not joined yet I may join later, and then it counts.
            entry.named = channels.into_iter().collect();
        }
        self.refresh_neighbours(now);
    }

    /// Who can be talked to about each channel: a ready session on which both sides have named it.
    pub(super) fn refresh_neighbours(&mut self, now: Now) {
        for channel in self.channels.keys().copied().collect::<Vec<_>>() {
            let current = self.current_neighbours(now, channel);
            let Some(joined) = self.channels.get_mut(&channel) else {
                continue;
            };
            let before = std::mem::replace(&mut joined.neighbours, current.clone());
            let is_among = |list: &[Neighbour], member| list.iter().any(|it| it.member == member);
            let gone = before.iter().filter(|it| !is_among(&current, it.member)).map(|it| it.member);
            let come = current.iter().filter(|it| !is_among(&before, it.member)).map(|it| it.member);
            let (gone, come): (Vec<_>, Vec<_>) = (gone.collect(), come.collect());
            let has_changed = !gone.is_empty() || !come.is_empty();
            for member in gone {
                self.pass_to_channel(now, channel, channel::Input::NeighbourGone(member));
                self.with_leadership(now, channel, leadership::Input::MemberGone(member));
            }
            for member in come {
                self.with_state_info(now, channel, state_info::Input::NeighbourReady(member));
                self.pass_to_channel(now, channel, channel::Input::NeighbourReady(member));
            }
            if has_changed {
                self.with_leadership(now, channel, leadership::Input::ContextChanged);
            }
        }
    }

    fn current_neighbours(&self, now: Now, channel: ChannelId) -> Vec<Neighbour> {
        let Ok(joined) = self.joined(channel) else {
            return Vec::new();
        };
        let awake = self.membership.awake_at(now.monotonic);
        self.sessions
            .ready()
            .filter(|(_, session, identity)| {
                let is_told = session.told.as_ref().is_some_and(|told| told.contains(&channel));
                is_told && session.named.contains(&channel) && joined.config().may_gossip(identity)
            })
            .map(|(_, _, identity)| {
                let state = joined.state_info.height_of(identity.member);
                Neighbour {
                    member: identity.member,
                    org: identity.org,
                    claimed_height: state.map_or(Height::ZERO, |(height, ..)| height),
                    first_block: state.map(|(_, _, first)| first).unwrap_or_default(),
                    offences: self.standings.offences(awake, identity.member),
                }
            })
            .collect()
    }

    /// A message of a channel: only from who may discuss it; a question is answered alike for unknown and
    /// forbidden.
    pub(super) fn on_channel_message(
        &mut self,
        now: Now,
        from: MemberId,
        channel: ChannelId,
        message: ChannelMessage,
    ) {
        match self.access(from, channel) {
            Access::Everything => {}
            Access::Through(last) => return self.on_former_message(now, from, channel, message, last),
            Access::Nothing => {
                self.refuse(message.kind(), "channel_unknown", Some(from));
                if message.is_question() {
                    self.outbox.send_channel(from, channel, ChannelMessage::Unknown);
                }
                return;
            }
        }
        match message {
            ChannelMessage::StateSummary(summary) => {
                self.with_state_info(now, channel, state_info::Input::Summary { from, summary });
            }
            ChannelMessage::StateDigest(marks) => {
                self.with_state_info(now, channel, state_info::Input::Digest { from, marks });
            }
            ChannelMessage::WantStates(members) => {
                self.with_state_info(now, channel, state_info::Input::Want { from, members });
            }
            ChannelMessage::States(states) => {
                for state in states {
                    self.take_in(now, from, SignedStatement::StateInfo(channel, state));
                }
            }
            ChannelMessage::Leadership(claim) => {
                self.take_in(now, from, SignedStatement::Leadership(channel, claim));
            }
            ChannelMessage::Leave(leave) => {
                self.take_in(now, from, SignedStatement::ChannelLeave(channel, leave));
            }
            // The other side has not joined, or left: its list of channels says so too.
            ChannelMessage::Unknown => self.refuse("unknown", "neighbour_not_joined", Some(from)),
            message => self.pass_to_channel(now, channel, channel::Input::Message { from, message }),
        }
    }

    pub(super) fn pass_to_channel(&mut self, now: Now, channel: ChannelId, input: channel::Input) {
        if let Some(joined) = self.channels.get_mut(&channel) {
            joined.flow.handle(now, input, &joined.neighbours, &mut self.outbox);
        }
    }

    pub(super) fn handle_channel_timer(&mut self, now: Now, channel: ChannelId, timer: ChannelTimer) {
        match timer {
            ChannelTimer::State => self.with_state_info(now, channel, state_info::Input::TimerDue),
            ChannelTimer::Leadership => self.with_leadership(now, channel, leadership::Input::TimerDue),
            timer => self.pass_to_channel(now, channel, channel::Input::TimerDue(timer)),
        }
    }

    pub(super) fn hand_over_state(
        &mut self,
        now: Now,
        channel: ChannelId,
        state: Verified<StateInfo>,
        from: MemberId,
    ) {
        let member = state.member();
        self.with_state_info(now, channel, state_info::Input::StateInfo { state, from });
        let Some(joined) = self.channels.get_mut(&channel) else {
            return;
        };
        if let Some((height, _, first_block)) = joined.state_info.height_of(member) {
            for neighbour in joined.neighbours.iter_mut().filter(|it| it.member == member) {
                (neighbour.claimed_height, neighbour.first_block) = (height, first_block);
            }
        }
        self.pass_to_channel(now, channel, channel::Input::StateChanged(member));
    }

    pub(super) fn hand_over_claim(
        &mut self,
        now: Now,
        channel: ChannelId,
        claim: Verified<Leadership>,
        from: MemberId,
    ) {
        self.with_leadership(now, channel, leadership::Input::Claim { claim, from });
    }

    pub(super) fn hand_over_leave(&mut self, now: Now, channel: ChannelId, leave: Verified<ChannelLeave>) {
        let member = leave.member();
        self.with_state_info(now, channel, state_info::Input::Leave(leave));
        if let Some(session) = self.sessions.of_member(member)
            && let Some(entry) = self.sessions.session_mut(session)
        {
            entry.named.remove(&channel);
        }
        self.refresh_neighbours(now);
    }

    /// Forgets what channels know of members that membership has just judged gone, and ends their sessions;
    /// checks those that others ask about.
    pub(super) fn forget_gone(&mut self, now: Now) {
        for member in self.membership.take_gone() {
            for channel in self.channels.keys().copied().collect::<Vec<_>>() {
                self.with_state_info(now, channel, state_info::Input::MemberGone(member));
                self.with_leadership(now, channel, leadership::Input::MemberGone(member));
            }
            self.end_session_of_gone(member);
        }
        self.membership.take_doubted().into_iter().for_each(|member| self.check(now, member));
    }

    /// Tells the modules of each channel what has changed at the others; says whether anything had.
    pub(super) fn settle_channels(&mut self, now: Now) -> bool {
        let mut has_changed = false;
        for channel in self.channels.keys().copied().collect::<Vec<_>>() {
            let Some(joined) = self.channels.get_mut(&channel) else {
                continue;
            };
            let current = Settled {
                tip: Some(joined.flow.tip()),
                epoch: Some(joined.flow.epoch()),
                can_reach_orderer: joined.flow.can_reach_orderer(),
                was_led: joined.settled.was_led || joined.leadership.leader(now).is_some(),
                is_leading: joined.leadership.is_leader(),
                config_number: joined.config().number(),
            };
            let (height, first_block) = (joined.flow.height(), crate::types::BlockNumber::GENESIS);
            let withheld = joined.flow.take_withheld();
            let before = std::mem::replace(&mut joined.settled, current);
            if let Some(withheld) = withheld {
                has_changed = true;
                self.with_leadership(now, channel, leadership::Input::Withheld(withheld));
            }
            if before == current {
                continue;
            }
            has_changed = true;
            if before.config_number != current.config_number {
                self.handle_config_changed(now, channel);
            }
            if let (Some(tip), true) = (current.tip, before.tip != current.tip) {
                let input = state_info::Input::TipChanged { tip_hash: tip.header_hash, height, first_block };
                self.with_state_info(now, channel, input);
            }
            if (before.epoch, before.can_reach_orderer) != (current.epoch, current.can_reach_orderer) {
                self.with_leadership(now, channel, leadership::Input::ContextChanged);
            }
            if before.was_led != current.was_led {
                self.pass_to_channel(now, channel, channel::Input::FirstLeader);
            }
            if before.is_leading != current.is_leading {
                self.pass_to_channel(now, channel, channel::Input::SetLeading(current.is_leading));
            }
        }
        has_changed
    }

    pub(super) fn with_state_info(&mut self, now: Now, channel: ChannelId, input: state_info::Input) {
        let (me, incarnation) = (self.member(), self.incarnation());
        let mentions = Mentions {
            org: self.own.identity.org,
            identities: &self.identities,
            membership: &self.membership,
            shared_orgs: &self.shared_orgs,
        };
        let Some(joined) = self.channels.get_mut(&channel) else {
            return;
        };
        let context = state_info::Context {
            channel,
            me,
            incarnation,
            key: &self.own.key,
            neighbours: &joined.neighbours,
            may_mention: &|about, to| mentions.are_allowed(about, to),
        };
        joined.state_info.handle(now, input, &context, &mut self.outbox);
    }

    pub(super) fn with_leadership(&mut self, now: Now, channel: ChannelId, input: leadership::Input) {
        let (me, org, incarnation) = (self.member(), self.org(), self.incarnation());
        let Some(joined) = self.channels.get_mut(&channel) else {
            return;
        };
        let own_org = joined.neighbours.iter().filter(|it| it.org == org).map(|it| it.member);
        let mut eligible: Vec<MemberId> = own_org.chain([me]).collect();
        eligible.sort_unstable();
        let context = leadership::Context {
            channel,
            me,
            org,
            incarnation,
            key: &self.own.key,
            eligible: &eligible,
            epoch: joined.flow.epoch(),
            epoch_hash: joined.flow.epoch_hash(),
            can_reach_orderer: joined.flow.can_reach_orderer(),
        };
        joined.leadership.handle(now, input, &context, &mut self.outbox);
    }

    pub(super) fn membership_context(&self) -> membership::Context<'_> {
        membership::Context {
            key: &self.own.key,
            sessions: &self.ready,
            identities: &self.identities,
            shared_orgs: &self.shared_orgs,
        }
    }
}
