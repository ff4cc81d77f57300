//! A client that follows a channel: a user's `ledgercast blocks CHANNEL 0.. --follow`, which goes on through
//! failures of its server and is to get every block once and in order.

use crate::children;
use crate::cluster::Cluster;
use crate::wait::wait_for;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A running client; dropped, it is killed.
#[derive(Debug)]
pub struct Reader {
    /// The channel.
    pub channel: String,
    child: Child,
    log: PathBuf,
    got: Arc<Mutex<Got>>,
}

/// What came, up to the first thing that should not have.
#[derive(Debug, Default)]
struct Got {
    hashes: Vec<String>,
    wrong: Option<String>,
}

impl Reader {
    /// Follows from block 0 on, as a client of the peer's own org.
    ///
    /// # Errors
    /// The client cannot be started.
    pub fn start(cluster: &Cluster, channel: &str, peer: &str) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot follow {channel}: {error}");
        let node = cluster.node(peer);
        let log = cluster.folder().join(format!("reader-{channel}.log"));
        let mut command = cluster.user(&node.org, "client").command();
        command.args(["--at", &node.api, "blocks", channel, "0..", "--follow", "--headers"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log).map_err(failed)?);
        let mut child = children::spawn(&mut command).map_err(failed)?;
        let stdout = child.stdout.take().expect("standard output is piped");
        let got = Arc::new(Mutex::new(Got::default()));
        let kept = got.clone();
        // It ends with the pipe.
        std::thread::spawn(move || read(stdout, &kept));
        Ok(Self { channel: channel.to_owned(), child, log, got })
    }

    /// Waits until every block below this height came; their hashes, if each came once and in order.
    ///
    /// # Errors
    /// They do not come in time, or something else came.
    pub fn finish(self, height: u64, deadline: Duration) -> Result<Vec<String>, String> {
        wait_for(&format!("the reader of {} at height {height}", self.channel), deadline, || {
            let got = self.got.lock().unwrap_or_else(PoisonError::into_inner);
            match &got.wrong {
                Some(wrong) => Ok(Err(wrong.clone())),
                None if got.hashes.len() as u64 >= height => Ok(Ok(got.hashes.clone())),
                None => Err(format!("{} blocks; {}", got.hashes.len(), crate::cluster::tail(&self.log))),
            }
        })?
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Killing one that has ended does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        children::forget(self.child.id());
    }
}

fn read(stdout: ChildStdout, got: &Mutex<Got>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let block: Value = serde_json::from_str(&line).unwrap_or_default();
        let mut got = got.lock().unwrap_or_else(PoisonError::into_inner);
        let due = got.hashes.len() as u64;
        match (block["number"].as_u64(), block["hash"].as_str()) {
            (Some(number), Some(hash)) if number == due => got.hashes.push(hash.to_owned()),
            _ => {
                got.wrong = Some(format!("{line} came where block {due} was due"));
                return;
            }
        }
    }
}
