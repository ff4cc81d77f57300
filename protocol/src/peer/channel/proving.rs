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

/// What a stashed frame is taken to cost beside its bytes (guess: a map's entry and an allocation).
pub(super) const FRAME_OVERHEAD_BYTES: usize = 128;

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
    /// By sender and index: each sender's own, as long as nobody knows which one is right.
    pub(super) frames: BTreeMap<(MemberId, u32), Bytes>,
}

/// A push whose header is not proven yet.
#[derive(Clone, Debug)]
pub(super) struct OpenedPush {
    pub(super) from: MemberId,
    pub(super) relay_set: Digest,
    pub(super) children: Vec<MemberId>,
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
            frames: BTreeMap::new(),
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

    /// Keeps a copy of a frame until its header is proven; the frame itself would hold all that its sender
    /// put around it. `false` when nobody opened it, it came before, or there is no room.
    pub(super) fn keep_frame(
        &mut self,
        header_hash: Digest,
        from: MemberId,
        index: u32,
        payload: &[u8],
    ) -> bool {
        let Some(entry) = self.entries.get_mut(&header_hash) else {
            return false;
        };
        let bytes = frame_cost(payload);
        let of_member = self.stash_bytes_by.get(&from).copied().unwrap_or_default();
        if entry.pushes.iter().all(|it| it.from != from)
            || entry.frames.contains_key(&(from, index))
            || self.stash_bytes + bytes > self.stash_bytes_max
            || of_member + bytes > self.stash_bytes_per_member
        {
            return false;
        }
        *self.stash_bytes_by.entry(from).or_default() += bytes;
        self.stash_bytes += bytes;
        entry.frames.insert((from, index), Bytes::copy_from_slice(payload));
        true
    }

    /// Takes out what waited for a header that is proven, or that is of no use any more.
    pub(super) fn take(&mut self, header_hash: Digest) -> Option<Entry> {
        let entry = self.entries.remove(&header_hash)?;
        for source in &entry.sources {
            self.release(*source);
        }
        for ((from, _), payload) in &entry.frames {
            self.release_frame(*from, payload);
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
        for (header_hash, mut entry) in std::mem::take(&mut self.entries) {
            entry.sources.retain(|it| *it != source);
            entry.pushes.retain(|it| Source::Peer(it.from) != source);
            let is_of_nobody = entry.sources.is_empty();
            let is_gone = |from| is_of_nobody || Source::Peer(from) == source;
            entry.frames.retain(|(from, _), payload| {
                let is_gone = is_gone(*from);
                if is_gone {
                    self.release_frame(*from, payload);
                }
                !is_gone
            });
            if !is_of_nobody {
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

    fn release_frame(&mut self, from: MemberId, payload: &[u8]) {
        let bytes = frame_cost(payload);
        self.stash_bytes = self.stash_bytes.saturating_sub(bytes);
        if let Some(of_member) = self.stash_bytes_by.get_mut(&from) {
            *of_member = of_member.saturating_sub(bytes);
            if *of_member == 0 {
                self.stash_bytes_by.remove(&from);
            }
        }
    }
}

fn frame_cost(payload: &[u8]) -> usize {
    payload.len() + FRAME_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: fn() -> MemberId = || MemberId::from_digest(Digest::of(b"somebody"));

    fn header() -> Digest {
        Digest::of(b"a header")
    }

    /// Under verification is one header, which a member has pushed.
    fn with_a_push(settings: &Settings) -> Proving {
        let mut proving = Proving::new(settings);
        proving.admit(header(), Source::Peer(MEMBER()), false);
        let push = OpenedPush { from: MEMBER(), relay_set: Digest::ZERO, children: Vec::new() };
        proving.keep_push(header(), push);
        proving
    }

    #[test]
    fn a_stashed_frame_holds_nothing_of_what_came_around_it() {
        let mut proving = with_a_push(&Settings::default());
        let frame = Bytes::from(vec![7; 1_000_000]);

        assert!(proving.keep_frame(header(), MEMBER(), 0, &frame.slice(10..11)));

        assert!(frame.is_unique(), "a single byte of it holds a million");
    }

    #[test]
    fn small_frames_are_bounded_in_number() {
        let settings =
            Settings { stash_bytes_per_member: 10 * (1 + FRAME_OVERHEAD_BYTES), ..Settings::default() };
        let mut proving = with_a_push(&settings);

        let kept = (0..100).filter(|index| proving.keep_frame(header(), MEMBER(), *index, b"x")).count();

        assert_eq!(kept, 10);
        proving.take(header());
        assert_eq!((proving.stash_bytes(), proving.stash_bytes_by.len()), (0, 0));
    }

    #[test]
    fn a_frame_that_comes_again_takes_no_room() {
        let mut proving = with_a_push(&Settings::default());

        assert!(proving.keep_frame(header(), MEMBER(), 3, b"one"));
        assert!(!proving.keep_frame(header(), MEMBER(), 3, b"another"));

        assert_eq!(proving.stash_bytes() as usize, 3 + FRAME_OVERHEAD_BYTES);
    }
}
