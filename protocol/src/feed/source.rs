//! One orderer endpoint: its stream, its failures, and how far it is trusted to be quick.

use super::{Config, FeedKind};
use crate::channel::OrdererEndpoint;
use crate::time::Monotonic;
use crate::types::{BlockNumber, ChannelId, FeedId, MemberId};
use ledgercast_crypto::Digest;
use std::sync::Arc;
use std::time::Duration;

const NAMESPACE: &[u8] = b"ledgercast orderer rank";

#[derive(Debug)]
pub(super) struct Source {
    pub(super) target: Arc<OrdererEndpoint>,
    rank: Digest,
    pub(super) stream: Option<Stream>,
    /// In a row, without any progress between.
    failures: u32,
    rests_until: Monotonic,
    suspicions: u32,
    pub(super) suspected_until: Monotonic,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) feed: FeedId,
    pub(super) kind: FeedKind,
    pub(super) is_open: bool,
    pub(super) last_header: Option<BlockNumber>,
    /// Since when others have shown a header that this stream has not.
    pub(super) behind_since: Option<Monotonic>,
}

impl Source {
    /// Members rank the sources differently, so that no source has all of them.
    pub(super) fn new(channel: ChannelId, me: MemberId, target: OrdererEndpoint) -> Self {
        let endpoint = target.endpoint.as_str().as_bytes();
        Self {
            rank: Digest::of_parts(&[NAMESPACE, channel.as_bytes(), me.as_bytes(), endpoint]),
            target: Arc::new(target),
            stream: None,
            failures: 0,
            rests_until: Monotonic::ZERO,
            suspicions: 0,
            suspected_until: Monotonic::ZERO,
        }
    }

    pub(super) fn kind(&self) -> Option<FeedKind> {
        self.stream.as_ref().map(|stream| stream.kind)
    }

    pub(super) fn is_open(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.is_open)
    }

    pub(super) fn is_rested(&self, now: Monotonic) -> bool {
        self.rests_until <= now
    }

    pub(super) fn is_suspected(&self, now: Monotonic) -> bool {
        self.suspected_until > now
    }

    pub(super) fn rests_until(&self) -> Monotonic {
        self.rests_until
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// What decides who is asked first: not suspected, then the end of the suspicion, then the rank.
    pub(super) fn order(&self, now: Monotonic) -> (Monotonic, Digest) {
        let suspected = if self.is_suspected(now) { self.suspected_until } else { Monotonic::ZERO };
        (suspected, self.rank)
    }

    /// The stream was lost or led nowhere: rests, longer each time in a row.
    pub(super) fn fail(&mut self, now: Monotonic, config: &Config) {
        self.stream = None;
        self.rests_until = now.saturating_add(doubled(config.backoff_min, self.failures, config.backoff_max));
        self.failures = self.failures.saturating_add(1);
    }

    /// It is left alone until then.
    pub(super) fn rest(&mut self, until: Monotonic) {
        self.rests_until = until;
    }

    /// It lagged, withheld or lied: it is tried last for a while, longer each time in a row.
    pub(super) fn suspect(&mut self, now: Monotonic, config: &Config) {
        self.stream = None;
        let rest = doubled(config.backoff_min, self.suspicions, config.backoff_max);
        self.rests_until = now.saturating_add(rest);
        let pause = doubled(config.suspicion_min, self.suspicions, config.suspicion_max);
        self.suspected_until = now.saturating_add(pause);
        self.suspicions = self.suspicions.saturating_add(1);
    }

    /// Something came that was in its turn.
    pub(super) fn progress(&mut self) {
        self.failures = 0;
    }

    /// As many blocks as are judged together came without lag.
    pub(super) fn clear_suspicion(&mut self) {
        self.suspicions = 0;
    }
}

impl Stream {
    pub(super) fn new(feed: FeedId, kind: FeedKind) -> Self {
        Self { feed, kind, is_open: false, last_header: None, behind_since: None }
    }
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1u32.checked_shl(times.min(31)).unwrap_or(u32::MAX)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_cap() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(2));

        let pauses = [0, 1, 4, 5, 31, u32::MAX].map(|times| doubled(first, times, most).as_millis());

        assert_eq!(pauses, [100, 200, 1600, 2000, 2000, 2000]);
    }
}
