//! The program `ledgercast`, run as a user runs it.

use crate::children;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A user with a profile.
#[derive(Clone, Debug)]
pub struct Client {
    program: PathBuf,
    profile: PathBuf,
}

/// What a run printed and how it ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Client {
    /// A user of `program` with this profile.
    pub fn new(program: &Path, profile: &Path) -> Self {
        Self { program: program.to_owned(), profile: profile.to_owned() }
    }

    /// The program `ledgercast`.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The user's profile.
    pub fn profile(&self) -> &Path {
        &self.profile
    }

    /// The command with the profile set and JSON asked for, to be given its verb.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--profile").arg(&self.profile).arg("--json");
        command
    }

    /// Runs a verb to its end.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Result<Answer, String> {
        let output = children::output(self.command().args(arguments).stderr(Stdio::piped()));
        output.map(Answer::from).map_err(|error| format!("cannot start {}: {error}", self.program.display()))
    }

    /// Runs a verb that must succeed; its first JSON document.
    ///
    /// # Errors
    /// It failed, or printed no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value, String> {
        let answer = self.run(arguments)?;
        answer.require_success(arguments)?;
        let mut documents = serde_json::Deserializer::from_str(&answer.stdout).into_iter::<Value>();
        match documents.next() {
            Some(Ok(value)) => Ok(value),
            other => Err(format!("`ledgercast {}` printed no JSON: {other:?}", arguments.join(" "))),
        }
    }

    /// Runs a verb that must succeed; all its JSON documents.
    ///
    /// # Errors
    /// It failed, or printed something else.
    pub fn json_lines(&self, arguments: &[&str]) -> Result<Vec<Value>, String> {
        let answer = self.run(arguments)?;
        answer.require_success(arguments)?;
        serde_json::Deserializer::from_str(&answer.stdout)
            .into_iter::<Value>()
            .collect::<Result<_, _>>()
            .map_err(|error| format!("`ledgercast {}`: {error}", arguments.join(" ")))
    }
}

impl Answer {
    fn require_success(&self, arguments: &[&str]) -> Result<(), String> {
        match self.code {
            Some(0) => Ok(()),
            code => Err(format!(
                "`ledgercast {}` ended with {code:?}: {}{}",
                arguments.join(" "),
                self.stderr,
                self.stdout
            )),
        }
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
