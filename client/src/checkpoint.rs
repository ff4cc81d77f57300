//! The last block that an application has processed, so that its stream resumes there and the chain stays
//! linked.

use ledgercast_crypto::Digest;
use ledgercast_protocol::ledger::VerifiedHeader;
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

const FILE_BYTES_MAX: u64 = 4096;

/// A block that was verified and processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The channel.
    pub channel: ChannelId,
    /// The block's number.
    pub number: BlockNumber,
    /// Its header's hash.
    pub hash: Digest,
}

/// Why a checkpoint file cannot be used.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// It cannot be read or written.
    #[error("checkpoint {}: {error}", file.display())]
    Io {
        /// Which.
        file: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// It is no checkpoint.
    #[error("checkpoint {}: {cause}; remove it to start over", file.display())]
    Malformed {
        /// Which.
        file: PathBuf,
        /// Why.
        cause: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    channel: String,
    number: u64,
    hash: String,
}

impl Checkpoint {
    /// The checkpoint at a verified header.
    pub fn at(header: &VerifiedHeader) -> Self {
        Self { channel: header.channel(), number: header.number(), hash: header.hash() }
    }

    /// Reads a checkpoint; `None` if there is no such file.
    ///
    /// # Errors
    /// [`CheckpointError`] names file and cause.
    pub fn load(file: &Path) -> Result<Option<Self>, CheckpointError> {
        let failed = |error| CheckpointError::Io { file: file.to_owned(), error };
        let malformed = |cause: String| CheckpointError::Malformed { file: file.to_owned(), cause };
        let length = match fs::metadata(file) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if length > FILE_BYTES_MAX {
            return Err(malformed(format!("{length} bytes are too many")));
        }
        let bytes = fs::read(file).map_err(failed)?;
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        let digest = |text: &str| text.parse::<Digest>().map_err(|error| malformed(error.to_string()));
        Ok(Some(Self {
            channel: ChannelId::from_bytes(*digest(&stored.channel)?.as_bytes()),
            number: BlockNumber::new(stored.number),
            hash: digest(&stored.hash)?,
        }))
    }

    /// Replaces the file, durably and at once: after a crash the old or the new one is there.
    ///
    /// # Errors
    /// [`CheckpointError::Io`] names file and cause.
    pub fn save(&self, file: &Path) -> Result<(), CheckpointError> {
        let failed = |error| CheckpointError::Io { file: file.to_owned(), error };
        let stored = Stored {
            channel: self.channel.to_string(),
            number: self.number.as_u64(),
            hash: self.hash.to_string(),
        };
        let text = serde_json::to_string(&stored).expect("strings and numbers always serialise");
        let mut name = file.as_os_str().to_owned();
        name.push(".new");
        let mut new = File::create(&name).map_err(failed)?;
        new.write_all(text.as_bytes()).and_then(|()| new.sync_all()).map_err(failed)?;
        fs::rename(&name, file).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoint");
        let checkpoint = Checkpoint {
            channel: ChannelId::from_bytes([7; 32]),
            number: BlockNumber::new(42),
            hash: Digest::of(b"header"),
        };

        assert_eq!(Checkpoint::load(&file).unwrap(), None);
        checkpoint.save(&file).unwrap();
        assert_eq!(Checkpoint::load(&file).unwrap(), Some(checkpoint));
    }

    #[test]
    fn refuses_what_is_no_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoint");
        std::fs::write(&file, r#"{"channel":"00","number":1,"hash":"00"}"#).unwrap();

        assert!(matches!(Checkpoint::load(&file), Err(CheckpointError::Malformed { .. })));
    }
}
