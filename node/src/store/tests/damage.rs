//! Flipped bits and swapped values: every one is an error that says where, or changes no answer; none panics.

use super::{RocksDbStore, copy, created, empty, files, flush, noise, position_of};
use crate::store::{OpenError, keys, options};
use ledgercast_protocol::store::suite::Chain;
use ledgercast_protocol::store::{BlockStore, StoreError};
use ledgercast_protocol::types::BlockNumber;
use std::fs;
use std::path::Path;

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x10;
    fs::write(file, bytes).unwrap();
}

fn assert_damaged(store: &RocksDbStore, chain: &Chain, number: u64) {
    let number = BlockNumber::new(number);
    let read = store.read(chain.channel(), number);
    match &read {
        Err(error @ StoreError::Damaged { channel, number: found, .. }) => {
            assert_eq!((*channel, *found), (chain.channel(), number), "{error}");
        }
        other => panic!("block {number} reads as {other:?}"),
    }
}

#[test]
fn a_flipped_bit_in_a_body_is_found_when_it_is_read() {
    let (folder, store) = empty();
    let mut chain = created(&store, 1);
    let payloads = [noise(1, 20_000), noise(2, 20_000), noise(3, 20_000)];
    let blocks = payloads.each_ref().map(|payload| chain.next(&[payload]));
    store.append(&blocks).unwrap();
    flush(&store);
    drop(store);
    let needle = &payloads[1][10_000..10_032];
    let (file, at) = files(folder.path(), "sst")
        .into_iter()
        .find_map(|file| position_of(needle, &file).map(|at| (file, at)))
        .expect("the payload is in a table file");

    flip(&file, at);

    let store = RocksDbStore::open(folder.path()).unwrap();
    assert_damaged(&store, &chain, 2);
    for (number, block) in [(1, &blocks[0]), (3, &blocks[2])] {
        assert!(store.read(chain.channel(), BlockNumber::new(number)) == Ok(Some(block.to_block())));
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_table_is_an_error_or_changes_no_answer() {
    let (folder, store) = empty();
    let mut chain = created(&store, 1);
    let blocks = chain.extend(3);
    store.append(&blocks).unwrap();
    flush(&store);
    drop(store);

    for file in files(folder.path(), "sst") {
        let name = file.file_name().unwrap();
        for at in (0..fs::metadata(&file).unwrap().len() as usize).step_by(61) {
            let damaged = copy(folder.path());
            flip(&damaged.path().join("db").join(name), at);
            let Ok(store) = RocksDbStore::open(damaged.path()) else { continue };
            for block in &blocks {
                if let Ok(read) = store.read(chain.channel(), block.number()) {
                    assert_eq!(read, Some(block.to_block()), "byte {at} of {name:?}");
                }
            }
        }
    }
}

#[test]
fn damage_before_the_end_of_the_log_refuses_to_open() {
    let (folder, store) = empty();
    let mut chain = created(&store, 1);
    let payload = noise(1, 1000);
    store.append(&[chain.next(&[&payload])]).unwrap();
    store.append(&chain.extend(3)).unwrap();
    let crashed = copy(folder.path());
    let log = files(crashed.path(), "log").into_iter().find(|log| position_of(&payload, log).is_some());
    let log = log.expect("the payload is in the log");

    flip(&log, position_of(&payload, &log).unwrap());

    let refused = RocksDbStore::open(crashed.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}

#[test]
fn a_block_in_the_place_of_another_is_damage() {
    let (_folder, store) = empty();
    let mut chain = created(&store, 1);
    let blocks = chain.extend(3);
    store.append(&blocks).unwrap();
    let key = |number| keys::block(chain.channel(), BlockNumber::new(number));
    let put = |family, at, value: &[u8]| store.database.put_cf(store.family(family), key(at), value).unwrap();

    put(options::HEADERS, 1, &blocks[1].header().certified().encode());
    put(options::HEADERS, 2, b"no header");
    put(options::BODIES, 3, b"too short");

    (1..=3).for_each(|number| assert_damaged(&store, &chain, number));
}

#[test]
fn a_block_that_is_missing_below_the_tip_is_damage() {
    let (folder, store) = empty();
    let mut chain = created(&store, 1);
    store.append(&chain.extend(3)).unwrap();
    let key = |number| keys::block(chain.channel(), BlockNumber::new(number));
    store.database.delete_cf(store.family(options::HEADERS), key(1)).unwrap();
    store.database.delete_cf(store.family(options::BODIES), key(2)).unwrap();

    assert_damaged(&store, &chain, 1);
    assert_damaged(&store, &chain, 2);

    store.database.put_cf(store.family(options::HEADERS), key(3), b"no header").unwrap();
    drop(store);
    let refused = RocksDbStore::open(folder.path()).unwrap_err();
    let OpenError::Content { cause: StoreError::Damaged { number, .. }, .. } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(*number, BlockNumber::new(3));
}
