//! Many seeds: each job takes the next one, results are printed and kept as they come.

use crate::arguments::Arguments;
use crate::line::Line;
use crate::record::Record;
use crate::repeat;
use ledgercast_simulator::Failure;
use ledgercast_simulator::swarm::{self, Plan, Report, slander};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A campaign by name, and what one seed of it is.
struct Campaign {
    name: &'static str,
    run: fn(u64) -> Line,
}

const SWARM: Campaign = Campaign { name: "swarm", run: run_plan };
const SLANDER: Campaign = Campaign { name: "slander", run: run_slander };

/// When no further seed begins.
struct Limits {
    until: Option<Instant>,
    node_hours: f64,
    end: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let campaign = if arguments.slander { &SLANDER } else { &SWARM };
    let record = Record::open(arguments.record.as_deref(), campaign.name)?;
    let started = Instant::now();
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.jobs.unwrap_or_else(processors).max(1);
    println!("{}: {} seeds from {}, {jobs} at once", campaign.name, arguments.seeds, arguments.first_seed);
    if !record.lines().is_empty() {
        println!("the record has {} seeds already", record.lines().len());
    }
    let before = record.lines().len();
    let record = run_seeds(campaign, arguments, jobs, record)?;
    print_totals("this time", &record.lines()[before..], Some(started.elapsed()));
    if before > 0 {
        print_totals("with what the record had", record.lines(), None);
    }
    let failed: Vec<&Line> = record.lines()[before..].iter().filter(|it| it.failure.is_some()).collect();
    for line in &failed {
        println!("failed: {}", line.failure.as_deref().unwrap_or_default());
        println!("    repeat: cargo xtask swarm {}", repeat_with(campaign, line));
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("{} of {} seeds failed", failed.len(), record.lines().len() - before)),
    }
}

fn repeat_with(campaign: &Campaign, line: &Line) -> String {
    match campaign.name == SLANDER.name {
        true => format!("--slander --seeds 1 --first-seed {}", line.seed),
        false => format!("--seeds 1 --first-seed {}", line.seed),
    }
}

fn run_seeds(
    campaign: &Campaign,
    arguments: &Arguments,
    jobs: usize,
    record: Record,
) -> Result<Record, String> {
    let minutes = arguments.minutes.map(|minutes| Duration::try_from_secs_f64(minutes * 60.0));
    let minutes = minutes.transpose().map_err(|error| format!("--minutes: {error}"))?;
    let limits = Limits {
        until: minutes.and_then(|minutes| Instant::now().checked_add(minutes)),
        node_hours: arguments.node_hours.unwrap_or(f64::INFINITY),
        end: match arguments.node_hours {
            Some(_) => u64::MAX,
            None => arguments.first_seed.saturating_add(arguments.seeds),
        },
    };
    let done: BTreeSet<u64> = record.lines().iter().map(|line| line.seed).collect();
    let next = Mutex::new((arguments.first_seed..limits.end).filter(|seed| !done.contains(seed)));
    let state = Mutex::new((record, Ok(())));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(seed) = begin(&limits, &state, &next) {
                    let before = thread_time();
                    let mut line = (campaign.run)(seed);
                    line.cpu = thread_time().saturating_sub(before);
                    print_line(&line);
                    if line.failure.is_some() && campaign.name == SWARM.name {
                        repeat::minimise(&line.plan, arguments.minimise_runs);
                    }
                    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                    let kept = state.0.add(line);
                    if kept.is_err() {
                        state.1 = kept;
                    }
                }
            });
        }
    });
    let (record, outcome) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.map(|()| record)
}

/// The time of a processor that this thread has had. Linux tells; elsewhere it is the time that has passed.
fn thread_time() -> Duration {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| STARTED.elapsed(), Duration::from_nanos)
}

/// The next seed, unless a limit is reached or the record cannot be written.
fn begin(
    limits: &Limits,
    state: &Mutex<(Record, Result<(), String>)>,
    next: &Mutex<impl Iterator<Item = u64>>,
) -> Option<u64> {
    let state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let node_hours: f64 = state.0.lines().iter().map(|line| line.node_hours).sum();
    let is_over = limits.until.is_some_and(|until| Instant::now() >= until);
    if is_over || state.1.is_err() || node_hours >= limits.node_hours {
        return None;
    }
    next.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// A panic of a state machine is a failure like any other.
pub(crate) fn try_plan(plan: &Plan) -> Result<Report, String> {
    attempt(|| swarm::run(plan))
}

fn attempt(run: impl FnOnce() -> Result<Report, Failure>) -> Result<Report, String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(outcome) => outcome.map_err(|failure| failure.to_string()),
        Err(_) => Err("a panic, see above".to_owned()),
    }
}

fn run_plan(seed: u64) -> Line {
    let plan = Plan::draw(seed);
    line(seed, plan.to_string(), try_plan(&plan))
}

fn run_slander(seed: u64) -> Line {
    line(seed, format!("slander seed={seed}"), attempt(|| slander::run(seed, slander::LASTS)))
}

fn line(seed: u64, plan: String, outcome: Result<Report, String>) -> Line {
    let line = Line { seed, plan, ..Line::default() };
    match outcome {
        Err(failure) => Line { failure: Some(failure), ..line },
        Ok(report) => Line {
            simulated: report.simulated,
            node_hours: report.node_hours(),
            events: report.events,
            deliveries: report.deliveries,
            liars: report.liars as u64,
            accusations: report.accusations,
            evictions: report.evictions,
            halted: report.halted as u64,
            updates: report.updates,
            recovery: report.recovery,
            trace: report.trace.short().to_string(),
            ..line
        },
    }
}

fn print_line(line: &Line) {
    if let Some(failure) = &line.failure {
        println!("seed {}: FAILED: {failure}\n    plan: {}", line.seed, line.plan);
        return;
    }
    println!(
        "seed {}: passed, {:.0} s simulated in {:.1} s of a processor, {} liars, {} events, {} deliveries, \
         {} updates, {} halted, {} evictions, calm to tip {:.1} s, trace {}",
        line.seed,
        line.simulated.as_secs_f64(),
        line.cpu.as_secs_f64(),
        line.liars,
        line.events,
        line.deliveries,
        line.updates,
        line.halted,
        line.evictions,
        line.recovery.as_secs_f64(),
        line.trace
    );
}

fn print_totals(what: &str, lines: &[Line], wall: Option<Duration>) {
    let sum = |of: fn(&Line) -> u64| lines.iter().map(of).sum::<u64>();
    let failed = lines.iter().filter(|line| line.failure.is_some()).count();
    let simulated: f64 = lines.iter().map(|line| line.simulated.as_secs_f64()).sum();
    let busy: f64 = lines.iter().map(|line| line.cpu.as_secs_f64()).sum::<f64>().max(f64::EPSILON);
    let node_hours: f64 = lines.iter().map(|line| line.node_hours).sum();
    let slowest = lines.iter().map(|line| line.recovery).max().unwrap_or_default();
    println!();
    println!(
        "{what}: {} seeds, {} passed, {failed} failed; {} events, {} deliveries, {} config updates, \
         {} offences of liars, {} halted by forks, {} evictions",
        lines.len(),
        lines.len() - failed,
        sum(|line| line.events),
        sum(|line| line.deliveries),
        sum(|line| line.updates),
        sum(|line| line.accusations),
        sum(|line| line.halted),
        sum(|line| line.evictions),
    );
    println!(
        "    {simulated:.0} s simulated, {node_hours:.1} node-hours, slowest recovery {:.1} s; for each \
         second of a processor: {:.0} events, {:.1} s simulated, {:.3} node-hours",
        slowest.as_secs_f64(),
        sum(|line| line.events) as f64 / busy,
        simulated / busy,
        node_hours / busy
    );
    if let Some(wall) = wall {
        println!("    in {:.1} s", wall.as_secs_f64());
    }
}
