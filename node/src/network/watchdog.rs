//! Notices lanes that have bytes to write and write none. Owns one slow timer, and only while bytes
//! wait: an idle connection has no timer at all.

use super::session::{LANES, index};
use ledgercast_protocol::types::Lane;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Periods without progress that make a stall. The first one is only begun, so three periods of half
/// the time-out are at least one and at most one and a half time-outs. A process that was stopped
/// and continued sees one period end, not three: it does not blame its peers for its own pause.
const SILENT_PERIODS_MAX: u8 = 3;

/// The watchdog of one connection.
#[derive(Debug)]
pub(super) struct Watchdog {
    period: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    silent_periods: [u8; 3],
}

impl Watchdog {
    pub(super) fn new(stall_timeout: Duration) -> Self {
        Self { period: stall_timeout / 2, timer: None, silent_periods: [0; 3] }
    }

    /// Notes that a lane wrote something.
    pub(super) fn on_progress(&mut self, lane: Lane) {
        self.silent_periods[index(lane)] = 0;
    }

    /// Given which lanes have bytes waiting, names one that has stalled.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, waiting: [bool; 3]) -> Option<Lane> {
        for (silent, waits) in self.silent_periods.iter_mut().zip(waiting) {
            if !waits {
                *silent = 0;
            }
        }
        if waiting == [false; 3] {
            self.timer = None;
            return None;
        }
        let period = self.period;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(period)));
        while timer.as_mut().poll(cx).is_ready() {
            timer.as_mut().reset(Instant::now() + period);
            for lane in LANES {
                let silent = &mut self.silent_periods[index(lane)];
                *silent += u8::from(waiting[index(lane)]);
                if *silent >= SILENT_PERIODS_MAX {
                    return Some(lane);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;

    async fn stalled_after(watchdog: &mut Watchdog, waiting: [bool; 3]) -> (Lane, Duration) {
        let start = Instant::now();
        let lane = poll_fn(|cx| match watchdog.poll(cx, waiting) {
            Some(lane) => Poll::Ready(lane),
            None => Poll::Pending,
        });
        (lane.await, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn names_the_silent_lane_after_the_timeout() {
        let mut watchdog = Watchdog::new(Duration::from_secs(10));

        let (lane, elapsed) = stalled_after(&mut watchdog, [false, false, true]).await;

        assert_eq!(lane, Lane::Pull);
        assert!((10..=15).contains(&elapsed.as_secs()), "after {elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_and_an_empty_queue_reset_it() {
        let mut watchdog = Watchdog::new(Duration::from_secs(10));
        for _ in 0..10 {
            let pending = tokio::time::timeout(
                Duration::from_secs(8),
                stalled_after(&mut watchdog, [true, true, false]),
            );
            assert!(pending.await.is_err());
            watchdog.on_progress(Lane::Control);
            watchdog.on_progress(Lane::Data);
        }

        let idle = poll_fn(|cx| Poll::Ready(watchdog.poll(cx, [false; 3]))).await;

        assert_eq!(idle, None);
        assert!(watchdog.timer.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_long_pause_of_our_own_is_no_stall() {
        let mut watchdog = Watchdog::new(Duration::from_secs(10));
        let first = poll_fn(|cx| Poll::Ready(watchdog.poll(cx, [true; 3]))).await;
        tokio::time::advance(Duration::from_secs(3600)).await;

        let second = poll_fn(|cx| Poll::Ready(watchdog.poll(cx, [true; 3]))).await;

        assert_eq!((first, second), (None, None));
    }
}
