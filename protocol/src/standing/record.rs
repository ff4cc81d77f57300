//! What is held against one member.

use super::{Config, Quarantine};
use crate::types::OrgId;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) org: OrgId,
    /// The awake time at which all its offences are forgiven.
    clear_at: Duration,
    /// Until when it is in quarantine; none: it is in none.
    until: Option<Duration>,
    /// When its last quarantine ended, or will.
    last_until: Duration,
    pub(super) quarantines: u32,
}

impl Record {
    pub(super) fn new(org: OrgId) -> Self {
        Self { org, clear_at: Duration::ZERO, until: None, last_until: Duration::ZERO, quarantines: 0 }
    }

    /// Counts one offence; the quarantine that it begins, if it does.
    pub(super) fn judge(&mut self, awake: Duration, config: &Config) -> Option<Quarantine> {
        if self.is_quarantined() {
            return None;
        }
        self.clear_at = self.clear_at.max(awake).saturating_add(config.forgive_after);
        if self.offences(awake, config) <= config.offences_max {
            return None;
        }
        if self.is_quarantine_forgotten(awake, config) {
            self.quarantines = 0;
        }
        let factor = 2_u32.saturating_pow(self.quarantines.min(16));
        let lasts = config.quarantine_min.saturating_mul(factor).min(config.quarantine_max);
        self.quarantines = self.quarantines.saturating_add(1);
        let until = awake.saturating_add(lasts);
        (self.until, self.last_until) = (Some(until), until);
        // It comes back with a standing of zero, which recovers from then on.
        self.clear_at = until.saturating_add(config.forgive_after.saturating_mul(config.offences_max));
        Some(Quarantine { lasts, count: self.quarantines })
    }

    /// Ends the quarantine if its time is over; says whether it was.
    pub(super) fn end_quarantine(&mut self, awake: Duration) -> bool {
        self.until.take_if(|until| *until <= awake).is_some()
    }

    pub(super) fn is_quarantined(&self) -> bool {
        self.until.is_some()
    }

    pub(super) fn quarantined_for(&self, awake: Duration) -> Option<Duration> {
        self.until.map(|until| until.saturating_sub(awake))
    }

    /// Offences that are not forgiven, begun steps included.
    pub(super) fn offences(&self, awake: Duration, config: &Config) -> u32 {
        let step = config.forgive_after.as_millis().max(1);
        let left = self.clear_at.saturating_sub(awake).as_millis();
        u32::try_from(left.div_ceil(step)).unwrap_or(u32::MAX)
    }

    fn is_quarantine_forgotten(&self, awake: Duration, config: &Config) -> bool {
        awake >= self.last_until.saturating_add(config.forget_after)
    }

    /// Whether nothing is held against it any more.
    pub(super) fn is_forgotten(&self, awake: Duration, config: &Config) -> bool {
        let is_repeatable = self.quarantines > 0 && !self.is_quarantine_forgotten(awake, config);
        !self.is_quarantined() && self.clear_at <= awake && !is_repeatable
    }

    /// When its standing changes by time alone, or it is forgotten.
    pub(super) fn next_change(&self, awake: Duration, config: &Config) -> Duration {
        if let Some(until) = self.until {
            return until;
        }
        match self.offences(awake, config) {
            0 if self.quarantines > 0 => {
                self.last_until.saturating_add(config.forget_after).max(self.clear_at)
            }
            0 => self.clear_at,
            offences => self.clear_at.saturating_sub(config.forgive_after.saturating_mul(offences - 1)),
        }
    }

    /// Orders records by how much is held against them, then by how long it will be.
    pub(super) fn blame(&self) -> (bool, u32, Duration) {
        (self.is_quarantined(), self.quarantines, self.clear_at)
    }
}
