//! RocksDB is most of the first build and cargo shows nothing of it: this counts its object files as they
//! appear.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Object files of the pinned version; only shown, nothing depends on it.
const OBJECTS: usize = 343;

const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Watches until it is dropped.
pub(crate) struct RocksdbProgress {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RocksdbProgress {
    /// Watches the folder that cargo builds into, if cargo names it.
    pub(crate) fn watch(workspace: &Path) -> Self {
        let Some(build) = target_folder(workspace).map(|target| target.join("debug/build")) else {
            return Self { stop: None, thread: None };
        };
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            // What an earlier build left behind is no progress.
            let mut shown = objects(&build);
            while stopped.recv_timeout(LOOK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let now = objects(&build);
                if let Some(count) = now.filter(|_| now != shown) {
                    eprintln!("\r  RocksDB: {count} of {OBJECTS} files compiled");
                }
                shown = now;
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for RocksdbProgress {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It only prints; a panic of it changes nothing.
            let _ = thread.join();
        }
    }
}

fn target_folder(workspace: &Path) -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .ok()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    metadata["target_directory"].as_str().map(PathBuf::from)
}

/// Object files of builds of RocksDB that are not complete; `None`: there is none.
fn objects(build: &Path) -> Option<usize> {
    let folders = std::fs::read_dir(build).ok()?.flatten().map(|entry| entry.path());
    let outputs = folders
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("librocksdb-sys-"))
        })
        .map(|path| path.join("out"))
        .filter(|out| out.is_dir() && !out.join("librocksdb.a").exists());
    outputs
        .map(|out| {
            let entries = std::fs::read_dir(out).into_iter().flatten().flatten();
            entries.filter(|entry| entry.path().extension().is_some_and(|it| it == "o")).count()
        })
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_objects_until_the_archive_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("librocksdb-sys-0123/out");
        std::fs::create_dir_all(&out).expect("out");
        std::fs::write(out.join("a-db.o"), "").expect("an object");
        std::fs::write(out.join("flag_check"), "").expect("no object");

        let during = objects(folder.path());
        std::fs::write(out.join("librocksdb.a"), "").expect("the archive");
        let after = objects(folder.path());

        assert_eq!((during, after), (Some(1), None));
    }
}
