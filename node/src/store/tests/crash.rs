//! Power cuts and full disks: what was acknowledged is there, what was not is there whole or not at all.

use super::folder::{given_folder, run_child};
use super::{RocksDbStore, assert_holds, copy, created, empty, files, noise};
use ledgercast_protocol::ledger::{Envelope, VerifiedBlock};
use ledgercast_protocol::store::{BlockStore, MetaKey};
use ledgercast_protocol::types::BlockNumber;
use std::fs::{self, OpenOptions};

const PAYLOAD_BYTES: usize = 200_000;
const ACKNOWLEDGED: &str = "acknowledged: ";

#[test]
fn an_acknowledged_block_survives_a_crash() {
    let (folder, store) = empty();
    let mut chain = created(&store, 1);
    let blocks = chain.extend(3);
    store.append(&blocks).unwrap();

    let crashed = copy(folder.path());

    assert_holds(&RocksDbStore::open(crashed.path()).unwrap(), &chain, &blocks);
}

#[test]
fn a_commit_cut_short_by_a_crash_is_absent_as_a_whole() {
    let (folder, store) = empty();
    let mut chain = created(&store, 1);
    let log = files(folder.path(), "log").pop().expect("a store has a log");
    let kept = chain.extend(2);
    store.append(&kept).unwrap();
    let acknowledged = fs::metadata(&log).unwrap().len();
    let cut = chain.extend(3);
    store.append(&cut).unwrap();
    let written = fs::metadata(&log).unwrap().len();
    assert!(written > acknowledged + 1000, "the log grew from {acknowledged} to {written}");

    for length in (acknowledged..written).step_by(97).chain([written - 1]) {
        let crashed = copy(folder.path());
        let log = crashed.path().join("db").join(log.file_name().unwrap());
        OpenOptions::new().write(true).open(&log).unwrap().set_len(length).unwrap();

        let store = RocksDbStore::open(crashed.path()).unwrap();

        assert_holds(&store, &chain, &kept);
        assert_eq!(store.append(&cut), Ok(()), "cut at {length}");
        assert_holds(&store, &chain, &[kept.clone(), cut.clone()].concat());
    }
}

#[test]
fn a_full_disk_is_reported_and_leaves_the_store_readable() {
    let (folder, store) = empty();
    drop(store);

    // The shell limits files to 1 MiB, which to a program looks like a disk that is full.
    let child = run_child("crash::child_fills_the_disk", folder.path(), "trap '' XFSZ; ulimit -f 1024;");

    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{text}{}", String::from_utf8_lossy(&child.stderr));
    assert!(text.contains("is full"), "{text}");
    let count = text.lines().find_map(|line| line.strip_prefix(ACKNOWLEDGED)).expect("the child counts");
    let acknowledged: u64 = count.parse().unwrap();
    assert!(acknowledged >= 5, "{acknowledged} blocks");
    let store = RocksDbStore::open(folder.path()).unwrap();
    let channel = store.channels().unwrap().remove(0).genesis.channel();
    for number in 1..=acknowledged {
        let block = store.read(channel, BlockNumber::new(number)).unwrap().expect("it was acknowledged");
        let block = VerifiedBlock::from_store(block).unwrap();
        let envelope = Envelope::decode(block.envelopes().next().unwrap()).unwrap();
        assert!(envelope.content().payload == noise(number, PAYLOAD_BYTES), "block {number}");
    }
    assert_eq!(store.put_meta(MetaKey::Marks, b"written again"), Ok(()));
}

#[test]
#[ignore = "the child's part of another test"]
fn child_fills_the_disk() {
    let Some(folder) = given_folder() else { return };
    let store = RocksDbStore::open(&folder).unwrap();
    let mut chain = created(&store, 1);
    let mut blocks = Vec::new();

    let error = loop {
        let block = chain.next(&[&noise(blocks.len() as u64 + 1, PAYLOAD_BYTES)]);
        match store.append(std::slice::from_ref(&block)) {
            Ok(()) => blocks.push(block),
            Err(error) => break error,
        }
        assert!(blocks.len() < 100, "the limit is not reached");
    };

    println!("{error}");
    assert_holds(&store, &chain, &blocks);
    println!("{ACKNOWLEDGED}{}", blocks.len());
}
