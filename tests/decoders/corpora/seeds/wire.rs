//! Frames, the frozen ones of `tests/conformance`, the statements in them, and what a peer saves.

use super::{Seed, seed};
use bytes::{BufMut as _, Bytes, BytesMut};
use data_encoding::HEXLOWER;
use ledgercast_crypto::Digest;
use ledgercast_protocol::wire::{ChannelMessage, Message};
use std::path::PathBuf;

pub(super) fn seeds() -> Vec<Seed> {
    let frames = frames();
    let mut seeds: Vec<Seed> = frames.iter().flat_map(|(name, bytes)| statement_in(name, bytes)).collect();
    seeds.extend(frames.into_iter().map(|(name, bytes)| seed("frame", name, bytes)));
    seeds.extend([("none", 0), ("one", 1), ("many", 20)].map(|(name, count)| marks(name, count)));
    seeds
}

/// Name and bytes.
fn frames() -> Vec<(String, Bytes)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../conformance/frames");
    let mut frames = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the frozen frames") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a frozen frame");
        frames.push((name, HEXLOWER.decode(text.trim().as_bytes()).expect("hex").into()));
    }
    frames.sort();
    frames
}

fn statement_in(name: &str, frame: &Bytes) -> Option<Seed> {
    let statement = match Message::decode(frame.clone()).expect("a frozen frame decodes") {
        Message::Alives(list) => list.first()?.alive.bytes().clone(),
        Message::Leave(leave) => leave.bytes().clone(),
        Message::Channel(_, ChannelMessage::States(list)) => list.first()?.bytes().clone(),
        Message::Channel(_, ChannelMessage::Leadership(claim)) => claim.bytes().clone(),
        Message::Channel(_, ChannelMessage::Leave(leave)) => leave.bytes().clone(),
        _ => return None,
    };
    Some(seed("statement", name, statement))
}

/// The table of `membership::marks`, whose bytes are frozen there.
fn marks(name: &str, count: u8) -> Seed {
    let mut saved = BytesMut::new();
    saved.put_u8(1);
    saved.put_u32(count.into());
    for index in 0..count {
        saved.put_slice(Digest::of(&[index]).as_bytes());
        saved.put_u64(1_750_000_000_000);
        saved.put_u64(index.into());
        saved.put_u64(1_750_000_048_000);
    }
    seed("saved_marks", name, saved.freeze())
}
