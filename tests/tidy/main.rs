//! Rules of the house that no compiler checks: sizes, headers, forbidden words, what crates may import.

mod scenario_list;

use ledgercast_tests::binaries::workspace;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

const LINE_CHARACTERS_MAX: usize = 110;
const FILE_LINES_MAX: usize = 600;
const MAIN_LINES_MAX: usize = 60;
const LIB_LINES_MAX: usize = 90;

/// Every file below the top, but for build output and what is not ours.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![workspace().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let is_skipped = name == ".git" || name == "target" || name == "third_party";
            match (is_skipped, path.is_dir()) {
                (true, _) => {}
                (false, true) => folders.push(path),
                (false, false) => found.push(path),
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(PathBuf, String)> {
    files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            (path.strip_prefix(workspace()).expect("below the top").to_owned(), text)
        })
        .collect()
}

fn assert_none(what: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{what}:\n{}", offenders.join("\n"));
}

#[test]
fn every_source_opens_with_what_it_is() {
    let without: Vec<String> = sources()
        .iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();

    assert_none("no //! line at the top", &without);
}

#[test]
fn files_and_lines_stay_short() {
    let mut long = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        let limit = match path.file_name().and_then(|name| name.to_str()) {
            Some("main.rs") if path.iter().any(|part| part == "src") => MAIN_LINES_MAX,
            Some("lib.rs") => LIB_LINES_MAX,
            _ => FILE_LINES_MAX,
        };
        if lines > limit {
            long.push(format!("{}: {lines} lines, at most {limit}", path.display()));
        }
        for (index, line) in text.lines().enumerate() {
            if line.chars().count() > LINE_CHARACTERS_MAX && !line.contains("http") {
                long.push(format!("{}:{}: longer than {LINE_CHARACTERS_MAX}", path.display(), index + 1));
            }
        }
    }

    assert_none("too long", &long);
}

#[test]
fn no_file_is_named_after_nothing() {
    let vague = ["util.rs", "utils.rs", "helper.rs", "helpers.rs", "manager.rs", "common.rs", "misc.rs"];
    let found: Vec<String> = sources()
        .iter()
        .filter(|(path, _)| vague.iter().any(|name| path.ends_with(name)))
        .map(|(path, _)| path.display().to_string())
        .collect();

    assert_none("names that say nothing", &found);
}

#[test]
fn nothing_is_left_undone_in_code() {
    // Put together here, so that this file is not its own finding.
    let words = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("FIX", "ME"),
        concat!("#[ig", "nore"),
    ];
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (index, line) in text.lines().enumerate() {
            // Part of a test that runs in a process of its own, started by another test.
            let is_child_part = line.contains("the child's part of another test");
            if let Some(word) = words.iter().find(|word| line.contains(**word) && !is_child_part) {
                found.push(format!("{}:{}: {word}", path.display(), index + 1));
            }
        }
    }

    assert_none("left undone", &found);
}

/// What cargo says that a crate is built from, development and build dependencies left out.
fn normal_dependencies(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace())
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--package", package])
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_pure_ring_is_built_without_the_real_world() {
    for package in ["ledgercast-crypto", "ledgercast-protocol", "ledgercast-simulator"] {
        let dependencies = normal_dependencies(package);

        assert!(dependencies.contains(package), "cargo tree printed something else: {dependencies:?}");
        for banned in ["tokio", "futures", "libp2p", "rocksdb", "tonic", "axum", "ledgercast-node"] {
            assert!(!dependencies.contains(banned), "{package} is built from {banned}");
        }
    }
}

#[test]
fn the_client_needs_neither_the_node_nor_its_database() {
    let dependencies = normal_dependencies("ledgercast-client");

    for banned in ["ledgercast-node", "rocksdb", "libp2p"] {
        assert!(!dependencies.contains(banned), "the client is built from {banned}");
    }
}
