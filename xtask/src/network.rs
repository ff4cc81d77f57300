//! The network that both commands run: an orderer, three orgs with two peers each, channel `trade` of org1
//! and org2, `audit` of org2 and org3, each process with its own store on free ports of the loopback.

use crate::input::Payloads;
use crate::interrupt::Interrupt;
use crate::rocksdb_progress::RocksdbProgress;
use crate::screen::Screen;
use anyhow::Context as _;
use ledgercast_client::testnet::Plan;
use ledgercast_tests::binaries::{Binaries, workspace};
use ledgercast_tests::cluster::Cluster;
use ledgercast_tests::load::{Lines, Load};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The channels, and the org whose client submits to each.
pub(crate) const CHANNELS: [(&str, &str); 2] = [("trade", "org1"), ("audit", "org3")];

/// Generous: what is waited for usually takes a second; a busy machine may take long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A running network; dropped, its processes end and its folder goes.
pub(crate) struct Network {
    /// The load on each channel, while there is one. Dropped first.
    pub(crate) loads: Vec<Load>,
    /// The processes.
    pub(crate) cluster: Cluster,
    /// From the first start to everybody seeing everybody of a common channel.
    pub(crate) full_membership_after: Duration,
    folder: TempDir,
}

impl Network {
    /// Builds the programs, starts the processes, joins the channels and waits for full membership.
    ///
    /// # Errors
    /// Something of it fails; the text says what.
    pub(crate) fn start(screen: &Screen, folder: TempDir) -> anyhow::Result<Self> {
        eprintln!("building both programs (the first build compiles RocksDB and takes long) …");
        let binaries = {
            let _progress = RocksdbProgress::watch(workspace());
            Binaries::build().map_err(anyhow::Error::msg)?
        };
        let stage = screen.stage("starting an orderer and six peers");
        let channels = ["trade=org1,org2", "audit=org2,org3"];
        let channels = channels.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let plan = Plan { orgs: 3, peers_per_org: 2, channels, followers: 0, base_port: None };
        let mut cluster = Cluster::write(binaries, folder.path(), &plan, &[]).map_err(anyhow::Error::msg)?;
        let started = Instant::now();
        cluster.start_all().map_err(anyhow::Error::msg)?;
        stage.done("running, and joined to their channels");
        let stage = screen.stage("waiting until everybody sees everybody");
        for (channel, _) in CHANNELS {
            let peers = cluster.peers_on(channel);
            cluster.wait_for_members(&peers, DEADLINE).map_err(anyhow::Error::msg)?;
        }
        let full_membership_after = started.elapsed();
        stage.done("full membership");
        Ok(Self { loads: Vec::new(), cluster, full_membership_after, folder })
    }

    /// Starts the load on both channels, so many envelopes a second on each.
    ///
    /// # Errors
    /// A client cannot be started.
    pub(crate) fn start_load(&mut self, payloads: Payloads, rate: f64) -> Result<(), String> {
        let lines: Lines =
            Arc::new(move |line| payloads.hex_line(usize::try_from(line).unwrap_or(usize::MAX)));
        for (channel, org) in CHANNELS {
            self.loads.push(Load::start(&self.cluster, channel, org, lines.clone(), rate)?);
        }
        Ok(())
    }

    /// The height of the orderer on a channel, which every peer is to reach.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn ordered_height(&self, channel: &str) -> Result<u64, String> {
        self.cluster.height(self.cluster.orderer(), channel)
    }

    /// Ends all processes and keeps the folder with the stores and logs.
    pub(crate) fn keep_folder(self) -> std::path::PathBuf {
        self.folder.keep()
    }
}

/// Prepares for interrupts; must come first.
///
/// # Errors
/// The handlers or the folder cannot be created.
pub(crate) fn prepare(prefix: &str) -> anyhow::Result<(Interrupt, TempDir)> {
    Interrupt::install(prefix).context("cannot prepare a temporary folder and for interrupts")
}
