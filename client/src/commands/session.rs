//! What verbs that talk to servers start with: profile, identity, connection.

use super::{Failure, Globals};
use crate::connection::{Connection, Connector};
use crate::profile::{Overrides, Profile};
use crate::text_file::TextFileError;
use bytes::Bytes;
use ledgercast_crypto::Msp;
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::time::WallTime;
use ledgercast_protocol::types::ChannelName;
use std::io;
use std::time::SystemTime;

/// An identity that may open connections.
pub(super) struct Session {
    pub(super) profile: Profile,
    pub(super) msp: Msp,
    pub(super) connector: Connector,
}

impl Session {
    /// Reads profile and identity; expired or foreign certificates are refused here, with their cure.
    pub(super) fn load(globals: &Globals) -> Result<Self, Failure> {
        let profile = load_profile(globals)?;
        let msp = profile.load_msp()?;
        msp.identity(wall_time().as_seconds())?;
        let connector = profile.connector(&msp)?;
        Ok(Self { profile, msp, connector })
    }

    /// Connects to the server that is asked.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let endpoint = self.profile.require_endpoint()?;
        Ok(self.connector.connect(endpoint, &[]).await?)
    }

    /// Connects to the server that is asked, which may be of any org of the channel.
    pub(super) async fn connect_for(&self, genesis: &Genesis) -> Result<Connection, Failure> {
        let endpoint = self.profile.require_endpoint()?;
        let config = genesis.config();
        let orgs = config.orgs().iter().flat_map(|org| org.tls_roots.clone());
        let orderers = config.sources().into_iter().flat_map(|orderer| orderer.tls_roots);
        let roots: Vec<Bytes> = orgs.chain(orderers).collect();
        Ok(self.connector.connect(endpoint, &roots).await?)
    }

    pub(super) fn genesis(&self, channel: &ChannelName) -> Result<Genesis, Failure> {
        Ok(self.profile.genesis(channel)?)
    }
}

fn load_profile(globals: &Globals) -> Result<Profile, Failure> {
    let profile = Profile::load(&globals.profile).map_err(|error| match &error {
        TextFileError::Read { error: cause, .. } if cause.kind() == io::ErrorKind::NotFound => {
            Failure::from(error)
                .cure("pass --profile FILE or set LEDGERCAST_PROFILE; `ledgercast testnet` writes profiles")
        }
        _ => error.into(),
    })?;
    Ok(profile.with(Overrides {
        msp: globals.msp.clone(),
        endpoint: globals.at.clone(),
        orderers: globals.orderers.clone(),
        channels: globals.channels.clone(),
    }))
}

/// Now, by this machine's clock; before 1970 counts as 1970.
pub(super) fn wall_time() -> WallTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
