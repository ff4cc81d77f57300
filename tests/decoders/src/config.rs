//! Channel configs: in block 0, and in updates that any writer may submit.
//!
//! Bound: 8 KiB and 24 times the input, and while a certificate in it is parsed 128 times that. Derived: a
//! CA's certificate is held decoded (its own bytes, names and numbers) in the roster and while it is
//! checked; names and endpoints are copied, and copied again to find those that stand there twice.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::Digest;
use ledgercast_crypto::certificate::CERTIFICATE_BYTES_MAX;
use ledgercast_protocol::channel::ChannelConfig;
use ledgercast_protocol::types::ChannelId;

/// See the module.
pub const TARGET: Target = Target {
    name: "config",
    bound: Bound { base: 8 * 1024, factor: 24, parsed_max: CERTIFICATE_BYTES_MAX },
    property: check,
};

fn check(trial: &Trial<'_>) {
    let channel = ChannelId::from_bytes([7; 32]);
    let Ok(config) = trial.decode(|bytes| ChannelConfig::decode(channel, bytes)) else { return };

    assert_eq!(config.bytes(), trial.input(), "a config's hash is of its exact bytes");
    assert_eq!(config.hash(), Digest::of(trial.input()));
    assert!((1..=config.orderers().len()).contains(&config.quorum()));
    assert!(config.sources().len() == config.orderers().len() + config.followers().len());
    assert!(config.orgs().iter().all(|org| config.org(org.id).is_some()));
    let wire = config.to_wire();
    assert_eq!(wire.orgs.len(), config.orgs().len());
}
