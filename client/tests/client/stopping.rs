//! `submit -` as part of a pipe: answers come while the input is open, and its ends on both sides are orderly.

use crate::scripted_server::{Script, ScriptedServer};
use crate::support;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Everything here takes milliseconds on an idle machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// `submit trade -` under way, connected to a server that accepts everything.
struct Submitting {
    child: Child,
    input: Option<ChildStdin>,
    answers: Option<BufReader<ChildStdout>>,
    _server: ScriptedServer,
    _folder: TempDir,
}

impl Submitting {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let net = support::testnet(folder.path());
        let server = ScriptedServer::start(&net.join("org1/peers/peer0"), Script::default()).await;
        let profile = net.join("org1/users/client/client.toml");
        let mut child = Command::new(env!("CARGO_BIN_EXE_ledgercast"))
            .arg("--profile")
            .arg(profile)
            .args(["--orderers", &server.address.to_string(), "--json", "submit", "trade", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, input, answers: Some(BufReader::new(output)), _server: server, _folder: folder }
    }

    fn write(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line of standard output.
    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.as_mut().unwrap().read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    }

    /// Exit code and standard error, once it has ended.
    fn end(&mut self) -> (Option<i32>, String) {
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(started.elapsed() < DEADLINE, "it goes on"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        (status.code(), text)
    }
}

impl Drop for Submitting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_answered_while_the_pipe_stays_open_and_its_end_is_the_end() {
    let mut submitting = Submitting::start().await;

    for line in ["one", "two"] {
        submitting.write(line);
        assert_eq!(submitting.answer()["outcome"], "accepted");
    }
    submitting.input = None;

    assert_eq!(submitting.answer()["accepted"], 2);
    assert_eq!(submitting.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_prints_the_totals_and_how_to_go_on() {
    let mut submitting = Submitting::start().await;
    submitting.write("one");
    assert_eq!(submitting.answer()["outcome"], "accepted");

    let pid = Pid::from_raw(submitting.child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();

    assert_eq!(submitting.answer()["accepted"], 1);
    let (code, text) = submitting.end();
    assert_eq!(code, Some(130), "{text}");
    assert!(text.contains("interrupted") && text.contains("--resume"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_reads_the_answers_nothing_more_is_submitted() {
    let mut submitting = Submitting::start().await;
    submitting.write("one");
    assert_eq!(submitting.answer()["outcome"], "accepted");

    submitting.answers = None;
    submitting.write("two");

    let (code, text) = submitting.end();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("stopped after 2 answers"), "{text}");
}
