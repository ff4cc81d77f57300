//! What an attack costs, beside the same run without it. Each scenario prints its figures;
//! `docs/threat-model.md` quotes them.

use ledgercast_protocol::types::ChannelId;
use ledgercast_simulator::{Failure, NodeId, World};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// The step in which heights are looked at: the error of each figure.
const LOOK: Duration = Duration::from_millis(1);
/// Who waits for longer than this for a block is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// How blocks spread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    /// The longest time from a block's release until all honest peers had it.
    pub(crate) slowest: Duration,
    /// The mean of these times.
    pub(crate) mean: Duration,
    /// Bytes of body frames and pushes that all peers sent, liars included, for each block.
    pub(crate) bytes: u64,
}

impl Spread {
    /// Submits blocks one by one and waits for all of `honest` each time.
    pub(crate) fn of(
        world: &mut World,
        channel: ChannelId,
        honest: &[NodeId],
        (blocks, payload_bytes): (u64, usize),
    ) -> Result<Self, Failure> {
        let bytes_before = payload(world);
        let (mut slowest, mut sum) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..blocks {
            world.submit(channel, 1, payload_bytes);
            let took = until_tip(world, channel, honest)?;
            slowest = slowest.max(took);
            sum += took;
            world.run_for(Duration::from_millis(100))?;
        }
        let count = u32::try_from(blocks).expect("few blocks");
        Ok(Self { slowest, mean: sum / count, bytes: (payload(world) - bytes_before) / blocks })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slowest {:?}, mean {:?}, {} bytes a block", self.slowest, self.mean, self.bytes)
    }
}

/// How long it takes until all of `honest` hold every block that was submitted.
pub(crate) fn until_tip(
    world: &mut World,
    channel: ChannelId,
    honest: &[NodeId],
) -> Result<Duration, Failure> {
    let began = world.now();
    while !world.are_at_tip(honest, channel) {
        if world.now() - began > STUCK {
            world.run_until("the honest are at the tip", Duration::ZERO, |_| false)?;
        }
        world.run_for(LOOK)?;
    }
    Ok(world.now() - began)
}

fn payload(world: &World) -> u64 {
    ["push", "body_frame", "headers"].into_iter().map(|kind| world.traffic().of(kind).bytes).sum()
}

/// Fails when others than these liars were accused; that nobody honest is, the simulator checks always.
pub(crate) fn assert_accused_only(world: &World, liars: &[NodeId]) {
    let accused: BTreeSet<NodeId> = world.accusations().into_keys().collect();
    assert!(accused.iter().all(|accused| liars.contains(accused)), "accused are {accused:?}");
}

/// Everybody but the liars.
pub(crate) fn others(world: &World, liars: &[NodeId]) -> Vec<NodeId> {
    world.node_ids().filter(|node| !liars.contains(node)).collect()
}
