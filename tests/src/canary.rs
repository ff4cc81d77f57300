//! A text that must not be found where it does not belong, whatever it is written as.

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE, HEXUPPER};
use std::io::ErrorKind;
use std::path::Path;

/// A marked text, in the forms that a log, an API or a store could write it in.
#[derive(Clone, Debug)]
pub struct Canary {
    forms: Vec<Vec<u8>>,
}

impl Canary {
    /// These bytes, raw, as hex and as Base64 (from each of the three places that they can begin at in a
    /// group of three bytes).
    pub fn new(bytes: &[u8]) -> Self {
        let (lower, upper) = (HEXLOWER.encode(bytes), HEXUPPER.encode(bytes));
        let mut forms = vec![bytes.to_vec(), lower.into_bytes(), upper.into_bytes()];
        forms.extend((0..3).filter_map(|skip| bytes.get(skip..)).map(base64_of_whole_groups));
        Self { forms }
    }

    /// The bytes that a text of hex digits stands for.
    ///
    /// # Errors
    /// It is no hex.
    pub fn of_hex(text: &str) -> Result<Self, String> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        bytes.map(|bytes| Self::new(&bytes)).map_err(|error| format!("{text:?} is no hex: {error}"))
    }

    /// Whether any form stands in these bytes.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms.iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
    }

    /// Whether any form stands in a file below this folder. Files and folders that go while they are read are
    /// none.
    ///
    /// # Panics
    /// The folder does not exist, or something in it cannot be read: a search that looks nowhere finds
    /// nothing.
    pub fn is_below(&self, folder: &Path) -> bool {
        assert!(folder.is_dir(), "{} is no folder", folder.display());
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in unless_gone(&folder, std::fs::read_dir(&folder)).into_iter().flatten() {
                let Some(path) = unless_gone(&folder, entry).map(|entry| entry.path()) else {
                    continue;
                };
                if path.is_dir() {
                    folders.push(path);
                } else if unless_gone(&path, std::fs::read(&path)).is_some_and(|bytes| self.is_in(&bytes)) {
                    return true;
                }
            }
        }
        false
    }
}

/// What was read; `None` when it is no longer there.
fn unless_gone<T>(path: &Path, read: std::io::Result<T>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{} cannot be read: {error}", path.display()),
    }
}

/// Without the last one or two bytes, whose letters depend on what follows.
fn base64_of_whole_groups(bytes: &[u8]) -> Vec<u8> {
    BASE64.encode(&bytes[..bytes.len() / 3 * 3]).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_found_in_every_form() {
        let canary = Canary::new(b"kq7vTRADEzp3xw9bm");
        for text in [
            "..kq7vTRADEzp3xw9bm..",
            "6b71377654524144457a7033787739626d",
            "6B71377654524144457A7033787739626D",
            // Python: base64.b64encode(b"" | b"x" | b"xy" + b"kq7vTRADEzp3xw9bm" + b"!")
            "a3E3dlRSQURFenAzeHc5Ym0h",
            "eGtxN3ZUUkFERXpwM3h3OWJtIQ==",
            "eHlrcTd2VFJBREV6cDN4dzlibSE=",
        ] {
            assert!(canary.is_in(text.as_bytes()), "{text}");
        }
        assert!(!canary.is_in(b"kq7vTRADEzp3xw9b, 6b71377654524144457a7033787739626"));
    }

    #[test]
    fn files_that_are_gone_are_clean_and_others_are_searched_in_all_folders() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("one/two");
        std::fs::create_dir_all(&deep).unwrap();
        std::os::unix::fs::symlink("nowhere", deep.join("gone")).unwrap();
        assert!(!Canary::new(b"kq7vTRADEzp3xw9bm").is_below(folder.path()));

        std::fs::write(deep.join("file"), "..kq7vTRADEzp3xw9bm..").unwrap();

        assert!(Canary::new(b"kq7vTRADEzp3xw9bm").is_below(folder.path()));
    }

    #[test]
    #[should_panic(expected = "cannot be read")]
    fn a_file_that_cannot_be_read_is_not_clean() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("loop", folder.path().join("loop")).unwrap();

        Canary::new(b"kq7vTRADEzp3xw9bm").is_below(folder.path());
    }
}
