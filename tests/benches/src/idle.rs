//! `idle`: what a peer costs when nothing happens.

use crate::arguments::{Idle as Arguments, Shared};
use crate::figures::{Conditions, Idle};
use crate::gossipsub::Gossipsub;
use crate::measure;
use crate::network::Network;
use crate::peers::Peers;
use crate::report;
use crate::setup::Setup;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

#[derive(Debug, Serialize)]
struct Figures {
    system: &'static str,
    ready_ms: f64,
    bytes_per_second_and_peer: f64,
    cpu_percent_of_a_core_per_peer: f64,
    process: Idle,
}

/// Measures and prints.
///
/// # Errors
/// A system does not start.
pub(crate) fn run(shared: &Shared, arguments: &Arguments) -> anyhow::Result<()> {
    let setup = Setup::write(shared)?;
    let mut conditions = Conditions::before(shared);
    let mut figures = vec![measure_one(Peers::start(&setup, 0)?, shared, arguments)?];
    if !arguments.alone {
        figures.push(measure_one(Gossipsub::start(shared.peers, shared.seed)?, shared, arguments)?);
    }
    conditions.close();
    if shared.json {
        println!("{}", json!({ "conditions": conditions, "figures": figures }));
        return Ok(());
    }
    print!("{}", report::header(&conditions));
    for it in figures {
        println!(
            "{}: ready after {:.0} ms; {:.0} bytes/s sent and {:.3} % of a core a peer, over {:.0} s",
            it.system,
            it.ready_ms,
            it.bytes_per_second_and_peer,
            it.cpu_percent_of_a_core_per_peer,
            it.process.seconds
        );
    }
    Ok(())
}

fn measure_one<N: Network>(network: N, shared: &Shared, arguments: &Arguments) -> anyhow::Result<Figures> {
    std::thread::sleep(Duration::from_secs(arguments.settle_seconds));
    let process = measure::idle(&network, Duration::from_secs(arguments.seconds.max(1)))?;
    let ready_ms = crate::quantiles::milliseconds(network.ready_after());
    network.stop();
    let peers = shared.peers as f64;
    Ok(Figures {
        system: N::NAME,
        ready_ms,
        bytes_per_second_and_peer: process.bytes_per_second / peers,
        cpu_percent_of_a_core_per_peer: process.cpu_seconds_per_second * 100.0 / peers,
        process,
    })
}
