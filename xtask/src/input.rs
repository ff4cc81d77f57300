//! What is submitted: the repository's own text files, or the user's file or folder. Read once, bounded, and
//! cut where a piece would be longer than an envelope may be.

use anyhow::{Context as _, bail};
use ledgercast_protocol::channel::ChannelLimits;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of input kept in memory; further files are left out.
const INPUT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What an envelope has besides its payload: ids, nonce, signature, tags and lengths.
const ENVELOPE_OVERHEAD_BYTES: usize = 256;

/// Payloads, repeated in their order for as long as the load goes on.
pub(crate) struct Payloads {
    pieces: Vec<Vec<u8>>,
    /// Where they come from, for people.
    pub(crate) source: String,
}

impl Payloads {
    /// The text files of a workspace, without hidden ones and what was built.
    pub(crate) fn of_workspace(workspace: &Path) -> anyhow::Result<Self> {
        let files = files_below(workspace)?;
        let texts = files.iter().map(|file| read(file)).filter(|bytes| match bytes {
            Ok(bytes) => std::str::from_utf8(bytes).is_ok(),
            Err(_) => true,
        });
        Self::new(texts, "the repository's own text files")
    }

    /// A folder's files, or a file: its lines if all of them are hex, else its bytes.
    pub(crate) fn of_path(path: &Path) -> anyhow::Result<Self> {
        let source = path.display().to_string();
        if path.is_dir() {
            return Self::new(files_below(path)?.iter().map(|file| read(file)), &source);
        }
        let bytes = read(path)?;
        match hex_lines(&bytes) {
            Some(lines) => Self::new(lines.into_iter().map(Ok), &format!("the hex lines of {source}")),
            None => Self::new(std::iter::once(Ok(bytes)), &source),
        }
    }

    fn new(contents: impl Iterator<Item = anyhow::Result<Vec<u8>>>, source: &str) -> anyhow::Result<Self> {
        let piece_bytes_max = payload_bytes_max();
        let (mut pieces, mut bytes) = (Vec::new(), 0);
        for content in contents {
            let content = content?;
            bytes += content.len();
            if bytes > INPUT_BYTES_MAX {
                eprintln!("input: only the first {} of {source} are used", megabytes(INPUT_BYTES_MAX));
                break;
            }
            pieces.extend(content.chunks(piece_bytes_max).map(<[u8]>::to_vec));
        }
        if pieces.is_empty() {
            bail!("{source}: nothing to submit");
        }
        let total: usize = pieces.iter().map(Vec::len).sum();
        let source = format!("{source}: {} payloads, {}", pieces.len(), megabytes(total));
        Ok(Self { pieces, source })
    }

    /// The payload at a position of the endless repetition, as a line of hex with its end.
    pub(crate) fn hex_line(&self, position: usize) -> Vec<u8> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let payload = &self.pieces[position % self.pieces.len()];
        let digit = |nibble: u8| DIGITS[usize::from(nibble)];
        let mut line: Vec<u8> =
            payload.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect();
        line.push(b'\n');
        line
    }
}

fn payload_bytes_max() -> usize {
    let envelope = usize::try_from(ChannelLimits::default().envelope_bytes_max).unwrap_or(usize::MAX);
    envelope.saturating_sub(ENVELOPE_OVERHEAD_BYTES)
}

fn megabytes(bytes: usize) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The files below a folder in order, without empty and hidden ones and without folders that are caches, as
/// cargo's target folder says of itself.
fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_dir() && !path.join("CACHEDIR.TAG").exists() {
                folders.push(path);
            } else if kind.is_file() && entry.metadata()?.len() > 0 {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The bytes that the lines stand for, if all lines that are not blank are hex.
fn hex_lines(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let lines: Vec<Vec<u8>> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(decode).collect::<Option<_>>()?;
    Some(lines).filter(|lines| !lines.is_empty())
}

fn decode(line: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = line
        .chars()
        .map(|it| it.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_lines_stand_for_their_bytes_and_other_files_for_themselves() {
        let folder = tempfile::tempdir().expect("a folder");
        let (hex, text) = (folder.path().join("hex"), folder.path().join("text"));
        fs::write(&hex, "00ff\n\n0a\n").expect("write");
        fs::write(&text, "00ff\nno hex\n").expect("write");

        let (hex, text) = (Payloads::of_path(&hex).expect("hex"), Payloads::of_path(&text).expect("text"));

        assert_eq!(hex.pieces, [vec![0x00, 0xff], vec![0x0a]]);
        assert_eq!(text.pieces, [b"00ff\nno hex\n".to_vec()]);
        assert_eq!(hex.hex_line(2), b"00ff\n");
    }

    #[test]
    fn leaves_out_hidden_and_built_files_and_cuts_long_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("target");
        fs::create_dir(&target).expect("a folder");
        fs::write(target.join("CACHEDIR.TAG"), "tag").expect("write");
        fs::write(folder.path().join(".hidden"), "x").expect("write");
        fs::write(folder.path().join("long"), vec![b'x'; payload_bytes_max() + 1]).expect("write");

        let payloads = Payloads::of_workspace(folder.path()).expect("payloads");

        assert_eq!(payloads.pieces.iter().map(Vec::len).collect::<Vec<_>>(), [payload_bytes_max(), 1]);
    }
}
