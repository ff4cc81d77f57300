//! Why a store folder is not opened, and how RocksDB's failures read to an operator. Decides nothing.

use ledgercast_protocol::store::StoreError;
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use rocksdb::ErrorKind;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a store is not opened; what it holds is unchanged.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder or its `FORMAT` file cannot be made or read.
    #[error("store folder {folder}: {cause}")]
    Folder {
        /// The store's folder.
        folder: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// There is a database, but nothing says that it is a store.
    #[error(
        "store folder {folder} holds a database but no file FORMAT: it is no Ledgercast store, or the \
         file was lost; restore it from a backup or use another folder"
    )]
    NotAStore {
        /// The store's folder.
        folder: PathBuf,
    },
    /// The `FORMAT` file is not one of ours.
    #[error("store folder {folder}: its file FORMAT says {found:?}, expected \"ledgercast store <number>\"")]
    UnknownFormat {
        /// The store's folder.
        folder: PathBuf,
        /// The file's beginning.
        found: String,
    },
    /// A newer release wrote the store.
    #[error(
        "store folder {folder} has format {found}, this release knows formats up to {known}: a newer release \
         wrote it; run that release, or use another folder"
    )]
    NewerFormat {
        /// The store's folder.
        folder: PathBuf,
        /// The format in the folder.
        found: u32,
        /// The newest format that this release reads.
        known: u32,
    },
    /// Somebody else has the store open.
    #[error(
        "store folder {folder} is in use by a running process: the same peer or orderer started twice, two \
         homes that name one folder, or an offline tool; stop the other one, or give each its own folder"
    )]
    InUse {
        /// The store's folder.
        folder: PathBuf,
    },
    /// RocksDB found its files damaged.
    #[error(
        "store folder {folder} is damaged: {cause}; restore it from a backup, or empty it and join again \
         to fetch the blocks from other peers"
    )]
    Damaged {
        /// The store's folder.
        folder: PathBuf,
        /// What RocksDB said.
        cause: String,
    },
    /// RocksDB failed otherwise.
    #[error("store folder {folder} cannot be opened: {cause}")]
    Database {
        /// The store's folder.
        folder: PathBuf,
        /// What RocksDB said.
        cause: String,
    },
    /// The newest block of a channel cannot be read.
    #[error("store folder {folder}: {cause}")]
    Content {
        /// The store's folder.
        folder: PathBuf,
        /// What is wrong with it.
        cause: StoreError,
    },
}

impl OpenError {
    /// Sorts what RocksDB answered to opening a folder.
    pub(super) fn from_database(folder: &Path, error: &rocksdb::Error) -> Self {
        let folder = folder.to_owned();
        let cause = error.as_ref().to_owned();
        // RocksDB has no error kind for a held lock; both of its texts name the file.
        let is_lock = cause.contains("lock hold by current process") || cause.contains("While lock file");
        match error.kind() {
            ErrorKind::IOError if is_lock => Self::InUse { folder },
            ErrorKind::Corruption => Self::Damaged { folder, cause },
            _ => Self::Database { folder, cause },
        }
    }
}

/// A failed read of one block.
pub(super) fn read_failed(
    folder: &Path,
    channel: ChannelId,
    number: BlockNumber,
    error: &rocksdb::Error,
) -> StoreError {
    match error.kind() {
        ErrorKind::Corruption => StoreError::Damaged { channel, number, cause: error.as_ref().to_owned() },
        _ => failed(folder, error),
    }
}

/// Any other failure of RocksDB; a full disk is told apart, because its cure is the operator's.
pub(super) fn failed(folder: &Path, error: &rocksdb::Error) -> StoreError {
    const FULL: [&str; 3] = ["No space left on device", "Disk quota exceeded", "File too large"];
    let text = error.as_ref();
    let folder = folder.display();
    StoreError::Io(if FULL.iter().any(|full| text.contains(full)) {
        format!(
            "the disk of store folder {folder} is full ({text}): nothing more is acknowledged, what it holds \
             stays readable; free space and start again"
        )
    } else {
        format!("store folder {folder}: {text}")
    })
}
