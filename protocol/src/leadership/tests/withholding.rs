//! Leaders that have the blocks and do not push them.

use super::*;

/// A13: a leader that withholds is passed over by who sees it, and its claims count no more in this epoch.
#[test]
fn who_withholds_is_passed_over_for_the_epoch_and_the_next_rank_leads_at_once() {
    let mut org = Org::linked(5, 6_000);
    let ranked = org.ranked(0);
    let since = org.now().monotonic;

    org.run_for(1_000);
    ranked[1..].iter().for_each(|index| org.withheld(*index, since));
    org.run_for(500);
    let now = org.now();
    assert!(ranked[1..].iter().all(|it| org.nodes[*it].state.leader(now) == Some(member(ranked[1]))));
    org.run_for(30_000);
    let now = org.now();
    assert!(org.refusals.contains(&"leader_withholds"));
    assert!(ranked[1..].iter().all(|it| org.nodes[*it].state.leader(now) == Some(member(ranked[1]))));

    (0..5).for_each(|index| org.set_epoch(index, 1));
    org.run_for(15_000);
    assert_eq!(org.leader(), org.ranked(1)[0]);
}

/// A11: what a relay drops is not the leader's fault; a leader that serves all but me is, after some blocks.
#[test]
fn a_block_that_others_have_must_be_missing_several_times_in_a_row() {
    let mut org = Org::linked(4, 6_000);
    let ranked = org.ranked(0);
    let (victim, since) = (ranked[1], org.now().monotonic);

    for in_a_row in [1, 2, 1, 2] {
        org.withheld_though(victim, since, in_a_row, vec![member(ranked[2])]);
    }
    org.run_for(500);
    assert_eq!(org.leader(), ranked[0]);

    org.withheld_though(victim, since, 3, vec![member(ranked[2])]);
    assert!(org.nodes[victim].state.is_leader());
}

/// A13: that the leader says to have it shields nobody.
#[test]
fn a_leader_cannot_vouch_for_itself() {
    let mut org = Org::linked(3, 6_000);
    let ranked = org.ranked(0);
    let since = org.now().monotonic;

    org.withheld_though(ranked[1], since, 1, vec![member(ranked[0])]);

    assert!(org.nodes[ranked[1]].state.is_leader());
}

#[test]
fn in_an_epoch_that_lasts_who_withheld_gets_another_chance() {
    let mut org = Org::linked(3, 6_000);
    let ranked = org.ranked(0);
    let since = org.now().monotonic;
    org.withheld(ranked[1], since);
    org.withheld(ranked[2], since);
    org.run_for(50_000);
    assert_eq!(org.leaders().len(), 2);

    org.run_for(15_000);

    assert_eq!(org.leader(), ranked[0]);
}

/// A13: where only one sees it, that one waits for its turn and then leads beside the other.
#[test]
fn a_single_victim_waits_for_better_ranks_before_it_leads() {
    let mut org = Org::linked(4, 6_000);
    let ranked = org.ranked(0);
    let since = org.now().monotonic;

    org.run_for(1_000);
    org.withheld(ranked[3], since);
    org.run_for(3_500);
    assert_eq!(org.leaders(), [ranked[0]]);

    org.run_for(2_000);
    assert!(org.nodes[ranked[0]].state.is_leader() && org.nodes[ranked[3]].state.is_leader());
}

#[test]
fn who_began_to_lead_after_the_header_is_not_passed_over_for_it() {
    let mut org = Org::linked(3, 1_000);
    let before = org.now().monotonic;
    org.run_for(4_000);
    let ranked = org.ranked(0);

    org.withheld(ranked[1], before);
    org.withheld(ranked[2], before);

    org.run_for(5_000);
    assert_eq!(org.leader(), ranked[0]);
}

#[test]
fn when_everybody_was_passed_over_all_but_the_last_get_another_chance() {
    let mut org = Org::linked(3, 6_000);
    let ranked = org.ranked(0);

    for turn in [0, 1, 2, 0] {
        assert!(org.nodes[ranked[turn]].state.is_leader(), "{turn} leads in its turn");
        org.run_for(10_000);
        let since = org.now().monotonic;
        org.run_for(1_000);
        (0..3).filter(|it| *it != ranked[turn]).for_each(|index| org.withheld(index, since));
        org.nodes[ranked[turn]].can_reach_orderer = false;
        org.run_for(7_000);
        org.nodes[ranked[turn]].can_reach_orderer = true;
    }
}
