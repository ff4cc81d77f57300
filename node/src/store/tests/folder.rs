//! Which folders are opened, which are refused, and how the refusal reads. The lock needs a second process:
//! this test program, started again.

use super::{RocksDbStore, empty};
use crate::store::OpenError;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const FOLDER_VARIABLE: &str = "LEDGERCAST_TEST_FOLDER";

/// Runs one of this program's ignored tests, a child's part, in a process of its own.
pub(super) fn run_child(test: &str, folder: &Path, before: &str) -> Output {
    Command::new("bash")
        .args(["-c", &format!("{before} exec \"$0\" --ignored --nocapture --exact \"$1\"")])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("{}::{test}", module_path!().split_once("::").unwrap().1.trim_end_matches("::folder")))
        .env(FOLDER_VARIABLE, folder)
        .output()
        .unwrap()
}

/// The folder that the parent gave; children run by hand have none and do nothing.
pub(super) fn given_folder() -> Option<std::path::PathBuf> {
    std::env::var_os(FOLDER_VARIABLE).map(Into::into)
}

#[test]
fn a_second_opener_is_refused_in_the_same_process() {
    let (folder, _store) = empty();

    let refused = RocksDbStore::open(folder.path()).unwrap_err();

    assert!(matches!(&refused, OpenError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains(&*folder.path().to_string_lossy()), "{refused}");
}

#[test]
fn a_second_opener_is_refused_in_another_process() {
    let (folder, store) = empty();

    let during = run_child("folder::child_opens_the_folder", folder.path(), "");
    drop(store);
    let after = run_child("folder::child_opens_the_folder", folder.path(), "");

    let text = String::from_utf8_lossy(&during.stdout);
    assert!(text.contains("is in use by a running process"), "{text}");
    let text = String::from_utf8_lossy(&after.stdout);
    assert!(text.contains("opened"), "{text}");
}

#[test]
#[ignore = "the child's part of another test"]
fn child_opens_the_folder() {
    let Some(folder) = given_folder() else { return };
    match RocksDbStore::open(&folder) {
        Ok(_) => println!("opened"),
        Err(error) => println!("{error}"),
    }
}

#[test]
fn a_newer_format_is_refused_by_number() {
    let (folder, store) = empty();
    drop(store);
    fs::write(folder.path().join("FORMAT"), "ledgercast store 2\n").unwrap();

    let refused = RocksDbStore::open(folder.path()).unwrap_err();

    assert!(matches!(refused, OpenError::NewerFormat { found: 2, known: 1, .. }), "{refused}");
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let (folder, store) = empty();
    drop(store);
    let format = folder.path().join("FORMAT");

    for other in ["", "ledgercast store 0", "ledgercast store x", "something else", "\u{0}\u{0}"] {
        fs::write(&format, other).unwrap();
        let refused = RocksDbStore::open(folder.path()).unwrap_err();
        assert!(matches!(refused, OpenError::UnknownFormat { .. }), "{other:?}: {refused}");
    }
    fs::remove_file(&format).unwrap();
    let refused = RocksDbStore::open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::NotAStore { .. }), "{refused}");
}

#[test]
fn a_folder_that_is_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store");
    fs::write(&file, "").unwrap();

    let refused = RocksDbStore::open(&file).unwrap_err();

    assert!(matches!(refused, OpenError::Folder { .. }), "{refused}");
}

#[test]
fn a_crash_between_format_and_database_leaves_a_folder_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("FORMAT.new"), "ledger").unwrap();
    assert!(RocksDbStore::open(folder.path()).is_ok(), "an unfinished format file");

    fs::remove_dir_all(folder.path().join("db")).unwrap();
    assert!(RocksDbStore::open(folder.path()).is_ok(), "a format without database");
}
