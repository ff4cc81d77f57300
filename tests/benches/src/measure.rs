//! One round of one system: silence, then blocks, then the figures.

use crate::figures::{Idle, Round};
use crate::machine::{Cpu, Memory};
use crate::network::{Delivery, Network};
use crate::quantiles::{Quantiles, milliseconds};
use crate::source;
use anyhow::bail;
use ledgercast_protocol::event::Route;
use ledgercast_protocol::ledger::VerifiedBlock;
use std::collections::BTreeMap;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// After the last release, without any delivery: what is missing then counts as missed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Afterwards: what is still on its way (duplicates, announcements) belongs to the round.
const SETTLE: Duration = Duration::from_secs(1);

/// Blocks that warm up streams and caches first.
pub(crate) const WARM_UP_BLOCKS: usize = 3;

/// The least time between two warm-up blocks; large blocks have the time that is given to the measured ones.
const WARM_UP_INTERVAL_MIN: Duration = Duration::from_millis(500);

/// Counters at one moment.
struct Mark {
    at: Instant,
    cpu: Cpu,
    bytes_sent: u64,
}

impl Mark {
    fn take(network: &impl Network) -> anyhow::Result<Self> {
        Ok(Self { at: Instant::now(), cpu: Cpu::now()?, bytes_sent: network.bytes_sent() })
    }
}

/// Measures a network in which nothing happens.
///
/// # Errors
/// The kernel's counters cannot be read.
pub(crate) fn idle(network: &impl Network, duration: Duration) -> anyhow::Result<Idle> {
    let before = Mark::take(network)?;
    std::thread::sleep(duration);
    let after = Mark::take(network)?;
    let seconds = after.at.duration_since(before.at).as_secs_f64();
    let bytes = after.bytes_sent.saturating_sub(before.bytes_sent);
    Ok(Idle {
        seconds,
        bytes_per_second: bytes as f64 / seconds,
        cpu_seconds_per_second: after.cpu.since(&before.cpu).total().as_secs_f64() / seconds,
    })
}

/// Brings blocks through a network: the first few to warm up, the others measured, one every `interval` or
/// all at once.
///
/// # Errors
/// The kernel's counters cannot be read, or the warm-up blocks do not arrive.
pub(crate) fn spread(
    network: &mut impl Network,
    blocks: &[VerifiedBlock],
    interval: Option<Duration>,
    idle: Idle,
) -> anyhow::Result<Round> {
    let (warm_up, measured) = blocks.split_at(WARM_UP_BLOCKS.min(blocks.len()));
    let warm_up_interval =
        interval.map_or(WARM_UP_INTERVAL_MIN, |interval| interval.max(WARM_UP_INTERVAL_MIN));
    let mut released = release(network, warm_up, Some(warm_up_interval));
    let warmed = collect(network, &released);
    if warmed.len() < warm_up.len() * network.deliveries_per_block() {
        bail!("{}: only {} deliveries of {} warm-up blocks", name(network), warmed.len(), warm_up.len());
    }
    Memory::forget_peak()?;
    let resident_before = Memory::now()?.resident;
    let before = Mark::take(network)?;
    released = release(network, measured, interval);
    let deliveries = collect(network, &released);
    std::thread::sleep(SETTLE);
    let after = Mark::take(network)?;
    let memory = Memory::now()?;
    let counted = Counted { before, after, resident_before, memory };
    Ok(round(network, measured, &released, &deliveries, idle, &counted))
}

fn name<N: Network>(_: &N) -> &'static str {
    N::NAME
}

fn release(
    network: &mut impl Network,
    blocks: &[VerifiedBlock],
    interval: Option<Duration>,
) -> BTreeMap<u64, Instant> {
    let started = Instant::now();
    let mut released = BTreeMap::new();
    for (index, block) in (0..).zip(blocks) {
        if let Some(interval) = interval {
            let due = started + interval * index;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        released.insert(block.number().as_u64(), network.release(block));
    }
    released
}

/// Takes deliveries of these blocks until all are there, or none came for a while.
fn collect(network: &impl Network, released: &BTreeMap<u64, Instant>) -> Vec<Delivery> {
    let expected = released.len() * network.deliveries_per_block();
    let mut deliveries = Vec::with_capacity(expected);
    while deliveries.len() < expected {
        match network.deliveries().recv_timeout(PATIENCE) {
            Ok(delivery) if released.contains_key(&delivery.number) => deliveries.push(delivery),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    deliveries
}

struct Counted {
    before: Mark,
    after: Mark,
    resident_before: u64,
    memory: Memory,
}

fn round<N: Network>(
    network: &N,
    blocks: &[VerifiedBlock],
    released: &BTreeMap<u64, Instant>,
    deliveries: &[Delivery],
    idle: Idle,
    counted: &Counted,
) -> Round {
    let Counted { before, after, resident_before, memory } = counted;
    let since_release = |delivery: &Delivery, at: Instant| {
        released.get(&delivery.number).map_or(Duration::ZERO, |released| at.duration_since(*released))
    };
    // Who got a block from the orderer received nothing from a peer.
    let received: Vec<&Delivery> =
        deliveries.iter().filter(|delivery| delivery.route != Some(Route::Feed)).collect();
    let fed = deliveries.len() - received.len();
    let arrivals = received.iter().map(|delivery| since_release(delivery, delivery.arrived)).collect();
    let durable: Vec<Duration> =
        received.iter().filter_map(|delivery| Some(since_release(delivery, delivery.durable?))).collect();
    let end = deliveries.iter().map(|delivery| delivery.durable.unwrap_or(delivery.arrived)).max();
    let elapsed = released.values().min().zip(end).map(|(first, end)| end.duration_since(*first));

    let payload: u64 = blocks.iter().map(|block| block.to_block().encode().len() as u64).sum();
    let pairs = blocks.len() * network.deliveries_per_block();
    let bytes_sent = after.bytes_sent.saturating_sub(before.bytes_sent);
    let cpu = after.cpu.since(&before.cpu);
    let seconds = after.at.duration_since(before.at).as_secs_f64();
    let source_cpu = cpu.of_thread(source::THREADS);
    let idle_cpu = Duration::from_secs_f64(idle.cpu_seconds_per_second * seconds);
    let own_cpu = cpu.total().saturating_sub(source_cpu).saturating_sub(idle_cpu);
    // The publisher of the baseline is a peer as well, though it has no delivery.
    let peers = if fed == 0 { network.deliveries_per_block() + 1 } else { network.deliveries_per_block() };
    let per_block_and_peer = (blocks.len() * peers) as f64;
    let expected_received = (pairs - fed).max(1) as f64;
    let by_route = |route: Route| deliveries.iter().filter(|it| it.route == Some(route)).count();
    Round {
        system: N::NAME,
        ready_ms: milliseconds(network.ready_after()),
        blocks: blocks.len(),
        block_bytes: payload / blocks.len().max(1) as u64,
        bytes_ratio: bytes_sent as f64 * blocks.len() as f64 / (expected_received * payload as f64),
        bytes_sent,
        cpu_ms: milliseconds(own_cpu) / per_block_and_peer,
        cpu_user_seconds: cpu.user.as_secs_f64(),
        cpu_system_seconds: cpu.system.as_secs_f64(),
        cpu_idle_seconds: idle_cpu.as_secs_f64(),
        cpu_source_seconds: source_cpu.as_secs_f64(),
        cpu_by_thread: cpu
            .by_thread
            .into_iter()
            .filter(|(_, time)| *time > Duration::from_millis(10))
            .map(|(name, time)| (name, time.as_secs_f64()))
            .collect(),
        arrival: Quantiles::of(arrivals),
        durable: Quantiles::of(durable),
        elapsed_ms: milliseconds(elapsed.unwrap_or_default()),
        missed: pairs - deliveries.len(),
        repaired: by_route(Route::Repair),
        range_synced: by_route(Route::RangeSync),
        duplicate_bytes: deliveries.iter().map(|delivery| delivery.duplicate_bytes).sum(),
        memory_peak_bytes: memory.peak.saturating_sub(*resident_before),
        resident_bytes: memory.resident,
        idle,
    }
}
