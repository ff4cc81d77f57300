//! A third that slanders, in a network that loses a tenth of its frames: A5. `cargo xtask swarm --slander`
//! runs it for many node-hours.

use crate::{Outcome, seconds};
use ledgercast_simulator::swarm::slander;

/// A1, A2, A3, A4, A5: all that can be said of others; that no eviction is false, the simulator checks
#[test]
fn nobody_is_evicted_for_what_a_third_says_while_a_tenth_of_all_frames_is_lost() -> Outcome {
    let (mut evictions, mut accusations) = (0, 0);
    for seed in [0, 1] {
        let report = slander::run(seed, seconds(240))?;

        assert!(report.liars * 3 + 2 >= report.peers, "a third of {} lies", report.peers);
        (evictions, accusations) = (evictions + report.evictions, accusations + report.accusations);
    }
    assert!(evictions > 0, "nobody was judged, not even who was killed");
    assert!(accusations > 0, "no liar was found out");
    Ok(())
}

#[test]
fn a_seed_of_slander_gives_the_same_report_twice() -> Outcome {
    assert_eq!(slander::run(2, seconds(40))?, slander::run(2, seconds(40))?);
    Ok(())
}
