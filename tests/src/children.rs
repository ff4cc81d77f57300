//! Every process that this one has started and not yet collected, so that an interrupt can end them all.
//! Signals nobody else.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use std::collections::BTreeSet;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

static CHILDREN: Mutex<Children> = Mutex::new(Children { ids: BTreeSet::new(), has_own_groups: false });

#[derive(Debug)]
struct Children {
    ids: BTreeSet<u32>,
    has_own_groups: bool,
}

fn children() -> MutexGuard<'static, Children> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on each child gets a process group of its own, so that a terminal's interrupt reaches only this
/// process. Whoever calls this answers interrupts with [`end_all`]; others leave children in their own group,
/// where the terminal ends them together.
pub fn use_own_groups() {
    children().has_own_groups = true;
}

/// Starts a command and remembers it until [`forget`].
///
/// # Errors
/// As the operating system answers.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut children = children();
    if children.has_own_groups {
        command.process_group(0);
    }
    let child = command.spawn()?;
    children.ids.insert(child.id());
    Ok(child)
}

/// A child has ended and was waited for.
pub fn forget(id: u32) {
    children().ids.remove(&id);
}

/// Runs a command to its end and collects what it writes to its standard output, and to its standard error
/// unless that goes elsewhere.
///
/// # Errors
/// As the operating system answers.
pub fn output(command: &mut Command) -> io::Result<Output> {
    let child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let id = child.id();
    let output = child.wait_with_output();
    forget(id);
    output
}

/// While this lives, no child can be started.
#[derive(Debug)]
pub struct Ended {
    _children: MutexGuard<'static, Children>,
}

/// Kills all children (with their groups, if they have their own), collects them, and lets no further one be
/// started while the answer lives. Waiting for one of them elsewhere fails from then on.
pub fn end_all() -> Ended {
    let children = children();
    let pids = || children.ids.iter().filter_map(|id| i32::try_from(*id).ok().and_then(Pid::from_raw));
    for pid in pids() {
        // Fails only for one that has ended meanwhile.
        let _ = match children.has_own_groups {
            true => kill_process_group(pid, Signal::KILL),
            false => kill_process(pid, Signal::KILL),
        };
    }
    for pid in pids() {
        // Fails if the thread that started it was quicker to collect it.
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
    }
    Ended { _children: children }
}
