//! `catch-up`: a fresh peer fetches a chain that all others have.

use crate::arguments::{History, Shared};
use crate::chain::Chain;
use crate::figures::Conditions;
use crate::machine::Cpu;
use crate::network::Network as _;
use crate::peers::{Peers, open_store};
use crate::quantiles::milliseconds;
use crate::report;
use crate::setup::Setup;
use crate::source;
use anyhow::{Context as _, ensure};
use ledgercast_client::testnet::NodeSummary;
use ledgercast_protocol::ledger::VerifiedBlock;
use serde::Serialize;
use serde_json::json;
use std::time::{Duration, Instant};

/// Without any block for so long, the fresh peer is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Blocks in one write of the stores that are filled before.
const GROUP: usize = 64;

#[derive(Debug, Serialize)]
struct Figures {
    blocks: usize,
    block_bytes: u64,
    /// From the fresh peer's start.
    first_block_ms: f64,
    last_block_ms: f64,
    /// Of encoded blocks, from the first durable one to the last.
    megabytes_per_second: f64,
    bytes_ratio: f64,
    /// Of the whole process: those who answer as well.
    cpu_ms_per_block: f64,
}

/// Measures and prints.
///
/// # Errors
/// A peer does not start, or gets stuck.
pub(crate) fn run(shared: &Shared, history: &History) -> anyhow::Result<()> {
    ensure!(history.blocks > 1 && history.rounds > 0, "there is nothing to measure");
    ensure!(shared.peers >= 3, "two peers with the chain and a fresh one are needed at least");
    let setup = Setup::write(shared)?;
    let mut chain = Chain::open(&setup.summary, setup.genesis.clone(), shared.seed)?;
    let blocks = chain.extend(history.blocks, history.bytes)?;
    let mut conditions = Conditions::before(shared);
    let mut figures = Vec::new();
    for round in 0..history.rounds {
        eprintln!("round {} of {} …", round + 1, history.rounds);
        figures.push(measure(&setup, round, &blocks)?);
        setup.forget(round);
    }
    conditions.close();
    if shared.json {
        println!("{}", json!({ "conditions": conditions, "figures": figures }));
        return Ok(());
    }
    print!("{}", report::header(&conditions));
    for it in figures {
        println!(
            "{} blocks of {} bytes: first durable after {:.0} ms, last after {:.0} ms, {:.1} MB/s; \
             {:.3} of the chain's bytes sent; {:.2} ms of CPU a block, all peers together",
            it.blocks,
            it.block_bytes,
            it.first_block_ms,
            it.last_block_ms,
            it.megabytes_per_second,
            it.bytes_ratio,
            it.cpu_ms_per_block
        );
    }
    Ok(())
}

fn measure(setup: &Setup, round: usize, blocks: &[VerifiedBlock]) -> anyhow::Result<Figures> {
    let peers: Vec<&NodeSummary> = setup.summary.peers.iter().collect();
    let (fresh, holders) = peers.split_last().context("the network has peers")?;
    for holder in holders {
        fill(setup, round, holder, blocks)?;
    }
    let mut network = Peers::start_some(setup, round, holders)?;
    let (cpu, sent) = (Cpu::now()?, network.bytes_sent());
    let started = Instant::now();
    network.add(setup, round, fresh)?;
    let mut times = Vec::new();
    while times.len() < blocks.len() {
        let delivery = network.deliveries().recv_timeout(PATIENCE);
        let delivery = delivery.with_context(|| format!("stuck after {} blocks", times.len()))?;
        times.push(delivery.durable.unwrap_or(delivery.arrived).duration_since(started));
    }
    let (cpu, sent) = (Cpu::now()?.since(&cpu), network.bytes_sent() - sent);
    network.stop();
    let (first, last) = (times[0], times[times.len() - 1]);
    let payload: u64 = blocks.iter().map(|block| block.to_block().encode().len() as u64).sum();
    let own_cpu = cpu.total().saturating_sub(cpu.of_thread(source::THREADS));
    Ok(Figures {
        blocks: blocks.len(),
        block_bytes: payload / blocks.len() as u64,
        first_block_ms: milliseconds(first),
        last_block_ms: milliseconds(last),
        megabytes_per_second: payload as f64 / 1e6 / last.saturating_sub(first).as_secs_f64().max(1e-3),
        bytes_ratio: sent as f64 / payload as f64,
        cpu_ms_per_block: milliseconds(own_cpu) / blocks.len() as f64,
    })
}

/// Writes the chain into a peer's store before the peer starts.
fn fill(setup: &Setup, round: usize, peer: &NodeSummary, blocks: &[VerifiedBlock]) -> anyhow::Result<()> {
    let store = open_store(&setup.store(round, &peer.name))?;
    store.create_channel(&setup.channel, &setup.genesis)?;
    for group in blocks.chunks(GROUP) {
        store.append(group)?;
    }
    Ok(())
}
