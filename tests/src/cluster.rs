//! A network of real processes in one folder: an orderer, peers of several orgs, and users who talk to them.

use crate::binaries::Binaries;
use crate::client::Client;
use crate::operations::OperationsClient;
use crate::process::Process;
use crate::wait::wait_for;
use ledgercast_client::testnet::{self, NodeSummary, Plan, Summary};
use ledgercast_protocol::WallTime;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a process may take to answer after its start; generous, the machine may be busy.
pub const START_DEADLINE: Duration = Duration::from_secs(30);

/// How long a process may take to stop.
pub const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// Real processes and the folder that they live in.
#[derive(Debug)]
pub struct Cluster {
    binaries: Binaries,
    folder: PathBuf,
    summary: Summary,
    variables: Vec<(String, String)>,
    processes: BTreeMap<String, Process>,
}

impl Cluster {
    /// Writes keys, certificates, configurations and genesis files into an empty folder; starts nothing.
    /// `variables` override configuration keys of every process, such as `LEDGERCAST_MEMBERSHIP_EXPIRY`.
    ///
    /// # Errors
    /// The plan makes no sense, or the folder cannot be written.
    pub fn write(
        binaries: Binaries,
        folder: &Path,
        plan: &Plan,
        variables: &[(&str, &str)],
    ) -> Result<Self, String> {
        let millis =
            SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?.as_millis();
        let now = WallTime::from_millis(u64::try_from(millis).map_err(|error| error.to_string())?);
        let summary =
            testnet::write(&folder.join("network"), plan, now).map_err(|error| error.to_string())?;
        Ok(Self::of(binaries, folder, summary, variables))
    }

    /// A network whose files somebody else has written; starts nothing.
    pub fn of(binaries: Binaries, folder: &Path, summary: Summary, variables: &[(&str, &str)]) -> Self {
        let variables =
            variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { binaries, folder: folder.to_owned(), summary, variables, processes: BTreeMap::new() }
    }

    /// What is where.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The names of all peers.
    pub fn peers(&self) -> Vec<String> {
        self.summary.peers.iter().map(|peer| peer.name.clone()).collect()
    }

    /// The names of the peers whose org is a member of a channel.
    pub fn peers_on(&self, channel: &str) -> Vec<String> {
        let orgs = self.summary.channels.iter().find(|it| it.name == channel).map(|it| it.orgs.clone());
        let is_member = |peer: &&NodeSummary| orgs.as_ref().is_some_and(|orgs| orgs.contains(&peer.org));
        self.summary.peers.iter().filter(is_member).map(|peer| peer.name.clone()).collect()
    }

    /// The name of the orderer.
    pub fn orderer(&self) -> &str {
        &self.summary.orderers[0].name
    }

    /// The names of the followers.
    pub fn followers(&self) -> Vec<String> {
        self.summary.followers.iter().map(|follower| follower.name.clone()).collect()
    }

    /// A node by its name.
    ///
    /// # Panics
    /// When the network has no node of this name: the caller's mistake.
    pub fn node(&self, name: &str) -> &NodeSummary {
        let orderers = self.summary.orderers.iter().chain(&self.summary.followers);
        let nodes = orderers.chain(&self.summary.peers);
        nodes.into_iter().find(|node| node.name == name).expect("a node of this network")
    }

    /// Starts a node and waits until it answers.
    ///
    /// # Errors
    /// It ended, or does not answer; its last log lines are in the text.
    pub fn start(&mut self, name: &str) -> Result<(), String> {
        self.spawn(name)?;
        self.wait_until_up(name)
    }

    /// Starts a node without waiting.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&mut self, name: &str) -> Result<(), String> {
        self.spawn_by(name, Command::new(&self.binaries.daemon))
    }

    /// Starts a node that can write no file beyond so many KiB, as if its disk were full then, and waits
    /// until it answers. Needs a POSIX shell.
    ///
    /// # Errors
    /// It ended, or does not answer; its last log lines are in the text.
    pub fn start_with_file_limit(&mut self, name: &str, kibibytes: u32) -> Result<(), String> {
        // A write beyond the limit fails instead of ending the process; the shell counts in 512 bytes.
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", u64::from(kibibytes) * 2);
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(&self.binaries.daemon);
        self.spawn_by(name, command)?;
        self.wait_until_up(name)
    }

    fn spawn_by(&mut self, name: &str, mut command: Command) -> Result<(), String> {
        let node = self.node(name);
        let kind = if node.listen.is_some() { "peer" } else { "orderer" };
        command.arg(kind).arg("--home").arg(&node.home);
        command.envs(self.variables.iter().map(|(key, value)| (key, value)));
        let process = Process::start(name, command, &self.log(name))?;
        self.processes.insert(name.to_owned(), process);
        Ok(())
    }

    /// Waits until a started node answers on its operations endpoint.
    ///
    /// # Errors
    /// It ended, or does not answer; its last log lines are in the text.
    pub fn wait_until_up(&mut self, name: &str) -> Result<(), String> {
        let operations = self.operations(name);
        let log = self.log(name);
        let process = self.processes.get_mut(name).ok_or_else(|| format!("{name} was not started"))?;
        let mut end = None;
        let up = wait_for(&format!("{name} to answer"), START_DEADLINE, || {
            end = process.ended();
            match end {
                Some(_) => Ok(()),
                None => operations.text("/healthz").map(|_| ()),
            }
        });
        match end {
            Some(status) => Err(format!("{name} ended with {status}:\n{}", tail(&log))),
            None => up.map_err(|error| format!("{error}\n{}", tail(&log))),
        }
    }

    /// Starts the orderers and all peers, and joins every member to its channels.
    ///
    /// # Errors
    /// A process does not start, or refuses a channel.
    pub fn start_all(&mut self) -> Result<(), String> {
        let mut names = vec![self.orderer().to_owned()];
        names.extend(self.followers());
        names.extend(self.peers());
        for name in &names {
            self.spawn(name)?;
        }
        for name in &names {
            self.wait_until_up(name)?;
        }
        self.join_all()
    }

    /// Joins the orderers and every member to its channels, with the command line.
    ///
    /// # Errors
    /// Somebody refuses.
    pub fn join_all(&self) -> Result<(), String> {
        for channel in &self.summary.channels {
            let mut names = vec![self.orderer().to_owned()];
            names.extend(self.followers());
            names.extend(self.peers_on(&channel.name));
            for name in names {
                let answer = self.join(&name, &channel.name)?;
                if answer.code != Some(0) {
                    return Err(format!("{name} does not join {}: {}", channel.name, answer.stderr));
                }
            }
        }
        Ok(())
    }

    /// Has a node's own admin join it to a channel.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn join(&self, node: &str, channel: &str) -> Result<crate::client::Answer, String> {
        let genesis = self.summary.channels.iter().find(|it| it.name == channel);
        let genesis = genesis.ok_or_else(|| format!("no channel {channel}"))?.genesis.display().to_string();
        let (org, api) = (self.node(node).org.clone(), self.node(node).api.clone());
        self.user(&org, "admin").run(&["--at", &api, "channel", "join", &genesis])
    }

    /// A user of an org, by role: `admin` or `client`.
    ///
    /// # Panics
    /// When the network has no such user: the caller's mistake.
    pub fn user(&self, org: &str, role: &str) -> Client {
        let user = self.summary.users.iter().find(|user| user.org == org && user.role == role);
        Client::new(&self.binaries.client, &user.expect("a user of this network").profile)
    }

    /// A node's operations HTTP.
    pub fn operations(&self, name: &str) -> OperationsClient {
        OperationsClient::new(&self.node(name).operations)
    }

    /// A node's process, if it was started.
    pub fn process(&mut self, name: &str) -> Option<&mut Process> {
        self.processes.get_mut(name)
    }

    /// The id of a node's process, if it was started.
    pub fn process_id(&self, name: &str) -> Option<u32> {
        self.processes.get(name).map(Process::id)
    }

    /// A node's log file.
    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// The daemon's program.
    pub fn daemon(&self) -> &Path {
        &self.binaries.daemon
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills a node (SIGKILL).
    ///
    /// # Errors
    /// It was not started.
    pub fn kill(&mut self, name: &str) -> Result<(), String> {
        let mut process = self.processes.remove(name).ok_or_else(|| format!("{name} was not started"))?;
        process.kill()
    }

    /// Stops a node (SIGTERM) and waits for its end.
    ///
    /// # Errors
    /// It does not stop in time.
    pub fn stop(&mut self, name: &str) -> Result<ExitStatus, String> {
        let mut process = self.processes.remove(name).ok_or_else(|| format!("{name} was not started"))?;
        process.stop(STOP_DEADLINE)
    }

    /// What a peer says of a channel; `None` when it has not joined it.
    ///
    /// # Errors
    /// It does not answer.
    pub fn channel(&self, peer: &str, channel: &str) -> Result<Option<Value>, String> {
        let channels = self.operations(peer).json("/channels")?;
        let found = channels.as_array().into_iter().flatten().find(|it| it["name"] == channel);
        Ok(found.cloned())
    }

    /// A peer's height on a channel; 0 when it has not joined it.
    ///
    /// # Errors
    /// It does not answer.
    pub fn height(&self, peer: &str, channel: &str) -> Result<u64, String> {
        Ok(self.channel(peer, channel)?.and_then(|it| it["height"].as_u64()).unwrap_or(0))
    }

    /// What a peer says of another node; `None` when it does not know it.
    ///
    /// # Errors
    /// It does not answer.
    pub fn member(&self, peer: &str, other: &str) -> Result<Option<Value>, String> {
        let members = self.operations(peer).json("/members")?;
        let id = &self.node(other).member;
        Ok(members.as_array().into_iter().flatten().find(|it| it["member"] == *id).cloned())
    }

    /// Waits until these peers have the same height of at least `height` and the same tip.
    ///
    /// # Errors
    /// Who lacked what.
    pub fn wait_for_height(
        &self,
        peers: &[String],
        channel: &str,
        height: u64,
        deadline: Duration,
    ) -> Result<(u64, String), String> {
        wait_for(&format!("{} peers at height {height} of {channel}", peers.len()), deadline, || {
            let mut tips = BTreeMap::new();
            for peer in peers {
                let view = self.channel(peer, channel)?.ok_or_else(|| format!("{peer} has not joined"))?;
                let tip = (view["height"].as_u64().unwrap_or(0), view["tip_hash"].to_string());
                tips.insert(peer.clone(), tip);
            }
            let mut distinct: Vec<&(u64, String)> = tips.values().collect();
            distinct.sort();
            distinct.dedup();
            match distinct.as_slice() {
                [tip] if tip.0 >= height => Ok((*tip).clone()),
                _ => Err(format!("{tips:?}")),
            }
        })
    }

    /// Waits until each of these peers has each other one alive in its view and a session with it.
    ///
    /// # Errors
    /// Who lacked whom.
    pub fn wait_for_members(&self, peers: &[String], deadline: Duration) -> Result<(), String> {
        wait_for("everybody to see everybody", deadline, || {
            peers.iter().try_for_each(|other| self.is_seen_by_all(peers, other))
        })
    }

    /// Waits until each of these peers has another node alive in its view and a session with it.
    ///
    /// # Errors
    /// Who lacked it.
    pub fn wait_for_member(&self, peers: &[String], other: &str, deadline: Duration) -> Result<(), String> {
        wait_for(&format!("all to see {other}"), deadline, || self.is_seen_by_all(peers, other))
    }

    fn is_seen_by_all(&self, peers: &[String], other: &str) -> Result<(), String> {
        for peer in peers.iter().filter(|peer| *peer != other) {
            let view = self.member(peer, other)?;
            if !view.is_some_and(|it| it["state"] == "alive" && it["is_connected"] == true) {
                return Err(format!("{peer} does not see {other}"));
            }
        }
        Ok(())
    }

    /// Waits until a peer has had so many more alives of another one: its silence begins anew with each.
    ///
    /// # Errors
    /// How many it had.
    pub fn wait_for_alives(
        &self,
        peer: &str,
        other: &str,
        count: usize,
        deadline: Duration,
    ) -> Result<(), String> {
        let (mut silent_before, mut heard) = (0, 0);
        wait_for(&format!("{peer} to hear {other} {count} times"), deadline, || {
            let view = self.member(peer, other)?.ok_or_else(|| "it is unknown".to_owned())?;
            let silent = view["silent_ms"].as_u64().unwrap_or_default();
            heard += usize::from(silent < silent_before);
            silent_before = silent;
            if heard >= count { Ok(()) } else { Err(format!("heard {heard} times")) }
        })
    }
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
