//! The list of scenarios and the scenarios agree.

use super::{assert_none, sources, workspace};
use std::collections::BTreeSet;
use std::path::Path;

/// "A5" and the like.
fn is_code(word: &str) -> bool {
    let mut characters = word.chars();
    characters.next().is_some_and(|first| first.is_ascii_uppercase())
        && word.len() > 1
        && characters.all(|rest| rest.is_ascii_digit())
}

fn codes(text: &str) -> Vec<&str> {
    text.split([' ', ',', ':']).map(str::trim).take_while(|word| word.is_empty() || is_code(word)).collect()
}

/// How the list calls a file of tests: by its path below `tests/scenarios`, or `cluster/` and its name.
fn name_in_list(path: &Path) -> Option<String> {
    let tests = path.strip_prefix("tests").ok()?;
    let file =
        tests.strip_prefix("scenarios").ok().or_else(|| tests.starts_with("cluster").then_some(tests))?;
    Some(file.to_string_lossy().into_owned())
}

/// The codes that open the doc line of a test, and the tests' names with their files.
fn tested() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut found, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (path, text) in sources() {
        let Some(file) = name_in_list(&path) else { continue };
        let mut doc: Vec<&str> = Vec::new();
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("/// ") {
                doc.extend(codes(comment).into_iter().filter(|code| !code.is_empty()));
            } else if let Some(rest) = line.strip_prefix("fn ") {
                let name = rest.split('(').next().unwrap_or_default();
                names.insert(format!("`{file}` `{name}`"));
                found.extend(doc.drain(..).map(str::to_owned));
            } else if line != "#[test]" {
                doc.clear();
            }
        }
    }
    (found, names)
}

#[test]
fn every_code_and_test_in_the_list_of_scenarios_exists() {
    let list = std::fs::read_to_string(workspace().join("tests/scenarios/README.md")).expect("the list");
    let (tested, names) = tested();
    let mut missing = Vec::new();
    for row in list.lines().filter_map(|line| line.strip_prefix("| ")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let (code, tests) = (cells[0], cells[cells.len() - 1].trim_end_matches(" |"));
        let untested = codes(code).into_iter().filter(|code| !code.is_empty() && !tested.contains(*code));
        missing.extend(untested.map(|code| format!("{code}: no test has it in its doc line")));
        let named = tests.split("<br>").filter(|test| test.contains("` `"));
        missing.extend(named.filter(|test| !names.contains(*test)).map(|test| format!("{code}: no {test}")));
    }

    assert!(tested.len() > 20, "few codes were found: {tested:?}");
    assert_none("the list of scenarios names what is not there", &missing);
}
