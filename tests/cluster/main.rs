//! The uses of Ledgercast with real processes. Intervals are shortened by configuration; conditions are
//! waited for.
//!
//! The tests run one after another: each starts seven processes, and two cores serve one network better than
//! four.

mod absence;
mod censor;
mod channel_life;
mod crash;
mod delivery;
mod expiry;
mod feeds;
mod full_disk;
mod input;
mod isolation;
mod liars;
mod openssl;
mod refusals;
mod rejoin;
mod revocation;
mod shutdown;
mod silence;

use ledgercast_client::testnet::Plan;
use ledgercast_tests::binaries::Binaries;
use ledgercast_tests::cluster::Cluster;
use ledgercast_tests::load::Lines;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// Generous: what is waited for usually takes a second; a busy machine may take long.
const DEADLINE: Duration = Duration::from_secs(60);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A network of three orgs with two peers each: channel `trade` of org1 and org2, `audit` of org2 and org3.
struct Network {
    cluster: Cluster,
    // Dropped after the cluster, whose processes write into it.
    _folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// Lines of hex that differ, for loads that go on until they are stopped.
fn numbered_lines() -> Lines {
    Arc::new(|number| format!("{number:032x}\n").into_bytes())
}

fn plan() -> Plan {
    Plan {
        orgs: 3,
        peers_per_org: 2,
        channels: ["trade=org1,org2", "audit=org2,org3"].map(|text| text.parse().expect("a channel")).into(),
        followers: 0,
        base_port: None,
    }
}

impl Network {
    /// Written, nothing started. Variables override configuration keys.
    fn write(variables: &[(&str, &str)]) -> Self {
        Self::write_plan(&plan(), variables)
    }

    /// The same for a network of choice.
    fn write_plan(plan: &Plan, variables: &[(&str, &str)]) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let binaries = Binaries::build().expect("the programs are built");
        let cluster = Cluster::write(binaries, folder.path(), plan, variables).expect("a test network");
        Self { cluster, _folder: folder, _turn: turn }
    }

    /// Written, started, joined, and everybody sees everybody of a channel that they share.
    fn start(variables: &[(&str, &str)]) -> Self {
        let mut network = Self::write(variables);
        network.cluster.start_all().expect("the network starts");
        for channel in ["trade", "audit"] {
            let peers = network.cluster.peers_on(channel);
            network.cluster.wait_for_members(&peers, DEADLINE).expect("full membership");
        }
        network
    }
}
