//! Standing falls with offences only, recovers with time, and is bounded.

use super::*;
use ledgercast_crypto::Digest;

fn member(number: u32) -> MemberId {
    MemberId::from_digest(Digest::of(&number.to_be_bytes()))
}

fn org(number: u8) -> OrgId {
    OrgId::from_digest(Digest::from_bytes([number; 32]))
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Offences of one member of the first org, all at once; the quarantine that the last one begins.
fn offend(standings: &mut Standings, awake: Duration, times: u32) -> Option<Quarantine> {
    (0..times).map(|_| standings.judge(awake, member(1), org(1)).quarantine).last().flatten()
}

#[test]
fn the_third_offence_in_a_short_time_begins_a_quarantine() {
    let mut standings = Standings::new(Config::default());

    assert_eq!(offend(&mut standings, seconds(10), 2), None);
    assert!(!standings.is_quarantined(member(1)));
    let third = offend(&mut standings, seconds(20), 1);

    assert_eq!(third, Some(Quarantine { lasts: seconds(60), count: 1 }));
    assert!(standings.is_quarantined(member(1)));
    assert!(!standings.is_quarantined(member(2)));
}

#[test]
fn an_offence_is_forgiven_with_time_and_then_counts_no_more() {
    let mut standings = Standings::new(Config::default());
    offend(&mut standings, seconds(0), 2);

    assert_eq!(standings.offences(seconds(299), member(1)), 2);
    assert_eq!(standings.offences(seconds(300), member(1)), 1);
    assert_eq!(offend(&mut standings, seconds(301), 1), None, "the first one is forgiven");
    standings.settle(seconds(1_000));

    assert!(standings.is_empty());
}

#[test]
fn a_quarantine_ends_with_a_standing_of_zero_that_recovers() {
    let mut standings = Standings::new(Config::default());
    offend(&mut standings, seconds(0), 3);
    let offences = |standings: &Standings, at| standings.offences(seconds(at), member(1));

    assert_eq!(standings.settle(seconds(59)), []);
    assert_eq!(offences(&standings, 59), 3);
    assert_eq!(standings.settle(seconds(60)), [member(1)]);

    assert!(!standings.is_quarantined(member(1)));
    assert_eq!(offences(&standings, 60), 2);
    assert_eq!(offences(&standings, 360), 1);
    assert_eq!(offences(&standings, 660), 0);
}

#[test]
fn repeated_quarantines_double_up_to_the_cap_and_are_forgotten_in_the_end() {
    let mut standings = Standings::new(Config::default());
    let mut awake = seconds(0);
    let mut times = Vec::new();
    offend(&mut standings, awake, 2);
    for _ in 0..8 {
        let quarantine = offend(&mut standings, awake, 1).expect("its standing was zero");
        times.push(quarantine.lasts.as_secs());
        awake += quarantine.lasts;
        standings.settle(awake);
    }

    assert_eq!(times, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
    awake += Config::default().forget_after;
    standings.settle(awake);
    assert!(standings.is_empty());
    assert_eq!(offend(&mut standings, awake, 3), Some(Quarantine { lasts: seconds(60), count: 1 }));
}

#[test]
fn what_was_under_way_when_a_quarantine_began_adds_nothing() {
    let mut standings = Standings::new(Config::default());

    offend(&mut standings, seconds(0), 100);

    assert_eq!(standings.settle(seconds(60)), [member(1)]);
    assert_eq!(standings.views(seconds(60)).next().map(|it| it.quarantines), Some(1));
}

#[test]
fn the_next_change_is_due_when_something_changes() {
    let mut standings = Standings::new(Config::default());
    assert_eq!(standings.next_due(seconds(0)), None);

    offend(&mut standings, seconds(0), 2);
    assert_eq!(standings.next_due(seconds(0)), Some(seconds(300)));
    assert_eq!(standings.next_due(seconds(400)), Some(seconds(200)));
    offend(&mut standings, seconds(0), 1);
    assert_eq!(standings.next_due(seconds(20)), Some(seconds(40)));
    standings.settle(seconds(60));
    assert_eq!(standings.next_due(seconds(660)), Some(seconds(60) + seconds(6 * 3600) - seconds(660)));
}

#[test]
fn repeated_quarantines_lower_the_quota_of_their_own_org_down_to_a_part() {
    let mut standings = Standings::new(Config::default());
    let quarantine = |standings: &mut Standings, number| {
        (0..3).for_each(|_| _ = standings.judge(seconds(0), member(number), org(1)));
    };

    assert_eq!(standings.org_quota(org(1), 96), 96);
    quarantine(&mut standings, 0);
    assert_eq!(standings.org_quota(org(1), 96), 96, "the first one is its member's affair");
    quarantine(&mut standings, 1);
    assert_eq!(standings.org_quota(org(1), 96), 84);
    (2..50).for_each(|number| quarantine(&mut standings, number));

    assert_eq!(standings.org_quota(org(1), 96), 24);
    assert_eq!(standings.org_quota(org(1), 8), 8, "never more than it had");
    assert_eq!(standings.org_quota(org(2), 96), 96);
}

#[test]
fn a_full_share_of_an_org_displaces_its_own_least_blamed_member() {
    let config = Config { members_max: 8, members_per_org_max: 3, ..Config::default() };
    let mut standings = Standings::new(config);
    standings.judge(seconds(0), member(100), org(2));
    (0..3).for_each(|_| _ = standings.judge(seconds(0), member(0), org(1)));
    standings.judge(seconds(5), member(1), org(1));
    standings.judge(seconds(6), member(2), org(1));

    let displaced = standings.judge(seconds(7), member(3), org(1)).displaced;

    assert_eq!(displaced, Some(member(1)), "the oldest of those that are not in quarantine");
    assert!(standings.is_quarantined(member(0)));
    assert_eq!(standings.offences(seconds(7), member(100)), 1);
}

#[test]
fn a_full_table_takes_from_the_org_that_has_most() {
    let config = Config { members_max: 4, members_per_org_max: 3, ..Config::default() };
    let mut standings = Standings::new(config);
    standings.judge(seconds(0), member(100), org(2));
    (1..4).for_each(|number| _ = standings.judge(seconds(0), member(number), org(1)));

    let displaced = standings.judge(seconds(1), member(200), org(3)).displaced;

    assert!((1..4).any(|number| displaced == Some(member(number))));
    assert_eq!(standings.len(), 4);
}
