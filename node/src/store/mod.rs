//! Where a peer or orderer keeps its chains: RocksDB behind the protocol's
//! [`BlockStore`](ledgercast_protocol::store::BlockStore).
//!
//! ```text
//! <folder>/FORMAT   one line, written before the database is made: "ledgercast store 1"
//! <folder>/db/      RocksDB; its LOCK keeps a second process out
//!
//! column family   key                                                      value
//! ┌───────────┐   ┌────────────────────┬─────────────────────┐
//! │ headers   │   │ channel id      32 │ block number  8, BE │             protobuf CertifiedHeader
//! ├───────────┤   ├────────────────────┼─────────────────────┤
//! │ bodies    │   │ channel id      32 │ block number  8, BE │             the body's bytes
//! ├───────────┤   ├────────────────────┼─────────────────────┴─────────┐
//! │ envelopes │   │ channel id      32 │ envelope id                32 │   block number 8, BE ‖ index 4, BE
//! ├───────────┤   ├───┬────────────────┴─┬─────────────────────────────┘
//! │ meta      │   │'c'│ channel id    32 │                                the channel's name, UTF-8
//! │           │   │'k'│ which          1 │                                a small value: incarnation, marks
//! │           │   │'n'│ channel id    32 │ block number  8, BE            nothing: it is a config block
//! └───────────┘   └───┴──────────────────┘
//! ```
//!
//! - A commit, of one block or several contiguous ones, is one batch over all column families and one fsync:
//!   all or none, durable when acknowledged. The height is the newest header's number plus one, kept nowhere
//!   else.
//! - Keys of a channel lie together and blocks in order, so a range is read forwards and a channel is dropped
//!   as one range.
//! - Reads go on from any thread while a commit waits for the disk. RocksDB's checksums are verified on every
//!   read; a block that no longer is what was written is reported by channel and number, never served.
//! - Memory and threads are bounded in `options`: 10 MB and three threads, measured after 40 MB of blocks.

mod error;
mod format;
mod keys;
mod options;
mod rocksdb_store;
#[cfg(test)]
mod tests;

pub use error::OpenError;
pub use rocksdb_store::RocksDbStore;
