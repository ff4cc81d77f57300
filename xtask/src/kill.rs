//! `cargo xtask kill`: kill −9 of random processes under load, again and again; at the end nothing that was
//! acknowledged is lost and nothing stands twice or in other bytes.

use crate::input::Payloads;
use crate::network::{self, CHANNELS, DEADLINE, Network};
use crate::screen::Screen;
use anyhow::bail;
use clap::Args;
use ledgercast_tests::binaries::workspace;
use ledgercast_tests::chain::Chain;
use ledgercast_tests::load::{Answers, Load};
use ledgercast_tests::reader::Reader;
use ledgercast_tests::wait::wait_for;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Kills random processes of a network under load and checks that nothing acknowledged is lost.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How many kills
    #[arg(long, default_value_t = 20)]
    times: u32,
    /// Repeats the choices of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// Envelopes that are submitted each second on each channel
    #[arg(long, default_value_t = 50.0, value_parser = rate)]
    rate: f64,
}

/// Whose streams of both channels are followed all the while: it is killed like any other.
const READ_FROM: &str = "peer0.org2";

/// A killed process is down for at most this long before it is started again.
const DOWN_MAX_MILLIS: u64 = 1500;

/// Between two kills the load goes on undisturbed for at most this long.
const UP_MAX_MILLIS: u64 = 1500;

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.1..=10_000.0).contains(&rate) => Ok(rate),
        _ => Err("a number from 0.1 to 10000 is expected".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let seed = arguments.seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos()) ^ now.as_secs()
    });
    println!("kill: {} times, seed {seed}", arguments.times);
    let (interrupt, folder) = network::prepare("ledgercast-kill-")?;
    let screen = Screen::new(true);
    let network = Network::start(&screen, folder);
    // A failure after an interrupt is only its consequence.
    interrupt.yield_if_received();
    let mut network = network?;
    let outcome = kill_all(&mut network, &screen, arguments, seed);
    interrupt.yield_if_received();
    match outcome {
        Ok(summary) => {
            println!("{summary}");
            Ok(())
        }
        Err(error) => {
            let folder = network.keep_folder();
            println!("replay: cargo xtask kill --times {} --seed {seed}", arguments.times);
            bail!("{error}; stores and logs are kept in {}", folder.display());
        }
    }
}

fn kill_all(
    network: &mut Network,
    screen: &Screen,
    arguments: &Arguments,
    seed: u64,
) -> Result<String, String> {
    let payloads = Payloads::of_workspace(workspace()).map_err(|error| format!("{error:#}"))?;
    network.start_load(payloads, arguments.rate)?;
    let start = |(channel, _): &(&str, &str)| Reader::start(&network.cluster, channel, READ_FROM);
    let readers = CHANNELS.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    for (channel, _) in CHANNELS {
        let peers = network.cluster.peers_on(channel);
        wait_until_level(network, channel, &peers, 2)?;
    }
    let started = Instant::now();
    let mut random = SplitMix(seed);
    let mut witnesses = Vec::new();
    let mut kills = Kills::default();
    for round in 1..=arguments.times {
        let stage = screen.stage(format!("kill {round} of {}", arguments.times));
        // However few kills are drawn: the orderer is among them.
        let is_last_chance = round == arguments.times && kills.orderer == 0;
        kills.add(&kill_one(network, &mut random, &mut witnesses, is_last_chance)?);
        stage.done(kills.last.clone());
    }
    let seconds = started.elapsed().as_secs_f64();
    let stage = screen.stage("the load ends, all blocks are compared");
    let found = check(network, &witnesses, readers)?;
    stage.done("compared");
    Ok(format!(
        "{} kills ({} of the orderer, {} of peers) in {seconds:.0} s, slowest recovery {:.1} s: {found}",
        arguments.times,
        kills.orderer,
        kills.peers,
        kills.slowest.as_secs_f64()
    ))
}

/// What was killed so far.
#[derive(Default)]
struct Kills {
    orderer: u32,
    peers: u32,
    slowest: Duration,
    last: String,
}

/// One kill and what followed.
struct Kill {
    name: String,
    is_orderer: bool,
    recovery: Duration,
}

impl Kills {
    fn add(&mut self, kill: &Kill) {
        match kill.is_orderer {
            true => self.orderer += 1,
            false => self.peers += 1,
        }
        self.slowest = self.slowest.max(kill.recovery);
        let seconds = kill.recovery.as_secs_f64();
        self.last = format!("{}, all level again {seconds:.1} s after its start", kill.name);
    }
}

/// A block that a peer called durable before its process was killed.
struct Witness {
    peer: String,
    channel: String,
    height: u64,
    tip: String,
}

fn kill_one(
    network: &mut Network,
    random: &mut SplitMix,
    witnesses: &mut Vec<Witness>,
    must_be_orderer: bool,
) -> Result<Kill, String> {
    let orderer = network.cluster.orderer().to_owned();
    let mut names = network.cluster.peers();
    names.push(orderer.clone());
    let drawn = names.swap_remove(random.below(names.len() as u64) as usize);
    let name = if must_be_orderer { orderer.clone() } else { drawn };
    let is_orderer = name == orderer;
    if !is_orderer {
        witnesses.extend(witness(network, &name)?);
    }
    // Drawn pauses, so that kills hit different moments; nothing is hoped for.
    std::thread::sleep(Duration::from_millis(random.below(UP_MAX_MILLIS)));
    network.cluster.kill(&name)?;
    std::thread::sleep(Duration::from_millis(random.below(DOWN_MAX_MILLIS)));
    let started = Instant::now();
    network.cluster.start(&name)?;
    for (channel, _) in CHANNELS {
        let goal = network.ordered_height(channel)?;
        let peers = network.cluster.peers_on(channel);
        // One more than there is: the load has to go on, too.
        wait_until_level(network, channel, &peers, goal + 1)?;
    }
    Ok(Kill { name, is_orderer, recovery: started.elapsed() })
}

fn witness(network: &Network, peer: &str) -> Result<Vec<Witness>, String> {
    let mut witnesses = Vec::new();
    for (channel, _) in CHANNELS {
        let Some(view) = network.cluster.channel(peer, channel)? else { continue };
        witnesses.push(Witness {
            peer: peer.to_owned(),
            channel: channel.to_owned(),
            height: view["height"].as_u64().unwrap_or(0),
            tip: view["tip_hash"].as_str().unwrap_or_default().to_owned(),
        });
    }
    Ok(witnesses)
}

fn wait_until_level(network: &mut Network, channel: &str, peers: &[String], goal: u64) -> Result<(), String> {
    for peer in peers {
        wait_for(&format!("{peer} to reach height {goal} of {channel}"), DEADLINE, || {
            network.loads.iter_mut().try_for_each(Load::require_running)?;
            let height = network.cluster.height(peer, channel)?;
            if height >= goal { Ok(()) } else { Err(format!("height {height}")) }
        })?;
    }
    Ok(())
}

fn check(network: &mut Network, witnesses: &[Witness], mut readers: Vec<Reader>) -> Result<String, String> {
    let mut found = Vec::new();
    for load in std::mem::take(&mut network.loads) {
        let channel = load.channel.clone();
        let answers: Answers = load.stop()?;
        answers.require_complete().map_err(|error| format!("{channel}: {error}"))?;
        let peers = network.cluster.peers_on(&channel);
        let ordered = network.ordered_height(&channel)?;
        network.cluster.wait_for_height(&peers, &channel, ordered, DEADLINE)?;
        let chain = Chain::check(&network.cluster, &channel, &answers)?;
        for witness in witnesses.iter().filter(|it| it.channel == channel) {
            check_witness(witness, &chain)?;
        }
        let reader = readers.iter().position(|it| it.channel == channel).ok_or("nobody read it")?;
        let read = readers.swap_remove(reader).finish(ordered, DEADLINE)?;
        if !chain.hashes.starts_with(&read) && !read.starts_with(&chain.hashes) {
            return Err(format!("{channel}: a client that followed {READ_FROM} got another chain"));
        }
        found.push(format!(
            "{channel}: {} envelopes acknowledged, each once in {} blocks, the same bytes at {} peers, each \
             block once to a client that followed",
            chain.envelopes,
            chain.hashes.len(),
            chain.peers
        ));
    }
    Ok(found.join("; "))
}

fn check_witness(witness: &Witness, chain: &Chain) -> Result<(), String> {
    let Witness { peer, channel, height, tip } = witness;
    let index = usize::try_from(height.saturating_sub(1)).unwrap_or(usize::MAX);
    match chain.hashes.get(index) {
        Some(hash) if hash == tip => Ok(()),
        other => {
            Err(format!("{peer} had {tip} as block {index} of {channel} before a kill, now it is {other:?}"))
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): any sequence does, as long as a seed repeats it.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}
