//! One real process: its log in a file, signals by its id, and an end that is waited for.

use crate::children;
use crate::wait::wait_for;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A process that ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a command with standard output and error in a log file, appended to.
    ///
    /// # Errors
    /// The program or the log cannot be opened.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot start {name}: {error}");
        let file = File::options().create(true).append(true).open(log).map_err(failed)?;
        command.stdin(Stdio::null()).stdout(file.try_clone().map_err(failed)?).stderr(file);
        let child = children::spawn(&mut command).map_err(failed)?;
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child })
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| format!("{} has no process id", self.name))?;
        kill_process(pid, signal).map_err(|error| format!("cannot signal {}: {error}", self.name))
    }

    /// Stops it where it stands (SIGSTOP): silent, not gone.
    ///
    /// # Errors
    /// It has ended.
    pub fn pause(&self) -> Result<(), String> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// It has ended.
    pub fn resume(&self) -> Result<(), String> {
        self.signal(Signal::CONT)
    }

    /// Ends it at once (SIGKILL), as a power cut would for the process.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn kill(&mut self) -> Result<(), String> {
        self.child.kill().map_err(|error| format!("cannot kill {}: {error}", self.name))?;
        self.child.wait().map_err(|error| error.to_string())?;
        children::forget(self.child.id());
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits until it has; kills it after the deadline.
    ///
    /// # Errors
    /// It did not stop in time.
    pub fn stop(&mut self, deadline: Duration) -> Result<ExitStatus, String> {
        self.signal(Signal::TERM)?;
        let name = self.name.clone();
        let child = &mut self.child;
        let ended = wait_for(&format!("{name} to stop"), deadline, || {
            child.try_wait().map_err(|error| error.to_string())?.ok_or_else(|| "it runs on".to_owned())
        });
        if ended.is_err() {
            self.kill()?;
        }
        ended
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Resident memory in bytes and CPU time used so far, by the kernel's account.
    pub fn usage(&self) -> Option<Usage> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = std::fs::read_to_string(folder.join("status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = resident.trim().trim_end_matches("kB").trim().parse().ok()?;
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        // Fields after the command's closing bracket; utime and stime are the 12th and 13th of them.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        let cpu = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
        let wakeups = wakeups(&folder.join("task")).ok()?;
        Some(Usage { resident_bytes: kibibytes * 1024, cpu, wakeups })
    }
}

/// What a process uses.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Resident memory.
    pub resident_bytes: u64,
    /// User and system time since the start.
    pub cpu: Duration,
    /// How often each thread has waited for something, and so was woken.
    wakeups: BTreeMap<OsString, u64>,
}

impl Usage {
    /// How often threads that still run were woken since an earlier look.
    pub fn wakeups_since(&self, before: &Self) -> u64 {
        let earlier = |thread| before.wakeups.get(thread).copied().unwrap_or(0);
        self.wakeups.iter().map(|(thread, count)| count.saturating_sub(earlier(thread))).sum()
    }
}

/// A thread that ends while this looks is left out.
fn wakeups(tasks: &Path) -> std::io::Result<BTreeMap<OsString, u64>> {
    let mut wakeups = BTreeMap::new();
    for task in std::fs::read_dir(tasks)? {
        let task = task?;
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        if let Some(count) = count.and_then(|count| count.trim().parse().ok()) {
            wakeups.insert(task.file_name(), count);
        }
    }
    match wakeups.is_empty() {
        true => Err(std::io::Error::other("the kernel counts no thread's waits")),
        false => Ok(wakeups),
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A stopped process dies of SIGKILL as well; one that has ended is only collected.
        let _ = self.child.kill();
        let _ = self.child.wait();
        children::forget(self.child.id());
    }
}
