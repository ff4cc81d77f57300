//! What a third of the peers can cost the others at worst: a search over mixes of crimes in one fixed world.
//! Whatever the mix, every honest peer must deliver every block.
//!
//! Half of the budget goes to mixes drawn at random, the rest to changes of the worst one so far: a liar, one
//! of its crimes, its place, whom it lies to. A mix is as bad as its delays are long: the 99th percentile and
//! the mean, in seconds. Bytes decide between equals only: what a flood is answered grows with time, and is
//! bounded for each second by `answer_bytes_per_second`, whatever the blocks.

use super::crime_kind::CrimeKind;
use super::lies::Circumstances;
use super::plan::{Liar, Place, PlanError};
use crate::checks::Failure;
use crate::liars::Delays;
use crate::node::NodeId;
use crate::random::Random;
use crate::world::World;
use ledgercast_protocol::types::ChannelId;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Two orgs on one channel.
const ORGS: [usize; 2] = [8, 8];
/// A third of all.
pub const LIARS: usize = 5;
const SEED: u64 = 500;
/// Everybody knows everybody by then.
const SETTLED: Duration = Duration::from_secs(20);
const BLOCKS: u64 = 30;
const PAYLOAD: usize = 50_000;
/// Between two blocks, once everybody honest has the one before.
const PAUSE: Duration = Duration::from_millis(100);
/// The error of each delay.
const LOOK: Duration = Duration::from_millis(1);
/// Who waits for longer is stuck, which fails the run.
const STUCK: Duration = Duration::from_secs(60);

/// What a third does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix(pub Vec<Liar>);

/// What a mix costs, or the run without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// From a block's release until an honest peer has it: the mean of all blocks and honest peers.
    pub mean: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The longest.
    pub slowest: Duration,
    /// Bytes of all frames that an honest peer sent, for each block.
    pub bytes: u64,
}

/// One mix that was tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The mix.
    pub mix: Mix,
    /// What it costs.
    pub cost: Cost,
    /// How bad that is.
    pub badness: f64,
}

impl Cost {
    /// How bad this is beside the honest run.
    pub fn badness(&self, honest: &Self) -> f64 {
        let bytes = self.bytes as f64 / honest.bytes.max(1) as f64;
        self.p99.as_secs_f64() + self.mean.as_secs_f64() + bytes / 1_000.0
    }
}

/// What the blocks cost with these liars; the peers at their places do not count in the honest run either.
///
/// # Errors
/// [`Failure`] when an invariant breaks, or when somebody honest does not get a block.
pub fn measure(mix: &Mix, do_lie: bool) -> Result<Cost, Failure> {
    let mut world = World::builder(SEED).orgs(&ORGS).channel("trade", &[0, 1]).build()?;
    let channel = world.channel("trade");
    world.submit(channel, 3, 1_000);
    world.run_for(SETTLED)?;
    let liars: Vec<NodeId> = mix.0.iter().map(|liar| world.peer(liar.place.org, liar.place.peer)).collect();
    let honest: Vec<NodeId> = world.node_ids().filter(|node| !liars.contains(node)).collect();
    for (lie, liar) in mix.0.iter().zip(&liars) {
        if !do_lie {
            // What it sends counts as a liar's, and is the truth.
            world.make_liar(*liar, Delays { kinds: &[], by: Duration::ZERO });
            continue;
        }
        let half = honest.iter().copied().step_by(2).collect();
        let circumstances = Circumstances {
            liar: *liar,
            victims: lie.is_partial.then_some(half),
            liars: &liars,
            honest: &honest,
            known: honest.clone(),
            own: vec![channel],
            foreign: Vec::new(),
            until: Duration::MAX,
        };
        lie.crimes.iter().for_each(|crime| circumstances.commit(&mut world, *crime));
    }
    spread(&mut world, channel, &honest)
}

fn spread(world: &mut World, channel: ChannelId, honest: &[NodeId]) -> Result<Cost, Failure> {
    let bytes_before = world.traffic().of_honest().bytes;
    let mut delays = Vec::new();
    for _ in 0..BLOCKS {
        world.submit(channel, 1, PAYLOAD);
        let released = world.now();
        let mut waiting = honest.to_vec();
        while !waiting.is_empty() {
            world.run_for(LOOK)?;
            let took = world.now() - released;
            let before = waiting.len();
            waiting.retain(|node| !world.are_at_tip(&[*node], channel));
            delays.extend(std::iter::repeat_n(took, before - waiting.len()));
            if took > STUCK {
                world.run_until("every honest peer has the block", Duration::ZERO, |_| false)?;
            }
        }
        world.run_for(PAUSE)?;
    }
    delays.sort();
    let count = u32::try_from(delays.len()).unwrap_or(u32::MAX).max(1);
    Ok(Cost {
        mean: delays.iter().sum::<Duration>() / count,
        p99: delays.get(delays.len() * 99 / 100).copied().unwrap_or_default(),
        slowest: delays.last().copied().unwrap_or_default(),
        bytes: (world.traffic().of_honest().bytes - bytes_before) / BLOCKS / honest.len() as u64,
    })
}

/// Tries so many mixes, and shows each one with the worst so far; the same seed tries the same.
///
/// # Errors
/// [`Failure`] with the mix that broke an invariant.
pub fn search(
    seed: u64,
    budget: usize,
    honest: &Cost,
    mut show: impl FnMut(&Tried, &Tried),
) -> Result<Option<Tried>, (Mix, Failure)> {
    let mut random = Random::new(seed, 104);
    let mut worst: Option<Tried> = None;
    for count in 0..budget {
        let mix = match &worst {
            Some(worst) if count >= budget / 2 => changed(&worst.mix, &mut random),
            _ => drawn(&mut random),
        };
        let cost = measure(&mix, true).map_err(|failure| (mix.clone(), failure))?;
        let tried = Tried { mix, cost, badness: cost.badness(honest) };
        let is_worst = worst.as_ref().is_none_or(|worst| tried.badness > worst.badness);
        let so_far = worst.take().filter(|_| !is_worst).unwrap_or_else(|| tried.clone());
        show(&tried, &so_far);
        worst = Some(so_far);
    }
    Ok(worst)
}

/// Liars at different places, none the first of its org.
fn drawn(random: &mut Random) -> Mix {
    let mut liars: Vec<Liar> = Vec::new();
    while liars.len() < LIARS {
        let liar = drawn_liar(random);
        if !liars.iter().any(|known| known.place == liar.place) {
            liars.push(liar);
        }
    }
    Mix(liars)
}

fn drawn_liar(random: &mut Random) -> Liar {
    let org = random.index(ORGS.len());
    let place = Place { org, peer: 1 + random.index(ORGS[org] - 1) };
    let crimes = (0..=random.index(3)).map(|_| drawn_crime(random)).collect();
    Liar { place, is_partial: random.index(4) == 0, crimes }
}

fn drawn_crime(random: &mut Random) -> CrimeKind {
    let every: Vec<CrimeKind> = CrimeKind::every().map(|(_, kind)| kind).collect();
    every[random.index(every.len())]
}

fn changed(mix: &Mix, random: &mut Random) -> Mix {
    let mut liars = mix.0.clone();
    let which = random.index(liars.len());
    match random.index(6) {
        0 => liars[which].is_partial = !liars[which].is_partial,
        1 => {
            let crime = drawn_crime(random);
            liars[which].crimes.push(crime);
        }
        2 if liars[which].crimes.len() > 1 => drop(liars[which].crimes.pop()),
        3 => liars[which].crimes = liars[random.index(LIARS)].crimes.clone(),
        4 => liars[which].crimes = vec![drawn_crime(random)],
        _ => {
            let liar = drawn_liar(random);
            if !liars.iter().any(|known| known.place == liar.place) {
                liars[which].place = liar.place;
            }
        }
    }
    Mix(liars)
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let liars: Vec<String> = self.0.iter().map(Liar::to_string).collect();
        f.write_str(&liars.join(","))
    }
}

impl FromStr for Mix {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let liars = text.split(',').map(Liar::from_str).collect::<Result<Vec<_>, _>>()?;
        let is_there = |place: Place| ORGS.get(place.org).is_some_and(|size| place.peer < *size);
        match liars.iter().all(|liar| is_there(liar.place)) {
            true => Ok(Self(liars)),
            false => Err(PlanError::Contradiction("a liar is of a peer that is not there")),
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, p99, slowest, bytes } = self;
        write!(f, "mean {mean:.1?}, p99 {p99:.1?}, slowest {slowest:.1?}, {bytes} bytes a block and peer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_is_a_third_at_different_places_and_can_be_read_again() {
        let mut random = Random::new(1, 104);
        let mut mix = drawn(&mut random);
        for _ in 0..300 {
            mix = changed(&mix, &mut random);

            let mut places: Vec<Place> = mix.0.iter().map(|liar| liar.place).collect();
            places.sort();
            places.dedup();
            assert_eq!(places.len(), LIARS, "{mix}");
            assert_eq!(mix.to_string().parse(), Ok(mix.clone()));
            assert!(mix.0.iter().all(|liar| !liar.crimes.is_empty()), "{mix}");
        }
    }
}
