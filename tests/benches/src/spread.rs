//! `spread` and `flood`: the same blocks through both systems, in turn, round by round.

use crate::arguments::{Load, Shared};
use crate::chain::Chain;
use crate::figures::{Conditions, Round};
use crate::gossipsub::Gossipsub;
use crate::measure::{self, WARM_UP_BLOCKS};
use crate::network::Network;
use crate::peers::Peers;
use crate::report;
use crate::setup::Setup;
use anyhow::ensure;
use ledgercast_protocol::ledger::VerifiedBlock;
use serde_json::json;
use std::time::Duration;

/// How blocks are released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At the rate of the arguments.
    Paced,
    /// Without a pause.
    AtOnce,
}

/// Measures and prints.
///
/// # Errors
/// The arguments make no sense, or a system does not start.
pub(crate) fn run(shared: &Shared, load: &Load, kind: Kind) -> anyhow::Result<()> {
    ensure!(load.rate > 0.0 && load.rate.is_finite(), "{} blocks a second is no rate", load.rate);
    ensure!(
        load.blocks > 0 && load.rounds > 0,
        "there is nothing to measure: take a block and a round or more"
    );
    let setup = Setup::write(shared)?;
    let mut chain = Chain::open(&setup.summary, setup.genesis.clone(), shared.seed)?;
    let blocks = chain.extend(WARM_UP_BLOCKS + load.blocks, load.bytes)?;
    let interval = match kind {
        Kind::Paced => Some(Duration::from_secs_f64(1.0 / load.rate)),
        Kind::AtOnce => None,
    };
    let mut conditions = Conditions::before(shared);
    let mut rounds = Vec::new();
    for round in 0..load.rounds {
        eprintln!("round {} of {}: {} …", round + 1, load.rounds, Peers::NAME);
        rounds.push(measure_one(Peers::start(&setup, round)?, &blocks, interval, load)?);
        setup.forget(round);
        if !load.alone {
            eprintln!("round {} of {}: {} …", round + 1, load.rounds, Gossipsub::NAME);
            let baseline = Gossipsub::start(shared.peers, shared.seed)?;
            rounds.push(measure_one(baseline, &blocks, interval, load)?);
        }
    }
    conditions.close();
    if shared.json {
        println!("{}", json!({ "conditions": conditions, "rounds": rounds }));
    } else {
        print!("{}", report::rounds(&conditions, &rounds));
    }
    Ok(())
}

fn measure_one<N: Network>(
    mut network: N,
    blocks: &[VerifiedBlock],
    interval: Option<Duration>,
    load: &Load,
) -> anyhow::Result<Round> {
    let idle = measure::idle(&network, Duration::from_secs(load.idle_seconds.max(1)))?;
    let round = measure::spread(&mut network, blocks, interval, idle);
    network.stop();
    round
}
