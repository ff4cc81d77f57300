//! The numbers of membership, each with where it comes from.

use std::time::Duration;

/// Configuration of membership.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Time between two alives of mine; the `T` of the design. Guess: the reference system's default.
    pub alive_interval: Duration,
    /// Awake time of silence after which a member is evicted. Derived: five intervals.
    pub expiry: Duration,
    /// Awake time of silence after which the question is asked. Derived: the expiry less the question's time.
    pub question_after: Duration,
    /// Awake time that an answer to the question has. Guess: several slow round trips.
    pub question_timeout: Duration,
    /// How many others are asked. Guess: one of three is honest and connected.
    pub question_witnesses: usize,
    /// The same time for a member whose endpoints refuse connections. Guess.
    pub refused_question_timeout: Duration,
    /// Time between two measurements of my own awake time. Guess: well below every time measured in it.
    pub awake_tick: Duration,
    /// The most awake time that one measurement counts; what is beyond was a pause. Guess: twice the tick.
    pub awake_lateness_max: Duration,
    /// How far clocks of honest members may differ. Guess: NTP keeps them within a second.
    pub clock_skew_max: Duration,
    /// How many sessions of my org a batch of ticks is passed to, and how many of each other org all peers of
    /// my org together pass theirs to; who misses two ticks asks. Derived: two reach four of five peers.
    pub push_partners_max: usize,
    /// How many ticks follow one signed alive at most; half of them at least, at random. Derived: an alive in
    /// two minutes on average, well within the clock skew.
    pub tick_links: u32,
    /// How many sessions a piece of news (joined, returned, restarted, left) is forwarded to. Derived:
    /// reaches all of 1,000 members in five hops with high probability.
    pub news_partners_max: usize,
    /// How many sessions are sent a digest per interval. Derived: push–pull doubles who knows in each
    /// interval.
    pub digest_partners: usize,
    /// Time between two writes of the high-water marks. Guess: one small write.
    pub marks_interval: Duration,
    /// Time between two attempts to reach an evicted member. Derived: the expiry.
    pub evicted_retry_interval: Duration,
    /// Awake time after which an evicted member is forgotten. Derived: twenty expiries.
    pub forget_after: Duration,
    /// The most other members held, evicted ones included; beyond, the longest gone makes room, else a new
    /// one is refused. Guess: four times the largest network that we measure.
    pub members_max: usize,
    /// The most other members held of one org; beyond, the longest gone of that org makes room, else a new
    /// one is refused, so that one org cannot fill the table. Derived: a quarter.
    pub members_per_org_max: usize,
    /// Work that one session may cause per second: a question counts 1, a digest or a want 8; more is refused
    /// and counted. Guess: ten times what an honest peer asks.
    pub answer_budget_per_second: u32,
    /// The most subjects whose answers are awaited for others; beyond, a question is not passed on. Guess.
    pub relayed_questions_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            alive_interval: Duration::from_secs(5),
            expiry: Duration::from_secs(25),
            question_after: Duration::from_secs(23),
            question_timeout: Duration::from_secs(2),
            question_witnesses: 3,
            refused_question_timeout: Duration::from_secs(2),
            awake_tick: Duration::from_millis(500),
            awake_lateness_max: Duration::from_secs(1),
            clock_skew_max: Duration::from_secs(300),
            push_partners_max: 2,
            tick_links: 32,
            news_partners_max: 4,
            digest_partners: 1,
            marks_interval: Duration::from_secs(10),
            evicted_retry_interval: Duration::from_secs(25),
            forget_after: Duration::from_secs(500),
            members_max: 4096,
            members_per_org_max: 1024,
            answer_budget_per_second: 64,
            relayed_questions_max: 256,
        }
    }
}
