//! What the wires do to frames: delay, jitter, loss, bandwidth. Pure figures and arithmetic, no state of
//! connections.

use std::time::Duration;

/// The wires of a world; the same between all nodes and to the orderers.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// One-way delay.
    pub latency: Duration,
    /// Up to this much is added to each frame's delay; frames of one lane still arrive in order.
    pub jitter: Duration,
    /// Frames that vanish, in parts per million. A node's transport loses frames when a lane is full; this
    /// stands for that and worse. Feeds from orderers lose nothing: they are streams.
    pub loss_per_million: u32,
    /// Speed of each node's up-link, and of its down-link.
    pub bits_per_second: u64,
    /// Bytes of one lane that may wait for the up-link; a frame beyond is refused, as the transport does it.
    pub lane_bytes_max: usize,
    /// Bytes of one connection that wait at a paused process; a frame beyond is lost.
    pub paused_bytes_max: usize,
    /// A connection that can move no byte for so long is given up by both sides.
    pub stall_timeout: Duration,
    /// A dial that nobody answers is given up after this time.
    pub dial_timeout: Duration,
}

impl LinkSettings {
    /// A local network: 0.25 ms one way, 1 Gbit/s, no loss.
    pub fn lan() -> Self {
        Self {
            latency: Duration::from_micros(250),
            jitter: Duration::from_micros(50),
            loss_per_million: 0,
            bits_per_second: 1_000_000_000,
            lane_bytes_max: 8 * 1024 * 1024,
            paused_bytes_max: 2 * 1024 * 1024,
            stall_timeout: Duration::from_secs(10),
            dial_timeout: Duration::from_secs(5),
        }
    }

    /// The same with this share of frames lost, in percent.
    #[must_use]
    pub fn with_loss_percent(mut self, percent: u32) -> Self {
        self.loss_per_million = percent.saturating_mul(10_000);
        self
    }

    /// The same with another delay and jitter.
    #[must_use]
    pub fn with_latency(mut self, latency: Duration, jitter: Duration) -> Self {
        (self.latency, self.jitter) = (latency, jitter);
        self
    }

    /// How long these bytes occupy a link.
    pub(crate) fn transmission(&self, bytes: usize) -> Duration {
        let nanos = bytes as u128 * 8 * 1_000_000_000 / u128::from(self.bits_per_second.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self::lan()
    }
}

/// A one-way wire that carries one thing at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wire {
    free_at: Duration,
}

impl Wire {
    /// Occupies the wire from now or when it is free; returns when the last bit is through.
    pub(crate) fn occupy(&mut self, now: Duration, transmission: Duration) -> Duration {
        self.free_at = self.free_at.max(now) + transmission;
        self.free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wire_carries_one_frame_after_the_other() {
        let links = LinkSettings::lan();
        let frame = links.transmission(125_000);
        let mut wire = Wire::default();

        let first = wire.occupy(Duration::ZERO, frame);
        let second = wire.occupy(Duration::ZERO, frame);

        assert_eq!((first, second), (Duration::from_millis(1), Duration::from_millis(2)));
    }
}
