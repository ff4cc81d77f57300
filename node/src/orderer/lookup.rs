//! The thread that asks the store where an envelope stands. It has little to do: only envelopes whose nonce
//! was used before are looked up.

use ledgercast_protocol::ledger::EnvelopeId;
use ledgercast_protocol::ordering::Input;
use ledgercast_protocol::store::BlockStore;
use ledgercast_protocol::types::ChannelId;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

/// Queues look-ups; the sequencer bounds how many are outstanding. Dropping it finishes what was queued.
#[derive(Debug)]
pub(super) struct Lookup {
    queue: Option<Sender<(ChannelId, EnvelopeId)>>,
    thread: Option<JoinHandle<()>>,
}

impl Lookup {
    /// Starts the thread; `report` gets each answer.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(super) fn start(
        store: Arc<dyn BlockStore>,
        report: impl Fn(Input) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, questions) = channel();
        let thread = std::thread::Builder::new().name("look-up".to_owned()).spawn(move || {
            for (channel, envelope) in questions {
                let position = store.find_envelope(channel, envelope);
                report(Input::Found { channel, envelope, position });
            }
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) fn find(&self, channel: ChannelId, envelope: EnvelopeId) {
        if let Some(queue) = &self.queue {
            // The thread ends only when this sender is dropped.
            let _ = queue.send((channel, envelope));
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has already been reported by the panic hook.
            let _ = thread.join();
        }
    }
}
