//! The worst that a search found a third of sixteen peers to do together. Found with
//! `cargo xtask swarm --worst-mix`; `docs/threat-model.md` says with which budget, and what it costs.

use crate::{Outcome, millis};
use ledgercast_simulator::swarm::worst_mix::{self, Cost, Mix};

/// What a push may take before it is repaired, and two questions more that liars let lapse.
const BOUND_MILLIS: u64 = 3_200;

/// What a mix costs, and what the same blocks cost the same peers when nobody lies. Each honest peer gets
/// each block, or this fails.
fn costs(mix: &str) -> Result<(Cost, Cost), ledgercast_simulator::Failure> {
    let mix: Mix = mix.parse().expect("the line describes a mix");
    assert_eq!(mix.0.len(), worst_mix::LIARS, "a third lies");
    let costs = (worst_mix::measure(&mix, true)?, worst_mix::measure(&mix, false)?);
    println!("{mix}: {}; honest {}", costs.0, costs.1);
    Ok(costs)
}

/// A8, A9, A11, A23
#[test]
fn under_the_worst_mix_found_for_delays_every_honest_peer_gets_every_block() -> Outcome {
    let (cost, honest) = costs(DELAYS)?;

    assert!(cost.slowest <= millis(BOUND_MILLIS), "{cost}, and {honest} without lies");
    assert!(cost.bytes <= honest.bytes * 2, "{cost}, and {honest} without lies");
    Ok(())
}

/// A2, A9, A11, A18
#[test]
fn under_the_worst_mix_found_for_bytes_every_honest_peer_gets_every_block() -> Outcome {
    let (cost, honest) = costs(BYTES)?;

    assert!(cost.slowest <= millis(BOUND_MILLIS), "{cost}, and {honest} without lies");
    assert!(cost.bytes > honest.bytes, "a flood is answered, within its bounds");
    Ok(())
}

const DELAYS: &str = "0.2:headers-foreign+payload-late,\
    1.5:headers-foreign+payload-late+states-withheld+bodies-misplaced,1.6:false-evidence,\
    0.4:payload-withheld+false-heights,1.7:false-evidence";

const BYTES: &str = "0.2:states-withheld,1.1:flood-headers+replays+flood-headers,0.6:bodies-truncated,\
    0.4:payload-late,1.5:flood-headers+replays+flood-headers+answers-withheld";
