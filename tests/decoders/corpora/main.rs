//! The corpora of the fuzz targets (`fuzz/corpus`), replayed: every input in them, seed or find, holds to its
//! decoder's property within its decoder's bound.
//!
//! Files named `seed-…` are real values of the protocol. When a format changes on purpose, write them anew
//! with `LEDGERCAST_BLESS=1 cargo test --package ledgercast-decoders --test corpora`.

mod densest;
mod seeds;

use ledgercast_decoders::meter::{self, Allowance};
use ledgercast_decoders::{Meter, TARGETS, Target};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

#[global_allocator]
static METER: Meter = Meter;

/// The most inputs of one corpus, and their bytes: a replay is to take seconds.
const FILES_MAX: usize = 40;
const BYTES_MAX: u64 = 64 * 1024;

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries.map(|entry| name(entry.expect("an entry"))).collect()
}

fn replay(target: &'static Target) {
    let folder = fuzz().join("corpus").join(target.name);
    for name in names_in(&folder) {
        let input = std::fs::read(folder.join(&name)).expect("an input");
        let bytes = std::panic::catch_unwind(|| target.run(&input));
        let bytes = bytes.unwrap_or_else(|_| panic!("{}/{name}: see above", target.name));
        assert!(bytes <= target.bound.of(input.len()));
    }
}

#[test]
fn every_input_holds_to_its_decoders_property_within_its_bound() {
    assert!(meter::is_installed(), "nothing is counted");

    TARGETS.into_iter().for_each(replay);
}

#[test]
fn the_densest_inputs_stay_within_the_bound() {
    for (target, name, input) in densest::inputs() {
        let bytes = target.run(&input);
        assert!(bytes <= target.bound.of(input.len()), "{}: {name}", target.name);
    }
}

#[test]
fn every_decoder_has_a_target_and_a_small_corpus_and_nothing_is_left_over() {
    let decoders: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let files = decoders.iter().map(|name| format!("{name}.rs")).collect();
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).expect("the manifest");
    let binaries = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
    let binaries: BTreeSet<String> = binaries.map(|line| line.trim_end_matches('"').to_owned()).collect();

    assert_eq!(decoders.len(), TARGETS.len(), "two decoders have one name");
    assert_eq!(names_in(&fuzz().join("corpus")), decoders);
    assert_eq!(names_in(&fuzz().join("fuzz_targets")), files);
    assert_eq!(binaries, files);
    for name in decoders {
        let folder = fuzz().join("corpus").join(&name);
        let inputs = names_in(&folder);
        let bytes: u64 =
            inputs.iter().map(|it| std::fs::metadata(folder.join(it)).map_or(0, |it| it.len())).sum();
        assert!(inputs.iter().any(|it| it.starts_with("seed-")), "{name} has no real value to start from");
        assert!(
            inputs.len() <= FILES_MAX && bytes <= BYTES_MAX,
            "{name}: {} inputs, {bytes} bytes",
            inputs.len()
        );
    }
}

#[test]
fn every_seed_is_what_the_protocol_says_today() {
    let is_blessing = std::env::var_os("LEDGERCAST_BLESS").is_some();
    let mut made = BTreeSet::new();
    for seed in seeds::all() {
        let folder = fuzz().join("corpus").join(seed.target);
        let file = folder.join(format!("seed-{}", seed.name));
        if is_blessing {
            std::fs::create_dir_all(&folder).expect("the corpus");
            std::fs::write(&file, &seed.bytes).expect("write the seed");
        }
        let committed = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(committed == seed.bytes, "{} is not what the protocol says today", file.display());
        assert!(made.insert(format!("{}/seed-{}", seed.target, seed.name)), "two seeds have one name");
    }

    let stale = |target: &&Target| {
        let inputs = names_in(&fuzz().join("corpus").join(target.name)).into_iter();
        let paths = inputs.filter(|it| it.starts_with("seed-")).map(|it| format!("{}/{it}", target.name));
        paths.filter(|path| !made.contains(path)).collect::<Vec<_>>()
    };
    let stale: Vec<String> = TARGETS.iter().flat_map(stale).collect();
    assert!(stale.is_empty(), "nothing makes these any more: {stale:?}");
}

#[test]
fn a_decoder_that_exceeds_its_bound_ends_the_process_and_is_named() {
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "holds_more_than_it_may", "--ignored", "--nocapture"])
        .output()
        .expect("this program runs");

    let told = String::from_utf8_lossy(&child.stderr);
    assert!(!child.status.success());
    for part in ["decoder greedy", "an input of 3 bytes", "hold 1001 bytes", "its bound is 1000"] {
        assert!(told.contains(part), "{part:?} is missing in:\n{told}");
    }
}

#[test]
#[ignore = "the child's part of another test"]
fn holds_more_than_it_may() {
    let allowance = Allowance { target: "greedy", input_bytes: 3, bytes_max: 1000 };
    // What is freed again does not count.
    meter::within(allowance, || drop(std::hint::black_box(Vec::<u8>::with_capacity(1000))));
    meter::within(allowance, || drop(std::hint::black_box(Vec::<u8>::with_capacity(1001))));
}
