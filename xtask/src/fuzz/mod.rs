//! `cargo xtask fuzz`: each decoder of foreign bytes under libFuzzer, for so much time of a processor. What
//! it finds new lies in `fuzz/found`, what ends a target in `fuzz/artifacts`; `fuzz/README.md` says what
//! then.

mod report;

use anyhow::{Context as _, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use ledgercast_decoders::TARGETS;
use ledgercast_tests::binaries::{cargo, workspace};
use ledgercast_tests::children;
use report::{Report, per_second};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The version that this was written for; newer ones should do.
const CARGO_FUZZ: &str = "0.13.2";
/// The longest input: what more entries cost is measured by `tests/decoders`.
const INPUT_BYTES_MAX: usize = 16 * 1024;
/// A target that gets less than this part of a processor is ended all the same.
const SLOWEST: u32 = 8;

/// Fuzzes the decoders of foreign bytes, one after the other, on one processor.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Minutes of processor time for each target
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Only this target; may be given several times
    #[arg(long = "target", value_parser = PossibleValuesParser::new(TARGETS.map(|target| target.name)))]
    targets: Vec<String>,
    /// Prints one JSON object a line instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let budget = Duration::try_from_secs_f64(arguments.minutes * 60.0).context("--minutes")?;
    let folder = workspace().join("fuzz");
    build(&folder)?;
    let names = TARGETS.iter().map(|target| target.name);
    let is_wanted =
        |name: &&str| arguments.targets.is_empty() || arguments.targets.iter().any(|it| it == name);
    let names: Vec<&str> = names.filter(is_wanted).collect();
    let (mut failed, mut runs, mut spent) = (Vec::new(), 0, 0.0);
    for name in &names {
        let (report, status, cpu) = fuzz(&folder, name, budget)?;
        (runs, spent) = (runs + report.runs, spent + cpu);
        match arguments.json {
            true => println!("{}", report.describe(name, cpu)),
            false => print(name, &report, cpu),
        }
        if !status.success() {
            eprintln!("{}\n{name} ended with {status}, see above", report.tail());
            failed.push(*name);
        }
    }
    if !arguments.json {
        let count = names.len();
        println!("\n{count} targets, {runs} inputs in {spent:.0} s of a processor, {} failed", failed.len());
    }
    for name in &failed {
        eprintln!("failed: {name}; again: cargo fuzz run --sanitizer none {name} fuzz/artifacts/{name}/FILE");
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn build(folder: &Path) -> anyhow::Result<()> {
    let quiet = |command: &mut Command| {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !quiet(cargo().args(["fuzz", "--version"])) {
        bail!("cargo-fuzz is missing; `cargo install cargo-fuzz --locked --version {CARGO_FUZZ}` brings it");
    }
    eprintln!("building the fuzz targets …");
    let mut command = cargo();
    command.args(["fuzz", "build", "--sanitizer", "none", "--fuzz-dir"]).arg(folder);
    command.arg("--target-dir").arg(folder.join("target")).stdin(Stdio::null());
    let mut child = children::spawn(&mut command).context("cannot start cargo")?;
    let status = child.wait();
    children::forget(child.id());
    match status? {
        status if status.success() => Ok(()),
        status => bail!("cargo fuzz build ended with {status}"),
    }
}

/// The program, in the folder of whichever platform cargo-fuzz builds for.
fn program(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let platforms = std::fs::read_dir(folder.join("target")).context("nothing was built")?;
    let programs = platforms.flatten().map(|platform| platform.path().join("release").join(name));
    let mut programs = programs.filter(|path| path.is_file());
    programs.next().with_context(|| format!("cargo fuzz built no program {name}"))
}

fn fuzz(folder: &Path, name: &str, budget: Duration) -> anyhow::Result<(Report, ExitStatus, f64)> {
    let [found, artifacts] = ["found", "artifacts"].map(|kind| folder.join(kind).join(name));
    for folder in [&found, &artifacts] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut command = Command::new(program(folder, name)?);
    command
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-max_total_time={}", budget.as_secs() * u64::from(SLOWEST) + 60))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg("-print_final_stats=1")
        .args([found, folder.join("corpus").join(name)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = children::spawn(&mut command).with_context(|| format!("cannot start {name}"))?;
    let reader = std::thread::spawn({
        let lines = BufReader::new(child.stderr.take().context("its standard error")?);
        move || {
            let mut report = Report::default();
            // An input that is shown may hold any bytes.
            lines
                .split(b'\n')
                .map_while(Result::ok)
                .for_each(|it| report.take(&String::from_utf8_lossy(&it)));
            report
        }
    });
    let ended = watch(&mut child, budget);
    children::forget(child.id());
    let (status, cpu) = ended?;
    let report = reader.join().map_err(|_| anyhow::anyhow!("its lines could not be read"))?;
    Ok((report, status, cpu))
}

/// Lets it run until the time is spent, then asks it to end: SIGUSR1 is libFuzzer's orderly end.
fn watch(child: &mut Child, budget: Duration) -> anyhow::Result<(ExitStatus, f64)> {
    let started = Instant::now();
    let mut spent = Duration::ZERO;
    let mut is_asked = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, spent.as_secs_f64()));
        }
        spent = processor_time(child.id()).unwrap_or_else(|| started.elapsed());
        if spent >= budget && !is_asked {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("its process id")?;
            kill_process(pid, Signal::USR1)?;
            is_asked = true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// User and system time of a process, where the system tells (Linux).
fn processor_time(pid: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold spaces.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

fn print(name: &str, report: &Report, cpu: f64) {
    let Report { runs, edges, features, corpus, largest, crash, .. } = report;
    let speed = per_second(*runs, cpu);
    println!("{name}: {runs} inputs in {cpu:.0} s of a processor ({speed}/s)");
    println!("    reached {edges} edges, {features} features; {corpus} inputs reach something of their own");
    println!(
        "    largest: {} bytes for an input of {}, {} % of the bound of {}",
        largest.bytes,
        largest.input,
        report.percent(),
        largest.bound
    );
    println!("    {}", crash.as_ref().map_or("no crash".to_owned(), |file| format!("CRASH: {file}")));
}
