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
    stash: Stash,
    /// The part of the stash whose headers wait for a config, perhaps for long.
    stash_deferred: Stash,
    per_source_max: usize,
    copies_max: usize,
}

/// Bytes of stashed frames.
#[derive(Debug)]
struct Stash {
    bytes: usize,
    by_member: BTreeMap<MemberId, usize>,
    bytes_max: usize,
    per_member_max: usize,
}

/// What waits for one header.
#[derive(Debug)]
pub(super) struct Entry {
    sources: Vec<Source>,
    /// Whether it is the answer to a question: no push of it is to be expected.
    pub(super) is_asked: bool,
    /// Whether it waits for its config: nothing is being verified.
    is_deferred: bool,
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
    /// Whether a frame of it has come, kept or not.
    pub(super) has_begun: bool,
}

impl Proving {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            entries: BTreeMap::new(),
            per_source: BTreeMap::new(),
            stash: Stash::new(settings.stash_bytes_max, settings.stash_bytes_per_member),
            stash_deferred: Stash::new(settings.stash_bytes_max / 2, settings.stash_bytes_max / 8),
            per_source_max: settings.proving_per_source,
            copies_max: settings.proving_copies_max,
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
        self.stash.bytes as u64
    }

    /// Whether this source's copy is to be verified; notes that it is.
    pub(super) fn admit(&mut self, header_hash: Digest, source: Source, is_asked: bool) -> bool {
        let of_source = self.per_source.get(&source).copied().unwrap_or_default();
        if of_source >= self.per_source_max {
            return false;
        }
        let entry = self.entries.entry(header_hash).or_insert_with(|| Entry {
            sources: Vec::new(),
            is_asked,
            is_deferred: false,
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

    /// A header that waits has come as an answer, whoever pushed it before.
    pub(super) fn set_asked(&mut self, header_hash: Digest) {
        if let Some(entry) = self.entries.get_mut(&header_hash) {
            entry.is_asked = true;
        }
    }

    /// A header waits for its config from now on, or no longer.
    pub(super) fn set_deferred(&mut self, header_hash: Digest, is_deferred: bool) {
        let Some(entry) = self.entries.get_mut(&header_hash).filter(|it| it.is_deferred != is_deferred)
        else {
            return;
        };
        entry.is_deferred = is_deferred;
        for ((from, _), payload) in &entry.frames {
            match is_deferred {
                true => self.stash_deferred.add(*from, payload),
                false => self.stash_deferred.release(*from, payload),
            }
        }
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
        let Some(push) = entry.pushes.iter_mut().find(|it| it.from == from) else {
            return false;
        };
        push.has_begun = true;
        if entry.frames.contains_key(&(from, index))
            || !self.stash.has_room_for(from, payload)
            || entry.is_deferred && !self.stash_deferred.has_room_for(from, payload)
        {
            return false;
        }
        self.stash.add(from, payload);
        if entry.is_deferred {
            self.stash_deferred.add(from, payload);
        }
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
            self.release_frame(&entry, *from, payload);
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
        self.forget(source, |_| true);
    }

    /// Forgets a source's copies of headers that wait for their config, as nobody knows for how long.
    pub(super) fn forget_deferred(&mut self, source: Source) {
        self.forget(source, |entry| entry.is_deferred);
    }

    fn forget(&mut self, source: Source, is_meant: impl Fn(&Entry) -> bool) {
        for (header_hash, mut entry) in std::mem::take(&mut self.entries) {
            if is_meant(&entry) {
                self.forget_in(&mut entry, source);
            }
            if !entry.sources.is_empty() {
                self.entries.insert(header_hash, entry);
            }
        }
    }

    fn forget_in(&mut self, entry: &mut Entry, source: Source) {
        if let Some(place) = entry.sources.iter().position(|it| *it == source) {
            entry.sources.remove(place);
            self.release(source);
        }
        entry.pushes.retain(|it| Source::Peer(it.from) != source);
        for ((from, index), payload) in std::mem::take(&mut entry.frames) {
            if entry.sources.is_empty() || Source::Peer(from) == source {
                self.release_frame(entry, from, &payload);
            } else {
                entry.frames.insert((from, index), payload);
            }
        }
    }

    fn release(&mut self, source: Source) {
        if let Some(count) = self.per_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_source.remove(&source);
            }
        }
    }

    fn release_frame(&mut self, entry: &Entry, from: MemberId, payload: &[u8]) {
        self.stash.release(from, payload);
        if entry.is_deferred {
            self.stash_deferred.release(from, payload);
        }
    }
}

impl Stash {
    fn new(bytes_max: usize, per_member_max: usize) -> Self {
        Self { bytes: 0, by_member: BTreeMap::new(), bytes_max, per_member_max }
    }

    fn has_room_for(&self, from: MemberId, payload: &[u8]) -> bool {
        let of_member = self.by_member.get(&from).copied().unwrap_or_default();
        let bytes = frame_cost(payload);
        self.bytes + bytes <= self.bytes_max && of_member + bytes <= self.per_member_max
    }

    fn add(&mut self, from: MemberId, payload: &[u8]) {
        self.bytes += frame_cost(payload);
        *self.by_member.entry(from).or_default() += frame_cost(payload);
    }

    fn release(&mut self, from: MemberId, payload: &[u8]) {
        let bytes = frame_cost(payload);
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(of_member) = self.by_member.get_mut(&from) {
            *of_member = of_member.saturating_sub(bytes);
            if *of_member == 0 {
                self.by_member.remove(&from);
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
        proving.keep_push(header(), push_of(MEMBER()));
        proving
    }

    fn push_of(from: MemberId) -> OpenedPush {
        OpenedPush { from, relay_set: Digest::ZERO, children: Vec::new(), has_begun: false }
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
        assert_eq!((proving.stash_bytes(), proving.stash.by_member.len()), (0, 0));
    }

    #[test]
    fn a_frame_that_comes_again_takes_no_room() {
        let mut proving = with_a_push(&Settings::default());

        assert!(proving.keep_frame(header(), MEMBER(), 3, b"one"));
        assert!(!proving.keep_frame(header(), MEMBER(), 3, b"another"));

        assert_eq!(proving.stash_bytes() as usize, 3 + FRAME_OVERHEAD_BYTES);
    }

    #[test]
    fn headers_that_wait_for_their_config_share_half_of_the_stash_and_the_others_have_the_rest() {
        const FRAMES: usize = 16;
        let cost = 1 + FRAME_OVERHEAD_BYTES;
        let settings = Settings {
            stash_bytes_max: FRAMES * cost,
            stash_bytes_per_member: FRAMES * cost,
            proving_copies_max: 5,
            ..Settings::default()
        };
        let members: Vec<MemberId> = (0..5).map(|it: u8| MemberId::from_digest(Digest::of(&[it]))).collect();
        let mut proving = Proving::new(&settings);
        for header in [Digest::of(b"waits"), header()] {
            for member in &members {
                proving.admit(header, Source::Peer(*member), false);
                proving.keep_push(header, push_of(*member));
            }
        }
        proving.set_deferred(Digest::of(b"waits"), true);
        let keep = |proving: &mut Proving, header, member: usize| {
            (0..100).filter(|index| proving.keep_frame(header, members[member], *index, b"x")).count()
        };

        let deferred: Vec<usize> = (0..5).map(|it| keep(&mut proving, Digest::of(b"waits"), it)).collect();
        assert_eq!(deferred, [2, 2, 2, 2, 0], "an eighth of the stash for each, half for all");
        assert_eq!(keep(&mut proving, header(), 0), 8, "what is being verified has the rest");

        proving.forget_deferred(Source::Peer(members[1]));
        assert_eq!(proving.stash.bytes, 14 * cost);
        proving.set_deferred(Digest::of(b"waits"), false);
        assert_eq!((proving.stash.bytes, proving.stash_deferred.bytes), (14 * cost, 0));
        proving.take(Digest::of(b"waits"));
        proving.forget_source(Source::Peer(members[0]));
        assert_eq!((proving.stash.bytes, proving.stash.by_member.len()), (0, 0));
    }
}
