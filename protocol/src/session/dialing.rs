//! Whom to dial and when: wanted endpoints with back-off, one attempt each at a time.

use super::Config;
use crate::time::Monotonic;
use crate::types::{Endpoint, MemberId, OrgId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An endpoint worth dialing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DialTarget {
    /// Where.
    pub endpoint: Endpoint,
    /// Whose place among the sessions it takes: of the member, or who named the endpoint.
    pub org: Option<OrgId>,
    /// Who should answer; `None` for bootstrap and anchor endpoints.
    pub member: Option<MemberId>,
    /// Of those, who says that it is reached there: a claim that only an answer proves.
    pub claimed_by: Option<MemberId>,
}

#[derive(Clone, Debug, Default)]
struct Attempt {
    is_in_flight: bool,
    /// It only asks whether somebody listens.
    is_check: bool,
    /// Whose part of the dials under way it takes.
    org: Option<OrgId>,
    failures: u32,
    not_before: Monotonic,
    answered_by: Option<MemberId>,
    /// Since when a connected member claims the endpoint at which nobody has answered yet.
    claimed_since: Option<Monotonic>,
    is_own: bool,
}

impl Attempt {
    /// Whether the endpoint has been claimed for so long that it is dialed all the same.
    fn is_claim_old(&mut self, now: Monotonic, patience: Duration) -> bool {
        now.saturating_since(*self.claimed_since.get_or_insert(now)) >= patience
    }
}

/// The state of dialing.
#[derive(Clone, Debug)]
pub struct Dialing {
    config: Config,
    attempts: BTreeMap<Endpoint, Attempt>,
}

impl Dialing {
    /// Nothing dialed yet.
    pub fn new(config: Config) -> Self {
        Self { config, attempts: BTreeMap::new() }
    }

    /// Which of the wanted endpoints to dial now; they count as under way until [`Dialing::failed`] or
    /// [`Dialing::answered`]. To whom `dials_me` says that it dials first, I leave it for a while. A fixed
    /// endpoint is connected when who answered there is; while only a claim says so, it is dialed once in
    /// the longest back-off. Of those that are due, those that `takes_room` finds a place for. Endpoints that
    /// nobody wants any more are forgotten, so the table stays as large as the list of wants.
    pub fn due(
        &mut self,
        now: Monotonic,
        wanted: &[DialTarget],
        has_session: impl Fn(MemberId) -> bool,
        dials_me: impl Fn(MemberId) -> bool,
        mut takes_room: impl FnMut(&DialTarget) -> bool,
    ) -> Vec<DialTarget> {
        let patience = now.saturating_add(self.config.dial_patience);
        let endpoints: BTreeSet<&Endpoint> = wanted.iter().map(|target| &target.endpoint).collect();
        self.attempts.retain(|endpoint, attempt| attempt.is_in_flight || endpoints.contains(endpoint));
        let mut in_flight = self.attempts.values().filter(|attempt| attempt.is_in_flight).count();
        // Endpoints that never answer take their time: one org's leave room for those of the others.
        let orgs: BTreeSet<Option<OrgId>> = wanted.iter().map(|target| target.org).collect();
        let share = (self.config.dials_in_flight_max / orgs.len().max(1)).max(1);
        let mut of_org: BTreeMap<Option<OrgId>, usize> = BTreeMap::new();
        for attempt in self.attempts.values().filter(|attempt| attempt.is_in_flight && !attempt.is_check) {
            *of_org.entry(attempt.org).or_default() += 1;
        }
        let mut due = Vec::new();
        for target in wanted {
            let is_patient = target.member.or(target.claimed_by).is_some_and(&dials_me);
            let first =
                || Attempt { not_before: if is_patient { patience } else { now }, ..Attempt::default() };
            let attempt = self.attempts.entry(target.endpoint.clone()).or_insert_with(first);
            let is_connected = target.member.or(attempt.answered_by).is_some_and(&has_session);
            let is_claimed = attempt.answered_by.is_none() && target.claimed_by.is_some_and(&has_session);
            let is_late_enough = attempt.not_before <= now
                && (!is_claimed || attempt.is_claim_old(now, self.config.dial_backoff_max));
            if is_connected || attempt.is_own || attempt.is_in_flight || !is_late_enough {
                continue;
            }
            if in_flight >= self.config.dials_in_flight_max {
                break;
            }
            let of_org = of_org.entry(target.org).or_default();
            if *of_org >= share || !takes_room(target) {
                continue;
            }
            *of_org += 1;
            attempt.org = target.org;
            attempt.is_in_flight = true;
            attempt.claimed_since = None;
            in_flight += 1;
            due.push(target.clone());
        }
        due
    }

    /// Whether a member's endpoint is to be dialed now to see whether it still listens, whatever the back-off
    /// of failed dials and the room for sessions: unless that is under way. Counts as under way as in
    /// [`Dialing::due`].
    pub fn check(&mut self, now: Monotonic, endpoint: &Endpoint) -> bool {
        let checks = self.attempts.values().filter(|attempt| attempt.is_in_flight && attempt.is_check);
        let has_room = checks.count() < self.config.dials_in_flight_max;
        let attempt = self.attempts.entry(endpoint.clone()).or_default();
        // Who has just answered there waits for the shortest back-off all the same: no loop of sessions.
        let is_late_enough = attempt.failures > 0 || attempt.not_before <= now;
        let is_due = has_room && is_late_enough && !attempt.is_in_flight && !attempt.is_own;
        if is_due {
            (attempt.is_in_flight, attempt.is_check) = (true, true);
        }
        is_due
    }

    /// A dial was answered by the transport, and is none more that only asks whether somebody listens; says
    /// whether it was one.
    pub fn end_check(&mut self, endpoint: &Endpoint) -> bool {
        self.attempts.get_mut(endpoint).is_some_and(|attempt| std::mem::take(&mut attempt.is_check))
    }

    /// What was dialed only to see whether somebody listens is closed again.
    pub fn only_checked(&mut self, now: Monotonic, endpoint: &Endpoint) {
        if let Some(attempt) = self.attempts.get_mut(endpoint) {
            attempt.is_in_flight = false;
            attempt.not_before = now.saturating_add(self.config.dial_backoff_min);
        }
    }

    /// A dial failed: the next one waits twice as long.
    pub fn failed(&mut self, now: Monotonic, endpoint: &Endpoint) {
        let config = &self.config;
        if let Some(attempt) = self.attempts.get_mut(endpoint) {
            let factor = 2u32.saturating_pow(attempt.failures.min(16));
            let backoff = config.dial_backoff_min.saturating_mul(factor).min(config.dial_backoff_max);
            (attempt.is_in_flight, attempt.is_check) = (false, false);
            attempt.failures = attempt.failures.saturating_add(1);
            attempt.not_before = now.saturating_add(backoff);
        }
    }

    /// A member showed its certificate there: success, back-off starts anew. The shortest back-off still
    /// stands between two dials, so that a session which is closed at once costs no more.
    pub fn answered(&mut self, now: Monotonic, endpoint: &Endpoint, member: MemberId) {
        if let Some(attempt) = self.attempts.get_mut(endpoint) {
            attempt.is_in_flight = false;
            attempt.failures = 0;
            attempt.not_before = now.saturating_add(self.config.dial_backoff_min);
            attempt.answered_by = Some(member);
        }
    }

    /// What made dials fail is over: the next ones wait for nothing.
    pub fn forgive(&mut self, now: Monotonic) {
        for attempt in self.attempts.values_mut() {
            attempt.failures = 0;
            attempt.not_before = attempt.not_before.min(now);
        }
    }

    /// This endpoint is my own: never dial it.
    pub fn is_mine(&mut self, endpoint: &Endpoint) {
        let attempt = self.attempts.entry(endpoint.clone()).or_default();
        (attempt.is_own, attempt.is_in_flight) = (true, false);
    }

    /// When the next back-off ends; the caller looks again then.
    pub fn next_look(&self, now: Monotonic) -> Monotonic {
        let waiting = self.attempts.values().filter(|attempt| !attempt.is_in_flight && !attempt.is_own);
        let earliest = waiting.map(|attempt| attempt.not_before).filter(|at| *at > now).min();
        let regular = now.saturating_add(Duration::from_secs(1));
        earliest.map_or(regular, |at| at.min(regular))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::Digest;

    fn target(port: u16, member: Option<u8>) -> DialTarget {
        DialTarget {
            endpoint: format!("127.0.0.1:{port}").parse().expect("valid"),
            member: member.map(member_of),
            org: None,
            claimed_by: None,
        }
    }

    fn member_of(byte: u8) -> MemberId {
        MemberId::from_digest(Digest::from_bytes([byte; 32]))
    }

    #[test]
    fn endpoints_of_one_org_that_never_answer_leave_room_for_those_of_others() {
        let mut dialing = Dialing::new(Config { dials_in_flight_max: 8, ..Config::default() });
        let of_org = |port, byte| {
            let org = OrgId::from_digest(Digest::from_bytes([byte; 32]));
            DialTarget { org: Some(org), ..target(port, None) }
        };
        let mut wanted: Vec<DialTarget> = (1..30).map(|port| of_org(port, 1)).collect();
        wanted.extend((30..33).map(|port| of_org(port, 2)));

        let due = dialing.due(at(0), &wanted, |_| false, |_| false, |_| true);

        let of_second = due.iter().filter(|target| target.org == wanted[30].org).count();
        assert_eq!((due.len() - of_second, of_second), (4, 3));
        assert!(
            dialing.due(at(1), &wanted, |_| false, |_| false, |_| true).is_empty(),
            "all parts are taken"
        );
    }

    fn at(millis: u64) -> Monotonic {
        Monotonic::new(Duration::from_millis(millis))
    }

    #[test]
    fn backs_off_after_failures_up_to_the_cap() {
        let mut dialing = Dialing::new(Config::default());
        let wanted = [target(1, None)];
        let mut now = at(0);
        let mut waits = Vec::new();

        assert_eq!(dialing.due(now, &wanted, |_| false, |_| false, |_| true), wanted);
        for _ in 0..9 {
            dialing.failed(now, &wanted[0].endpoint);
            let mut next = now;
            while dialing.due(next, &wanted, |_| false, |_| false, |_| true).is_empty() {
                next = next.saturating_add(Duration::from_millis(500));
            }
            waits.push(next.saturating_since(now).as_millis());
            now = next;
        }

        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 25000, 25000, 25000]);
    }

    #[test]
    fn dials_nobody_twice_at_once_nor_who_has_a_session() {
        let mut dialing = Dialing::new(Config::default());
        let wanted = [target(1, Some(1)), target(2, Some(2))];
        let connected = wanted[1].member;

        let first = dialing.due(at(0), &wanted, |member| Some(member) == connected, |_| false, |_| true);
        let second = dialing.due(at(0), &wanted, |member| Some(member) == connected, |_| false, |_| true);

        assert_eq!(first, [wanted[0].clone()]);
        assert_eq!(second, []);
    }

    #[test]
    fn who_dials_first_is_left_the_time_to_do_so() {
        let mut dialing = Dialing::new(Config::default());
        let wanted = [target(1, Some(1)), target(2, Some(2))];
        let dials_me = |member| Some(member) == wanted[0].member;

        assert_eq!(dialing.due(at(0), &wanted, |_| false, dials_me, |_| true), [wanted[1].clone()]);
        assert_eq!(dialing.due(at(499), &wanted, |_| false, dials_me, |_| true), []);
        assert_eq!(dialing.due(at(500), &wanted, |_| false, dials_me, |_| true), [wanted[0].clone()]);
    }

    #[test]
    fn my_own_endpoint_takes_no_place_among_the_dials_under_way() {
        let mut dialing = Dialing::new(Config { dials_in_flight_max: 1, ..Config::default() });
        let wanted = [target(1, None), target(2, None)];

        assert_eq!(dialing.due(at(0), &wanted, |_| false, |_| false, |_| true), [wanted[0].clone()]);
        dialing.is_mine(&wanted[0].endpoint);

        assert_eq!(dialing.due(at(0), &wanted, |_| false, |_| false, |_| true), [wanted[1].clone()]);
    }

    #[test]
    fn a_check_needs_no_patience_with_failures_and_is_made_once_at_a_time() {
        let mut dialing = Dialing::new(Config::default());
        let wanted = [target(1, Some(1))];
        let endpoint = &wanted[0].endpoint;
        dialing.due(at(0), &wanted, |_| false, |_| false, |_| true);
        assert!(!dialing.check(at(0), endpoint), "a dial is under way");
        dialing.failed(at(0), endpoint);
        dialing.failed(at(0), endpoint);

        assert!(dialing.check(at(0), endpoint), "in spite of the back-off");
        assert!(!dialing.check(at(0), endpoint), "one at a time");
        assert_eq!(dialing.due(at(9_000), &wanted, |_| false, |_| false, |_| true), []);
        assert!(dialing.end_check(endpoint));
        dialing.only_checked(at(9_000), endpoint);

        assert!(!dialing.end_check(endpoint), "later dials are for sessions");
        assert_eq!(dialing.due(at(9_499), &wanted, |_| false, |_| false, |_| true), []);
        assert_eq!(dialing.due(at(9_500), &wanted, |_| false, |_| false, |_| true), wanted);
    }

    #[test]
    fn who_closes_each_session_at_once_is_not_dialed_in_a_loop() {
        let mut dialing = Dialing::new(Config::default());
        let wanted = [target(1, Some(1))];
        dialing.due(at(0), &wanted, |_| false, |_| false, |_| true);
        dialing.answered(at(0), &wanted[0].endpoint, member_of(1));

        assert!(!dialing.check(at(499), &wanted[0].endpoint));
        assert!(dialing.check(at(500), &wanted[0].endpoint));
    }

    #[test]
    fn a_bootstrap_endpoint_is_not_dialed_while_who_answered_there_is_connected() {
        let mut dialing = Dialing::new(Config::default());
        let wanted = [target(1, None)];
        let member = member_of(7);
        dialing.due(at(0), &wanted, |_| false, |_| false, |_| true);
        dialing.answered(at(0), &wanted[0].endpoint, member);

        assert_eq!(dialing.due(at(1000), &wanted, |ready| ready == member, |_| false, |_| true), []);
        assert_eq!(dialing.due(at(1000), &wanted, |_| false, |_| false, |_| true), wanted);
    }

    #[test]
    fn a_claim_delays_the_dial_of_a_bootstrap_endpoint_and_does_not_prevent_it() {
        let config = Config::default();
        let mut dialing = Dialing::new(config.clone());
        let (liar, honest) = (member_of(8), member_of(7));
        let wanted = [DialTarget { claimed_by: Some(liar), ..target(1, None) }];
        let patience = config.dial_backoff_max.as_millis() as u64;
        let due = |millis, connected: &[MemberId], dialing: &mut Dialing| {
            let has_session = |member| connected.contains(&member);
            dialing.due(at(millis), &wanted, has_session, |_| false, |_| true)
        };

        assert_eq!(due(0, &[liar], &mut dialing), []);
        assert_eq!(due(patience - 1, &[liar], &mut dialing), []);
        assert_eq!(due(patience, &[liar], &mut dialing), wanted);
        dialing.failed(at(patience), &wanted[0].endpoint);
        assert_eq!(due(patience + 1_000, &[liar], &mut dialing), [], "no oftener than the longest back-off");
        assert_eq!(due(2 * patience + 1_000, &[liar], &mut dialing), wanted);
        dialing.answered(at(2 * patience + 1_000), &wanted[0].endpoint, honest);

        let later = 3 * patience;
        assert_eq!(due(later, &[liar, honest], &mut dialing), [], "who answered there is connected");
        assert_eq!(due(later, &[liar], &mut dialing), wanted, "the claim no longer counts");
    }
}
