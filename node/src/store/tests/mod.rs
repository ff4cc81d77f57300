//! The shared suite over RocksDB, and what only a store on disk can get wrong.

mod crash;
mod damage;
mod folder;

use super::RocksDbStore;
use ledgercast_protocol::ledger::VerifiedBlock;
use ledgercast_protocol::store::suite::Chain;
use ledgercast_protocol::store::{BlockStore, EnvelopePosition, MetaKey};
use ledgercast_protocol::types::{BlockNumber, Height};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use tempfile::TempDir;

mod suite {
    fn with_store(test: fn(&dyn ledgercast_protocol::store::BlockStore)) {
        let (_folder, store) = super::empty();

        test(&store);
    }

    ledgercast_protocol::block_store_suite!(with_store);
}

fn empty() -> (TempDir, RocksDbStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = RocksDbStore::open(folder.path()).unwrap();
    (folder, store)
}

fn created(store: &RocksDbStore, seed: u8) -> Chain {
    let chain = Chain::new(seed);
    store.create_channel(chain.name(), chain.genesis()).unwrap();
    chain
}

/// Bytes that no compression shortens, different for each seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

fn flush(store: &RocksDbStore) {
    for family in super::options::BLOCK_FAMILIES {
        store.database.flush_cf(store.family(family)).unwrap();
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("db")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    files
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    fs::create_dir(to.path().join("db")).unwrap();
    fs::copy(from.join("FORMAT"), to.path().join("FORMAT")).unwrap();
    for entry in fs::read_dir(from.join("db")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join("db").join(entry.file_name())).unwrap();
    }
    to
}

fn position_of(needle: &[u8], file: &Path) -> Option<usize> {
    fs::read(file).unwrap().windows(needle.len()).position(|window| window == needle)
}

fn assert_holds(store: &RocksDbStore, chain: &Chain, blocks: &[VerifiedBlock]) {
    let height = Height::new(1 + blocks.len() as u64);
    assert_eq!(store.height(chain.channel()), Ok(height));
    for block in blocks {
        let read = store.read(chain.channel(), block.number());
        assert!(read == Ok(Some(block.to_block())), "block {} is not what was appended", block.number());
        for (id, position) in EnvelopePosition::all_of(block) {
            assert_eq!(store.find_envelope(chain.channel(), id), Ok(Some(position)));
        }
    }
}

#[test]
fn everything_acknowledged_is_there_after_a_restart() {
    let (folder, store) = empty();
    let (mut trade, mut audit) = (created(&store, 1), created(&store, 0xff));
    let (in_trade, in_audit) = (trade.extend(5), audit.extend(2));
    store.append(&in_trade).unwrap();
    store.append(&in_audit).unwrap();
    store.put_meta(MetaKey::Incarnation, b"1700000000000").unwrap();
    drop(store);

    let store = RocksDbStore::open(folder.path()).unwrap();

    assert_holds(&store, &trade, &in_trade);
    assert_holds(&store, &audit, &in_audit);
    let names: Vec<_> = store.channels().unwrap().into_iter().map(|held| held.name).collect();
    assert_eq!(names, [trade.name().clone(), audit.name().clone()]);
    assert_eq!(store.meta(MetaKey::Incarnation).unwrap().unwrap(), &b"1700000000000"[..]);
    assert_eq!(store.append(&trade.extend(1)), Ok(()));
}

#[test]
fn a_removed_channel_stays_removed_and_its_bytes_leave_the_disk() {
    let (folder, store) = empty();
    let (mut gone, mut kept) = (created(&store, 1), created(&store, 2));
    let canary = noise(1, 4096);
    store.append(&[gone.next(&[&canary])]).unwrap();
    flush(&store);
    store.append(&[gone.next(&[&canary])]).unwrap();
    let blocks = kept.extend(3);
    store.append(&blocks).unwrap();
    let is_on_disk = || {
        let everything = [files(folder.path(), "sst"), files(folder.path(), "log")].concat();
        everything.iter().any(|file| position_of(&canary[..64], file).is_some())
    };
    assert!(is_on_disk(), "the canary is found while the channel is held");

    store.remove_channel(gone.channel()).unwrap();

    assert!(!is_on_disk());
    drop(store);
    let store = RocksDbStore::open(folder.path()).unwrap();
    assert_eq!(store.channels().unwrap().len(), 1);
    assert_holds(&store, &kept, &blocks);
}

#[test]
fn channels_are_appended_to_from_several_threads() {
    let (_folder, store) = empty();
    let mut chains: Vec<_> = (1..=4).map(|seed| created(&store, seed)).collect();

    thread::scope(|scope| {
        for chain in &mut chains {
            scope.spawn(|| {
                for block in chain.extend(20) {
                    store.append(&[block]).unwrap();
                }
            });
        }
    });

    for chain in &chains {
        assert_eq!(store.height(chain.channel()), Ok(Height::new(21)));
        assert!(store.read(chain.channel(), BlockNumber::new(20)).unwrap().is_some());
    }
}
