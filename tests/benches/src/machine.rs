//! What the kernel says of this process and of the machine (Linux: `/proc`).

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// What a process has used so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    /// Living threads by their name without numbers; threads that ended are missing here.
    pub(crate) by_thread: BTreeMap<String, Duration>,
}

impl Cpu {
    /// Reads it.
    ///
    /// # Errors
    /// There is no `/proc` as Linux has it.
    pub(crate) fn now() -> anyhow::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        // After the command's closing bracket, utime and stime are the 12th and 13th.
        let ticks = |index: usize| -> anyhow::Result<Duration> {
            let ticks: u64 = fields.get(index).context("/proc/self/stat is short")?.parse()?;
            Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
        };
        Ok(Self { user: ticks(11)?, system: ticks(12)?, by_thread: threads()? })
    }

    /// User and system time.
    pub(crate) fn total(&self) -> Duration {
        self.user + self.system
    }

    /// What was used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let by_thread = self.by_thread.iter().map(|(name, time)| {
            let before = earlier.by_thread.get(name).copied().unwrap_or_default();
            (name.clone(), time.saturating_sub(before))
        });
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            by_thread: by_thread.collect(),
        }
    }

    /// Of the living threads of one name.
    pub(crate) fn of_thread(&self, name: &str) -> Duration {
        self.by_thread.get(name).copied().unwrap_or_default()
    }
}

fn threads() -> anyhow::Result<BTreeMap<String, Duration>> {
    let mut by_thread: BTreeMap<String, Duration> = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").context("cannot list threads")?.flatten() {
        // A thread that ends meanwhile is left out.
        let Ok(name) = fs::read_to_string(task.path().join("comm")) else { continue };
        let Ok(statistics) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        let nanoseconds = statistics.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || "-\n".contains(letter));
        *by_thread.entry(name.to_owned()).or_default() += Duration::from_nanos(nanoseconds);
    }
    Ok(by_thread)
}

/// Resident memory, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// The most since [`Memory::forget_peak`].
    pub(crate) peak: u64,
}

impl Memory {
    /// Reads it.
    ///
    /// # Errors
    /// There is no `/proc` as Linux has it.
    pub(crate) fn now() -> anyhow::Result<Self> {
        let status = fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
        let of = |key: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let line = line.with_context(|| format!("no {key} in /proc/self/status"))?;
            Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
        };
        Ok(Self { resident: of("VmRSS:")?, peak: of("VmHWM:")? })
    }

    /// Lets the peak begin anew.
    ///
    /// # Errors
    /// The kernel does not allow it.
    pub(crate) fn forget_peak() -> anyhow::Result<()> {
        fs::write("/proc/self/clear_refs", "5").context("cannot reset the peak of resident memory")
    }
}

/// The load averages of the last one, five and fifteen minutes.
pub(crate) fn load() -> [f64; 3] {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut values = text.split(' ').map(|value| value.parse().unwrap_or(f64::NAN));
    [(); 3].map(|()| values.next().unwrap_or(f64::NAN))
}

/// How many processors there are.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A full mesh of 64 peers has 4,032 sockets in one process: takes as many as the hard limit gives.
///
/// # Errors
/// The operating system refuses.
pub(crate) fn raise_file_limit() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("cannot raise the limit of open files")
}
