//! Runs the command `ledgercast` as people do, in a folder of its own and without this shell's environment.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a run of the command gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The one JSON document on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Runs `ledgercast` in a folder.
pub(crate) fn ledgercast(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledgercast"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LEDGERCAST_")) {
        command.env_remove(name);
    }
    let Output { status, stdout, stderr } =
        command.current_dir(folder).args(arguments).output().expect("the command starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    Ran { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

/// A test network of two orgs with one peer each, and the channel trade.
pub(crate) fn testnet(folder: &Path) -> PathBuf {
    let ran = ledgercast(folder, &["testnet", "--out", "net", "--orgs", "2", "--peers", "1", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    folder.join("net")
}
