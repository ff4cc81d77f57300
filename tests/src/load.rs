//! A steady load on one channel: a user's `ledgercast submit CHANNEL - --hex` that gets lines at a rate and
//! answers each with its place in the chain.

use crate::children;
use crate::cluster::Cluster;
use crate::wait::wait_for;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the last answers may take; the client itself gives up after a minute without any.
const DRAIN_DEADLINE: Duration = Duration::from_secs(70);

/// The payload of a line by its number, in hex and with its end.
pub type Lines = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// A running load; dropped, it is killed.
#[derive(Debug)]
pub struct Load {
    /// The channel.
    pub channel: String,
    child: Child,
    log: PathBuf,
    counts: Arc<Counts>,
    feeder: Option<JoinHandle<u64>>,
    reader: Option<JoinHandle<Result<Answers, String>>>,
}

#[derive(Debug, Default)]
struct Counts {
    is_stopping: AtomicBool,
    accepted: AtomicU64,
}

/// What the orderer promised, as the client printed it.
#[derive(Debug, Default)]
pub struct Answers {
    /// Lines that were handed to the client.
    pub submitted: u64,
    /// Line → envelope id, block, index.
    pub accepted: BTreeMap<u64, (String, u64, u64)>,
    /// Refusals, and lines that were answered twice.
    pub wrong: Vec<String>,
}

impl Load {
    /// Starts it as an org's client.
    ///
    /// # Errors
    /// The client cannot be started.
    pub fn start(
        cluster: &Cluster,
        channel: &str,
        org: &str,
        lines: Lines,
        rate: f64,
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot start the load on {channel}: {error}");
        let log = cluster.folder().join(format!("load-{channel}.log"));
        let mut command = cluster.user(org, "client").command();
        command.args(["submit", channel, "-", "--hex"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            children::spawn(command.stderr(File::create(&log).map_err(failed)?)).map_err(failed)?;
        let stdin = child.stdin.take().expect("standard input is piped");
        let stdout = child.stdout.take().expect("standard output is piped");
        let counts = Arc::new(Counts::default());
        let feeder = {
            let counts = counts.clone();
            let interval = Duration::from_secs_f64(1.0 / rate);
            std::thread::spawn(move || feed(stdin, &lines, interval, &counts))
        };
        let reader = {
            let counts = counts.clone();
            std::thread::spawn(move || read(stdout, &counts))
        };
        let (feeder, reader) = (Some(feeder), Some(reader));
        Ok(Self { channel: channel.to_owned(), child, log, counts, feeder, reader })
    }

    /// How many lines were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    /// Fails if the client has ended by itself.
    ///
    /// # Errors
    /// What it said last.
    pub fn require_running(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            ended => Err(format!("the load on {} ended ({ended:?}): {}", self.channel, self.said())),
        }
    }

    fn said(&self) -> String {
        crate::cluster::tail(&self.log)
    }

    /// Ends the input and waits for all answers.
    ///
    /// # Errors
    /// They do not come, or the client failed.
    pub fn stop(mut self) -> Result<Answers, String> {
        self.counts.is_stopping.store(true, Ordering::Relaxed);
        let status = wait_for(&format!("the last answers on {}", self.channel), DRAIN_DEADLINE, || {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            ended.ok_or_else(|| format!("{} accepted so far", self.counts.accepted.load(Ordering::Relaxed)))
        })
        .map_err(|error| format!("{error}; {}", self.said()))?;
        children::forget(self.child.id());
        let submitted = self.feeder.take().map(JoinHandle::join);
        let answers = self.reader.take().map(JoinHandle::join);
        let (Some(Ok(submitted)), Some(Ok(answers))) = (submitted, answers) else {
            return Err(format!("a thread of the load on {} panicked", self.channel));
        };
        let answers = Answers { submitted, ..answers? };
        match status.success() {
            true => Ok(answers),
            false => Err(format!("the load on {} ended with {status}: {}", self.channel, self.said())),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.counts.is_stopping.store(true, Ordering::Relaxed);
        // Killing one that has ended does nothing; the threads end with its pipes.
        let _ = self.child.kill();
        let _ = self.child.wait();
        children::forget(self.child.id());
    }
}

impl Answers {
    /// Every line was accepted, once, under an id of its own.
    ///
    /// # Errors
    /// How many were not, and the first wrong answer.
    pub fn require_complete(&self) -> Result<(), String> {
        if let Some(wrong) = self.wrong.first() {
            return Err(format!("{} wrong answers, the first: {wrong}", self.wrong.len()));
        }
        let mut ids: Vec<&String> = self.accepted.values().map(|(id, ..)| id).collect();
        ids.sort();
        ids.dedup();
        let (accepted, distinct) = (self.accepted.len() as u64, ids.len() as u64);
        match accepted == self.submitted && distinct == accepted {
            true => Ok(()),
            false => {
                Err(format!("{} submitted, {accepted} accepted, {distinct} different ids", self.submitted))
            }
        }
    }
}

/// Writes line after line until it is told to stop; lines that the client was not ready for are not caught
/// up.
fn feed(mut stdin: ChildStdin, lines: &Lines, interval: Duration, counts: &Counts) -> u64 {
    let mut submitted = 0;
    let mut next = Instant::now();
    while !counts.is_stopping.load(Ordering::Relaxed) {
        if stdin.write_all(&lines(submitted)).is_err() {
            // The client has ended; whoever waits for it says why.
            return submitted;
        }
        submitted += 1;
        next = (next + interval).max(Instant::now());
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    submitted
}

fn read(stdout: ChildStdout, counts: &Counts) -> Result<Answers, String> {
    let mut answers = Answers::default();
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(|error| format!("the client's answers: {error}"))?;
        let answer: Value =
            serde_json::from_str(&line).map_err(|error| format!("the client's answer {line}: {error}"))?;
        // The last line is the summary.
        let Some(source) = answer["source"].as_str() else { continue };
        let number = source.rsplit_once(':').and_then(|(_, number)| number.parse().ok());
        let place = (answer["block"].as_u64(), answer["index"].as_u64());
        let id = answer["envelope_id"].as_str().unwrap_or_default().to_owned();
        let (Some(number), (Some(block), Some(index))) = (number, place) else {
            answers.wrong.push(line);
            continue;
        };
        counts.accepted.fetch_add(1, Ordering::Relaxed);
        if answers.accepted.insert(number, (id, block, index)).is_some() {
            answers.wrong.push(format!("line {number} was answered twice"));
        }
    }
    Ok(answers)
}
