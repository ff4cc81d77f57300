//! The thread that makes blocks durable: what has queued up of a channel goes into one synced write. Knows
//! which blocks it has not reported yet, so that a channel is removed only after the last of them.

use ledgercast_protocol::ledger::VerifiedBlock;
use ledgercast_protocol::store::{BlockStore, StoreError};
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// The bounds of one durable write. A block always gets one, however long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteLimits {
    /// Blocks in one write; further ones go into the next. Default 64 (guess: a feed's room).
    pub write_blocks_max: usize,
    /// Bytes of bodies in one write of several blocks; further ones go into the next. Default 16 MiB (guess: a
    /// few full blocks).
    pub write_bytes_max: usize,
}

impl Default for WriteLimits {
    fn default() -> Self {
        Self { write_blocks_max: 64, write_bytes_max: 16 * 1024 * 1024 }
    }
}

/// What one write came to.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) channel: ChannelId,
    /// How many blocks it held.
    pub(crate) blocks: usize,
    /// The last block of the write, durable now; or the first one, with why the write failed.
    pub(crate) result: Result<BlockNumber, (BlockNumber, StoreError)>,
}

/// The reports, in the order of the writes. They end only when the thread does.
pub(crate) type Reports = mpsc::UnboundedReceiver<Written>;

/// Runs when nothing of a channel is outstanding any more.
type Done = Box<dyn FnOnce() + Send>;

/// The committing thread. Its queue is as long as the protocol lets commits be in flight. Dropping it finishes
/// what was queued.
pub(crate) struct Committer {
    queue: Option<Sender<VerifiedBlock>>,
    thread: Option<JoinHandle<()>>,
    /// Blocks by channel that were queued and not reported yet.
    outstanding: BTreeMap<ChannelId, usize>,
    draining: BTreeMap<ChannelId, Done>,
}

impl Committer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(crate) fn start(store: Arc<dyn BlockStore>, limits: WriteLimits) -> std::io::Result<(Self, Reports)> {
        let (queue, blocks) = channel();
        let (reports, written) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || run(&blocks, store.as_ref(), limits, &reports))?;
        let (outstanding, draining) = (BTreeMap::new(), BTreeMap::new());
        Ok((Self { queue: Some(queue), thread: Some(thread), outstanding, draining }, written))
    }

    /// Queues a block.
    pub(crate) fn commit(&mut self, block: VerifiedBlock) {
        if let Some(queue) = &self.queue {
            *self.outstanding.entry(block.header().channel()).or_default() += 1;
            // Fails only if the thread has panicked; then the reports end, and with them the core.
            let _ = queue.send(block);
        }
    }

    /// Takes note of a report; to be called once the owner has handled it.
    pub(crate) fn settle(&mut self, channel: ChannelId, blocks: usize) {
        let Some(outstanding) = self.outstanding.get_mut(&channel) else { return };
        *outstanding = outstanding.saturating_sub(blocks);
        if *outstanding == 0 {
            self.outstanding.remove(&channel);
            if let Some(done) = self.draining.remove(&channel) {
                done();
            }
        }
    }

    /// Calls `done` when the last queued block of the channel is settled, at once if none is outstanding. Until
    /// then the channel must not be joined again: reports of the old blocks would be taken for its own.
    pub(crate) fn drain(&mut self, channel: ChannelId, done: impl FnOnce() + Send + 'static) {
        match self.outstanding.contains_key(&channel) {
            true => drop(self.draining.insert(channel, Box::new(done))),
            false => done(),
        }
    }

    /// Whether a channel was left and waits for its last blocks.
    pub(crate) fn is_draining(&self, channel: ChannelId) -> bool {
        self.draining.contains_key(&channel)
    }

    /// Whether every queued block was reported.
    pub(crate) fn is_idle(&self) -> bool {
        self.outstanding.is_empty()
    }
}

fn run(
    blocks: &Receiver<VerifiedBlock>,
    store: &dyn BlockStore,
    limits: WriteLimits,
    reports: &mpsc::UnboundedSender<Written>,
) {
    let mut next: Option<VerifiedBlock> = None;
    while let Some(first) = next.take().or_else(|| blocks.recv().ok()) {
        let mut group = vec![first];
        next = gather(blocks, limits, &mut group);
        let result = store.append(&group);
        // The core is gone when nobody receives: then the process is stopping, and durable blocks stay
        // durable.
        let _ = reports.send(written(&group, result));
    }
}

/// Adds what is queued already and belongs into the same write; gives back the first block that does not.
fn gather(
    blocks: &Receiver<VerifiedBlock>,
    limits: WriteLimits,
    group: &mut Vec<VerifiedBlock>,
) -> Option<VerifiedBlock> {
    let channel = group[0].header().channel();
    let mut bytes = group[0].body().bytes().len();
    while group.len() < limits.write_blocks_max {
        let block = blocks.try_recv().ok()?;
        bytes = bytes.saturating_add(block.body().bytes().len());
        if block.header().channel() != channel || bytes > limits.write_bytes_max {
            return Some(block);
        }
        group.push(block);
    }
    None
}

fn written(group: &[VerifiedBlock], result: Result<(), StoreError>) -> Written {
    let (first, last) = (&group[0], &group[group.len() - 1]);
    let result = result.map(|()| last.number()).map_err(|error| (first.number(), error));
    Written { channel: first.header().channel(), blocks: group.len(), result }
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committer").field("outstanding", &self.outstanding).finish_non_exhaustive()
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

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_protocol::store::MemoryStore;
    use ledgercast_protocol::store::suite::Chain;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn a_write_holds_no_more_blocks_and_bytes_than_its_limits() {
        let mut chain = Chain::new(1);
        let blocks = chain.extend(5);
        let bytes = blocks[0].body().bytes().len();
        let sizes = |limits: WriteLimits| {
            let (sender, receiver) = channel();
            blocks.iter().for_each(|block| sender.send(block.clone()).expect("received"));
            drop(sender);
            let store = MemoryStore::new();
            store.create_channel(chain.name(), chain.genesis()).expect("new");
            let (reports, mut written) = mpsc::unbounded_channel();
            run(&receiver, &store, limits, &reports);
            drop(reports);
            let mut sizes = Vec::new();
            while let Some(write) = written.blocking_recv() {
                assert!(write.result.is_ok(), "{write:?}");
                sizes.push(write.blocks);
            }
            sizes
        };

        assert_eq!(sizes(WriteLimits { write_blocks_max: 2, ..WriteLimits::default() }), [2, 2, 1]);
        assert_eq!(sizes(WriteLimits { write_bytes_max: 3 * bytes, ..WriteLimits::default() }), [3, 2]);
        assert_eq!(sizes(WriteLimits { write_bytes_max: 1, ..WriteLimits::default() }), [1; 5]);
        assert_eq!(sizes(WriteLimits::default()), [5]);
    }

    #[test]
    fn a_channel_is_drained_when_its_last_block_is_settled() {
        let mut chain = Chain::new(1);
        let store = Arc::new(MemoryStore::new());
        store.create_channel(chain.name(), chain.genesis()).expect("new");
        let limits = WriteLimits { write_blocks_max: 1, ..WriteLimits::default() };
        let (mut committer, mut reports) = Committer::start(store, limits).expect("a thread");
        for block in chain.extend(2) {
            committer.commit(block);
        }
        let (done, is_done) = sync_channel(1);

        committer.drain(chain.channel(), move || done.send(()).expect("the test waits"));

        for expected in [true, false] {
            let written = reports.blocking_recv().expect("a report");
            assert!(is_done.try_recv().is_err(), "done before the report was handled");
            committer.settle(written.channel, written.blocks);
            assert_eq!(committer.is_draining(chain.channel()), expected);
        }
        assert_eq!(is_done.try_recv(), Ok(()));
        assert!(committer.is_idle());
    }
}
