//! The thread that makes blocks durable: what has queued up of a channel goes into one synced write.

use ledgercast_protocol::ledger::VerifiedBlock;
use ledgercast_protocol::ordering::Input;
use ledgercast_protocol::store::{BlockStore, StoreError};
use ledgercast_protocol::types::ChannelId;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// Bytes of bodies in one write, if it has more than one block. Guess: a few full blocks.
const WRITE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What one write came to.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) channel: ChannelId,
    /// How many blocks it held.
    pub(super) blocks: usize,
    pub(super) input: Input,
}

/// The committing thread; the sequencer bounds how many blocks are outstanding. Dropping it finishes what was
/// queued.
#[derive(Debug)]
pub(super) struct Committer {
    queue: Option<Sender<VerifiedBlock>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread; `report` gets the outcome of each write, in order.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(super) fn start(
        store: Arc<dyn BlockStore>,
        report: impl Fn(Written) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, blocks) = channel();
        let thread = std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || run(&blocks, store.as_ref(), &report))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) fn commit(&self, block: VerifiedBlock) {
        if let Some(queue) = &self.queue {
            // The thread ends only when this sender is dropped.
            let _ = queue.send(block);
        }
    }
}

fn run(blocks: &Receiver<VerifiedBlock>, store: &dyn BlockStore, report: &dyn Fn(Written)) {
    let mut next: Option<VerifiedBlock> = None;
    while let Some(first) = next.take().or_else(|| blocks.recv().ok()) {
        let mut group = vec![first];
        next = gather(blocks, &mut group);
        let result = store.append(&group);
        report(written(&group, result));
    }
}

/// Adds what is queued already and belongs into the same write; gives back the first block that does not.
fn gather(blocks: &Receiver<VerifiedBlock>, group: &mut Vec<VerifiedBlock>) -> Option<VerifiedBlock> {
    let channel = group[0].header().channel();
    let mut bytes = group[0].body().bytes().len();
    while let Ok(block) = blocks.try_recv() {
        bytes += block.body().bytes().len();
        if block.header().channel() != channel || bytes > WRITE_BYTES_MAX {
            return Some(block);
        }
        group.push(block);
    }
    None
}

fn written(group: &[VerifiedBlock], result: Result<(), StoreError>) -> Written {
    let (first, last) = (&group[0], &group[group.len() - 1]);
    let channel = first.header().channel();
    let input = match result {
        Ok(()) => Input::Committed { channel, through: last.number() },
        Err(error) => Input::CommitFailed { channel, number: first.number(), error },
    };
    Written { channel, blocks: group.len(), input }
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
