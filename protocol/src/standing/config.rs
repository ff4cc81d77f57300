//! The numbers of standing, each with where it comes from.

use std::time::Duration;

/// Configuration of standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Offences not yet forgiven that a member may have; with one more its quarantine begins. Default 2
    /// (guess: a flaw of an honest peer shows itself now and then, a liar at once).
    pub offences_max: u32,
    /// Awake time after which one offence is forgiven. Default 5 min (guess).
    pub forgive_after: Duration,
    /// How long the first quarantine lasts; each further one twice as long. Default 1 min (guess).
    pub quarantine_min: Duration,
    /// The longest quarantine. Default 1 h (guess: what an operator notices).
    pub quarantine_max: Duration,
    /// Awake time after a quarantine from which on the next one counts as the first. Default 6 h (derived:
    /// six of the longest).
    pub forget_after: Duration,
    /// Members that something is held against at once; beyond, of the org that has most the least blamed is
    /// forgotten, and that is counted. Default 1,024 (derived: a quarter of all members).
    pub members_max: usize,
    /// The same of one org. Default 256 (derived: a quarter).
    pub members_per_org_max: usize,
    /// Inbound sessions that an org keeps, whatever its members did. Default 24 (derived: a quarter of its
    /// quota).
    pub org_sessions_min: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            offences_max: 2,
            forgive_after: Duration::from_secs(300),
            quarantine_min: Duration::from_secs(60),
            quarantine_max: Duration::from_secs(3600),
            forget_after: Duration::from_secs(6 * 3600),
            members_max: 1024,
            members_per_org_max: 256,
            org_sessions_min: 24,
        }
    }
}
