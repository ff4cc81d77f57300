//! One plan: run again, and made as small as it can be while it fails.

use crate::arguments::Arguments;
use crate::campaign::try_plan;
use ledgercast_simulator::swarm::{self, Plan};

pub(crate) fn run(line: &str, arguments: &Arguments) -> Result<(), String> {
    let plan: Plan = line.parse().map_err(|error| format!("{error}"))?;
    match try_plan(&plan) {
        Ok(report) => {
            println!("passed: {report:#?}");
            Ok(())
        }
        Err(failure) => {
            minimise(line, arguments.minimise_runs);
            Err(failure)
        }
    }
}

/// Prints the smallest plan found that fails in the same way.
pub(crate) fn minimise(line: &str, runs_max: usize) {
    let Ok(plan) = line.parse::<Plan>() else {
        return;
    };
    if runs_max == 0 {
        return;
    }
    let Err(first) = try_plan(&plan) else {
        println!("    it does not fail again: the run is not reproducible");
        return;
    };
    let found = swarm::minimise(&plan, runs_max, |plan| {
        try_plan(plan).is_err_and(|failure| kind_of(&failure) == kind_of(&first))
    });
    let end = if found.is_minimal { "nothing more can be left out" } else { "not finished" };
    println!("    smallest after {} runs ({end}): cargo xtask swarm --plan '{}'", found.runs, found.plan);
}

/// The words of a failure without its seed, time, nodes and numbers.
fn kind_of(failure: &str) -> String {
    let words = failure.split_once("s: ").map_or(failure, |(_, words)| words);
    words.chars().filter(|it| it.is_alphabetic() || *it == ' ').collect::<String>()
}
