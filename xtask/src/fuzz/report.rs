//! What a fuzz target says of itself on standard error: libFuzzer's lines and ours.

use serde_json::{Value, json};

/// The last lines that are kept, to show how a target ended.
const TAIL_LINES: usize = 30;

/// Figures of one target.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Report {
    /// Inputs tried.
    pub(crate) runs: u64,
    /// Edges of the program that were reached, and edges with how often: what libFuzzer steers by.
    pub(crate) edges: u64,
    pub(crate) features: u64,
    /// Inputs that reach something of their own.
    pub(crate) corpus: u64,
    /// The input that used the largest part of its bound.
    pub(crate) largest: Largest,
    /// Where the input lies that ended the target.
    pub(crate) crash: Option<String>,
    tail: Vec<String>,
}

/// Bytes that a decoder held at once.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Largest {
    pub(crate) bytes: u64,
    pub(crate) bound: u64,
    pub(crate) input: u64,
}

impl Report {
    /// Takes one line.
    pub(crate) fn take(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("LARGEST ") {
            let value = |name| number(rest, name).unwrap_or_default();
            self.largest =
                Largest { bytes: value("allocated="), bound: value("bound="), input: value("input=") };
        } else if line.starts_with('#') {
            self.take_pulse(line);
        } else if let Some(runs) = number(line, "stat::number_of_executed_units: ") {
            self.runs = runs;
        } else if let Some((_, file)) = line.split_once("Test unit written to ") {
            self.crash = Some(file.to_owned());
        }
        if self.tail.len() == TAIL_LINES {
            self.tail.remove(0);
        }
        self.tail.push(line.chars().take(200).collect());
    }

    /// `#2097152 pulse  cov: 669 ft: 1530 corp: 349/98Kb lim: 4096 exec/s: 109540 rss: 28Mb`
    fn take_pulse(&mut self, line: &str) {
        self.runs = number(line, "#").unwrap_or(self.runs);
        self.edges = number(line, "cov: ").unwrap_or(self.edges);
        self.features = number(line, "ft: ").unwrap_or(self.features);
        self.corpus = number(line, "corp: ").unwrap_or(self.corpus);
    }

    /// How it ended.
    pub(crate) fn tail(&self) -> String {
        self.tail.join("\n")
    }

    /// The largest part of its bound that an input used, in percent.
    pub(crate) fn percent(&self) -> f64 {
        match self.largest.bound {
            0 => 0.0,
            bound => (self.largest.bytes as f64 / bound as f64 * 1000.0).round() / 10.0,
        }
    }

    /// As JSON.
    pub(crate) fn describe(&self, target: &str, cpu_seconds: f64) -> Value {
        json!({
            "target": target,
            "cpu_s": (cpu_seconds * 10.0).round() / 10.0,
            "runs": self.runs,
            "runs_per_cpu_s": per_second(self.runs, cpu_seconds),
            "edges": self.edges,
            "features": self.features,
            "corpus": self.corpus,
            "largest": {
                "bytes": self.largest.bytes,
                "bound": self.largest.bound,
                "input_bytes": self.largest.input,
                "percent": self.percent(),
            },
            "crash": self.crash,
        })
    }
}

/// Rounded.
pub(crate) fn per_second(count: u64, seconds: f64) -> u64 {
    (count as f64 / seconds.max(f64::EPSILON)).round() as u64
}

/// The digits behind a name.
fn number(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(name)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str]) -> Report {
        let mut report = Report::default();
        lines.iter().for_each(|line| report.take(line));
        report
    }

    #[test]
    fn figures_are_those_of_the_last_lines() {
        let report = report(&[
            "#21\tINITED cov: 500 ft: 900 corp: 20/4Kb exec/s: 0 rss: 27Mb",
            "LARGEST allocated=410 bound=4144 input=4 permille=98",
            "#2097152\tpulse  cov: 669 ft: 1530 corp: 349/98Kb lim: 4096 exec/s: 109540 rss: 28Mb",
            "LARGEST allocated=620 bound=4648 input=46 permille=133",
            "stat::number_of_executed_units: 2100000",
        ]);

        assert_eq!((report.runs, report.edges, report.features, report.corpus), (2_100_000, 669, 1530, 349));
        assert_eq!(report.largest, Largest { bytes: 620, bound: 4648, input: 46 });
        assert_eq!((report.percent(), report.crash), (13.3, None));
    }

    #[test]
    fn a_crash_names_its_input_and_the_last_lines_are_kept() {
        let mut lines = vec!["decoder frame: an input of 3 bytes makes it hold 9"; 50];
        lines.push("artifact_prefix='a/'; Test unit written to a/crash-1");

        let report = report(&lines);

        assert_eq!(report.crash.as_deref(), Some("a/crash-1"));
        assert_eq!(report.tail().lines().count(), TAIL_LINES);
    }
}
