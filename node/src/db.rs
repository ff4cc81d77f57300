//! Offline tools for a store that no process has open.

use crate::failure::Failure;
use crate::store::RocksDbStore;
use ledgercast_protocol::job::judge_update;
use ledgercast_protocol::ledger::{VerifiedBlock, VerifiedHeader};
use ledgercast_protocol::store::{BlockStore, StoredChannel};
use ledgercast_protocol::types::BlockNumber;
use std::path::Path;
use std::sync::Arc;

fn open(folder: &Path) -> Result<RocksDbStore, Failure> {
    // Opening would make a new store; a look must change nothing.
    if !RocksDbStore::is_at(folder) {
        let folder = folder.display();
        let cure = "name the folder that [store] path names, which has a file FORMAT";
        return Err(Failure::refused(format!("there is no store in {folder}; {cure}")));
    }
    RocksDbStore::open(folder).map_err(Failure::refused)
}

/// Prints the channels of a store.
///
/// # Errors
/// The store cannot be opened or read.
pub(crate) fn list(folder: &Path) -> Result<(), Failure> {
    for channel in open(folder)?.channels().map_err(Failure::failed)? {
        println!("{}  height {}  {}", channel.name, channel.height, channel.genesis.channel());
    }
    Ok(())
}

/// Reads every block and checks hashes, roots, certificates, links and config updates.
///
/// # Errors
/// The store cannot be opened, or a block is not what it should be; the text names the first one.
pub(crate) fn verify(folder: &Path) -> Result<(), Failure> {
    let store = open(folder)?;
    for channel in store.channels().map_err(Failure::failed)? {
        verify_channel(&store, &channel)?;
        println!("{}  {} blocks, all right", channel.name, channel.height);
    }
    Ok(())
}

fn verify_channel(store: &dyn BlockStore, channel: &StoredChannel) -> Result<(), Failure> {
    let genesis = channel.genesis.block();
    let mut previous: VerifiedHeader = genesis.header().clone();
    let mut config = Arc::clone(channel.genesis.config());
    let mut config_blocks = Vec::new();
    for number in 1..channel.height.as_u64() {
        let number = BlockNumber::new(number);
        let wrong =
            |cause: String| Failure::failed(format!("channel {}, block {number}: {cause}", channel.name));
        let block =
            store.read(channel.genesis.channel(), number).map_err(|error| wrong(error.to_string()))?;
        let block = block.ok_or_else(|| wrong("it is missing below the tip".to_owned()))?;
        let header =
            VerifiedHeader::try_new(block.header, &config).map_err(|error| wrong(error.to_string()))?;
        if !header.follows(&previous) {
            return Err(wrong("it does not follow the block before it".to_owned()));
        }
        let block =
            VerifiedBlock::try_new(header.clone(), block.body).map_err(|error| wrong(error.to_string()))?;
        if let Some(next) = judge_update(&block, &config) {
            config = next.map_err(|error| wrong(error.to_string()))?;
            config_blocks.push(number);
        }
        previous = header;
    }
    let indexed = store.config_blocks(channel.genesis.channel()).map_err(Failure::failed)?;
    match indexed == config_blocks {
        true => Ok(()),
        false => Err(Failure::failed(format!(
            "channel {}: the index of config blocks names {indexed:?}, the chain has {config_blocks:?}",
            channel.name
        ))),
    }
}
