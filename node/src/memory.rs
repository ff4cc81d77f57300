//! Gives memory back to the system after a burst of blocks.
//!
//! glibc keeps freed memory in an arena for each thread; bodies pass through many. It reads its settings from
//! the environment, once, before `main`; changing them later takes unsafe calls. So the process replaces
//! itself once, with the settings added: same process id, same arguments. Other C libraries ignore them. What
//! it saves is measured in docs/benchmarks.md.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// One arena; blocks from 64 KiB on, most bodies among them, and free memory at the end go back at once.
/// Anybody's own settings stay.
const SETTINGS: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "131072")];

/// Starts this program anew with the settings, unless the environment has one of them already.
pub fn give_back() {
    if SETTINGS.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let error = Command::new(program).args(std::env::args_os().skip(1)).envs(SETTINGS).exec();
    // It goes on as it is: this is about memory, not about correctness.
    eprintln!("ledgercastd: cannot start anew with settings that save memory: {error}");
}
