//! Ending a submission early, by an interrupt or because nobody reads the answers: nothing more is taken in,
//! and what is in flight is still answered.

use super::Exit;
use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::watch;
use tokio_stream::Stream;

/// Why a submission ends before its input does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Ctrl-C.
    Interrupted,
    /// The answers cannot be written any more.
    Unread,
}

/// Whether to stop, and why; the first cause stays.
#[derive(Clone)]
pub(super) struct Stop(Arc<watch::Sender<Option<Cause>>>);

impl Stop {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Stops at the first Ctrl-C; the second one ends the process at once.
    pub(super) fn on_interrupt(&self, tells_people: bool) {
        let stop = self.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            if tells_people {
                eprintln!("interrupted: waiting for the answers under way; Ctrl-C again ends at once");
            }
            stop.because(Cause::Interrupted);
            if tokio::signal::ctrl_c().await.is_ok() {
                process::exit(i32::from(Exit::Interrupted as u8));
            }
        });
    }

    pub(super) fn because(&self, cause: Cause) {
        self.0.send_if_modified(|stopped| {
            let is_first = stopped.is_none();
            stopped.get_or_insert(cause);
            is_first
        });
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        *self.0.borrow()
    }

    /// The items up to the stop.
    pub(super) fn limit<T>(&self, items: impl Stream<Item = T> + Unpin) -> impl Stream<Item = T> {
        let mut stopped = self.0.subscribe();
        let stop = Box::pin(async move {
            // It cannot fail: this very `Stop` holds the sender.
            let _ = stopped.wait_for(Option::is_some).await;
        });
        Limited { items, stop: Some(stop) }
    }
}

struct Limited<I, F> {
    items: I,
    /// None once it has come.
    stop: Option<Pin<Box<F>>>,
}

impl<I: Stream + Unpin, F: Future<Output = ()>> Stream for Limited<I, F> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<I::Item>> {
        let this = &mut *self;
        let is_going_on = this.stop.as_mut().is_some_and(|stop| stop.as_mut().poll(context).is_pending());
        if !is_going_on {
            this.stop = None;
            return Poll::Ready(None);
        }
        Pin::new(&mut this.items).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_stream::StreamExt as _;
    use tokio_stream::wrappers::ReceiverStream;

    #[tokio::test]
    async fn a_stop_ends_the_items_while_the_next_one_is_awaited() {
        let stop = Stop::new();
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        sender.send(1).await.unwrap();
        let mut items = std::pin::pin!(stop.limit(ReceiverStream::new(receiver)));
        assert_eq!(items.next().await, Some(1));

        let stopping = async {
            tokio::task::yield_now().await;
            stop.because(Cause::Unread);
            stop.because(Cause::Interrupted);
        };
        let (next, ()) = tokio::join!(items.next(), stopping);
        sender.send(2).await.unwrap();

        assert_eq!((next, items.next().await), (None, None));
        assert_eq!(stop.cause(), Some(Cause::Unread));
    }
}
