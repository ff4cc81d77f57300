//! A bounded pool of threads for costly checks. A full pool refuses at once; the caller counts that.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Work that threads do off the core's task: takes a job, hands its verdict to whoever waits.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// A fixed number of threads behind one bounded queue. Dropping it lets queued work finish.
#[derive(Debug)]
pub(crate) struct VerifyPool {
    queue: Option<SyncSender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

impl VerifyPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(crate) fn start(thread_count: usize, queue_max: usize) -> std::io::Result<Self> {
        let (queue, work) = sync_channel::<Work>(queue_max);
        let work = Arc::new(Mutex::new(work));
        let threads = (0..thread_count.max(1))
            .map(|index| {
                let work = Arc::clone(&work);
                std::thread::Builder::new().name(format!("verify-{index}")).spawn(move || run(&work))
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { queue: Some(queue), threads })
    }

    /// Queues work; `false` when the queue is full, and then it was not taken.
    pub(crate) fn try_submit(&self, work: Work) -> bool {
        let Some(queue) = &self.queue else {
            return false;
        };
        !matches!(queue.try_send(work), Err(TrySendError::Full(_) | TrySendError::Disconnected(_)))
    }
}

fn run(work: &Mutex<Receiver<Work>>) {
    loop {
        // The lock is held while waiting, which is fine: one thread waits for all.
        let next = match work.lock() {
            Ok(receiver) => receiver.recv(),
            Err(_) => return,
        };
        match next {
            Ok(work) => work(),
            Err(_) => return,
        }
    }
}

impl Drop for VerifyPool {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // A verifier that panicked has already been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn runs_all_work_and_refuses_what_does_not_fit() {
        let pool = VerifyPool::start(1, 1).expect("threads");
        let (release, gate) = channel::<()>();
        let (started, has_started) = channel::<()>();
        let (done, results) = channel();
        let blocker = Box::new(move || {
            started.send(()).expect("test waits");
            gate.recv().expect("test releases");
        });

        assert!(pool.try_submit(blocker));
        has_started.recv().expect("the only thread took it");
        let sender = done.clone();
        assert!(pool.try_submit(Box::new(move || sender.send(1).expect("test waits"))));
        assert!(!pool.try_submit(Box::new(|| ())), "the queue of one is full");
        release.send(()).expect("thread waits");

        assert_eq!(results.recv(), Ok(1));
    }
}
