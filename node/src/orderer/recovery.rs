//! What an orderer reads back from its store before it orders anew: tips, configs, nonces.

use super::OrdererError;
use ledgercast_crypto::SecretKey;
use ledgercast_protocol::channel::ConfigHistory;
use ledgercast_protocol::ledger::{VerifiedBlock, VerifiedHeader};
use ledgercast_protocol::ordering::{Config, Nonces, OpenChannel, Sequencer};
use ledgercast_protocol::store::{BlockStore, StoreError, StoredChannel, config_history};
use ledgercast_protocol::types::ChannelId;
use std::sync::Arc;

/// Opens every stored channel. Reads as many blocks back as there are nonces to be remembered.
///
/// # Errors
/// [`OrdererError::Store`] when a chain cannot be read, [`OrdererError::Channel`] when it is not ours to
/// order.
pub(super) fn recover(
    config: Config,
    keys: Vec<SecretKey>,
    store: &dyn BlockStore,
) -> Result<(Sequencer, Vec<(StoredChannel, ConfigHistory)>), OrdererError> {
    let nonces_max = config.nonces_max;
    let mut sequencer = Sequencer::new(config, keys);
    let channels = store.channels()?;
    let mut recovered = Vec::with_capacity(channels.len());
    for held in channels {
        let channel = held.genesis.channel();
        let configs = config_history(store, &held.genesis)?;
        let config = Arc::clone(configs.current());
        let (tip, nonces) = (tip(store, &held)?, Nonces::recover(store, channel, nonces_max)?);
        sequencer
            .open(OpenChannel { config, tip, nonces })
            .map_err(|cause| OrdererError::Channel { name: held.name.clone(), cause })?;
        tracing::info!(name = %held.name, %channel, height = %held.height, "ordering for a stored channel");
        recovered.push((held, configs));
    }
    for (channel, status) in sequencer.statuses() {
        if let Some(cause) = status.halted {
            tracing::error!(%channel, cause, "a stored channel is served, nothing is ordered for it");
        }
    }
    Ok((sequencer, recovered))
}

fn tip(store: &dyn BlockStore, held: &StoredChannel) -> Result<VerifiedHeader, StoreError> {
    let channel: ChannelId = held.genesis.channel();
    let Some(number) = held.height.tip() else {
        return Ok(held.genesis.block().header().clone());
    };
    let damaged = |cause: String| StoreError::Damaged { channel, number, cause };
    let block = store.read(channel, number)?.ok_or_else(|| damaged("it is missing".to_owned()))?;
    let block = VerifiedBlock::from_store(block).map_err(|error| damaged(error.to_string()))?;
    Ok(block.header().clone())
}
