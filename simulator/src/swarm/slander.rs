//! Membership against slander: a world of 16 to 32 peers that loses a tenth of its frames, a third of which
//! says of the others that they are gone, silent, older, newer, or two, and keeps back what they say. Whoever
//! is evicted must have been gone. Half an hour of virtual time for each seed, so that a long campaign goes
//! in parts.

use super::crime_kind::CrimeKind;
use super::lies::Circumstances;
use super::report::Report;
use crate::checks::Failure;
use crate::links::LinkSettings;
use crate::node::NodeId;
use crate::random::Random;
use crate::world::World;
use ledgercast_protocol::Event;
use std::time::Duration;

/// Virtual time of one seed of the campaign.
pub const LASTS: Duration = Duration::from_secs(1_800);
const LOSS_PERCENT: u32 = 10;

/// What a slanderer may do, one or two of it.
const CRIMES: [&str; 12] = [
    "slander-questions",
    "slander-ticks",
    "slander-leaves",
    "slander-alives",
    "slander-conflicts",
    "replays",
    "false-marks",
    "false-conflicts",
    "wild-alives",
    "alives-withheld",
    "alives-late",
    "eclipse",
];

/// Runs one seed for so long. One honest peer is killed and started again on the way, so that judgements are
/// needed.
///
/// # Errors
/// [`Failure`] when an invariant breaks: a false eviction, an honest peer accused.
pub fn run(seed: u64, lasts: Duration) -> Result<Report, Failure> {
    let mut random = Random::new(seed, 103);
    let orgs = 1 + random.index(4);
    let peers = 16 + random.index(17);
    let sizes: Vec<usize> = (0..orgs).map(|org| (peers + orgs - 1 - org) / orgs).collect();
    let links = LinkSettings::lan().with_loss_percent(LOSS_PERCENT);
    let mut world = World::builder(seed)
        .orgs(&sizes)
        .channel("trade", &(0..orgs).collect::<Vec<_>>())
        .links(links)
        .build()?;
    let liars = slanderers(&mut world, &mut random);
    let honest: Vec<NodeId> = world.node_ids().filter(|node| !liars.contains(node)).collect();

    let killed = honest[random.index(honest.len())];
    let (at, down) = (random.up_to(lasts / 2), random.up_to(lasts / 15));
    world.run_for(at)?;
    world.crash(killed);
    world.run_for(down)?;
    world.restart(killed)?;
    world.run_for(lasts.saturating_sub(at + down))?;

    let count = |is_meant: fn(&Event) -> bool| -> u64 {
        let events = honest.iter().flat_map(|node| world.events(*node));
        events.filter(|(_, event)| is_meant(event)).count() as u64
    };
    Ok(Report {
        simulated: world.now(),
        peers,
        liars: liars.len(),
        events: world.event_count(),
        deliveries: world.deliveries(),
        frames_lost: world.traffic().lost(),
        updates: 0,
        halted: 0,
        recovery: Duration::ZERO,
        evictions: count(|event| matches!(event, Event::MemberEvicted { .. })),
        accusations: count(|event| matches!(event, Event::Offence { .. })),
        trace: world.trace_hash(),
    })
}

/// A third of all, none of them the first of an org: everybody has one honest contact.
fn slanderers(world: &mut World, random: &mut Random) -> Vec<NodeId> {
    let firsts: Vec<NodeId> = (0..world.orgs.len()).map(|org| world.peer(org, 0)).collect();
    let mut nodes: Vec<NodeId> = world.node_ids().filter(|node| !firsts.contains(node)).collect();
    random.shuffle(&mut nodes);
    nodes.truncate(world.nodes.len() / 3);
    let liars = nodes;
    let honest: Vec<NodeId> = world.node_ids().filter(|node| !liars.contains(node)).collect();
    for liar in &liars {
        let circumstances = Circumstances {
            liar: *liar,
            victims: None,
            liars: &liars,
            honest: &honest,
            known: honest.clone(),
            own: Vec::new(),
            foreign: Vec::new(),
            until: Duration::MAX,
        };
        for _ in 0..=random.index(2) {
            let crime: CrimeKind = CRIMES[random.index(CRIMES.len())].parse().expect("it is in the list");
            circumstances.commit(world, crime);
        }
    }
    liars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crime_of_the_list_is_one() {
        for name in CRIMES {
            assert!(name.parse::<CrimeKind>().is_ok(), "{name}");
        }
    }
}
