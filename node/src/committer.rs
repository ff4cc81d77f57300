//! The thread that appends blocks: takes what has queued up of a channel into one durable write.

use ledgercast_protocol::Input;
use ledgercast_protocol::ledger::VerifiedBlock;
use ledgercast_protocol::store::{BlockStore, StoreError};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// Blocks in one durable write at most; the core bounds how many are outstanding.
const GROUP_MAX: usize = 64;

/// The committing thread. Dropping it finishes what was queued.
#[derive(Debug)]
pub(crate) struct Committer {
    queue: Option<Sender<VerifiedBlock>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread; it reports each result as an input of the core.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(crate) fn start(
        store: Arc<dyn BlockStore>,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> std::io::Result<Self> {
        let (queue, blocks) = channel();
        let thread = std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || run(&blocks, store.as_ref(), &inputs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues a block.
    pub(crate) fn commit(&self, block: VerifiedBlock) {
        if let Some(queue) = &self.queue {
            // The thread ends only when this sender is dropped.
            let _ = queue.send(block);
        }
    }
}

fn run(blocks: &Receiver<VerifiedBlock>, store: &dyn BlockStore, inputs: &mpsc::UnboundedSender<Input>) {
    let mut held: Option<VerifiedBlock> = None;
    while let Some(first) = held.take().or_else(|| blocks.recv().ok()) {
        let channel = first.header().channel();
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            match blocks.try_recv() {
                Ok(next) if next.header().channel() == channel => group.push(next),
                Ok(other) => {
                    held = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let result = store.append(&group);
        // The core is gone when nobody receives: then the process is stopping, and durable blocks stay
        // durable.
        let _ = inputs.send(report(&group, result));
    }
}

fn report(group: &[VerifiedBlock], result: Result<(), StoreError>) -> Input {
    let channel = group[0].header().channel();
    match result {
        Ok(()) => Input::Committed { channel, through: group[group.len() - 1].number() },
        Err(error) => Input::CommitFailed { channel, number: group[0].number(), error },
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has already been reported by the panic hook.
            let _ = thread.join();
        }
    }
}
