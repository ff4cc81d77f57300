//! Numbers of a channel's block flow.

use crate::{announce, dissemination, feed, range_sync, repair};
use std::time::Duration;

/// Settings of the block flow, the same for every channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How far above the newest durable block headers are kept; farther ones are refused. Default 1,024
    /// (design baseline: about 400 KB of headers).
    pub window_blocks: u64,
    /// Bytes of bodies that are not durable yet; no more are taken in, the lowest missing one has a place of
    /// its own. Default 64 MiB (guess: 15 of the largest default bodies). At least two of the channel's
    /// largest bodies.
    pub arena_bytes_max: u64,
    /// Bytes of frames whose header is being verified, and 128 for each; later ones are dropped. Those whose
    /// header waits for a config share half of it, an eighth each member. Default 8 MiB (guess: two full
    /// bodies).
    pub stash_bytes_max: usize,
    /// Such bytes of one member. Default 4 MiB (derived: half, so that no member takes all).
    pub stash_bytes_per_member: usize,
    /// Headers under verification that one source may have; more are refused. Default 512 (derived: two
    /// segments).
    pub proving_per_source: usize,
    /// Copies of one header, from different sources, under verification at a time. Default 3 (guess: two
    /// liars).
    pub proving_copies_max: usize,
    /// Headers that wait for a config which is not in force yet; above, the source that has most, of the org
    /// that has most, gives up its highest, which is asked for again. Default 512 (derived: two segments; the
    /// feed is ahead by fewer).
    pub deferred_headers_max: usize,
    /// Commits handed to the store and not answered. Default 16 (guess).
    pub commits_in_flight_max: usize,
    /// Verifications of the channel that a full pool refused and that are tried again soon; further ones are
    /// given up and their content is asked for again. Default 64 (guess: a few times what arrives in 50 ms).
    pub refused_jobs_max: usize,
    /// Blocks that the orderer's feed may be ahead of the newest body. Default 64 (guess); the arena's room
    /// counts too.
    pub feed_blocks_max: u64,
    /// Bytes of newest durable bodies kept for questions. Default 2 MiB (guess: what neighbours ask for in
    /// repair).
    pub recent_bytes_max: usize,
    /// Newest durable bodies kept for questions; the oldest makes room. Default 1,024 (derived: one segment
    /// of the window; beyond it small bodies would cost more in overhead than in bytes).
    pub recent_bodies_max: usize,
    /// Newest durable headers kept for questions. Default 256 (derived: one answer; about 100 KB).
    pub recent_headers_max: usize,
    /// Header questions of one member that wait for the store; more are answered with `Lacking`. Default 8
    /// (guess: a few announced headers at a time).
    pub header_reads_per_member: usize,
    /// Blocks being read for questions; more are answered with `Lacking`. Default 16 (guess).
    pub reads_in_flight_max: usize,
    /// Questions that wait for one block being read; more are answered with `Lacking`. Default 16 (guess).
    pub read_waiters_max: usize,
    /// Bytes of bodies and headers sent in a second as answers, to all members together; more is answered
    /// with `Lacking`, first to who had most. Default 64 MiB (guess: half of a gigabit link).
    pub answer_bytes_per_second: u64,
    /// Headers in one answer. Default 256 (see `range_sync`).
    pub answer_headers_max: u32,
    /// Bytes of headers in one answer. Default 900 KB (derived: frames are bounded by 1 MiB).
    pub answer_headers_bytes_max: usize,
    /// Open header questions remembered per member. Default 32 (derived: one range, the rest announcements).
    pub questions_per_member: usize,
    /// How long after its header was proven no byte of a live body may have come by push before its leader
    /// counts as withholding it. Default 1 s (design baseline).
    pub withhold_timeout: Duration,
    /// Traces of durable blocks kept. Default 256 (guess: two leadership epochs).
    pub traces_max: usize,
    /// Streams from orderers.
    pub feed: feed::Config,
    /// Announcements.
    pub announce: announce::Config,
    /// Pushes.
    pub dissemination: dissemination::Config,
    /// Questions for bodies.
    pub repair: repair::Config,
    /// Questions for headers of history.
    pub range_sync: range_sync::Config,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window_blocks: 1024,
            arena_bytes_max: 64 * 1024 * 1024,
            stash_bytes_max: 8 * 1024 * 1024,
            stash_bytes_per_member: 4 * 1024 * 1024,
            proving_per_source: 512,
            proving_copies_max: 3,
            deferred_headers_max: 512,
            commits_in_flight_max: 16,
            refused_jobs_max: 64,
            feed_blocks_max: 64,
            recent_bytes_max: 2 * 1024 * 1024,
            recent_bodies_max: 1024,
            recent_headers_max: 256,
            header_reads_per_member: 8,
            reads_in_flight_max: 16,
            read_waiters_max: 16,
            answer_bytes_per_second: 64 * 1024 * 1024,
            answer_headers_max: 256,
            answer_headers_bytes_max: 900_000,
            questions_per_member: 32,
            withhold_timeout: Duration::from_secs(1),
            traces_max: 256,
            feed: feed::Config::default(),
            announce: announce::Config::default(),
            dissemination: dissemination::Config::default(),
            repair: repair::Config::default(),
            range_sync: range_sync::Config::default(),
        }
    }
}
