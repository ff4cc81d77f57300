//! What people see while they wait, on standard error: a spinner on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// Where stages are shown.
pub(crate) struct Screen {
    has_spinners: bool,
}

/// Something that takes a while.
pub(crate) struct Stage {
    what: String,
    bar: ProgressBar,
    started: Instant,
}

impl Screen {
    /// Standard error; spinners only if wanted and a person watches.
    pub(crate) fn new(wants_spinners: bool) -> Self {
        Self { has_spinners: wants_spinners && std::io::stderr().is_terminal() }
    }

    /// Begins a stage.
    pub(crate) fn stage(&self, what: impl Into<String>) -> Stage {
        let what = what.into();
        let bar = match self.has_spinners {
            true => ProgressBar::new_spinner().with_style(style()).with_message(what.clone()),
            false => ProgressBar::hidden(),
        };
        match self.has_spinners {
            true => bar.enable_steady_tick(Duration::from_millis(100)),
            false => eprintln!("{what} …"),
        }
        Stage { what, bar, started: Instant::now() }
    }
}

impl Stage {
    /// Says how far it is.
    pub(crate) fn show(&self, detail: impl AsRef<str>) {
        self.bar.set_message(format!("{}: {}", self.what, detail.as_ref()));
    }

    /// Ends the stage with what it found.
    pub(crate) fn done(self, found: impl AsRef<str>) {
        self.bar.finish_and_clear();
        eprintln!("{}: {} ({:.1} s)", self.what, found.as_ref(), self.started.elapsed().as_secs_f64());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}
