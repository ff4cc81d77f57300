//! What membership costs and how fast it judges: idle traffic, start, eviction of the hung and of the killed.
//! Virtual time, exact bytes; the same seed gives the same figures.

use crate::checks::{Failure, Violation};
use crate::node::NodeId;
use crate::traffic::{Count, Traffic};
use crate::world::World;
use ledgercast_protocol::Event;
use ledgercast_protocol::membership::MemberStatus;
use ledgercast_protocol::types::MemberId;
use std::collections::BTreeMap;
use std::time::Duration;

/// The orgs, all of them on one channel.
const ORGS: usize = 4;
/// Idle traffic is counted for this long, after as long a calm.
const WINDOW: Duration = Duration::from_secs(60);
/// A view that is not full by then never is.
const VIEW_MAX: Duration = Duration::from_secs(120);
/// Nobody is judged later than this.
const JUDGEMENT_MAX: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// What was measured.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Peers.
    pub peers: usize,
    /// From the start of all until everybody saw everybody.
    pub full_view: Duration,
    /// Sessions that were opened until then, as a multiple of those that a full mesh has.
    pub sessions_per_pair: f64,
    /// Sessions that a peer holds when idle: the most.
    pub sessions_max: usize,
    /// Bytes of frames that a peer sends in a second when idle.
    pub bytes_per_second: f64,
    /// Frames that a peer sends in a second when idle.
    pub frames_per_second: f64,
    /// The same by kind of message: bytes and frames.
    pub by_kind: BTreeMap<&'static str, (f64, f64)>,
    /// From the pause of a peer until the first and until the last other had evicted it.
    pub hung: (Duration, Duration),
    /// The same from the kill of a peer.
    pub killed: (Duration, Duration),
    /// Members that were evicted and neither hung nor killed.
    pub false_evictions: u64,
}

/// Measures a network of this many peers.
///
/// # Errors
/// [`Failure`] when an invariant breaks, or when something does not come to be in time.
pub fn measure(seed: u64, peers: usize) -> Result<Figures, Failure> {
    let sizes: Vec<usize> = (0..ORGS).map(|org| (peers + ORGS - 1 - org) / ORGS).collect();
    let mut world =
        World::builder(seed).orgs(&sizes).channel("trade", &(0..ORGS).collect::<Vec<_>>()).build()?;
    let full_view = wait(&mut world, "a full view", VIEW_MAX, |world| {
        world.node_ids().all(|node| alive_in(world, node) + 1 == peers)
    })?;
    let pairs = (peers * (peers - 1) / 2).max(1) as f64;
    let sessions_per_pair = world.traffic().of("hello").frames as f64 / 2.0 / pairs;

    world.run_for(WINDOW)?;
    let before = world.traffic().clone();
    world.run_for(WINDOW)?;
    let by_kind = rates(&before, world.traffic(), peers);
    let sessions = |node| world.snapshot(node).map_or(0, |view| view.sessions.len());
    let sessions_max = world.node_ids().map(sessions).max().unwrap_or_default();

    let (hung_node, killed_node) = (NodeId(peers - 1), NodeId(peers / 2));
    world.pause(hung_node);
    let hung = judgement(&mut world, hung_node, &[hung_node])?;
    world.crash(killed_node);
    let killed = judgement(&mut world, killed_node, &[hung_node, killed_node])?;
    Ok(Figures {
        peers,
        full_view,
        sessions_per_pair,
        sessions_max,
        bytes_per_second: by_kind.values().map(|(bytes, _)| bytes).sum(),
        frames_per_second: by_kind.values().map(|(_, frames)| frames).sum(),
        by_kind,
        hung,
        killed,
        false_evictions: false_evictions(&world, &[hung_node, killed_node]),
    })
}

fn alive_in(world: &World, node: NodeId) -> usize {
    let members = world.snapshot(node).map(|view| view.members).unwrap_or_default();
    members.iter().filter(|member| member.status == MemberStatus::Alive).count()
}

/// How long it took.
fn wait(
    world: &mut World,
    what: &str,
    within: Duration,
    condition: impl Fn(&World) -> bool,
) -> Result<Duration, Failure> {
    let start = world.now();
    while !condition(world) {
        if world.now() >= start + within {
            return Err(world.failure(Violation::Deadline { what: what.to_owned(), within }));
        }
        // A look at a large world costs more than the world's next steps.
        world.run_for(LOOK)?;
    }
    Ok(world.now().saturating_sub(start))
}

fn rates(before: &Traffic, after: &Traffic, peers: usize) -> BTreeMap<&'static str, (f64, f64)> {
    let per_peer = peers as f64 * WINDOW.as_secs_f64();
    let rate = |(kind, count): (&'static str, Count)| {
        let earlier = before.of(kind);
        let bytes = (count.bytes - earlier.bytes) as f64 / per_peer;
        (kind, (bytes, (count.frames - earlier.frames) as f64 / per_peer))
    };
    after.kinds().map(rate).filter(|(_, (bytes, _))| *bytes > 0.0).collect()
}

/// When the first and the last of the others had evicted a member, from now on.
fn judgement(world: &mut World, subject: NodeId, mute: &[NodeId]) -> Result<(Duration, Duration), Failure> {
    let (start, member) = (world.now(), world.member(subject));
    let judges: Vec<NodeId> = world.node_ids().filter(|node| !mute.contains(node)).collect();
    wait(world, "everybody has evicted it", JUDGEMENT_MAX, |world| {
        judges.iter().all(|judge| evicted_at(world, *judge, member, start).is_some())
    })?;
    let times = judges.iter().filter_map(|judge| evicted_at(world, *judge, member, start));
    let times: Vec<Duration> = times.map(|at| at - start).collect();
    Ok((times.iter().copied().min().unwrap_or_default(), times.iter().copied().max().unwrap_or_default()))
}

fn evicted_at(world: &World, judge: NodeId, subject: MemberId, since: Duration) -> Option<Duration> {
    let events = world.events(judge).iter().rev().take_while(|(at, _)| *at >= since);
    let evictions = events
        .filter(|(_, event)| matches!(event, Event::MemberEvicted { member, .. } if *member == subject));
    evictions.last().map(|(at, _)| *at)
}

fn false_evictions(world: &World, guilty: &[NodeId]) -> u64 {
    let guilty: Vec<MemberId> = guilty.iter().map(|node| world.member(*node)).collect();
    let is_false =
        |event: &Event| matches!(event, Event::MemberEvicted { member, .. } if !guilty.contains(member));
    world
        .node_ids()
        .map(|node| world.events(node).iter().filter(|(_, event)| is_false(event)).count() as u64)
        .sum()
}
