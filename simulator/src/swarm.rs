//! The standing campaign: a lossy world of fifty peers with a partition, a crash, a pause and at times
//! config updates; every number in it is drawn from the seed. Safety is checked at every event, then
//! everything heals and all must reach the tip.

use crate::changes::Changes;
use crate::checks::Failure;
use crate::links::LinkSettings;
use crate::node::NodeId;
use crate::random::Random;
use crate::world::World;
use ledgercast_crypto::Digest;
use ledgercast_protocol::types::ChannelId;
use std::time::Duration;

/// Orgs 1 and 2 are on the first channel, orgs 2 and 3 on the second.
const CHANNELS: [&str; 2] = ["trade", "audit"];

/// The shape of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Peers of each of the three orgs.
    pub peers: [usize; 3],
    /// Blocks of each of the two channels.
    pub blocks: u64,
    /// Frames lost, in percent; the loss goes on while everybody catches up.
    pub loss_percent: u32,
    /// After the last fault is mended and the last block submitted, all must be at the tip within this time.
    pub recovery_max: Duration,
}

impl Default for Settings {
    /// Fifty peers, five percent loss; the bound is about three times the slowest recovery of 200 seeds
    /// (10.6 s, measured).
    fn default() -> Self {
        Self { peers: [17, 17, 16], blocks: 60, loss_percent: 5, recovery_max: Duration::from_secs(30) }
    }
}

/// What a run without a failure did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Virtual time.
    pub simulated: Duration,
    /// Inputs that peers handled.
    pub events: u64,
    /// Blocks that peers delivered.
    pub deliveries: u64,
    /// Frames that were lost.
    pub frames_lost: u64,
    /// Config updates that are in force at all peers of their channel in the end.
    pub updates: u64,
    /// From the last fault mended and the last block submitted until all were at the tip.
    pub recovery: Duration,
    /// The hash over all events.
    pub trace: Digest,
}

/// One run, stage by stage.
#[derive(Debug)]
pub struct Campaign {
    /// Its world.
    pub world: World,
    settings: Settings,
    script: Random,
    changes: Changes,
    /// When the last fault was mended and the last block submitted.
    calm: Duration,
}

/// Runs one seed.
///
/// # Errors
/// [`Failure`] when an invariant breaks.
pub fn run(seed: u64, settings: &Settings) -> Result<Report, Failure> {
    let mut campaign = Campaign::new(seed, settings)?;
    campaign.trouble()?;
    campaign.recover()
}

impl Campaign {
    /// A world in which nothing has happened yet.
    ///
    /// # Errors
    /// [`Failure`] when the world cannot be built.
    pub fn new(seed: u64, settings: &Settings) -> Result<Self, Failure> {
        let mut script = Random::new(seed, 100);
        let world = build(seed, settings, &mut script)?;
        let changes = Changes::new(seed);
        Ok(Self { world, settings: settings.clone(), script, changes, calm: Duration::ZERO })
    }

    /// The safety phase: blocks flow while a partition, a crash with a restart, a pause and config updates
    /// come in each other's way; in the end all is mended but the loss.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn trouble(&mut self) -> Result<(), Failure> {
        let Self { world, script, changes, .. } = self;
        let channels = CHANNELS.map(|name| world.channel(name));
        world.run_for(Duration::from_secs(10))?;
        changes.invite(world, channels[0])?;
        for name in CHANNELS {
            let payload = 200 + script.index(60_000);
            let pause = script.between(Duration::from_millis(100), Duration::from_secs(1));
            world.submit_every(world.channel(name), self.settings.blocks, payload, pause);
            let blocks = u32::try_from(self.settings.blocks).unwrap_or(u32::MAX);
            self.calm = self.calm.max(world.now() + pause.saturating_mul(blocks));
        }
        let mut nodes: Vec<NodeId> = world.node_ids().collect();
        script.shuffle(&mut nodes);
        let cut_off = 1 + script.index(nodes.len() / 2);
        let (minority, majority) = nodes.split_at(cut_off);
        let (crashing, pausing) = (minority[0], majority[0]);

        world.run_for(script.up_to(Duration::from_secs(10)))?;
        changes.at_times(world, channels);
        world.partition(&[majority, minority])?;
        world.run_for(script.up_to(Duration::from_secs(10)))?;
        changes.at_times(world, channels);
        world.crash(crashing);
        world.pause(pausing);
        changes.at_times(world, channels);
        world.run_for(script.up_to(Duration::from_secs(30)))?;
        changes.at_times(world, channels);
        world.resume(pausing)?;
        world.restart(crashing)?;
        world.run_for(script.up_to(Duration::from_secs(5)))?;
        changes.at_times(world, channels);
        world.heal();
        self.calm = self.calm.max(world.now());
        Ok(())
    }

    /// The liveness phase: every peer reaches the tip of each of its channels.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks or the bound is passed.
    pub fn recover(&mut self) -> Result<Report, Failure> {
        let Self { world, settings, calm, .. } = self;
        world.run_for(calm.saturating_sub(world.now()))?;
        for name in CHANNELS {
            world.submit(world.channel(name), 5, 1000);
        }
        let members = CHANNELS.map(|name| (world.channel(name), world.members_of(world.channel(name))));
        world.run_until("every peer is at the tip of its channels", settings.recovery_max, |world| {
            members.iter().all(|(channel, nodes)| world.are_at_tip(nodes, *channel))
        })?;
        let in_force = |(channel, nodes): &(ChannelId, Vec<NodeId>)| {
            let views = nodes.iter().filter_map(|node| world.channel_view(*node, *channel));
            views.map(|view| view.config_number).min().unwrap_or_default()
        };
        Ok(Report {
            simulated: world.now(),
            events: world.event_count(),
            deliveries: world.deliveries(),
            frames_lost: world.traffic().lost(),
            updates: members.iter().map(in_force).sum(),
            recovery: world.now().saturating_sub(*calm),
            trace: world.trace_hash(),
        })
    }
}

fn build(seed: u64, settings: &Settings, script: &mut Random) -> Result<World, Failure> {
    let latency = script.between(Duration::from_micros(250), Duration::from_millis(40));
    let links =
        LinkSettings::lan().with_latency(latency, latency / 4).with_loss_percent(settings.loss_percent);
    let starts: Vec<Duration> =
        (0..settings.peers.iter().sum()).map(|_| script.up_to(Duration::from_secs(2))).collect();
    World::builder(seed)
        .orgs(&settings.peers)
        .channel(CHANNELS[0], &[0, 1])
        .channel(CHANNELS[1], &[1, 2])
        .links(links)
        .start_at(move |node| starts.get(node.0).copied())
        .build()
}
