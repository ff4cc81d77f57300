//! What a daemon says on its last line, and with which exit code.

use std::fmt;

/// Why a daemon or tool ends without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Configuration, identity or store were refused at the start; nothing was changed.
    Refused(String),
    /// Something failed later.
    Failed(String),
}

impl Failure {
    /// Refused at the start.
    pub(crate) fn refused(cause: impl fmt::Display) -> Self {
        Self::Refused(cause.to_string())
    }

    /// Failed while running.
    pub(crate) fn failed(cause: impl fmt::Display) -> Self {
        Self::Failed(cause.to_string())
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(cause) | Self::Failed(cause) => f.write_str(cause),
        }
    }
}
