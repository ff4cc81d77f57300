//! A client's profile: which identity, which servers, which genesis files. `configs/client.toml` explains
//! every key.

use crate::connection::{Connector, CredentialsError, Timeouts};
use crate::submit;
use crate::text_file::{self, TextFileError, beside};
use ledgercast_crypto::msp::{Msp, MspError};
use ledgercast_protocol::channel::{Genesis, GenesisError};
use ledgercast_protocol::types::{ChannelName, Endpoint};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// The largest genesis file that is read, in bytes: 256 orgs with many certificates fit.
pub const GENESIS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A checked profile; paths are as seen from the current folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Folder with certificate, key and roots; `tls/` lies beside it.
    pub msp: PathBuf,
    /// The own org's peer or orderer that is asked.
    pub endpoint: Option<Endpoint>,
    /// Orderers that get envelopes; empty: those that the genesis block names.
    pub orderers: Vec<Endpoint>,
    /// Folder of genesis files.
    pub channels: PathBuf,
    /// The name that servers' TLS certificates must bear, if not the endpoint's host.
    pub server_name: Option<String>,
    /// How long calls may take.
    pub timeouts: Timeouts,
    /// Bounds of submission.
    pub submit: submit::Config,
}

/// What the environment or flags say instead of the profile.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Instead of `msp`.
    pub msp: Option<PathBuf>,
    /// Instead of `endpoint`.
    pub endpoint: Option<Endpoint>,
    /// Instead of `orderers`.
    pub orderers: Option<Vec<Endpoint>>,
    /// Instead of `channels`.
    pub channels: Option<PathBuf>,
}

/// Why a profile cannot be used.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// The file is refused.
    #[error(transparent)]
    File(#[from] TextFileError),
    /// The identity is refused.
    #[error(transparent)]
    Msp(#[from] MspError),
    /// The identity has no TLS pair.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// There is no genesis file for a channel.
    #[error("no genesis file of channel {channel}: {error}")]
    NoGenesis {
        /// The channel.
        channel: ChannelName,
        /// Why it cannot be read.
        error: TextFileError,
    },
    /// The genesis file is none.
    #[error("{}: {error}", file.display())]
    Genesis {
        /// Which.
        file: PathBuf,
        /// Why.
        error: GenesisError,
    },
    /// No endpoint is configured.
    #[error("no endpoint is configured")]
    NoEndpoint,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    msp: PathBuf,
    endpoint: String,
    orderers: Vec<String>,
    channels: PathBuf,
    server_name: String,
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    connect_timeout: Duration,
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    request_timeout: Duration,
    submit: submit::Config,
}

impl Default for File {
    fn default() -> Self {
        let Timeouts { connect, request } = Timeouts::default();
        Self {
            msp: "msp".into(),
            endpoint: String::new(),
            orderers: Vec::new(),
            channels: "channels".into(),
            server_name: String::new(),
            connect_timeout: connect,
            request_timeout: request,
            submit: submit::Config::default(),
        }
    }
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// [`TextFileError`] with file, line or key, and cause.
    pub fn load(file: &Path) -> Result<Self, TextFileError> {
        let read: File = text_file::read_toml(file)?;
        let value = |key: &str, message: String| TextFileError::Value {
            file: file.to_owned(),
            key: key.to_owned(),
            message,
        };
        let parse =
            |key: &str, text: &str| text.parse::<Endpoint>().map_err(|error| value(key, error.to_string()));
        let endpoint = match read.endpoint.as_str() {
            "" => None,
            text => Some(parse("endpoint", text)?),
        };
        read.submit.check().map_err(|message| value("submit", message))?;
        Ok(Self {
            msp: beside(file, &read.msp),
            endpoint,
            orderers: read.orderers.iter().map(|text| parse("orderers", text)).collect::<Result<_, _>>()?,
            channels: beside(file, &read.channels),
            server_name: Some(read.server_name).filter(|name| !name.is_empty()),
            timeouts: Timeouts { connect: read.connect_timeout, request: read.request_timeout },
            submit: read.submit,
        })
    }

    /// Replaces what the overrides name.
    #[must_use]
    pub fn with(mut self, overrides: Overrides) -> Self {
        self.msp = overrides.msp.unwrap_or(self.msp);
        self.endpoint = overrides.endpoint.or(self.endpoint);
        self.orderers = overrides.orderers.unwrap_or(self.orderers);
        self.channels = overrides.channels.unwrap_or(self.channels);
        self
    }

    /// Reads the identity.
    ///
    /// # Errors
    /// [`MspError`] with file and cure.
    pub fn load_msp(&self) -> Result<Msp, MspError> {
        Msp::load(&self.msp)
    }

    /// What opens connections with this identity.
    ///
    /// # Errors
    /// [`CredentialsError`] when there is no TLS pair.
    pub fn connector(&self, msp: &Msp) -> Result<Connector, CredentialsError> {
        Connector::new(msp, self.server_name.clone(), self.timeouts)
    }

    /// Reads the genesis block of a channel from `channels/NAME.block`.
    ///
    /// # Errors
    /// [`ProfileError::NoGenesis`] or [`ProfileError::Genesis`].
    pub fn genesis(&self, channel: &ChannelName) -> Result<Genesis, ProfileError> {
        let file = self.channels.join(format!("{channel}.block"));
        let bytes = text_file::read(&file, GENESIS_BYTES_MAX)
            .map_err(|error| ProfileError::NoGenesis { channel: channel.clone(), error })?;
        Genesis::decode(bytes.into()).map_err(|error| ProfileError::Genesis { file, error })
    }

    /// The server that is asked.
    ///
    /// # Errors
    /// [`ProfileError::NoEndpoint`] when neither profile nor overrides name one.
    pub fn require_endpoint(&self) -> Result<&Endpoint, ProfileError> {
        self.endpoint.as_ref().ok_or(ProfileError::NoEndpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client.toml");
        std::fs::write(&file, text).unwrap();
        (folder, file)
    }

    #[test]
    fn an_empty_profile_has_the_documented_defaults() {
        let (_folder, file) = write("endpoint = \"127.0.0.1:7053\"");
        let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/client.toml");

        let empty = Profile::load(&file).unwrap();
        let documented = Profile::load(&documented).unwrap();

        let folders = |profile: &Profile| (profile.msp.clone(), profile.channels.clone());
        assert_ne!(folders(&empty), folders(&documented));
        let (msp, channels) = folders(&empty);
        assert_eq!(empty, Profile { msp, channels, ..documented });
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let (_folder, file) = write("msp = \"msp\"\nendpiont = \"a:1\"");

        let error = Profile::load(&file).unwrap_err().to_string();

        assert!(
            error.contains("line 2") && error.contains("endpiont") && error.contains("endpoint"),
            "{error}"
        );
    }

    #[test]
    fn a_value_that_is_no_endpoint_is_refused_by_key() {
        let (_folder, file) = write("orderers = [\"nowhere\"]");

        let error = Profile::load(&file).unwrap_err();

        assert!(matches!(error, TextFileError::Value { key, .. } if key == "orderers"));
    }

    #[test]
    fn flags_win_over_the_file() {
        let (_folder, file) = write("endpoint = \"a:1\"");
        let endpoint: Endpoint = "b:2".parse().unwrap();

        let profile = Profile::load(&file)
            .unwrap()
            .with(Overrides { endpoint: Some(endpoint.clone()), ..Overrides::default() });

        assert_eq!(profile.endpoint, Some(endpoint));
    }
}
