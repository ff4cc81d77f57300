//! Where payloads come from: whole files, or lines, as bytes or as hex. Files are found and measured before
//! anything is sent; their contents are read one at a time.

use super::{Exit, Failure};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A payload and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// `FILE` or `FILE:LINE`.
    pub(super) source: String,
    /// What the envelope carries.
    pub(super) payload: Bytes,
    /// Bytes of input that it took, for progress.
    pub(super) input_bytes: u64,
}

/// Files to read.
#[derive(Debug)]
pub(super) struct Inputs {
    files: Vec<Found>,
    is_lines: bool,
    is_hex: bool,
    payload_bytes_max: u64,
    skipped: u64,
}

#[derive(Clone, Debug)]
struct Found {
    path: PathBuf,
    bytes: u64,
}

const STANDARD_INPUT: &str = "-";

impl Inputs {
    /// Finds all files; folders give those below them, sorted, without hidden ones.
    pub(super) fn collect(
        paths: &[PathBuf],
        is_lines: bool,
        is_hex: bool,
        payload_bytes_max: u64,
    ) -> Result<Self, Failure> {
        let mut files = Vec::new();
        for path in paths {
            find(path, &mut files).map_err(|(path, error)| Failure::file("read", &path, &error))?;
        }
        let has_standard_input = paths.iter().any(|path| path.as_os_str() == STANDARD_INPUT);
        let is_lines = is_lines || has_standard_input;
        Ok(Self { files, is_lines, is_hex, payload_bytes_max, skipped: 0 })
    }

    fn is_large(&self, found: &Found) -> bool {
        let text_per_byte = if self.is_hex { 2 } else { 1 };
        !self.is_lines && found.bytes / text_per_byte > self.payload_bytes_max
    }

    /// Leaves out files whose payload is over the limit.
    pub(super) fn without_large(mut self) -> Self {
        let (large, fitting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.files).into_iter().partition(|found| self.is_large(found));
        self.skipped = large.len() as u64;
        self.files = fitting;
        self
    }

    /// Fails if a file's payload is over the limit.
    pub(super) fn refuse_large(self) -> Result<Self, Failure> {
        match self.files.iter().find(|found| self.is_large(found)) {
            Some(Found { path, bytes }) => {
                let limit = self.payload_bytes_max;
                let cause = format!("{} has {bytes} bytes, the channel's limit is {limit}", path.display());
                Err(Failure::new(Exit::Usage, cause).cure("pass --skip-large to leave such files out"))
            }
            None => Ok(self),
        }
    }

    /// Bytes to read, as far as known.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|found| found.bytes).sum()
    }

    /// Files left out.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Reads payload after payload; ends with the first error.
    pub(super) fn read(&self) -> impl Iterator<Item = Result<Item, String>> + '_ {
        let files: VecDeque<&Found> = self.files.iter().collect();
        Reading { inputs: self, files, lines: None }
    }

    fn read_whole(&self, path: &Path) -> Result<Item, String> {
        let failed = |error: io::Error| format!("cannot read {}: {error}", path.display());
        let mut bytes = Vec::new();
        // Twice the limit for hex, and one more to notice a file that has grown.
        let limit = 2 * self.payload_bytes_max + 2;
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(failed)?;
        self.item(path.display().to_string(), bytes)
    }

    fn item(&self, source: String, bytes: Vec<u8>) -> Result<Item, String> {
        let input_bytes = bytes.len() as u64;
        let payload = match self.is_hex {
            true => decode_hex(bytes.trim_ascii()).map_err(|error| format!("{source}: {error}"))?,
            false => bytes,
        };
        let (found, limit) = (payload.len(), self.payload_bytes_max);
        if found as u64 > limit {
            return Err(format!("{source} has {found} bytes, the channel's limit is {limit}"));
        }
        Ok(Item { source, payload: payload.into(), input_bytes })
    }
}

struct Reading<'a> {
    inputs: &'a Inputs,
    files: VecDeque<&'a Found>,
    lines: Option<Lines>,
}

/// An open file that is read line by line.
struct Lines {
    name: String,
    reader: Box<dyn BufRead>,
    number: u64,
}

impl Iterator for Reading<'_> {
    type Item = Result<Item, String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(lines) = &mut self.lines {
                match lines.next(self.inputs) {
                    Some(item) => return Some(item),
                    None => self.lines = None,
                }
            }
            let found = self.files.pop_front()?;
            if !self.inputs.is_lines {
                return Some(self.inputs.read_whole(&found.path));
            }
            match Lines::open(&found.path) {
                Ok(lines) => self.lines = Some(lines),
                Err(error) => return Some(Err(format!("cannot read {}: {error}", found.path.display()))),
            }
        }
    }
}

impl Lines {
    fn open(path: &Path) -> io::Result<Self> {
        let reader: Box<dyn BufRead> = match path.as_os_str() == STANDARD_INPUT {
            true => Box::new(BufReader::new(io::stdin())),
            false => Box::new(BufReader::new(File::open(path)?)),
        };
        Ok(Self { name: path.display().to_string(), reader, number: 0 })
    }

    /// The next line that is not blank.
    fn next(&mut self, inputs: &Inputs) -> Option<Result<Item, String>> {
        let limit = 2 * inputs.payload_bytes_max + 2;
        loop {
            let mut line = Vec::new();
            self.number += 1;
            let source = format!("{}:{}", self.name, self.number);
            match self.reader.by_ref().take(limit).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(format!("cannot read {source}: {error}"))),
            }
            let ending = line.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            line.truncate(line.len() - ending);
            if !line.trim_ascii().is_empty() {
                return Some(inputs.item(source, line));
            }
        }
    }
}

/// Adds a file, or the files below a folder.
fn find(path: &Path, files: &mut Vec<Found>) -> Result<(), (PathBuf, io::Error)> {
    let failed = |error| (path.to_owned(), error);
    if path.as_os_str() == STANDARD_INPUT {
        files.push(Found { path: path.to_owned(), bytes: 0 });
        return Ok(());
    }
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.is_file() {
        files.push(Found { path: path.to_owned(), bytes: metadata.len() });
        return Ok(());
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(failed)?;
    let mut below: Vec<PathBuf> = entries
        .iter()
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        // A link may lead in a circle, or out of the folder that was meant.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_file()))
        .map(fs::DirEntry::path)
        .collect();
    below.sort();
    below.iter().try_for_each(|path| find(path, files))
}

fn decode_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    if !text.len().is_multiple_of(2) {
        return Err(format!("{} hex characters are an odd number", text.len()));
    }
    let digit = |position: usize| {
        let value = char::from(text[position]).to_digit(16);
        value
            .and_then(|value| u8::try_from(value).ok())
            .ok_or_else(|| format!("byte {position} is no hex character"))
    };
    (0..text.len()).step_by(2).map(|position| Ok(digit(position)? << 4 | digit(position + 1)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        folder
    }

    fn payloads(inputs: &Inputs) -> Vec<Result<Bytes, String>> {
        inputs.read().map(|item| item.map(|item| item.payload)).collect()
    }

    fn collect(folder: &tempfile::TempDir, is_lines: bool, is_hex: bool) -> Inputs {
        Inputs::collect(&[folder.path().to_owned()], is_lines, is_hex, 10).unwrap()
    }

    #[test]
    fn a_folder_gives_its_files_in_order_without_hidden_ones() {
        let folder = folder(&[("b", "two"), ("a/z", "one"), (".hidden", "x"), (".git/config", "x")]);

        let inputs = collect(&folder, false, false);

        assert_eq!(payloads(&inputs), [Ok("one".into()), Ok("two".into())]);
        assert_eq!(inputs.bytes(), 6);
    }

    #[test]
    fn lines_lose_their_endings_and_blank_ones_are_skipped() {
        let folder = folder(&[("a", "one\r\n\n  \ntwo")]);

        let inputs = collect(&folder, true, false);
        let sources: Vec<String> = inputs.read().map(|item| item.unwrap().source).collect();

        assert_eq!(payloads(&inputs), [Ok("one".into()), Ok("two".into())]);
        assert!(sources[1].ends_with("a:4"), "{sources:?}");
    }

    #[test]
    fn hex_lines_are_decoded_and_bad_ones_named() {
        let folder = folder(&[("a", "00fF\nabc\n")]);

        let read = payloads(&collect(&folder, true, true));

        assert_eq!(read[0], Ok(Bytes::from_static(&[0x00, 0xff])));
        assert!(read[1].as_ref().unwrap_err().contains("a:2: 3 hex characters"), "{read:?}");
    }

    #[test]
    fn large_files_are_refused_or_skipped() {
        let folder = folder(&[("large", "12345678901"), ("small", "1")]);

        let refused = collect(&folder, false, false).refuse_large();
        let skipped = collect(&folder, false, false).without_large();

        assert!(refused.unwrap_err().cause().contains("11 bytes"));
        assert_eq!((skipped.skipped(), payloads(&skipped)), (1, vec![Ok("1".into())]));
    }

    #[test]
    fn a_line_over_the_limit_is_an_error() {
        let folder = folder(&[("a", "12345678901\n")]);

        assert!(payloads(&collect(&folder, true, false))[0].as_ref().unwrap_err().contains("limit is 10"));
    }
}
