//! A campaign's record: a file of JSON lines, one for each seed that was run, appended to and never
//! rewritten.

use crate::line::Line;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// An open record of one campaign; without a file it only remembers.
#[derive(Debug)]
pub(crate) struct Record {
    file: Option<File>,
    campaign: &'static str,
    lines: Vec<Line>,
}

impl Record {
    /// Opens or creates the file and reads what it has of this campaign. A last line that was cut off by a
    /// kill is taken away: its seed runs again.
    pub(crate) fn open(path: Option<&Path>, campaign: &'static str) -> Result<Self, String> {
        let Some(path) = path else {
            return Ok(Self { file: None, campaign, lines: Vec::new() });
        };
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = options.map_err(failed)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut lines = Vec::new();
        for (place, line) in text[..whole].lines().enumerate() {
            let value: Option<Value> = serde_json::from_str(line).ok();
            let value = value.filter(|value| value["campaign"].is_string());
            let Some(value) = value else {
                return Err(format!("{}, line {}: no line of a campaign", path.display(), place + 1));
            };
            if value["campaign"] == campaign {
                let line = Line::from_json(&value);
                lines.push(line.ok_or_else(|| format!("{}, line {}", path.display(), place + 1))?);
            }
        }
        Ok(Self { file: Some(file), campaign, lines })
    }

    /// Seeds that were run, in the order in which they ended.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Keeps one more.
    pub(crate) fn add(&mut self, line: Line) -> Result<(), String> {
        if let Some(file) = &mut self.file {
            let text = format!("{}\n", line.to_json(self.campaign));
            file.write_all(text.as_bytes()).map_err(|error| format!("the record: {error}"))?;
        }
        self.lines.push(line);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seed: u64) -> Line {
        Line {
            seed,
            plan: format!("seed={seed}"),
            node_hours: 1.5,
            trace: "abc".to_owned(),
            ..Line::default()
        }
    }

    #[test]
    fn a_record_is_continued_without_the_line_that_a_kill_cut_off_and_apart_from_other_campaigns() {
        let path = std::env::temp_dir().join(format!("ledgercast-record-{}", std::process::id()));
        let mut record = Record::open(Some(&path), "swarm").expect("the folder can be written");
        let failed = Line { failure: Some("node 1 \"forgot\"".to_owned()), ..line(8) };
        record.add(line(7)).expect("it can be written");
        record.add(failed.clone()).expect("it can be written");
        Record::open(Some(&path), "slander").and_then(|mut it| it.add(line(7))).expect("it can be written");
        let cut =
            format!("{}\n{{\"campaign\":\"swa", std::fs::read_to_string(&path).expect("it is there").trim());
        std::fs::write(&path, cut).expect("it can be written");

        let mut again = Record::open(Some(&path), "swarm").expect("a cut line is no error");
        again.add(line(9)).expect("it can be written");

        let whole = Record::open(Some(&path), "swarm").expect("each line is whole");
        assert_eq!(whole.lines(), [line(7), failed, line(9)]);
        std::fs::write(&path, "something else\n").expect("it can be written");
        assert!(Record::open(Some(&path), "swarm").is_err(), "no other file is appended to");
        std::fs::remove_file(&path).expect("it is there");
    }
}
