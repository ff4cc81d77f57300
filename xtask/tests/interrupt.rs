//! Ctrl-C at any time leaves no process and no folder.

use ledgercast_tests::wait::wait_for;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The first build of both programs may come before.
const DEADLINE: Duration = Duration::from_secs(600);

/// `cargo devnet --once`, with what it writes; dropped, it is interrupted again.
struct Devnet {
    child: Child,
    temporary: TempDir,
}

impl Devnet {
    fn start() -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        let written = File::create(temporary.path().join("written")).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_ledgercast-xtask"))
            .args(["devnet", "--once"])
            // Where it makes its own folder.
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(written.try_clone().expect("a file"))
            .stderr(written)
            .spawn()
            .expect("it starts");
        Self { child, temporary }
    }

    fn written(&self) -> String {
        fs::read_to_string(self.temporary.path().join("written")).expect("a file")
    }

    fn wait_for_words(&mut self, words: &str) {
        wait_for(words, DEADLINE, || {
            let (written, ended) = (self.written(), self.child.try_wait().expect("its state"));
            match ended {
                Some(status) => panic!("it ended with {status} before it wrote {words:?}: {written}"),
                None if written.contains(words) => Ok(()),
                None => Err(written),
            }
        })
        .expect("it gets there");
    }

    fn interrupt(&self) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("its id");
        kill_process(id, Signal::INT).expect("interrupted");
    }

    fn folders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.temporary.path()).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.is_dir()).collect()
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.interrupt();
            let _ = self.child.wait();
        }
    }
}

/// Processes whose command line names a path below this folder.
fn processes_below(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let texts = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    texts.filter(|text| text.contains(&folder)).collect()
}

#[test]
fn an_interrupt_at_any_time_leaves_no_process_and_no_folder() {
    for moment in ["starting an orderer and six peers", "under load, until block"] {
        let mut devnet = Devnet::start();
        devnet.wait_for_words(moment);
        assert_eq!(devnet.folders().len(), 1, "one folder for everything");

        devnet.interrupt();
        let status = devnet.child.wait().expect("it ends");

        assert_eq!(status.code(), Some(130), "{moment}: {}", devnet.written());
        assert_eq!(devnet.folders(), Vec::<PathBuf>::new(), "{moment}");
        assert_eq!(processes_below(devnet.temporary.path()), Vec::<String>::new(), "{moment}");
    }
}
