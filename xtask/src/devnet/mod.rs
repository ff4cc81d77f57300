//! `cargo devnet`: a network of real processes under load, its story, and a verdict for each claim.
//!
//! One chapter, one file: each does something to the network, measures what follows and claims it. A chapter
//! that fails is a claim that is not kept; the story goes on.

mod claims;
mod completeness;
mod idle;
mod isolation;
mod leadership;
mod pace;
mod silence;
mod spread;
mod traces;

use crate::input::Payloads;
use crate::network::{self, Network};
use crate::screen::Screen;
use claims::Claims;
use clap::Args;
use ledgercast_tests::binaries::workspace;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use traces::Traces;

/// Runs a network of real processes under load and ends with a verdict for each claim.
///
/// Ctrl-C at any time ends all processes and removes their folder; a SIGKILL of this command itself leaves
/// both.
#[derive(Args)]
pub(crate) struct Arguments {
    /// What to submit: a file (its lines, if all are hex) or a folder; otherwise the repository's own text
    /// files
    #[arg(long, value_name = "PATH")]
    input: Option<PathBuf>,
    /// For scripts: no spinners, and one line of JSON for each claim on standard output
    #[arg(long)]
    once: bool,
    /// Leaves the network running after the verdict, until Ctrl-C
    #[arg(long, conflicts_with = "once")]
    keep: bool,
    /// Leaves out what an idle peer costs, which depends on what else the machine does
    #[arg(long)]
    without_idle: bool,
    /// Envelopes that are submitted each second on each channel
    #[arg(long, default_value_t = 50.0, value_name = "ENVELOPES_PER_SECOND", value_parser = rate)]
    rate: f64,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.1..=10_000.0).contains(&rate) => Ok(rate),
        _ => Err("a number from 0.1 to 10000 is expected".to_owned()),
    }
}

/// What every chapter works on.
struct Story {
    network: Network,
    traces: Traces,
    screen: Screen,
    claims: Claims,
}

type Chapter = fn(&mut Story) -> Result<(), String>;

const CHAPTERS: [(&str, Chapter); 5] = [
    ("blocks reach every peer under load", spread::run),
    ("a silent peer is evicted and returns", silence::run),
    ("a killed leader is followed by another", leadership::run),
    ("channels are isolated", isolation::run),
    ("every submitted envelope is delivered once", completeness::run),
];
const IDLE: (&str, Chapter) = ("peers idle cheaply", idle::run);

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (interrupt, folder) = network::prepare("ledgercast-devnet-")?;
    let started = tell(arguments, folder, &interrupt);
    // A failure after an interrupt is only its consequence.
    interrupt.yield_if_received();
    let story = started?;
    let code = story.claims.close();
    if arguments.keep {
        interrupt.expect_with(code);
        print_endpoints(&story.network);
        loop {
            std::thread::park();
        }
    }
    Ok(ExitCode::from(code))
}

fn tell(
    arguments: &Arguments,
    folder: tempfile::TempDir,
    interrupt: &crate::interrupt::Interrupt,
) -> anyhow::Result<Story> {
    let payloads = match &arguments.input {
        Some(path) => Payloads::of_path(path)?,
        None => Payloads::of_workspace(workspace())?,
    };
    eprintln!("input: {}", payloads.source);
    let screen = Screen::new(!arguments.once);
    let mut network = Network::start(&screen, folder)?;
    let traces = Traces::follow(&network.cluster).map_err(anyhow::Error::msg)?;
    network.start_load(payloads, arguments.rate).map_err(anyhow::Error::msg)?;
    let story_started = Instant::now();
    let mut story = Story { network, traces, screen, claims: Claims::new(arguments.once) };
    for (title, chapter) in CHAPTERS.into_iter().chain((!arguments.without_idle).then_some(IDLE)) {
        let outcome = chapter(&mut story);
        interrupt.yield_if_received();
        if let Err(error) = outcome {
            story.claims.broken(title, &error);
        }
    }
    eprintln!("the story took {:.0} s", story_started.elapsed().as_secs_f64());
    Ok(story)
}

fn print_endpoints(network: &Network) {
    let cluster = &network.cluster;
    println!("\nthe network stays up until Ctrl-C; everything is in {}", cluster.folder().display());
    println!("{:20} {:24} {:24} process", "node", "gRPC", "operations HTTP");
    for node in cluster.summary().orderers.iter().chain(&cluster.summary().peers) {
        let process = cluster.process_id(&node.name).map_or("-".to_owned(), |id| id.to_string());
        println!("{:20} {:24} {:24} {process}", node.name, node.api, node.operations);
    }
    let user = cluster.user("org1", "client");
    let (program, profile) = (user.program().display(), user.profile().display());
    println!("\ntry:");
    println!("  printf 'hello\\nledger\\n' | {program} --profile {profile} submit trade - --wait");
    println!("  {program} --profile {profile} blocks trade newest --decode");
    println!("  {program} --profile {profile} members");
    println!("  curl http://{}/channels", cluster.node("peer0.org1").operations);
}
