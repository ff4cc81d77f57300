//! `cargo xtask bindings`: makes RocksDB's Rust bindings anew with the real bindgen, which needs libclang,
//! and compares them with those in `third_party/bindgen`. Bindgen is built in a scratch crate, so the
//! workspace does not depend on it.

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use ledgercast_tests::binaries::workspace;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes RocksDB's bindings anew and compares them with the checked-in ones (needs libclang).
#[derive(Args)]
pub(crate) struct Arguments {
    /// Replaces the checked-in bindings and the header's hash instead of only comparing.
    #[arg(long)]
    write: bool,
}

const STAND_IN: &str = "third_party/bindgen/src/lib.rs";
const BINDINGS: &str = "third_party/bindgen/src/rocksdb_bindings.rs";

const SCRATCH_MANIFEST: &str = r#"[package]
name = "rocksdb-bindings"
version = "0.0.0"
edition = "2024"

[dependencies]
bindgen = "=0.72.1"

[workspace]
"#;

/// The options of librocksdb-sys's build script, narrowed to RocksDB's own names and without comments:
/// nothing of this machine's system headers is to come out.
const SCRATCH_MAIN: &str = r#"fn main() {
    let mut arguments = std::env::args().skip(1);
    let (header, output) = (arguments.next().expect("a header"), arguments.next().expect("an output file"));
    bindgen::Builder::default()
        .header(header)
        .derive_debug(false)
        .blocklist_type("max_align_t")
        .ctypes_prefix("libc")
        .size_t_is_usize(true)
        .allowlist_item("rocksdb_.*")
        .generate_comments(false)
        .generate()
        .expect("bindgen reads the header")
        .write_to_file(output)
        .expect("the output file is written");
}
"#;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = workspace();
    let header = header()?;
    let made = generate(&header)?;
    let hash = hex(&fs::read(&header)?);
    let stand_in = fs::read_to_string(root.join(STAND_IN))?;
    let old_hash = header_hash(&stand_in)?;

    let is_same = hash == old_hash && made == fs::read_to_string(root.join(BINDINGS))?;
    if is_same {
        println!("{BINDINGS} is what bindgen makes of {}", header.display());
        return Ok(());
    }
    if !arguments.write {
        bail!("{BINDINGS} is not what bindgen makes of {}; replace it with --write", header.display());
    }
    fs::write(root.join(STAND_IN), stand_in.replace(old_hash, &hash))?;
    fs::write(root.join(BINDINGS), made)?;
    println!("replaced {BINDINGS} and the hash in {STAND_IN}; commit both");
    Ok(())
}

/// RocksDB's `c.h` in the sources that cargo builds.
fn header() -> anyhow::Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1"])
        .output()
        .context("cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .and_then(|packages| packages.iter().find(|package| package["name"] == "librocksdb-sys"))
        .and_then(|package| package["manifest_path"].as_str())
        .context("cargo metadata names no package librocksdb-sys")?;
    Ok(Path::new(manifest).with_file_name("rocksdb/include/rocksdb/c.h"))
}

/// Builds and runs the real bindgen in a folder that is removed afterwards.
fn generate(header: &Path) -> anyhow::Result<String> {
    let scratch = tempfile::tempdir()?;
    let output = scratch.path().join("bindings.rs");
    fs::create_dir(scratch.path().join("src"))?;
    fs::write(scratch.path().join("Cargo.toml"), SCRATCH_MANIFEST)?;
    fs::write(scratch.path().join("src/main.rs"), SCRATCH_MAIN)?;
    let status = Command::new("cargo")
        .args(["run", "--quiet", "--"])
        .args([header, &output])
        .current_dir(scratch.path())
        .env("CARGO_TARGET_DIR", scratch.path().join("target"))
        .status()
        .context("cargo run")?;
    ensure!(
        status.success(),
        "bindgen failed; it needs libclang (Debian: libclang-dev), or LIBCLANG_PATH naming its folder"
    );
    Ok(fs::read_to_string(output)?)
}

fn header_hash(stand_in: &str) -> anyhow::Result<&str> {
    let (_, rest) = stand_in.split_once("HEADER_SHA256: &str = \"").context("the stand-in names no hash")?;
    let (hash, _) = rest.split_once('"').context("the stand-in's hash has no end")?;
    Ok(hash)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
