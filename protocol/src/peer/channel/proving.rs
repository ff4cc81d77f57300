//! Headers under verification, with what waits for their proof: pushes and the frames that follow them.
//!
//! Nothing here is believed. Copies of one header from several sources are verified side by side, up to a
//! bound: a copy with a false certificate must not keep the true one out.

use super::Settings;
use crate::event::Source;
use crate::types::MemberId;
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Proving {
    entries: BTreeMap<Digest, Entry>,
    per_source: BTreeMap<Source, usize>,
    stash_bytes: usize,
    stash_bytes_by: BTreeMap<MemberId, usize>,
    per_source_max: usize,
    copies_max: usize,
    stash_bytes_max: usize,
    stash_bytes_per_member: usize,
}

/// What waits for one header.
#[derive(Debug)]
pub(super) struct Entry {
    sources: Vec<Source>,
    pub(super) is_history: bool,
    pub(super) pushes: Vec<OpenedPush>,
    pub(super) frames: Vec<StashedFrame>,
}

/// A push whose header is not proven yet.
#[derive(Clone, Debug)]
pub(super) struct OpenedPush {
    pub(super) from: MemberId,
    pub(super) relay_set: Digest,
    pub(super) children: Vec<MemberId>,
}

/// A frame of a body whose header is not proven yet.
#[derive(Debug)]
pub(super) struct StashedFrame {
    pub(super) from: MemberId,
    pub(super) index: u32,
    pub(super) payload: Bytes,
}

impl Proving {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            entries: BTreeMap::new(),
            per_source: BTreeMap::new(),
            stash_bytes: 0,
            stash_bytes_by: BTreeMap::new(),
            per_source_max: settings.proving_per_source,
            copies_max: settings.proving_copies_max,
            stash_bytes_max: settings.stash_bytes_max,
            stash_bytes_per_member: settings.stash_bytes_per_member,
        }
    }

    /// Whether anybody's copy of a header is here.
    pub(super) fn contains(&self, header_hash: Digest) -> bool {
        self.entries.contains_key(&header_hash)
    }

    /// Whether this source's copy of a header was taken in and not turned out false.
    pub(super) fn holds(&self, header_hash: Digest, source: Source) -> bool {
        self.entries.get(&header_hash).is_some_and(|entry| entry.sources.contains(&source))
    }

    pub(super) fn stash_bytes(&self) -> u64 {
        self.stash_bytes as u64
    }

    /// Whether this source's copy is to be verified; notes that it is.
    pub(super) fn admit(&mut self, header_hash: Digest, source: Source, is_history: bool) -> bool {
        let of_source = self.per_source.get(&source).copied().unwrap_or_default();
        if of_source >= self.per_source_max {
            return false;
        }
        let entry = self.entries.entry(header_hash).or_insert_with(|| Entry {
            sources: Vec::new(),
            is_history,
            pushes: Vec::new(),
            frames: Vec::new(),
        });
        // Orderers are few: each of them may show its copy.
        let is_full = matches!(source, Source::Peer(_)) && entry.sources.len() >= self.copies_max;
        if is_full || entry.sources.contains(&source) {
            return false;
        }
        entry.sources.push(source);
        *self.per_source.entry(source).or_default() += 1;
        true
    }

    /// Keeps a push until its header is proven.
    pub(super) fn keep_push(&mut self, header_hash: Digest, push: OpenedPush) {
        if let Some(entry) = self.entries.get_mut(&header_hash)
            && entry.pushes.len() < self.copies_max
            && entry.pushes.iter().all(|it| it.from != push.from)
        {
            entry.pushes.push(push);
        }
    }

    /// Keeps a frame until its header is proven; `false` when nobody opened it, or there is no room.
    pub(super) fn keep_frame(&mut self, header_hash: Digest, frame: StashedFrame) -> bool {
        let Some(entry) = self.entries.get_mut(&header_hash) else {
            return false;
        };
        let bytes = frame.payload.len();
        let of_member = self.stash_bytes_by.entry(frame.from).or_default();
        if entry.pushes.iter().all(|it| it.from != frame.from)
            || self.stash_bytes + bytes > self.stash_bytes_max
            || *of_member + bytes > self.stash_bytes_per_member
        {
            return false;
        }
        *of_member += bytes;
        self.stash_bytes += bytes;
        entry.frames.push(frame);
        true
    }

    /// Takes out what waited for a header that is proven, or that is of no use any more.
    pub(super) fn take(&mut self, header_hash: Digest) -> Option<Entry> {
        let entry = self.entries.remove(&header_hash)?;
        for source in &entry.sources {
            self.release(*source);
        }
        for frame in &entry.frames {
            self.release_frame(frame);
        }
        Some(entry)
    }

    /// Gives up one source's copy of a header, which may come again; with the last one all that waits goes.
    pub(super) fn withdraw(&mut self, header_hash: Digest, source: Source) {
        let Some(entry) = self.entries.get_mut(&header_hash) else {
            return;
        };
        if entry.sources == [source] {
            self.take(header_hash);
        } else if let Some(place) = entry.sources.iter().position(|it| *it == source) {
            entry.sources.remove(place);
            self.release(source);
        }
    }

    /// Forgets all copies of a source: one of them was false. What only it has sent goes with them.
    pub(super) fn forget_source(&mut self, source: Source) {
        for (header_hash, entry) in std::mem::take(&mut self.entries) {
            let mut entry = entry;
            if entry.sources.contains(&source) {
                entry.sources.retain(|it| *it != source);
                entry.pushes.retain(|it| Source::Peer(it.from) != source);
                let (gone, kept) =
                    entry.frames.into_iter().partition(|it: &StashedFrame| Source::Peer(it.from) == source);
                entry.frames = kept;
                let gone: Vec<StashedFrame> = gone;
                gone.iter().for_each(|frame| self.release_frame(frame));
            }
            if entry.sources.is_empty() {
                entry.frames.iter().for_each(|frame| self.release_frame(frame));
            } else {
                self.entries.insert(header_hash, entry);
            }
        }
        self.per_source.remove(&source);
    }

    fn release(&mut self, source: Source) {
        if let Some(count) = self.per_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_source.remove(&source);
            }
        }
    }

    fn release_frame(&mut self, frame: &StashedFrame) {
        let bytes = frame.payload.len();
        self.stash_bytes = self.stash_bytes.saturating_sub(bytes);
        if let Some(of_member) = self.stash_bytes_by.get_mut(&frame.from) {
            *of_member = of_member.saturating_sub(bytes);
            if *of_member == 0 {
                self.stash_bytes_by.remove(&frame.from);
            }
        }
    }
}
