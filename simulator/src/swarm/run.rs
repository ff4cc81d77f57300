//! One run of a plan, stage by stage; what breaks and changes on the way is in `steps`.

use super::draw::BEGIN;
use super::lies::Circumstances;
use super::plan::{Place, Plan, Update, UpdateKind};
use super::report::Report;
use super::steps::Step;
use crate::checks::Failure;
use crate::links::LinkSettings;
use crate::node::NodeId;
use crate::random::Random;
use crate::world::World;
use ledgercast_protocol::Event;
use ledgercast_protocol::types::ChannelId;
use std::time::Duration;

/// After the last fault is mended and the last block submitted, all that are honest must be where they belong
/// within this time.
pub const RECOVERY_MAX: Duration = Duration::from_secs(60);

pub(super) const CHANNELS: [&str; 8] =
    ["trade", "audit", "market", "fourth", "fifth", "sixth", "seventh", "eighth"];

/// Everybody starts within this time.
const START_WITHIN: Duration = Duration::from_secs(2);
/// Blocks of each channel after everything has healed.
const LAST_BLOCKS: u64 = 5;
/// Between two of them, where an org may have to find its way back.
const LAST_PAUSE: Duration = Duration::from_secs(3);

/// A plan's world, and how far it is.
#[derive(Debug)]
pub struct Run {
    /// Its world.
    pub world: World,
    pub(super) plan: Plan,
    nodes: Vec<Place>,
    pub(super) channels: Vec<ChannelId>,
    /// When the last fault was mended and the last block submitted.
    calm: Duration,
}

/// Runs a plan.
///
/// # Errors
/// [`Failure`] when an invariant breaks.
pub fn run(plan: &Plan) -> Result<Report, Failure> {
    let mut run = Run::new(plan)?;
    run.trouble()?;
    run.recover()
}

impl Run {
    /// A world in which nothing has happened yet.
    ///
    /// # Errors
    /// [`Failure`] when the world cannot be built.
    ///
    /// # Panics
    /// When the plan has no world; one that was drawn or read from text has.
    pub fn new(plan: &Plan) -> Result<Self, Failure> {
        plan.check().expect("the plan describes a world");
        let world = build(plan)?;
        let names = CHANNELS.iter().take(plan.channels.len());
        let channels = names.map(|name| world.channel(name)).collect();
        Ok(Self { world, nodes: plan.places(), channels, plan: plan.clone(), calm: Duration::ZERO })
    }

    /// The safety phase: blocks flow while faults, config updates and lies come in each other's way; in the
    /// end all is mended but the loss and the liars.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn trouble(&mut self) -> Result<(), Failure> {
        self.lie(true);
        self.world.run_for(millis(BEGIN))?;
        self.invite()?;
        self.submit();
        self.lie(false);
        for (at, step) in Step::of(&self.plan) {
            self.world.run_for(millis(at).saturating_sub(self.world.now()))?;
            self.take(step)?;
        }
        self.calm = self.calm.max(self.world.now());
        self.world.run_for(self.calm.saturating_sub(self.world.now()))
    }

    /// The liveness phase: everybody honest reaches the tip of each of its channels, or stands still where
    /// the orderers forked one.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks or the bound is passed.
    pub fn recover(&mut self) -> Result<Report, Failure> {
        // An org that was removed and is added again hears of it with the next block, not before.
        let is_org = |update: &Update| matches!(update.kind, UpdateKind::Org(_));
        let pause = if self.plan.updates.iter().any(is_org) { LAST_PAUSE } else { Duration::ZERO };
        let Self { world, channels, .. } = self;
        for channel in channels.iter() {
            world.submit_every(*channel, LAST_BLOCKS, 1_000, pause);
        }
        self.calm += pause * u32::try_from(LAST_BLOCKS).unwrap_or_default();
        world.run_for(self.calm.saturating_sub(world.now()))?;
        let liars = world.liars.clone();
        let honest = |world: &World, channel: &ChannelId| -> Vec<NodeId> {
            world.members_of(*channel).into_iter().filter(|node| !liars.contains(node)).collect()
        };
        let members: Vec<(ChannelId, Vec<NodeId>)> =
            channels.iter().map(|channel| (*channel, honest(world, channel))).collect();
        let forked = self.plan.fork.map(|(place, _)| channels[place]);
        world.run_until("everybody honest is where it belongs", RECOVERY_MAX, |world| {
            members.iter().all(|(channel, nodes)| {
                world.are_at_tip(nodes, *channel)
                    || Some(*channel) == forked && nodes.iter().all(|node| is_halted(world, *node, *channel))
            })
        })?;
        let recovery = world.now().saturating_sub(self.calm);
        let halted = members.iter().flat_map(|(channel, nodes)| nodes.iter().map(move |it| (it, *channel)));
        let halted = halted.filter(|(node, channel)| is_halted(world, **node, *channel)).count();
        Ok(self.report(&members, halted, recovery))
    }

    fn report(&self, members: &[(ChannelId, Vec<NodeId>)], halted: usize, recovery: Duration) -> Report {
        let world = &self.world;
        let in_force = |(channel, nodes): &(ChannelId, Vec<NodeId>)| {
            let views = nodes.iter().filter_map(|node| world.channel_view(*node, *channel));
            views.map(|view| view.config_number).min().unwrap_or_default()
        };
        let honest: Vec<NodeId> = world.node_ids().filter(|it| !world.liars.contains(it)).collect();
        let count = |is_meant: fn(&Event) -> bool| -> u64 {
            let events = honest.iter().flat_map(|node| world.events(*node));
            events.filter(|(_, event)| is_meant(event)).count() as u64
        };
        Report {
            simulated: world.now(),
            peers: self.plan.peers(),
            liars: self.plan.liars.len(),
            events: world.event_count(),
            deliveries: world.deliveries(),
            frames_lost: world.traffic().lost(),
            updates: members.iter().map(in_force).sum(),
            accusations: count(|event| matches!(event, Event::Offence { .. })),
            evictions: count(|event| matches!(event, Event::MemberEvicted { .. })),
            halted,
            recovery,
            trace: world.trace_hash(),
        }
    }

    pub(super) fn node(&self, place: Place) -> NodeId {
        NodeId(self.nodes.iter().position(|known| *known == place).expect("the plan names its own peers"))
    }

    /// An org that a config is going to add joins the channel and waits.
    fn invite(&mut self) -> Result<(), Failure> {
        for update in &self.plan.updates {
            let UpdateKind::Org(org) = update.kind else {
                continue;
            };
            if self.plan.channels[update.channel].contains(&org) {
                continue;
            }
            for node in self.world.peers_of(org) {
                if !self.world.holds(node, self.channels[update.channel]) {
                    self.world.join_as_newcomer(node, self.channels[update.channel])?;
                }
            }
        }
        Ok(())
    }

    fn submit(&mut self) {
        let Plan { blocks, payload, pause, fork, .. } = self.plan;
        if let Some((channel, number)) = fork {
            self.world.fork(self.channels[channel], number);
        }
        for channel in &self.channels {
            self.world.submit_every(*channel, blocks, payload, millis(pause));
        }
        self.calm = self.world.now() + millis(pause * blocks);
    }

    /// Lies of membership begin with the world, those about channels with their blocks.
    fn lie(&mut self, is_of_membership: bool) {
        let liars: Vec<NodeId> = self.plan.liars.iter().map(|liar| self.node(liar.place)).collect();
        let honest: Vec<NodeId> = self.world.node_ids().filter(|node| !liars.contains(node)).collect();
        for (lie, node) in self.plan.liars.iter().zip(&liars) {
            let is_own = |place: &&usize| self.plan.channels[**place].contains(&lie.place.org);
            let places: Vec<usize> = (0..self.channels.len()).collect();
            let (own, foreign): (Vec<&usize>, Vec<&usize>) = places.iter().partition(is_own);
            let half = honest.iter().copied().step_by(2).collect();
            let circumstances = Circumstances {
                liar: *node,
                victims: lie.is_partial.then_some(half),
                liars: &liars,
                honest: &honest,
                known: honest.iter().copied().filter(|it| self.may_know(lie.place, *it)).collect(),
                own: own.into_iter().map(|place| self.channels[*place]).collect(),
                foreign: foreign.into_iter().map(|place| self.channels[*place]).collect(),
                until: Duration::MAX,
            };
            for crime in lie.crimes.iter().filter(|crime| crime.is_of_membership() == is_of_membership) {
                circumstances.commit(&mut self.world, *crime);
            }
        }
    }

    /// Whether a peer is of the same org as another or shares a channel with it, at first.
    fn may_know(&self, place: Place, other: NodeId) -> bool {
        let org = self.nodes[other.0].org;
        let share = |orgs: &Vec<usize>| orgs.contains(&org) && orgs.contains(&place.org);
        org == place.org || self.plan.channels.iter().any(share)
    }
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Whether a node stands still on a channel, with what proves the fork.
fn is_halted(world: &World, node: NodeId, channel: ChannelId) -> bool {
    let is_proof = |event: &Event| match event {
        Event::EvidenceFound { channel: of, kind, .. } => *of == channel && *kind == "fork",
        _ => false,
    };
    let has_proof = || world.events(node).iter().any(|(_, event)| is_proof(event));
    world.channel_view(node, channel).is_some_and(|view| view.failure.is_some()) && has_proof()
}

fn build(plan: &Plan) -> Result<World, Failure> {
    let mut random = Random::new(plan.seed, 102);
    let latency = Duration::from_micros(plan.latency);
    let links = LinkSettings::lan().with_latency(latency, latency / 4).with_loss_percent(plan.loss);
    let starts: Vec<Duration> = (0..plan.peers()).map(|_| random.up_to(START_WITHIN)).collect();
    let mut builder = World::builder(plan.seed).orgs(&plan.orgs).links(links).followers(plan.followers);
    for (name, orgs) in CHANNELS.iter().zip(&plan.channels) {
        builder = builder.channel(name, orgs);
    }
    builder.start_at(move |node| starts.get(node.0).copied()).build()
}
