//! The thread that saves what a process keeps besides blocks. Of each key only the newest value waits, so an
//! older one never overwrites a newer, and no more waits than there are keys.

use ledgercast_protocol::store::{BlockStore, MetaKey};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The saving thread. Dropping it finishes what was handed to it.
#[derive(Debug)]
pub(crate) struct Saver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    values: BTreeMap<MetaKey, Vec<u8>>,
    is_closed: bool,
}

impl Saver {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(crate) fn start(store: Arc<dyn BlockStore>) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let work = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("save".to_owned()).spawn(move || {
            while let Some((key, value)) = work.next() {
                if let Err(error) = store.put_meta(key, &value) {
                    tracing::warn!(?key, %error, "could not save; an older value stays");
                }
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Saves a value soon, in place of one of the same key that still waits.
    pub(crate) fn save(&self, key: MetaKey, value: Vec<u8>) {
        self.shared.waiting().values.insert(key, value);
        self.shared.changed.notify_one();
    }
}

impl Shared {
    /// Waits for a value; `None` when there will be none any more.
    fn next(&self) -> Option<(MetaKey, Vec<u8>)> {
        let idle = |waiting: &mut Waiting| waiting.values.is_empty() && !waiting.is_closed;
        let waiting = self.changed.wait_while(self.waiting(), idle);
        waiting.unwrap_or_else(PoisonError::into_inner).values.pop_first()
    }

    /// A panic elsewhere leaves the values whole: each change is one insertion or removal.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        self.shared.waiting().is_closed = true;
        self.shared.changed.notify_one();
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

    #[test]
    fn of_values_that_wait_the_newest_of_each_key_is_saved() {
        let shared = Shared::default();
        for (key, value) in [(MetaKey::Marks, 1), (MetaKey::Incarnation, 2), (MetaKey::Marks, 3)] {
            shared.waiting().values.insert(key, vec![value]);
        }
        shared.waiting().is_closed = true;

        let saved: Vec<_> = std::iter::from_fn(|| shared.next()).collect();

        assert_eq!(saved, [(MetaKey::Incarnation, vec![2]), (MetaKey::Marks, vec![3])]);
    }

    #[test]
    fn what_was_handed_over_last_is_in_the_store_after_the_drop() {
        let store = Arc::new(MemoryStore::new());
        let saver = Saver::start(Arc::clone(&store) as Arc<dyn BlockStore>).expect("a thread");

        for number in 0..=200_u8 {
            saver.save(MetaKey::Marks, vec![number]);
        }
        drop(saver);

        assert_eq!(store.meta(MetaKey::Marks).expect("memory").as_deref(), Some(&[200][..]));
    }
}
