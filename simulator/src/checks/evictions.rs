//! A member is evicted only after real silence: it could not hear the judge's last question, or had no
//! connection to it, and was stopped, paused or cut off from the judge for a good part of the time that the
//! judge counted. News of a member may be some intervals old when its silence begins, so that part is not
//! all of it. The judge's own pause excuses nothing.

use super::Violation;
use crate::node::NodeId;
use ledgercast_protocol::event::EvictionReason;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// From when to when; open while it lasts.
type Span = (Duration, Option<Duration>);

/// The question about a silent member is asked two seconds before it is evicted, and a tick earlier at the
/// most.
const QUESTION: Duration = Duration::from_millis(2_600);

#[derive(Debug, Default)]
pub(crate) struct Evictions {
    /// When each node could not speak: down or paused.
    mute: BTreeMap<NodeId, Vec<Span>>,
    /// When each node was paused.
    paused: BTreeMap<NodeId, Vec<(Duration, Duration)>>,
    /// Partitions: the group of each node.
    cuts: Vec<(Span, Vec<usize>)>,
    /// Since when two nodes share an org or channel, where that was not so from the start.
    met: BTreeMap<(NodeId, NodeId), Duration>,
    wild_clocks: BTreeSet<NodeId>,
    /// Nodes whose certificate expires or is revoked, and liars: others end their sessions with them, and
    /// what liars send is not what their processes meant to say.
    outcasts: BTreeSet<NodeId>,
}

/// What a peer says of the member that it evicts, and what is true.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judgement {
    pub(crate) at: Duration,
    pub(crate) silent_for: Duration,
    pub(crate) reason: EvictionReason,
    /// The judge's configured expiry.
    pub(crate) expiry: Duration,
    /// Since when the two have had their connection, if they have one.
    pub(crate) connected_since: Option<Duration>,
}

impl Evictions {
    pub(crate) fn gone(&mut self, node: NodeId, at: Duration) {
        let spans = self.mute.entry(node).or_default();
        if !spans.last().is_some_and(|(_, end)| end.is_none()) {
            spans.push((at, None));
        }
    }

    pub(crate) fn back(&mut self, node: NodeId, at: Duration) {
        if let Some((_, end @ None)) = self.mute.entry(node).or_default().last_mut() {
            *end = Some(at);
        }
    }

    pub(crate) fn woke(&mut self, node: NodeId, since: Duration, at: Duration) {
        self.back(node, at);
        self.paused.entry(node).or_default().push((since, at));
    }

    pub(crate) fn cut(&mut self, group_of: &[usize], at: Duration) {
        self.mended(at);
        self.cuts.push(((at, None), group_of.to_vec()));
    }

    pub(crate) fn mended(&mut self, at: Duration) {
        if let Some(((_, end @ None), _)) = self.cuts.last_mut() {
            *end = Some(at);
        }
    }

    /// From now on two nodes owe each other alives that did not before.
    pub(crate) fn meet(&mut self, one: NodeId, other: NodeId, at: Duration) {
        self.met.insert((one.min(other), one.max(other)), at);
    }

    /// From now on nobody is bound to believe this node's alives, and its own judgement of others' is still
    /// checked.
    pub(crate) fn set_wild_clock(&mut self, node: NodeId, is_wild: bool) {
        match is_wild {
            true => self.wild_clocks.insert(node),
            false => self.wild_clocks.remove(&node),
        };
    }

    /// From now on others may refuse this node, for its certificate or its offences, or not hear it, and it
    /// sees them fall silent then.
    pub(crate) fn set_outcast(&mut self, node: NodeId) {
        self.outcasts.insert(node);
    }

    pub(crate) fn on_evicted(
        &self,
        by: NodeId,
        subject: NodeId,
        judgement: &Judgement,
    ) -> Result<(), Violation> {
        let Judgement { at, silent_for, reason, expiry, connected_since } = *judgement;
        let was_connected = connected_since.is_some_and(|since| since + QUESTION <= at);
        let refused = |why: String| Err(Violation::FalseEviction { by, subject, silent_for, why });
        if self.wild_clocks.contains(&subject) || [by, subject].iter().any(|it| self.outcasts.contains(it)) {
            return Ok(());
        }
        let unreachable_in = |window| self.unreachable_in(by, subject, (at, window));
        let window = self.awake_window(by, at, silent_for);
        let met = self.met.get(&(by.min(subject), by.max(subject))).copied().unwrap_or_default();
        let (mute, cut) = unreachable_in(window);
        let (mute_last, cut_last) = unreachable_in(QUESTION);
        match reason {
            EvictionReason::Silence if silent_for < expiry => refused(format!("the expiry is {expiry:?}")),
            // Who did not owe it anything all that time was not heard: a newcomer cannot know that.
            EvictionReason::Silence if met + window > at && !met.is_zero() => Ok(()),
            EvictionReason::Silence if mute + cut < silent_for / 4 => {
                refused(format!("it was mute for {mute:?} and cut off for {cut:?}"))
            }
            EvictionReason::Silence if was_connected && (mute_last + cut_last).is_zero() => {
                refused(format!("it could be asked all through the last {QUESTION:?}"))
            }
            EvictionReason::Expired | EvictionReason::Revoked => {
                refused("its certificate is valid for years".to_owned())
            }
            EvictionReason::Refused if mute.is_zero() => refused("its process ran all the time".to_owned()),
            _ => Ok(()),
        }
    }
}

impl Evictions {
    /// The time in which a judge was awake for so long.
    fn awake_window(&self, by: NodeId, at: Duration, awake: Duration) -> Duration {
        let pauses = self.paused.get(&by).into_iter().flatten().rev();
        pauses.fold(awake, |window, (since, until)| match *until + window > at {
            true => window + (*until - *since),
            false => window,
        })
    }

    /// For how much of a window a subject could not speak at all, and not to this judge.
    fn unreachable_in(
        &self,
        by: NodeId,
        subject: NodeId,
        (at, window): (Duration, Duration),
    ) -> (Duration, Duration) {
        let within = |(since, until): &Span| overlap(at, window, (*since, until.unwrap_or(at)));
        let mute = self.mute.get(&subject).into_iter().flatten().map(within).sum();
        let cuts = self.cuts.iter().filter(|(_, group_of)| group_of.get(by.0) != group_of.get(subject.0));
        (mute, cuts.map(|(span, _)| within(span)).sum())
    }
}

/// How much of a span lies in the window of this length that ends at `at`.
fn overlap(at: Duration, window: Duration, (since, until): (Duration, Duration)) -> Duration {
    let start = at.saturating_sub(window).max(since);
    until.min(at).saturating_sub(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRY: Duration = Duration::from_secs(25);

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    const SILENCE: Judgement = Judgement {
        at: seconds(100),
        silent_for: EXPIRY,
        reason: EvictionReason::Silence,
        expiry: EXPIRY,
        connected_since: Some(seconds(1)),
    };

    #[test]
    fn who_spoke_all_the_time_is_evicted_falsely() {
        let verdict = Evictions::default().on_evicted(NodeId(0), NodeId(1), &SILENCE);

        assert!(matches!(verdict, Err(Violation::FalseEviction { .. })));
    }

    #[test]
    fn who_was_mute_or_cut_off_is_evicted_rightly() {
        let mut checks = Evictions::default();
        checks.gone(NodeId(1), seconds(70));
        checks.cut(&[0, 0, 1, 1], seconds(72));

        assert!(checks.on_evicted(NodeId(0), NodeId(1), &SILENCE).is_ok());
        assert!(checks.on_evicted(NodeId(0), NodeId(2), &SILENCE).is_ok());
        assert!(checks.on_evicted(NodeId(2), NodeId(3), &SILENCE).is_err());
    }

    #[test]
    fn who_could_be_asked_again_in_time_is_evicted_falsely() {
        let mut checks = Evictions::default();
        checks.cut(&[0, 1], seconds(70));
        checks.mended(seconds(95));

        assert!(checks.on_evicted(NodeId(0), NodeId(1), &SILENCE).is_err());
        let not_yet_connected = Judgement { connected_since: None, ..SILENCE };
        assert!(checks.on_evicted(NodeId(0), NodeId(1), &not_yet_connected).is_ok());
    }

    #[test]
    fn who_owed_nothing_for_a_part_of_the_time_is_evicted_rightly_and_later_falsely() {
        let mut checks = Evictions::default();
        checks.meet(NodeId(1), NodeId(0), seconds(90));

        assert!(checks.on_evicted(NodeId(0), NodeId(1), &SILENCE).is_ok());
        assert!(checks.on_evicted(NodeId(0), NodeId(2), &SILENCE).is_err());
        let later = Judgement { at: seconds(120), ..SILENCE };
        assert!(checks.on_evicted(NodeId(0), NodeId(1), &later).is_err());
    }

    #[test]
    fn who_is_said_to_refuse_connections_must_have_been_down() {
        let mut checks = Evictions::default();
        let refused = Judgement { silent_for: seconds(3), reason: EvictionReason::Refused, ..SILENCE };

        assert!(checks.on_evicted(NodeId(0), NodeId(1), &refused).is_err());
        checks.gone(NodeId(1), seconds(98));
        assert!(checks.on_evicted(NodeId(0), NodeId(1), &refused).is_ok());
    }

    #[test]
    fn who_was_down_before_the_judge_paused_is_evicted_rightly_when_that_wakes() {
        let mut checks = Evictions::default();
        checks.gone(NodeId(1), seconds(58));
        checks.back(NodeId(1), seconds(63));
        checks.gone(NodeId(0), seconds(60));
        checks.woke(NodeId(0), seconds(60), seconds(100));
        let refused = Judgement { silent_for: seconds(3), reason: EvictionReason::Refused, ..SILENCE };

        assert!(checks.on_evicted(NodeId(0), NodeId(1), &refused).is_ok());
        assert!(checks.on_evicted(NodeId(0), NodeId(2), &refused).is_err());
    }

    #[test]
    fn the_judges_own_pause_excuses_nothing() {
        let mut checks = Evictions::default();
        checks.gone(NodeId(0), seconds(70));
        checks.woke(NodeId(0), seconds(70), seconds(99));

        assert!(checks.on_evicted(NodeId(0), NodeId(1), &SILENCE).is_err());
    }
}
