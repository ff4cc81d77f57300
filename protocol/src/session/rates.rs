//! How much each member may say per second: signed statements, certificates, and other messages, each with a
//! burst of some seconds.
//!
//! Beyond it a message is dropped and counted; who goes on for longer loses the session. It is never an
//! offence: the limits are mine. What I have asked for, and the frames of pushed bodies, have bounds of their
//! own.

use super::Config;
use crate::time::Monotonic;
use crate::types::{Lane, MemberId};
use crate::wire::{ChannelMessage, Message};
use std::collections::BTreeMap;
use std::time::Duration;

/// An excess that was interrupted for longer than this begins anew.
const EXCESS_GAP_MAX: Duration = Duration::from_secs(2);

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rated {
    /// It is within the limits.
    Taken,
    /// It is dropped: the reason, in snake case.
    Dropped(&'static str),
    /// It is dropped, and so many were that the session is to end.
    Persistent(&'static str),
}

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Statements,
    Certificates,
    Messages,
}

/// What one member has left, in thousandths, and its excess.
#[derive(Clone, Debug)]
struct Allowance {
    left: [u64; 3],
    refilled: Monotonic,
    excess: Option<Excess>,
}

#[derive(Clone, Copy, Debug)]
struct Excess {
    since: Monotonic,
    last: Monotonic,
}

/// The allowances of members with a session, and of those that have lately had one.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    allowances: BTreeMap<MemberId, Allowance>,
}

impl Rates {
    /// Judges one message of a member; `is_ready` says whose allowances must be remembered.
    pub fn judge(
        &mut self,
        now: Monotonic,
        config: &Config,
        from: MemberId,
        message: &Message,
        is_ready: impl Fn(MemberId) -> bool,
    ) -> Rated {
        let Some((measure, cost)) = measure(message) else {
            return Rated::Taken;
        };
        if !self.allowances.contains_key(&from) {
            // A session that ended and came back at once finds its old allowance.
            self.allowances.retain(|member, it| is_ready(*member) || !it.refill(now, config));
        }
        let allowance = self.allowances.entry(from).or_insert_with(|| Allowance::full(now, config));
        allowance.refill(now, config);
        match allowance.spend(measure, cost) {
            true => Rated::Taken,
            false if allowance.exceeded(now) >= config.excess_max => Rated::Persistent(measure.reason()),
            false => Rated::Dropped(measure.reason()),
        }
    }

    /// Allowances kept.
    pub fn len(&self) -> usize {
        self.allowances.len()
    }

    /// Whether none are kept.
    pub fn is_empty(&self) -> bool {
        self.allowances.is_empty()
    }
}

impl Allowance {
    fn full(now: Monotonic, config: &Config) -> Self {
        Self { left: bursts(config), refilled: now, excess: None }
    }

    /// Adds what the time since the last call brings; says whether nothing is missing any more.
    fn refill(&mut self, now: Monotonic, config: &Config) -> bool {
        let passed = u64::try_from(now.saturating_since(self.refilled).as_millis()).unwrap_or(u64::MAX);
        if passed > 0 {
            self.refilled = now;
        }
        let bursts = bursts(config);
        for ((left, burst), rate) in self.left.iter_mut().zip(bursts).zip(rates(config)) {
            // A rate per second, in thousandths, is the same number per millisecond.
            *left = left.saturating_add(passed.saturating_mul(rate)).min(burst);
        }
        self.left == bursts
    }

    fn spend(&mut self, measure: Measure, cost: usize) -> bool {
        let cost = u64::try_from(cost).unwrap_or(u64::MAX).saturating_mul(1000);
        let left = &mut self.left[measure as usize];
        let is_enough = *left >= cost;
        if is_enough {
            *left -= cost;
        }
        is_enough
    }

    /// Notes that something was dropped; returns for how long that goes on already.
    fn exceeded(&mut self, now: Monotonic) -> Duration {
        let is_going_on = |it: &Excess| now.saturating_since(it.last) <= EXCESS_GAP_MAX;
        let since = self.excess.filter(is_going_on).map_or(now, |excess| excess.since);
        self.excess = Some(Excess { since, last: now });
        now.saturating_since(since)
    }
}

impl Measure {
    fn reason(self) -> &'static str {
        match self {
            Self::Statements => "statements_per_second",
            Self::Certificates => "certificates_per_second",
            Self::Messages => "messages_per_second",
        }
    }
}

fn rates(config: &Config) -> [u64; 3] {
    let rates = [config.statements_per_second, config.certificates_per_second, config.messages_per_second];
    rates.map(u64::from)
}

fn bursts(config: &Config) -> [u64; 3] {
    let seconds = u64::from(config.rate_burst_seconds);
    rates(config).map(|rate| rate.saturating_mul(seconds).saturating_mul(1000))
}

/// What a message counts as, and how much; `None`: as nothing.
fn measure(message: &Message) -> Option<(Measure, usize)> {
    match message {
        Message::Alives(records) => Some((Measure::Statements, records.len())),
        Message::Ticks(ticks) => Some((Measure::Statements, ticks.len())),
        Message::Leave(_) => Some((Measure::Statements, 1)),
        Message::Revocations(lists) => Some((Measure::Certificates, lists.len())),
        Message::Certificates(chains) => Some((Measure::Certificates, chains.len())),
        Message::Channel(_, ChannelMessage::States(states)) => Some((Measure::Statements, states.len())),
        Message::Channel(_, ChannelMessage::Leadership(_) | ChannelMessage::Leave(_)) => {
            Some((Measure::Statements, 1))
        }
        Message::Channel(_, ChannelMessage::Lacking(_)) => None,
        Message::Channel(_, ChannelMessage::Push(_)) => Some((Measure::Messages, 1)),
        other => (other.lane() == Lane::Control).then_some((Measure::Messages, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite::Chain;
    use crate::wire::Push;
    use ledgercast_crypto::Digest;

    const CONFIG: fn() -> Config = || Config {
        messages_per_second: 10,
        rate_burst_seconds: 2,
        excess_max: Duration::from_secs(3),
        ..Config::default()
    };

    fn member(byte: u8) -> MemberId {
        MemberId::from_digest(Digest::from_bytes([byte; 32]))
    }

    fn at(millis: u64) -> Monotonic {
        Monotonic::new(Duration::from_millis(millis))
    }

    fn say(rates: &mut Rates, millis: u64, from: u8) -> Rated {
        rates.judge(at(millis), &CONFIG(), member(from), &Message::Channels(Vec::new()), |_| false)
    }

    #[test]
    fn a_member_may_say_its_burst_and_then_its_rate() {
        let mut rates = Rates::default();

        let burst = (0..30).filter(|_| say(&mut rates, 0, 1) == Rated::Taken).count();
        let later = (0..30).filter(|_| say(&mut rates, 500, 1) == Rated::Taken).count();

        assert_eq!((burst, later), (20, 5));
        assert_eq!(say(&mut rates, 500, 2), Rated::Taken, "another one has its own");
    }

    #[test]
    fn pushes_count_as_messages_and_what_they_open_does_not() {
        let mut chain = Chain::new(1);
        let header = chain.next(&[b"x"]).header().certified().clone();
        let (header_hash, relay_set) = (header.hash(), Digest::ZERO);
        let of_channel = |message| Message::Channel(chain.channel(), message);
        let push = of_channel(ChannelMessage::Push(Push { header, relay_set, children: Vec::new() }));
        let frame = of_channel(ChannelMessage::BodyFrame { header_hash, index: 0, payload: vec![7].into() });
        let mut rates = Rates::default();
        let mut taken = |message| {
            let judged = (0..30).map(|_| rates.judge(at(0), &CONFIG(), member(1), message, |_| false));
            judged.filter(|rated| *rated == Rated::Taken).count()
        };

        assert_eq!((taken(&push), taken(&frame)), (20, 30));
    }

    #[test]
    fn only_an_excess_that_goes_on_ends_the_session() {
        let mut rates = Rates::default();
        let mut say_all = |from: u64, until: u64| {
            (from..until).step_by(10).map(|millis| say(&mut rates, millis, 1)).last().expect("a message")
        };

        assert_eq!(say_all(0, 2_000), Rated::Dropped("messages_per_second"));
        assert_eq!(say_all(60_000, 60_010), Rated::Taken, "it kept still for a while");
        assert_eq!(say_all(60_010, 66_000), Rated::Persistent("messages_per_second"));
    }

    #[test]
    fn who_comes_back_at_once_finds_its_old_allowance_and_is_forgotten_later() {
        let mut rates = Rates::default();
        for _ in 0..20 {
            say(&mut rates, 0, 1);
        }

        say(&mut rates, 10, 2);
        assert_eq!(say(&mut rates, 20, 1), Rated::Dropped("messages_per_second"));
        say(&mut rates, 60_000, 3);

        assert_eq!(rates.len(), 1);
    }
}
