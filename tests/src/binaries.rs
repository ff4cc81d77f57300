//! The programs, built from this workspace when they are not up to date.

use crate::children;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Paths of the two programs that users run.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// `ledgercastd`.
    pub daemon: PathBuf,
    /// `ledgercast`.
    pub client: PathBuf,
}

/// The workspace's folder: that of the cargo that runs us, or else the one that we were compiled in. Clones
/// that share a target folder share programs, so the two may differ.
pub fn workspace() -> &'static Path {
    static WORKSPACE: LazyLock<PathBuf> = LazyLock::new(|| {
        let compiled_in = Path::new(env!("CARGO_MANIFEST_DIR"));
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let package = package.unwrap_or_else(|| compiled_in.to_path_buf());
        let root = package.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
        root.unwrap_or(compiled_in).to_path_buf()
    });
    &WORKSPACE
}

/// The cargo that runs us, or the one on the path, in the workspace's folder.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    // What the cargo that runs us says of our own package would look like a change to build scripts that
    // watch these names, and each run would compile the cryptography and all above it again.
    for (name, _) in std::env::vars_os() {
        let is_about_us = ["CARGO_PKG_", "CARGO_MANIFEST_", "OUT_DIR"]
            .iter()
            .any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()));
        if is_about_us {
            command.env_remove(name);
        }
    }
    command
}

impl Binaries {
    /// Builds both programs with cargo, which shows its progress, and finds them.
    ///
    /// # Errors
    /// The build failed; cargo has said why on standard error.
    pub fn build() -> Result<Self, String> {
        let executables = build(&["--package", "ledgercast-node", "--package", "ledgercast-client"])?;
        Ok(Self { daemon: find(&executables, "ledgercastd")?, client: find(&executables, "ledgercast")? })
    }
}

/// Builds the program that measures, and finds it.
///
/// # Errors
/// The build failed; cargo has said why on standard error.
pub fn build_benches(is_release: bool) -> Result<PathBuf, String> {
    let mut arguments = vec!["--package", "ledgercast-benches"];
    arguments.extend(is_release.then_some("--release"));
    find(&build(&arguments)?, "ledgercast-benches")
}

/// Builds the peer that breaks the rules, and finds it.
///
/// # Errors
/// The build failed; cargo has said why on standard error.
pub fn build_liar() -> Result<PathBuf, String> {
    find(&build(&["--package", "ledgercast-liar"])?, "ledgercast-liar")
}

/// Runs cargo's build and returns the programs that it names.
fn build(arguments: &[&str]) -> Result<Vec<PathBuf>, String> {
    let mut command = cargo();
    command
        .args(["build", "--locked", "--message-format", "json-render-diagnostics"])
        .args(arguments)
        .stderr(Stdio::inherit());
    let output = children::output(&mut command).map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo build ended with {}", output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let executables = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from));
    Ok(executables.collect())
}

fn find(executables: &[PathBuf], name: &str) -> Result<PathBuf, String> {
    let found = executables.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
    found.cloned().ok_or_else(|| format!("cargo built no program {name}"))
}
