//! `cargo xtask check`: what must hold before every commit, in the order of its cost. Stops at the first
//! failure, with the command that shows it again.

use anyhow::{Context as _, bail};
use clap::Args;
use ledgercast_tests::binaries;
use ledgercast_tests::children;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Checks formatting, lints, documentation, tests (with the rules of the house), licences and sources.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Leaves out the tests
    #[arg(long)]
    without_tests: bool,
}

/// One thing that must hold.
struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

impl Step {
    const fn cargo(name: &'static str, arguments: &'static [&'static str]) -> Self {
        Self { name, arguments, variables: &[] }
    }
}

const FORMAT: Step = Step::cargo("format", &["fmt", "--check"]);
const FORMAT_OF_FUZZ: Step =
    Step::cargo("format of fuzz", &["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]);
const LINTS: Step =
    Step::cargo("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
const DOCS: Step = Step {
    name: "docs",
    arguments: &["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"],
    variables: &[("RUSTDOCFLAGS", "-D warnings")],
};
const TESTS: Step = Step::cargo("tests", &["test", "--workspace", "--locked"]);
const SOURCES: Step =
    Step::cargo("licences, bans, sources", &["deny", "check", "licenses", "bans", "sources"]);
const ADVISORIES: Step = Step::cargo("advisories", &["deny", "check", "--disable-fetch", "advisories"]);

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut verdicts = Vec::new();
    for step in [FORMAT, FORMAT_OF_FUZZ, LINTS, DOCS] {
        verdicts.push((step.name, passed(&step)?));
    }
    verdicts.push(match arguments.without_tests {
        true => (TESTS.name, "skipped: --without-tests".to_owned()),
        false => (TESTS.name, passed(&TESTS)?),
    });
    for (step, skipped) in [(SOURCES, skips_deny()), (ADVISORIES, skips_advisories())] {
        verdicts.push((step.name, skipped.map_or_else(|| passed(&step), Ok)?));
    }
    println!();
    for (name, verdict) in &verdicts {
        println!("{name:24} {verdict}");
    }
    println!("checked in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn passed(step: &Step) -> anyhow::Result<String> {
    let command = format!("cargo {}", step.arguments.join(" "));
    println!("\n== {}: {command}", step.name);
    let took =
        run_step(step).with_context(|| format!("{} failed; see it again with `{command}`", step.name))?;
    Ok(format!("passed after {:.0} s", took.as_secs_f64()))
}

fn run_step(step: &Step) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let mut command = binaries::cargo();
    command.args(step.arguments).envs(step.variables.iter().copied()).stdin(Stdio::null());
    let mut child = children::spawn(&mut command).context("cannot start cargo")?;
    let status = child.wait();
    children::forget(child.id());
    match status? {
        status if status.success() => Ok(started.elapsed()),
        status => bail!("cargo ended with {status}"),
    }
}

/// Why cargo-deny is left out, if it is.
fn skips_deny() -> Option<String> {
    let is_there = is_successful(binaries::cargo().args(["deny", "--version"]));
    (!is_there).then(|| "skipped: cargo-deny is not installed (cargo install cargo-deny)".to_owned())
}

/// Why advisories are left out, if they are: their database is fetched from the network.
fn skips_advisories() -> Option<String> {
    skips_deny().or_else(|| {
        let is_fetched = is_successful(binaries::cargo().args(["deny", "fetch", "db"]));
        (!is_fetched).then(|| "skipped: the advisory database cannot be reached".to_owned())
    })
}

fn is_successful(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
