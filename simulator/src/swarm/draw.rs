//! Draws a plan from a seed: shape, sizes, rates, faults, liars. Nothing here is a choice of the run itself.

use super::crime_kind::CrimeKind;
use super::plan::{Fault, FaultKind, Liar, Place, Plan, Update, UpdateKind};
use crate::random::Random;
use std::collections::BTreeMap;

/// When the orderers begin; before, the peers find each other.
pub(super) const BEGIN: u64 = 10_000;

/// Faults begin after the blocks have, and end this late at most.
const FAULTS_UNTIL: u64 = 55_000;

/// One run in so many has orderers that collude.
const FORK_ONE_IN: usize = 16;

impl Plan {
    /// The plan of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed, 100);
        let orgs = orgs(&mut random);
        let channels = channels(&mut random, orgs.len());
        let mut plan = Self {
            seed,
            channels,
            orgs,
            blocks: 10 + random.below(50),
            payload: 200 + draw_size(&mut random),
            pause: 50 + random.below(900),
            latency: 250 + random.below(40_000),
            loss: u32::try_from(random.below(11)).unwrap_or_default(),
            followers: random.index(3),
            faults: Vec::new(),
            updates: Vec::new(),
            liars: Vec::new(),
            fork: None,
        };
        plan.faults = faults(&mut random, &plan);
        match random.index(FORK_ONE_IN) {
            0 => plan.fork = Some((random.index(plan.channels.len()), 1 + random.below(plan.blocks))),
            _ => plan.updates = updates(&mut random, &plan),
        }
        plan.liars = liars(&mut random, &plan);
        plan
    }
}

/// Few large worlds, as they cost most; many small ones, in which much comes in each other's way.
fn orgs(random: &mut Random) -> Vec<usize> {
    let peers = match random.index(32) {
        0 => 26 + random.index(25),
        1..=5 => 14 + random.index(12),
        _ => 5 + random.index(9),
    };
    let count = 1 + random.index(4.min(peers / 2));
    let mut orgs = vec![1; count];
    (count..peers).for_each(|_| orgs[random.index(count)] += 1);
    orgs
}

fn channels(random: &mut Random, orgs: usize) -> Vec<Vec<usize>> {
    let count = 1 + random.index(3);
    let mut of_orgs = |_| {
        let first = random.index(orgs);
        (0..orgs).filter(|org| *org == first || random.index(3) > 0).collect()
    };
    (0..count).map(&mut of_orgs).collect()
}

/// Mostly one frame; one in ten has several.
fn draw_size(random: &mut Random) -> usize {
    match random.index(10) {
        0 => random.index(700_000),
        _ => random.index(60_000),
    }
}

fn faults(random: &mut Random, plan: &Plan) -> Vec<Fault> {
    let mut faults: Vec<Fault> = (0..random.index(6)).map(|_| fault(random, plan)).collect();
    faults.sort_by_key(|fault| (fault.from, fault.until));
    // A partition replaces the one before, and the mending of one mends all.
    let mut until = 0;
    faults.retain(|fault| match fault.kind {
        FaultKind::Partition | FaultKind::Split if fault.from < until => false,
        FaultKind::Partition | FaultKind::Split => {
            until = fault.until;
            true
        }
        _ => true,
    });
    faults
}

fn fault(random: &mut Random, plan: &Plan) -> Fault {
    let (_, kind) = FaultKind::ALL[random.index(FaultKind::ALL.len())];
    let from = BEGIN + random.below(25_000);
    let until = from + 500 + random.below(FAULTS_UNTIL - from);
    let mut places = plan.places();
    random.shuffle(&mut places);
    let hit = match kind {
        FaultKind::Partition | FaultKind::Split => 1 + random.index((places.len() / 2).max(1)),
        FaultKind::OrdererDown | FaultKind::Stall | FaultKind::Lag => 0,
        _ => 1 + random.index((places.len() / 4).max(1)),
    };
    places.truncate(hit);
    places.sort();
    Fault { kind, from, until, places }
}

fn updates(random: &mut Random, plan: &Plan) -> Vec<Update> {
    let mut updates: Vec<Update> = (0..random.index(4))
        .map(|_| {
            let kind = match random.index(5) {
                0 => UpdateKind::Orderer,
                1 => UpdateKind::Anchors,
                2 => UpdateKind::Limits,
                _ => UpdateKind::Org(random.index(plan.orgs.len())),
            };
            let at = BEGIN + random.below(FAULTS_UNTIL - BEGIN);
            Update { kind, at, channel: random.index(plan.channels.len()) }
        })
        .collect();
    updates.sort_by_key(|update| update.at);
    updates
}

/// Nobody in a quarter of the runs, else up to a third of each channel's members, in any distribution. The
/// first peer of each org is honest: everybody has one honest contact there (A6), and anchors to other orgs.
fn liars(random: &mut Random, plan: &Plan) -> Vec<Liar> {
    if random.index(4) == 0 {
        return Vec::new();
    }
    let mut places: Vec<Place> = plan.places().into_iter().filter(|place| place.peer > 0).collect();
    random.shuffle(&mut places);
    let wanted = 1 + random.index((plan.peers() / 3).max(1));
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    let mut liars = Vec::new();
    for place in places {
        let of_place: Vec<usize> =
            (0..plan.channels.len()).filter(|it| plan.channels[*it].contains(&place.org)).collect();
        let is_third = |channel: &usize| {
            let members: usize = plan.channels[*channel].iter().map(|org| plan.orgs[*org]).sum();
            (taken.get(channel).copied().unwrap_or_default() + 1) * 3 <= members
        };
        if liars.len() < wanted && of_place.iter().all(is_third) {
            of_place.into_iter().for_each(|channel| *taken.entry(channel).or_default() += 1);
            let is_partial = random.index(5) == 0;
            liars.push(Liar { place, is_partial, crimes: crimes(random) });
        }
    }
    liars.sort_by_key(|liar| liar.place);
    liars
}

/// One to three different ones.
fn crimes(random: &mut Random) -> Vec<CrimeKind> {
    let mut crimes = Vec::new();
    for _ in 0..=random.index(3) {
        let (_, crime) = match random.index(12) {
            0 => CrimeKind::COSTLY[random.index(CrimeKind::COSTLY.len())],
            _ => CrimeKind::ALL[random.index(CrimeKind::ALL.len())],
        };
        if !crimes.contains(&crime) {
            crimes.push(crime);
        }
    }
    crimes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_can_be_built_and_no_channel_has_more_than_a_third_of_liars() {
        for seed in 0..1_000 {
            let plan = Plan::draw(seed);

            assert_eq!(plan.check(), Ok(()), "{plan}");
            for orgs in &plan.channels {
                let members: usize = orgs.iter().map(|org| plan.orgs[*org]).sum();
                let liars = plan.liars.iter().filter(|liar| orgs.contains(&liar.place.org)).count();
                assert!(liars * 3 <= members, "{plan}");
            }
        }
    }

    #[test]
    fn a_thousand_seeds_draw_every_fault_every_crime_and_several_crimes_of_one_peer() {
        let plans: Vec<Plan> = (0..1_000).map(Plan::draw).collect();

        let crimes: Vec<CrimeKind> =
            plans.iter().flat_map(|plan| &plan.liars).flat_map(|liar| liar.crimes.clone()).collect();
        for (name, crime) in CrimeKind::every() {
            assert!(crimes.contains(&crime), "{name} is never drawn");
        }
        for (name, kind) in FaultKind::ALL {
            let faults = plans.iter().flat_map(|plan| &plan.faults);
            assert!(faults.into_iter().any(|fault| fault.kind == kind), "{name} is never drawn");
        }
        assert!(plans.iter().flat_map(|plan| &plan.liars).any(|liar| liar.crimes.len() == 3));
        assert!(plans.iter().any(|plan| plan.liars.len() * 3 == plan.peers()), "a whole third lies");
        assert!(plans.iter().any(|plan| plan.fork.is_some()));
        assert!(plans.iter().any(|plan| plan.updates.len() == 3));
    }
}
