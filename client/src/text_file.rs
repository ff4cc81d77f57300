//! Reading of files that people write, bounded; errors say which file, where in it, and what is expected.

use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The largest configuration file that is read, in bytes. Guess: ours have a few kilobytes.
pub const TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// Why a file is refused.
#[derive(Debug, Error)]
pub enum TextFileError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// It is longer than any sensible one.
    #[error("{} is over the limit of {limit} bytes", file.display())]
    TooLong {
        /// Which.
        file: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// It does not parse; the message shows line and column.
    #[error("{}: {message}", file.display())]
    Parse {
        /// Which.
        file: PathBuf,
        /// Where and why.
        message: String,
    },
    /// A value parses but is not allowed.
    #[error("{}: {key}: {message}", file.display())]
    Value {
        /// Which file.
        file: PathBuf,
        /// Which key.
        key: String,
        /// Why.
        message: String,
    },
}

/// Reads at most `limit` bytes of a file, all of it.
///
/// # Errors
/// [`TextFileError::Read`] or [`TextFileError::TooLong`].
pub fn read(file: &Path, limit: u64) -> Result<Vec<u8>, TextFileError> {
    let failed = |error| TextFileError::Read { file: file.to_owned(), error };
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(limit + 1).read_to_end(&mut bytes));
    if read.map_err(failed)? as u64 > limit {
        return Err(TextFileError::TooLong { file: file.to_owned(), limit });
    }
    Ok(bytes)
}

/// Reads a TOML file.
///
/// # Errors
/// [`TextFileError`] with file, line and cause.
pub fn read_toml<T: DeserializeOwned>(file: &Path) -> Result<T, TextFileError> {
    let bytes = read(file, TEXT_BYTES_MAX)?;
    let parse = |message: String| TextFileError::Parse { file: file.to_owned(), message };
    let text = String::from_utf8(bytes).map_err(|error| parse(format!("not UTF-8: {error}")))?;
    toml::from_str(&text).map_err(|error| parse(error.to_string()))
}

/// A path as written in a file, seen from that file's folder.
pub fn beside(file: &Path, path: &Path) -> PathBuf {
    file.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_file_that_names_them() {
        assert_eq!(beside(Path::new("a/client.toml"), Path::new("msp")), Path::new("a/msp"));
        assert_eq!(beside(Path::new("client.toml"), Path::new("msp")), Path::new("msp"));
        assert_eq!(beside(Path::new("a/client.toml"), Path::new("/msp")), Path::new("/msp"));
    }

    #[test]
    fn files_over_the_limit_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("long");
        std::fs::write(&file, [0; 11]).unwrap();

        assert_eq!(read(&file, 11).unwrap().len(), 11);
        assert!(matches!(read(&file, 10), Err(TextFileError::TooLong { limit: 10, .. })));
    }
}
