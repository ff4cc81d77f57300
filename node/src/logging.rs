//! Where log lines go: to standard error, as text or JSON, with a filter that can change while the process
//! runs.

use crate::api::operations::LogSpec;
use crate::config::{LogFormat, LogSection};
use std::io::IsTerminal as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// Changes the filter of the running process.
pub(crate) struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LogSpec for LogControl {
    fn current(&self) -> String {
        self.filter.with_current(ToString::to_string).unwrap_or_default()
    }

    fn replace(&self, filter: &str) -> Result<(), String> {
        let filter = EnvFilter::try_new(filter).map_err(|error| error.to_string())?;
        self.filter.reload(filter).map_err(|error| error.to_string())
    }
}

/// Starts logging; once in a process.
///
/// # Errors
/// The text says what is wrong with the level or the directives.
pub(crate) fn start(section: &LogSection) -> Result<LogControl, String> {
    let filter = EnvFilter::try_new(&section.level).map_err(|error| error.to_string())?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match section.format {
        LogFormat::Text => registry
            .with(fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr))
            .try_init(),
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()
        }
    };
    started.map_err(|error| error.to_string())?;
    Ok(LogControl { filter: handle })
}
