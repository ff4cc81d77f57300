//! What a ledger channel is: who belongs to it, who orders it, and its limits; from block 0.

mod config;
mod genesis;
mod limits;
mod policy;

pub use config::{ChannelConfig, ConfigError, Orderer, OrdererEndpoint, Org};
pub use genesis::{Genesis, GenesisError};
pub use limits::{BODY_BYTES_CEILING, CREATOR_CERTIFICATE_BYTES, ChannelLimits, LimitsError};
