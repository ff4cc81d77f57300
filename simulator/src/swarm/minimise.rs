//! What of a plan is needed for it to fail: leaves out one ingredient after the other while it still fails,
//! as delta debugging does (Zeller and Hildebrandt, 2002), with steps of one.

use super::plan::{Fault, Place, Plan, UpdateKind};

/// A smaller plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimised {
    /// Fails as the first one did.
    pub plan: Plan,
    /// How many runs that took.
    pub runs: usize,
    /// Whether nothing more can be left out; else the runs were used up.
    pub is_minimal: bool,
}

/// Leaves out what `fails` says is not needed, in at most so many runs.
pub fn minimise(plan: &Plan, runs_max: usize, mut fails: impl FnMut(&Plan) -> bool) -> Minimised {
    let mut found = Minimised { plan: plan.clone(), runs: 0, is_minimal: false };
    let mut place = 0;
    let mut is_smaller = false;
    loop {
        let Some(candidate) = smaller(&found.plan).into_iter().nth(place) else {
            if !is_smaller {
                found.is_minimal = true;
                return found;
            }
            (place, is_smaller) = (0, false);
            continue;
        };
        if found.runs >= runs_max {
            return found;
        }
        found.runs += 1;
        match fails(&candidate) {
            // What is at this place now was not tried yet.
            true => (found.plan, is_smaller) = (candidate, true),
            false => place += 1,
        }
    }
}

/// Every plan with one thing less, what saves most time first.
fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut plans = Vec::new();
    let mut offer = |change: &dyn Fn(&mut Plan)| {
        let mut next = plan.clone();
        change(&mut next);
        next.prune();
        if next != *plan && next.check().is_ok() {
            plans.push(next);
        }
    };
    offer(&|next| next.fork = None);
    (0..plan.channels.len()).for_each(|place| offer(&|next| drop_channel(next, place)));
    (0..plan.liars.len()).for_each(|place| offer(&|next| drop(next.liars.remove(place))));
    (0..plan.faults.len()).for_each(|place| offer(&|next| drop(next.faults.remove(place))));
    (0..plan.updates.len()).for_each(|place| {
        offer(&|next| {
            next.updates.remove(place);
        })
    });
    (0..plan.orgs.len()).for_each(|org| offer(&|next| drop_org(next, org)));
    (0..plan.orgs.len()).for_each(|org| offer(&|next| next.orgs[org] = next.orgs[org].div_ceil(2)));
    for place in plan.places().into_iter().rev().filter(|place| place.peer > 0) {
        offer(&|next| drop_peer(next, place));
    }
    for (place, liar) in plan.liars.iter().enumerate() {
        offer(&|next| next.liars[place].is_partial = false);
        (0..liar.crimes.len()).for_each(|crime| {
            offer(&|next| {
                next.liars[place].crimes.remove(crime);
            })
        });
    }
    for (place, fault) in plan.faults.iter().enumerate().filter(|(_, fault)| fault.places.len() > 1) {
        (0..fault.places.len()).for_each(|hit| {
            offer(&|next| {
                next.faults[place].places.remove(hit);
            })
        });
    }
    offer(&|next| next.loss = 0);
    offer(&|next| next.followers = 0);
    offer(&|next| next.latency = next.latency.min(250));
    offer(&|next| next.payload = next.payload.min(1_000));
    offer(&|next| next.blocks = next.blocks.div_ceil(2));
    for place in 0..plan.faults.len() {
        let shorter = |fault: &mut Fault| fault.until = fault.from + (fault.until - fault.from).div_ceil(2);
        // Shorter than a second is another fault.
        if plan.faults[place].until - plan.faults[place].from > 1_000 {
            offer(&|next| shorter(&mut next.faults[place]));
        }
    }
    plans
}

fn drop_channel(plan: &mut Plan, place: usize) {
    plan.channels.remove(place);
    let below = |channel: usize| if channel > place { channel - 1 } else { channel };
    plan.updates.retain(|update| update.channel != place);
    plan.updates.iter_mut().for_each(|update| update.channel = below(update.channel));
    plan.fork.take_if(|(channel, _)| *channel == place);
    plan.fork.iter_mut().for_each(|(channel, _)| *channel = below(*channel));
}

/// Those after it in its org move up.
fn drop_peer(plan: &mut Plan, dropped: Place) {
    plan.orgs[dropped.org] -= 1;
    let move_up = |place: &mut Place| {
        place.peer -= usize::from(place.org == dropped.org && place.peer > dropped.peer);
    };
    plan.liars.retain(|liar| liar.place != dropped);
    plan.liars.iter_mut().for_each(|liar| move_up(&mut liar.place));
    for fault in &mut plan.faults {
        let was_named = !fault.places.is_empty();
        fault.places.retain(|place| *place != dropped);
        fault.places.iter_mut().for_each(move_up);
        if was_named && fault.places.is_empty() {
            fault.until = fault.from;
        }
    }
}

fn drop_org(plan: &mut Plan, org: usize) {
    plan.orgs.remove(org);
    let below = |other: usize| if other > org { other - 1 } else { other };
    for orgs in &mut plan.channels {
        orgs.retain(|other| *other != org);
        orgs.iter_mut().for_each(|other| *other = below(*other));
    }
    let moved = |place: &mut Place| place.org = below(place.org);
    plan.liars.retain(|liar| liar.place.org != org);
    plan.liars.iter_mut().for_each(|liar| moved(&mut liar.place));
    for fault in &mut plan.faults {
        let was_named = !fault.places.is_empty();
        fault.places.retain(|place| place.org != org);
        fault.places.iter_mut().for_each(moved);
        if was_named && fault.places.is_empty() {
            fault.until = fault.from;
        }
    }
    plan.updates.retain(|update| update.kind != UpdateKind::Org(org));
    for update in &mut plan.updates {
        if let UpdateKind::Org(other) = &mut update.kind {
            *other = below(*other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::{CrimeKind, FaultKind};

    /// A fault of two ingredients: somebody crashes while somebody replays.
    fn fails(plan: &Plan) -> bool {
        let replays = |plan: &Plan| plan.liars.iter().any(|it| it.crimes.contains(&CrimeKind::Replays));
        plan.faults.iter().any(|fault| fault.kind == FaultKind::Crash) && replays(plan)
    }

    #[test]
    fn what_a_failure_needs_is_what_is_left() {
        let failing: Vec<Plan> = (0..3_000).map(Plan::draw).filter(fails).collect();
        assert!(failing.len() > 20, "{} plans have both ingredients", failing.len());

        for plan in failing.iter().take(20) {
            let minimised = minimise(plan, 10_000, fails);

            let Minimised { plan, is_minimal, .. } = &minimised;
            assert!(*is_minimal && fails(plan), "{plan}");
            assert_eq!((plan.liars.len(), plan.liars[0].crimes.len()), (1, 1), "{plan}");
            assert_eq!((plan.faults.len(), plan.faults[0].places.len()), (1, 1), "{plan}");
            assert_eq!((plan.channels.len(), plan.updates.len(), plan.fork), (1, 0, None), "{plan}");
            assert!(plan.peers() <= 6 && plan.loss == 0, "{plan}");
            assert_eq!(plan.to_string().parse().as_ref(), Ok(plan), "a test can hold it");
        }
    }

    #[test]
    fn the_runs_are_bounded_and_what_was_found_by_then_is_kept() {
        let plan = (0..).map(Plan::draw).find(fails).expect("one of the first seeds has both");

        let minimised = minimise(&plan, 3, fails);

        assert_eq!((minimised.runs, minimised.is_minimal), (3, false));
        assert!(fails(&minimised.plan));
    }

    #[test]
    fn every_smaller_plan_describes_a_world() {
        for seed in 0..100 {
            let plan = Plan::draw(seed);
            for next in smaller(&plan) {
                assert_eq!(next.check(), Ok(()), "{next}, from {plan}");
                assert_eq!(next.to_string().parse(), Ok(next), "from {plan}");
            }
        }
    }
}
