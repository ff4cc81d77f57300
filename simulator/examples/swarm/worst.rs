//! The search for the worst mix: what was found, beside the same world without lies.

use crate::arguments::Arguments;
use ledgercast_simulator::swarm::worst_mix::{self, Cost, Mix, Tried};

pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let honest = worst_mix::measure(&Mix(Vec::new()), false).map_err(|failure| failure.to_string())?;
    println!(
        "worst mix: {} mixes of {} liars of 16, seed {}",
        arguments.budget,
        worst_mix::LIARS,
        arguments.first_seed
    );
    println!("honest: {honest}");
    let (mut count, mut worst) = (0, 0.0);
    let mut most_bytes: Option<Tried> = None;
    let found = worst_mix::search(arguments.first_seed, arguments.budget, &honest, |tried, so_far| {
        count += 1;
        if so_far.badness > worst {
            worst = so_far.badness;
            println!("{count}: {:.2}: {}\n    {}", tried.badness, tried.cost, tried.mix);
        }
        if most_bytes.as_ref().is_none_or(|most| tried.cost.bytes > most.cost.bytes) {
            most_bytes = Some(tried.clone());
        }
    });
    let worst = found.map_err(|(mix, failure)| format!("{failure}\n    with the mix {mix}"))?;
    for (what, found) in [("worst", worst), ("most bytes", most_bytes)] {
        if let Some(tried) = found {
            print(what, &tried)?;
        }
    }
    Ok(())
}

/// Beside the honest run of the same peers: those at the liars' places do not count in either.
fn print(what: &str, tried: &Tried) -> Result<(), String> {
    let Cost { p99, slowest, bytes, .. } =
        worst_mix::measure(&tried.mix, false).map_err(|failure| failure.to_string())?;
    println!("\n{what} after the budget: {}\n    {}", tried.mix, tried.cost);
    println!(
        "    p99 {:.0} times, slowest {:.0} times, bytes {:.2} times those of the same peers without lies",
        tried.cost.p99.as_secs_f64() / p99.as_secs_f64(),
        tried.cost.slowest.as_secs_f64() / slowest.as_secs_f64(),
        tried.cost.bytes as f64 / bytes as f64
    );
    Ok(())
}
