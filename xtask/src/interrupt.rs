//! Ctrl-C at any time: ends every process that was started, removes the folder and exits. A process that is
//! itself killed (SIGKILL) cannot clean up; nothing here claims otherwise.

use ledgercast_tests::children;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// What a shell reports of a program that an interrupt ended: 128 + SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// Answers interrupts from its installation on.
pub(crate) struct Interrupt {
    is_received: Arc<AtomicBool>,
    exit_code: Arc<AtomicU8>,
}

impl Interrupt {
    /// Creates a temporary folder and from now on removes it, after all children, when a signal asks to end.
    ///
    /// # Errors
    /// The folder or the handlers cannot be created.
    pub(crate) fn install(prefix: &str) -> io::Result<(Self, TempDir)> {
        // Signals first: one that comes while the folder is created waits until the thread below runs.
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let folder = tempfile::Builder::new().prefix(prefix).tempdir()?;
        children::use_own_groups();
        let interrupt = Self {
            is_received: Arc::new(AtomicBool::new(false)),
            exit_code: Arc::new(AtomicU8::new(EXIT_INTERRUPTED)),
        };
        let (is_received, exit_code) = (interrupt.is_received.clone(), interrupt.exit_code.clone());
        let path = folder.path().to_owned();
        std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
            if signals.forever().next().is_none() {
                return;
            }
            is_received.store(true, Ordering::SeqCst);
            eprintln!("\ninterrupted: ending all processes, removing {}", path.display());
            // Held to the end: the other threads start nothing any more.
            let _ended = children::end_all();
            remove(&path);
            std::process::exit(i32::from(exit_code.load(Ordering::SeqCst)));
        })?;
        Ok((interrupt, folder))
    }

    /// From now on an interrupt is the expected end, with this exit code.
    pub(crate) fn expect_with(&self, exit_code: u8) {
        self.exit_code.store(exit_code, Ordering::SeqCst);
    }

    /// Whether a signal was received.
    pub(crate) fn is_received(&self) -> bool {
        self.is_received.load(Ordering::SeqCst)
    }

    /// Does not return once a signal was received: what looks like a failure from then on is none, and the
    /// thread that cleans up ends the process.
    pub(crate) fn yield_if_received(&self) {
        while self.is_received() {
            std::thread::park();
        }
    }
}

/// Removes a folder into which another thread may be writing at this moment.
fn remove(folder: &Path) {
    const ATTEMPTS: u32 = 50;
    for _ in 0..ATTEMPTS {
        let _ = std::fs::remove_dir_all(folder);
        std::thread::sleep(Duration::from_millis(20));
        if !folder.exists() {
            return;
        }
    }
    eprintln!("cannot remove {}", folder.display());
}
