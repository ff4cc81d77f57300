//! `channel.toml`: what a channel starts with, as people write it. `configs/channel.toml` explains every key.

use crate::text_file::{self, TextFileError, beside};
use bytes::Bytes;
use ledgercast_crypto::msp::{self, MspError};
use ledgercast_crypto::{CertificateError, KeyError, SecretKey};
use ledgercast_protocol::channel::{ChannelLimits, ConfigUpdate, Genesis, GenesisError};
use ledgercast_protocol::time::WallTime;
use ledgercast_protocol::types::{ChannelId, ChannelName, Endpoint};
use ledgercast_protocol::wire::proto;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// Room for one admin's signature of an update: nobody has signed a first config, whose certificates would
/// tell (guess: ours have under 700 bytes, an intermediate as many).
const SIGNATURE_BYTES: usize = 4096;

/// Why no genesis block can be made of a file.
#[derive(Debug, Error)]
pub enum ChannelFileError {
    /// The file is refused.
    #[error(transparent)]
    File(#[from] TextFileError),
    /// An org's or orderer's certificates are refused.
    #[error("{}: {error}", file.display())]
    Certificates {
        /// The channel file.
        file: PathBuf,
        /// What is wrong, and where.
        error: MspError,
    },
    /// The config would be refused by its members.
    #[error("{}: {error}", file.display())]
    Genesis {
        /// The channel file.
        file: PathBuf,
        /// What is wrong.
        error: GenesisError,
    },
    /// No config update could ever be submitted.
    #[error(
        "{}: limits.envelope_bytes_max is {found}; the next config with its signatures may need {needed}",
        file.display()
    )]
    EnvelopeLimit {
        /// The channel file.
        file: PathBuf,
        /// The limit.
        found: u32,
        /// The least that it should be.
        needed: usize,
    },
    /// No channel id could be drawn.
    #[error(transparent)]
    Randomness(#[from] KeyError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(deserialize_with = "allowed::<ChannelName, _>")]
    name: String,
    #[serde(default = "one")]
    quorum: u32,
    #[serde(default)]
    limits: Limits,
    orgs: Vec<Org>,
    orderers: Vec<Orderer>,
    #[serde(default)]
    followers: Vec<Follower>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    envelope_bytes_max: u32,
    batch_envelopes_max: u32,
    batch_bytes_max: u32,
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    batch_timeout: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Org {
    name: String,
    msp: PathBuf,
    #[serde(default)]
    anchors: Vec<String>,
    #[serde(default = "yes")]
    reader: bool,
    #[serde(default = "yes")]
    writer: bool,
    #[serde(default)]
    reader_ous: Vec<String>,
    #[serde(default)]
    writer_ous: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Orderer {
    org: String,
    certificate: PathBuf,
    msp: PathBuf,
    #[serde(deserialize_with = "allowed::<Endpoint, _>")]
    endpoint: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Follower {
    org: String,
    msp: PathBuf,
    #[serde(deserialize_with = "allowed::<Endpoint, _>")]
    endpoint: String,
}

/// A text that is one of these. Said here, so that the error shows its line.
fn allowed<'de, T, D>(deserializer: D) -> Result<String, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    text.parse::<T>().map_err(D::Error::custom)?;
    Ok(text)
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

impl Default for Limits {
    fn default() -> Self {
        let limits = ChannelLimits::default();
        Self {
            envelope_bytes_max: limits.envelope_bytes_max,
            batch_envelopes_max: limits.batch_envelopes_max,
            batch_bytes_max: limits.batch_bytes_max,
            batch_timeout: limits.batch_timeout,
        }
    }
}

/// Makes a new channel's genesis block, with a random id, of a channel file.
///
/// # Errors
/// [`ChannelFileError`] names file, cause and cure.
pub fn create_genesis(file: &Path, timestamp: WallTime) -> Result<Genesis, ChannelFileError> {
    let config = read_config(file)?;
    // The key generator is our only source of randomness; its seed is as random as its key.
    let channel = ChannelId::from_bytes(*SecretKey::generate()?.seed_bytes());
    let genesis = Genesis::create(channel, &config, timestamp)
        .map_err(|error| ChannelFileError::Genesis { file: file.to_owned(), error })?;
    let found = genesis.config().limits().envelope_bytes_max;
    let config_bytes = ConfigUpdate::propose(&config).config().len();
    let needed = ConfigUpdate::envelope_bytes_needed(genesis.config(), config_bytes, SIGNATURE_BYTES);
    match (found as usize) < needed {
        true => Err(ChannelFileError::EnvelopeLimit { file: file.to_owned(), found, needed }),
        false => Ok(genesis),
    }
}

/// Reads the config that a channel file describes, with number 0.
///
/// # Errors
/// [`ChannelFileError`] names file, cause and cure.
pub fn read_config(file: &Path) -> Result<proto::ChannelConfig, ChannelFileError> {
    let read: File = text_file::read_toml(file)?;
    let limits = ChannelLimits {
        envelope_bytes_max: read.limits.envelope_bytes_max,
        batch_envelopes_max: read.limits.batch_envelopes_max,
        batch_bytes_max: read.limits.batch_bytes_max,
        batch_timeout: read.limits.batch_timeout,
    };
    let certificates = |error| ChannelFileError::Certificates { file: file.to_owned(), error };
    let orgs = read.orgs.iter().map(|org| read_org(file, org)).collect::<Result<_, _>>();
    let orderers = read.orderers.iter().map(|orderer| read_orderer(file, orderer)).collect::<Result<_, _>>();
    let followers =
        read.followers.iter().map(|follower| read_follower(file, follower)).collect::<Result<_, _>>();
    Ok(proto::ChannelConfig {
        number: 0,
        previous_hash: Bytes::copy_from_slice(&[0; 32]),
        name: read.name,
        orgs: orgs.map_err(certificates)?,
        orderers: orderers.map_err(certificates)?,
        quorum: read.quorum,
        limits: Some((&limits).into()),
        followers: followers.map_err(certificates)?,
    })
}

/// An org, reader and writer without anchors, of the public files in a folder.
///
/// # Errors
/// [`MspError`], with the file and the cure.
pub fn org_config(name: &str, folder: &Path) -> Result<proto::OrgConfig, MspError> {
    let roots = msp::load_roots(folder, name)?;
    Ok(proto::OrgConfig {
        name: name.to_owned(),
        roots: roots.roots.iter().map(|certificate| certificate.der().clone()).collect(),
        intermediates: roots.intermediates.iter().map(|certificate| certificate.der().clone()).collect(),
        tls_roots: roots.tls_roots,
        reader: true,
        writer: true,
        ..proto::OrgConfig::default()
    })
}

fn read_org(file: &Path, org: &Org) -> Result<proto::OrgConfig, MspError> {
    Ok(proto::OrgConfig {
        anchors: org.anchors.clone(),
        reader: org.reader,
        writer: org.writer,
        reader_ous: org.reader_ous.clone(),
        writer_ous: org.writer_ous.clone(),
        ..org_config(&org.name, &beside(file, &org.msp))?
    })
}

fn read_orderer(file: &Path, orderer: &Orderer) -> Result<proto::OrdererConfig, MspError> {
    let roots = msp::load_roots(&beside(file, &orderer.msp), &orderer.org)?;
    let certificate_file = beside(file, &orderer.certificate);
    let certificate = msp::load_certificate(&certificate_file)?;
    if certificate.org() != orderer.org {
        let error =
            CertificateError::WrongCa { org: orderer.org.clone(), signed_by: certificate.org().to_owned() };
        return Err(MspError::Certificate { file: certificate_file, error });
    }
    Ok(proto::OrdererConfig {
        key: Bytes::copy_from_slice(certificate.public_key().as_bytes()),
        org: orderer.org.clone(),
        endpoint: orderer.endpoint.clone(),
        tls_roots: roots.tls_roots,
    })
}

fn read_follower(file: &Path, follower: &Follower) -> Result<proto::FollowerConfig, MspError> {
    let roots = msp::load_roots(&beside(file, &follower.msp), &follower.org)?;
    let (org, endpoint) = (follower.org.clone(), follower.endpoint.clone());
    Ok(proto::FollowerConfig { org, endpoint, tls_roots: roots.tls_roots })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::issue::{Authority, Enrolment, TlsAuthority, Validity};
    use ledgercast_crypto::{OrgRoots, Role};

    fn refusal(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("channel.toml");
        std::fs::write(&file, text).unwrap();
        create_genesis(&file, WallTime::from_millis(1)).unwrap_err().to_string()
    }

    #[test]
    fn the_documented_file_has_the_default_limits_and_known_keys() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/channel.toml");

        let read: File = text_file::read_toml(&file).unwrap();

        let defaults = Limits::default();
        assert_eq!(read.limits.envelope_bytes_max, defaults.envelope_bytes_max);
        assert_eq!(read.limits.batch_envelopes_max, defaults.batch_envelopes_max);
        assert_eq!(read.limits.batch_bytes_max, defaults.batch_bytes_max);
        assert_eq!(read.limits.batch_timeout, defaults.batch_timeout);
        assert_eq!(read.quorum, one());
    }

    #[test]
    fn a_limit_that_leaves_no_room_for_an_update_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let validity = Validity { not_before: 1_700_000_000, not_after: 2_000_000_000 };
        let authority = Authority::create("org1", validity).unwrap();
        let key = SecretKey::generate().unwrap();
        let enrolment = Enrolment { common_name: "orderer", role: Role::Orderer, validity, unit: None };
        let certificate = authority.enrol(&key.public(), &enrolment).unwrap();
        let roots = OrgRoots {
            name: "org1".to_owned(),
            roots: vec![authority.certificate().clone()],
            intermediates: Vec::new(),
            tls_roots: vec![TlsAuthority::create("org1", validity).unwrap().certificate().clone()],
            crls: Vec::new(),
        };
        roots.write(&folder.path().join("msp")).unwrap();
        std::fs::write(folder.path().join("orderer.pem"), certificate.to_pem()).unwrap();
        let file = folder.path().join("channel.toml");
        let create = |envelope_bytes_max: usize| {
            let text = format!(
                "name = \"trade\"\n[limits]\nenvelope_bytes_max = {envelope_bytes_max}\n\
                 [[orgs]]\nname = \"org1\"\nmsp = \"msp\"\n\
                 [[orderers]]\norg = \"org1\"\ncertificate = \"orderer.pem\"\nmsp = \"msp\"\n\
                 endpoint = \"orderer:7050\""
            );
            std::fs::write(&file, text).unwrap();
            create_genesis(&file, WallTime::from_millis(1))
        };

        let Err(ChannelFileError::EnvelopeLimit { needed, .. }) = create(1000) else {
            panic!("no update fits into 1000 bytes");
        };

        assert!(needed > SIGNATURE_BYTES, "{needed}");
        // The limit itself takes a byte more in the config at most.
        assert!(create(needed + 8).is_ok());
        assert!(matches!(create(needed - 1), Err(ChannelFileError::EnvelopeLimit { .. })));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = refusal("name = \"trade\"\nqourum = 1\norgs = []\norderers = []");

        assert!(error.contains("line 2") && error.contains("qourum"), "{error}");
    }

    #[test]
    fn a_channel_without_orgs_is_refused() {
        let error = refusal("name = \"trade\"\norgs = []\norderers = []");

        assert!(error.contains("0 orgs"), "{error}");
    }

    #[test]
    fn an_org_without_certificates_is_refused_by_folder() {
        let error = refusal("name = \"trade\"\norderers = []\n[[orgs]]\nname = \"org1\"\nmsp = \"nowhere\"");

        assert!(error.contains("nowhere/cacerts"), "{error}");
    }
}
