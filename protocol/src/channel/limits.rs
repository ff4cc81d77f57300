//! The sizes that a channel's config sets; every peer enforces them alike.

use crate::wire::proto;
use std::time::Duration;
use thiserror::Error;

/// No config may set a body limit above this: it bounds buffers before any config is known.
pub const BODY_BYTES_CEILING: u32 = 64 * 1024 * 1024;

/// The longest message with a whole block: the ceiling, and room for the certified header and the framing.
/// Servers and callers use the same.
pub const BLOCK_MESSAGE_BYTES_MAX: usize = BODY_BYTES_CEILING as usize + 2 * 1024 * 1024;

/// Sizes and times of a channel's blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelLimits {
    /// The longest envelope, in bytes. Default 1 MiB (guess).
    pub envelope_bytes_max: u32,
    /// A block is cut at this many envelopes. Default 500, the reference system's.
    pub batch_envelopes_max: u32,
    /// A block is cut before its envelopes exceed this many bytes; a larger envelope gets a block of its own.
    /// Default 2 MiB, the reference system's preferred size.
    pub batch_bytes_max: u32,
    /// A block is cut this long after its first envelope came. Default 200 ms (guess: latency before size).
    pub batch_timeout: Duration,
}

/// Why limits make no sense.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LimitsError {
    /// A limit is zero.
    #[error("channel limit {0} must not be zero")]
    Zero(&'static str),
    /// Bodies could exceed the ceiling.
    #[error("channel limits allow bodies of {0} bytes, the ceiling is {BODY_BYTES_CEILING}")]
    AboveCeiling(u64),
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self {
            envelope_bytes_max: 1024 * 1024,
            batch_envelopes_max: 500,
            batch_bytes_max: 2 * 1024 * 1024,
            batch_timeout: Duration::from_millis(200),
        }
    }
}

impl ChannelLimits {
    /// The longest body, in bytes: a full batch, or one envelope of the largest size, with each envelope's
    /// length and a certificate of its own.
    pub fn body_bytes_max(&self) -> u64 {
        let envelopes = u64::from(self.batch_bytes_max.max(self.envelope_bytes_max));
        envelopes + u64::from(self.batch_envelopes_max) * (8 + CREATOR_CERTIFICATE_BYTES)
    }

    pub(super) fn check(&self) -> Result<(), LimitsError> {
        let values = [
            ("envelope_bytes_max", self.envelope_bytes_max),
            ("batch_envelopes_max", self.batch_envelopes_max),
            ("batch_bytes_max", self.batch_bytes_max),
        ];
        if let Some((name, _)) = values.iter().find(|(_, value)| *value == 0) {
            return Err(LimitsError::Zero(name));
        }
        if self.batch_timeout.is_zero() {
            return Err(LimitsError::Zero("batch_timeout_ms"));
        }
        match self.body_bytes_max() {
            bytes if bytes > u64::from(BODY_BYTES_CEILING) => Err(LimitsError::AboveCeiling(bytes)),
            _ => Ok(()),
        }
    }
}

/// Room for one creator certificate in a body; longer ones are refused at submission.
pub const CREATOR_CERTIFICATE_BYTES: u64 = 4096;

impl From<&proto::ChannelLimits> for ChannelLimits {
    fn from(wire: &proto::ChannelLimits) -> Self {
        Self {
            envelope_bytes_max: wire.envelope_bytes_max,
            batch_envelopes_max: wire.batch_envelopes_max,
            batch_bytes_max: wire.batch_bytes_max,
            batch_timeout: Duration::from_millis(wire.batch_timeout_ms.into()),
        }
    }
}

impl From<&ChannelLimits> for proto::ChannelLimits {
    fn from(limits: &ChannelLimits) -> Self {
        Self {
            envelope_bytes_max: limits.envelope_bytes_max,
            batch_envelopes_max: limits.batch_envelopes_max,
            batch_bytes_max: limits.batch_bytes_max,
            batch_timeout_ms: u32::try_from(limits.batch_timeout.as_millis()).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_zero_and_bodies_above_the_ceiling() {
        let zero = ChannelLimits { batch_envelopes_max: 0, ..ChannelLimits::default() };
        let huge = ChannelLimits { batch_bytes_max: u32::MAX, ..ChannelLimits::default() };

        assert_eq!(ChannelLimits::default().check(), Ok(()));
        assert_eq!(zero.check(), Err(LimitsError::Zero("batch_envelopes_max")));
        assert!(matches!(huge.check(), Err(LimitsError::AboveCeiling(_))));
    }
}
