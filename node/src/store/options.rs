//! RocksDB's settings, chosen for many small peers on one machine: a few megabytes of buffers, one small
//! cache, two background threads. Never opens anything.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, LogLevel,
    LruCacheOptions, Options, ReadOptions, WriteOptions,
};

/// Certified headers by number.
pub(super) const HEADERS: &str = "headers";
/// Bodies by number.
pub(super) const BODIES: &str = "bodies";
/// Positions by envelope id.
pub(super) const ENVELOPES: &str = "envelopes";
/// Channels and small values.
pub(super) const META: &str = "meta";

/// Everything that holds a channel's blocks.
pub(super) const BLOCK_FAMILIES: [&str; 3] = [HEADERS, BODIES, ENVELOPES];

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Index, filter and header blocks of all column families. Bodies are left to the system's page cache.
const CACHE_BYTES: usize = 4 * MIB;

/// Above it the oldest buffers are written out, so that at most this much is replayed after a crash.
const LOG_BYTES_MAX: u64 = 16 * MIB as u64;

/// Open table files; each has its index in the cache.
const OPEN_FILES_MAX: i32 = 256;

/// About one lookup of an unknown envelope in a hundred reads the disk (RocksDB's usual filter).
const FILTER_BITS_PER_KEY: f64 = 10.0;

/// Settings of the whole database.
pub(super) fn database() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    // A torn record at the end was never acknowledged and is dropped; damage before the end refuses to open,
    // where RocksDB's default would silently forget every acknowledged block behind it.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_max_total_wal_size(LOG_BYTES_MAX);
    options.set_max_background_jobs(2);
    options.set_max_file_opening_threads(1);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_table_cache_num_shard_bits(2);
    options.set_max_manifest_file_size(4 * MIB);
    options.set_manifest_preallocation_size(64 * KIB);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(MIB);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

/// All column families with their settings; they share one cache.
pub(super) fn families() -> Vec<ColumnFamilyDescriptor> {
    let mut cache = LruCacheOptions::default();
    cache.set_capacity(CACHE_BYTES);
    // One shard: a whole filter block has to fit.
    cache.set_num_shard_bits(0);
    let cache = Cache::new_lru_cache_opts(&cache);
    vec![
        family(HEADERS, MIB, DBCompressionType::Lz4, &cache),
        family(BODIES, 2 * MIB, DBCompressionType::Lz4, &cache),
        family(ENVELOPES, MIB, DBCompressionType::None, &cache),
        family(META, 256 * KIB, DBCompressionType::None, &cache),
    ]
}

fn family(
    name: &str,
    write_buffer_bytes: usize,
    compression: DBCompressionType,
    cache: &Cache,
) -> ColumnFamilyDescriptor {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    if name == ENVELOPES {
        table.set_bloom_filter(FILTER_BITS_PER_KEY, false);
    }
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(write_buffer_bytes);
    options.set_max_write_buffer_number(2);
    options.set_target_file_size_base(16 * MIB as u64);
    options.set_compression_type(compression);
    ColumnFamilyDescriptor::new(name, options)
}

/// Every write is on disk before it is acknowledged.
pub(super) fn durable() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

/// Reads that leave the cache to smaller things.
pub(super) fn uncached() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    options
}
