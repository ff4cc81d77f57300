//! Why a verb did not do what was asked: the cause, the cure, and the exit code. Never hides the cause.

use crate::authority::AuthorityError;
use crate::blocks::StreamError;
use crate::channel_file::ChannelFileError;
use crate::checkpoint::CheckpointError;
use crate::connection::{CallError, CredentialsError};
use crate::profile::ProfileError;
use crate::submit::SubmitError;
use crate::testnet::{PlanError, TestnetError};
use crate::text_file::TextFileError;
use crate::verify::VerifyError;
use ledgercast_crypto::CertificateError;
use ledgercast_crypto::issue::IssueError;
use ledgercast_crypto::msp::MspError;
use ledgercast_protocol::channel::GenesisError;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// What the process exits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Nobody reads our output any more: no failure.
    OutputClosed = 0,
    /// It failed.
    Failed = 1,
    /// Flags, files or configuration are wrong.
    Usage = 2,
    /// Not found, or not permitted.
    NotFound = 3,
    /// Not available: trying again may help.
    Unavailable = 4,
    /// Ended by Ctrl-C, as a shell counts it: 128 + SIGINT.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure of a verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    cause: String,
    cure: Option<String>,
}

impl Failure {
    /// A failure with its cause: lower-case, no full stop.
    pub fn new(exit: Exit, cause: impl ToString) -> Self {
        Self { exit, cause: cause.to_string(), cure: None }
    }

    /// Says what helps.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// A file that cannot be read or written.
    pub fn file(what: &str, file: &Path, error: &io::Error) -> Self {
        Self::new(Exit::Usage, format!("cannot {what} {}: {error}", file.display()))
    }

    /// What the process exits with.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The cause.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// What helps, if known.
    pub fn help(&self) -> Option<&str> {
        self.cure.as_deref()
    }
}

impl From<io::Error> for Failure {
    /// Of writing to standard output.
    fn from(error: io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::OutputClosed } else { Exit::Failed };
        Self::new(exit, format!("cannot write the output: {error}"))
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match &error {
            CallError::Unavailable { .. } => Self::new(Exit::Unavailable, &error)
                .cure("check that a process runs there, and that each side knows the TLS CA of the other"),
            CallError::NotFound { .. } => Self::new(Exit::NotFound, &error).cure(
                "check the channel's name, and that this identity's org and role may do this (--profile)",
            ),
            CallError::Refused { .. } => Self::new(Exit::Failed, &error),
        }
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Call(call) => call.into(),
            other => Self::new(Exit::Failed, other)
                .cure("what this server sends is not the channel's chain: ask another one with --at"),
        }
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Call(call) => call.into(),
            SubmitError::GaveUp { .. } => Self::new(Exit::Unavailable, error).cure(
                "run it again when an orderer is back; with --resume in both runs nothing is submitted twice",
            ),
            SubmitError::NoOrderer | SubmitError::Input(_) => Self::new(Exit::Usage, error),
            SubmitError::WrongAnswer { .. } => Self::new(Exit::Failed, error),
        }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::File(error) => error.into(),
            ProfileError::NoGenesis { .. } => Self::new(Exit::Usage, error)
                .cure("put the channel's genesis file there, or name its folder with --channels"),
            ProfileError::NoEndpoint => {
                Self::new(Exit::Usage, error).cure("set `endpoint` in the profile, or pass --at HOST:PORT")
            }
            other => Self::new(Exit::Usage, other),
        }
    }
}

impl From<TestnetError> for Failure {
    fn from(error: TestnetError) -> Self {
        match &error {
            TestnetError::NotEmpty(_) => {
                Self::new(Exit::Usage, error).cure("choose another folder with --out")
            }
            TestnetError::Ports(_) => Self::new(Exit::Failed, error).cure("pass --base-port"),
            _ => Self::new(Exit::Failed, error),
        }
    }
}

/// Errors that speak for themselves: the files or flags that people gave are wrong.
macro_rules! usage {
    ($($error:ty),+) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(Exit::Usage, error)
            }
        }
    )+};
}

usage!(
    AuthorityError,
    CertificateError,
    ChannelFileError,
    CheckpointError,
    CredentialsError,
    GenesisError,
    IssueError,
    MspError,
    PlanError,
    TextFileError,
    VerifyError
);
