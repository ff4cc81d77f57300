//! What a ledger channel is: who belongs to it, who orders it, and its limits; from block 0 and
//! the config blocks after it.

mod config;
mod genesis;
mod history;
mod limits;
mod policy;
mod update;

pub(crate) use config::{
    ANCHORS_PER_ORG_MAX, CERTIFICATES_PER_ORG_MAX, FOLLOWERS_MAX, ORGS_MAX, UNITS_PER_ORG_MAX,
};
pub use config::{ChannelConfig, ConfigError, Orderer, OrdererEndpoint, Org};
pub use genesis::{Genesis, GenesisError};
pub use history::{Access, ConfigHistory};
pub use limits::{
    BLOCK_MESSAGE_BYTES_MAX, BODY_BYTES_CEILING, CREATOR_CERTIFICATE_BYTES, ChannelLimits, LimitsError,
};
pub use update::{AdminSignature, ConfigUpdate, SIGNATURES_MAX, UpdateError};
