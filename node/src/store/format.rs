//! The store's format number, in a file beside the database: readable by every release, whatever a newer one
//! changed inside. Never touches the database.

use super::OpenError;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::Path;

/// The format that this release writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

const FILE_NAME: &str = "FORMAT";
const PREFIX: &str = "ledgercast store ";

/// More than a right file needs; the rest of a wrong one is not read.
const FILE_BYTES_MAX: u64 = 64;

/// Checks the format of a store, or stamps a new one.
///
/// # Errors
/// [`OpenError`] when the folder holds a newer format, or something that is no store.
pub(super) fn check_or_stamp(folder: &Path, database: &Path) -> Result<(), OpenError> {
    let failed = |cause| OpenError::Folder { folder: folder.to_owned(), cause };
    fs::create_dir_all(folder).map_err(failed)?;
    match read(folder).map_err(failed)? {
        Some(text) => check(folder, &text),
        None if database.exists() => Err(OpenError::NotAStore { folder: folder.to_owned() }),
        None => stamp(folder).map_err(failed),
    }
}

/// Whether a folder says that it is a store.
pub(super) fn is_stamped(folder: &Path) -> bool {
    folder.join(FILE_NAME).is_file()
}

fn read(folder: &Path) -> io::Result<Option<String>> {
    let file = match File::open(folder.join(FILE_NAME)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn check(folder: &Path, text: &str) -> Result<(), OpenError> {
    let number = text.trim_end().strip_prefix(PREFIX).and_then(|number| number.parse::<u32>().ok());
    match number {
        Some(1..=FORMAT) => Ok(()),
        Some(found @ 1..) => Err(OpenError::NewerFormat { folder: folder.to_owned(), found, known: FORMAT }),
        _ => Err(OpenError::UnknownFormat { folder: folder.to_owned(), found: text.trim_end().to_owned() }),
    }
}

/// Writes the file under another name first, so that a crash leaves either none or a whole one.
fn stamp(folder: &Path) -> io::Result<()> {
    let unfinished = folder.join(format!("{FILE_NAME}.new"));
    let mut file = File::create(&unfinished)?;
    writeln!(file, "{PREFIX}{FORMAT}")?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(FILE_NAME))?;
    File::open(folder)?.sync_all()
}
