//! A text that must not be found where it does not belong, whatever it is written as.

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE, HEXUPPER};
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

    /// Whether any form stands in a file below this folder. Files that go while they are read are none.
    ///
    /// # Panics
    /// The folder cannot be read: a search that looks nowhere finds nothing.
    pub fn is_below(&self, folder: &Path) -> bool {
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder that can be read") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if self.is_in(&std::fs::read(&path).unwrap_or_default()) {
                    return true;
                }
            }
        }
        false
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
}
