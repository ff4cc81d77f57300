//! What verbs print: text for people, or JSON for programs; results to standard output, all else to standard
//! error.

use super::Failure;
use serde::Serialize;
use std::io::{self, IsTerminal, StdoutLock, Write};

/// Where results go.
pub(super) struct Output {
    is_json: bool,
    stdout: StdoutLock<'static>,
}

impl Output {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json, stdout: io::stdout().lock() }
    }

    pub(super) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether somebody watches, so that progress is worth drawing.
    pub(super) fn has_progress(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// One JSON document on one line, or the text.
    pub(super) fn line(
        &mut self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let line = match self.is_json {
            true => serde_json::to_string(value).map_err(io::Error::other)?,
            false => text(),
        };
        writeln!(self.stdout, "{line}")?;
        Ok(())
    }

    /// A sentence for people only.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Failure> {
        if !self.is_json {
            writeln!(self.stdout, "{text}")?;
        }
        Ok(())
    }

    /// One JSON document, indented, or a table.
    pub(super) fn table(
        &mut self,
        value: &impl Serialize,
        header: &[&str],
        rows: &[Vec<String>],
    ) -> Result<(), Failure> {
        let text = match self.is_json {
            true => serde_json::to_string_pretty(value).map_err(io::Error::other)?,
            false => layout(header, rows),
        };
        writeln!(self.stdout, "{text}")?;
        Ok(())
    }

    /// Cause and cure, to standard error.
    pub(super) fn failure(&self, failure: &Failure) {
        if failure.exit() == super::Exit::OutputClosed {
            return;
        }
        if self.is_json {
            let document = serde_json::json!({
                "error": failure.cause(),
                "help": failure.help(),
                "exit_code": failure.exit() as u8,
            });
            eprintln!("{document}");
            return;
        }
        eprintln!("error: {}", failure.cause());
        if let Some(help) = failure.help() {
            eprintln!(" help: {help}");
        }
    }
}

/// Columns as wide as their widest cell, two spaces between them.
fn layout(header: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &[String], column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, name)| rows.iter().map(|row| cells(row, column)).max().unwrap_or(0).max(name.len()))
        .collect();
    let write = |row: Vec<String>| {
        let padded: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let header = header.iter().map(|name| name.to_uppercase()).collect();
    std::iter::once(header).chain(rows.iter().cloned()).map(write).collect::<Vec<_>>().join("\n")
}

/// Milliseconds since the Unix epoch as RFC 3339 in UTC.
pub(super) fn moment(millis: u64) -> String {
    i64::try_from(millis)
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .map_or_else(|| format!("{millis} ms"), |timestamp| format!("{timestamp:.3}"))
}

/// Bytes in a unit that people read.
pub(super) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

/// Milliseconds in a unit that people read.
pub(super) fn duration(millis: u64) -> String {
    match millis {
        0..10_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => indicatif::HumanDuration(std::time::Duration::from_millis(millis)).to_string(),
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first eight characters of hex, or a dash for nothing.
pub(super) fn short(bytes: &[u8]) -> String {
    match bytes.len() {
        0 => "-".to_owned(),
        length => hex(&bytes[..length.min(4)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["long".to_owned(), "2".to_owned()]];

        assert_eq!(layout(&["name", "n"], &rows), "NAME  N\na     1\nlong  2");
    }

    #[test]
    fn moments_are_readable() {
        assert_eq!(moment(1_800_000_000_123), "2027-01-15T08:00:00.123Z");
        assert_eq!(duration(2_345), "2.3 s");
    }
}
